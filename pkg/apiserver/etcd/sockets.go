// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// maxSocketPath is the longest path that every platform takes for a unix socket.
const maxSocketPath = 103

// sockets are where the member listens.
type sockets struct {
	client, http, peer url.URL
	// temporary is a directory that goes with the sockets, if there is one.
	temporary string
}

// newSockets puts the sockets into the data directory, or into a directory of their own if their path would not do.
func newSockets(dir string) (*sockets, error) {
	s := &sockets{}
	if !fits(dir) {
		var err error
		if dir, err = os.MkdirTemp("", "stagegate-"); err != nil {
			return nil, fmt.Errorf("directory for etcd's sockets: %w", err)
		}
		s.temporary = dir
		if !fits(dir) {
			s.remove()
			return nil, fmt.Errorf("neither the data directory nor %s has a path short enough for a socket", dir)
		}
	}
	s.client, s.http, s.peer = socketURL(dir, "client"), socketURL(dir, "http"), socketURL(dir, "peer")
	return s, nil
}

// fits reports whether a socket in the directory has a path that is neither too long nor in need of escapes, which not everyone
// who parses the URL undoes.
func fits(dir string) bool {
	u := socketURL(dir, "client")
	return len(u.Path) <= maxSocketPath && u.EscapedPath() == u.Path
}

func socketURL(dir, name string) url.URL {
	return url.URL{Scheme: "unix", Path: filepath.Join(dir, name+".sock")}
}

func (s *sockets) remove() {
	if s.temporary != "" {
		_ = os.RemoveAll(s.temporary)
	}
}
