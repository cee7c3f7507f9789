// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

const (
	// betweenSections is how long changes are gathered before they are sent.
	betweenSections = 250 * time.Millisecond
	// betweenTimes is how often sections are drawn again for the times in their texts; it keeps a connection from being taken for dead, too.
	betweenTimes = 5 * time.Second
	// maxLooking is how many pages may be open at once.
	maxLooking = 64
)

// page serves a page, and to a script that listens on its address the sections that change.
func (s *server) page(build func(r *http.Request) *page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Accept"), "text/event-stream") {
			s.show(w, build(r))
			return
		}
		if s.looking.Add(1) > maxLooking {
			s.looking.Add(-1)
			plain(w, http.StatusServiceUnavailable, fmt.Sprintf("%d pages are open: close some.", maxLooking))
			return
		}
		defer func() {
			s.looked.Store(s.Clock.Now().Unix())
			s.looking.Add(-1)
		}()
		s.stream(w, r, build)
	}
}

// ages are texts that a script keeps up to date: a section in which nothing else has changed is not sent.
var ages = regexp.MustCompile(`>[^<]*</time>`)

// change is a section as it is sent. A section without HTML is gone.
type change struct {
	ID       string `json:"id"`
	HTML     string `json:"html,omitempty"`
	Announce string `json:"announce,omitempty"`
	// After is the section that it comes after, if the page does not have it yet.
	After string `json:"after,omitempty"`
	Gone  bool   `json:"gone,omitempty"`
}

func (s *server) stream(w http.ResponseWriter, r *http.Request, build func(r *http.Request) *page) {
	control := http.NewResponseController(w)
	// The connection stays open as long as the page.
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		plain(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	sent := map[string]string{}
	times := s.Clock.NewTicker(betweenTimes)
	defer times.Stop()
	for {
		// What changes while this is drawn wakes it again.
		changed := s.data.changes.next()
		parts, err := s.parts(build(r), false)
		if err != nil {
			return
		}
		if err := send(w, sent, parts); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		select {
		case <-changed:
		case <-times.C():
		case <-r.Context().Done():
			return
		}
		pause := s.Clock.NewTimer(betweenSections)
		select {
		case <-pause.C():
		case <-r.Context().Done():
			pause.Stop()
			return
		}
	}
}

// send writes those sections that are not as they were sent last. The first time it sends all: the page may be older than the stream.
func send(w io.Writer, sent map[string]string, parts []part) error {
	there := map[string]bool{}
	after := ""
	var changes []change
	for _, p := range parts {
		there[p.ID] = true
		fixed := ages.ReplaceAllString(string(p.HTML), "></time>")
		if was, found := sent[p.ID]; !found || was != fixed {
			sent[p.ID] = fixed
			changes = append(changes, change{ID: p.ID, HTML: string(p.HTML), Announce: p.Announce, After: after})
		}
		after = p.ID
	}
	for id := range sent {
		if !there[id] {
			delete(sent, id)
			changes = append(changes, change{ID: id, Gone: true})
		}
	}
	if len(changes) == 0 {
		_, err := io.WriteString(w, ": nothing new\n\n")
		return err
	}
	for _, c := range changes {
		// Encoded as JSON a section is one line.
		data, err := json.Marshal(c)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "event: section\ndata: %s\n\n", data); err != nil {
			return err
		}
	}
	return nil
}
