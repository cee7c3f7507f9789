// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"net/http"
	"slices"
	"strings"
	"sync"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// writes counts what the controllers and the members write, by resource.
type writes struct {
	mu     sync.Mutex
	counts map[string]count
}

type count struct{ all, conflicts int }

// wrap counts the requests of a client.
func (w *writes) wrap(rt http.RoundTripper) http.RoundTripper { return &counting{rt, w} }

// since is what was written after an earlier reading.
func (w *writes) since(before map[string]count) map[string]count {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := map[string]count{}
	for resource, c := range w.counts {
		now[resource] = count{c.all - before[resource].all, c.conflicts - before[resource].conflicts}
	}
	return now
}

func (w *writes) note(resource string, conflict bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counts == nil {
		w.counts = map[string]count{}
	}
	c := w.counts[resource]
	c.all++
	if conflict {
		c.conflicts++
	}
	w.counts[resource] = c
}

type counting struct {
	next   http.RoundTripper
	writes *writes
}

func (c *counting) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := c.next.RoundTrip(request)
	if err == nil && slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, request.Method) {
		c.writes.note(resourceOf(request.URL.Path), response.StatusCode == http.StatusConflict)
	}
	return response, err
}

// WrappedRoundTripper lets a client find the connection below.
func (c *counting) WrappedRoundTripper() http.RoundTripper { return c.next }

var _ utilnet.RoundTripperWrapper = &counting{}

// resourceOf is the resource in /apis/<group>/<version>[/namespaces/<namespace>]/<resource>[/<name>[/<subresource>]], with the
// subresource where there is one.
func resourceOf(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) < 4 {
		return path
	}
	parts = parts[3:]
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	if len(parts) > 2 {
		return parts[0] + "/" + parts[2]
	}
	return parts[0]
}
