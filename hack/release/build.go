// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// source is a commit that is built, and what its binaries are stamped with.
type source struct {
	dir     string
	version string
	commit  string
	// dirty reports whether files differ from the commit. Such a build cannot be repeated.
	dirty bool
	// date of the commit, which everything that is built bears as its time.
	date time.Time
}

// program is a command of the repository that becomes a binary and an image.
type program struct {
	name, pkg, title string
}

var programs = []program{
	{"stagegate-apiserver", "./cmd/apiserver", "Stagegate API server"},
	{"stagegate-member-agent", "./cmd/memberagent", "Stagegate agent of a member cluster"},
}

// platform is what a binary and an image are for.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

func parsePlatforms(list string) ([]platform, error) {
	var platforms []platform
	for one := range strings.SplitSeq(list, ",") {
		system, arch, ok := strings.Cut(one, "/")
		if !ok || system != "linux" || arch != "amd64" && arch != "arm64" {
			return nil, fmt.Errorf("platform %q: linux/amd64 and linux/arm64 are built", one)
		}
		platforms = append(platforms, platform{system, arch})
	}
	return platforms, nil
}

// readSource asks git for the commit of a directory. SOURCE_DATE_EPOCH takes the place of its date. Without a version there is one that
// names the commit and is older than any release.
func readSource(ctx context.Context, dir, version string) (source, error) {
	s := source{dir: dir, version: version}
	out, err := git(ctx, dir, "log", "-1", "--format=%H %ct")
	if err != nil {
		return source{}, err
	}
	commit, seconds, _ := strings.Cut(out, " ")
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds = epoch
	}
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return source{}, fmt.Errorf("date of the commit, or SOURCE_DATE_EPOCH: %w", err)
	}
	s.commit, s.date = commit, time.Unix(unix, 0).UTC()
	changed, err := git(ctx, dir, "status", "--porcelain")
	if err != nil {
		return source{}, err
	}
	s.dirty = changed != ""
	if s.version == "" {
		s.version = "v0.0.0-g" + commit[:12]
		if s.dirty {
			s.version += ".dirty"
		}
	}
	return s, nil
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
		}
		return "", fmt.Errorf("git %s in %s: %w", args[0], dir, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// ldflags stamp a binary, and leave out what only a debugger reads.
func (s source) ldflags() string {
	const stamped = "github.com/stagegate/stagegate/pkg/version."
	state := "clean"
	if s.dirty {
		state = "dirty"
	}
	return fmt.Sprintf("-s -w -X %[1]sstamp=%[2]s -X %[1]scommit=%[3]s -X %[1]streeState=%[4]s -X %[1]sdate=%[5]s",
		stamped, s.version, s.commit, state, s.date.Format(time.RFC3339))
}

// build makes the static binary of a program. It depends on the commit, the stamps and the version of Go alone: neither on the directory nor on
// tags in git, nor on what the user has set for Go. Time zones are part of it, since an image has none.
func (s source) build(ctx context.Context, p program, on platform, target string) error {
	target, err := filepath.Abs(target)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags=timetzdata", "-ldflags", s.ldflags(), "-o", target, p.pkg)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+on.os, "GOARCH="+on.arch, "GOAMD64=v1", "GOARM64=v8.0",
		// Empty would be what the user has set for good.
		"GOFLAGS=-mod=readonly", "GOWORK=off", "GOFIPS140=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s for %s: %w\n%s", p.pkg, on, err, out)
	}
	return nil
}
