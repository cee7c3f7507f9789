// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"encoding/base64"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// connected is a member whose connections are counted, and a kubeconfig of it.
type connected struct {
	t          *testing.T
	closed     chan struct{}
	kubeconfig string
}

func newConnected(t *testing.T) *connected {
	c := &connected{t: t, closed: make(chan struct{}, 100)}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			c.closed <- struct{}{}
		}
	}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	c.kubeconfig = strings.Replace(strings.Replace(goodKubeconfig, "https://member.example", server.URL, 1),
		"server:", "certificate-authority-data: "+base64.StdEncoding.EncodeToString(authority)+", server:", 1)
	return c
}

// ask leaves a connection open that nothing uses.
func (c *connected) ask(m *Member) {
	c.t.Helper()
	client, err := rest.HTTPClientFor(m.Config)
	if err != nil {
		c.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, m.Config.Host+"/readyz", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		c.t.Fatal(err)
	}
	_ = response.Body.Close()
}

// await returns what the directory has of a member once that is as it should be.
func (s *supervision) await(seen func(m *Member) bool) *Member {
	s.t.Helper()
	changes := make(chan struct{}, 100)
	registration, err := s.directory.secrets.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { changes <- struct{}{} },
		UpdateFunc: func(any, any) { changes <- struct{}{} },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = s.directory.secrets.RemoveEventHandler(registration) }()
	for timeout := time.After(deadline); ; {
		select {
		case <-changes:
			if m, _ := s.directory.Get("a"); seen(m) {
				return m
			}
		case <-timeout:
			s.t.Fatal("the Secret was not seen")
		}
	}
}

func (c *connected) isClosed() {
	c.t.Helper()
	select {
	case <-c.closed:
	case <-time.After(deadline):
		c.t.Fatal("the connection that was made with the credentials before is still open")
	}
}

func TestConnectionsEndWithTheCredentialsThatTheyWereMadeWith(t *testing.T) {
	for _, tc := range []struct {
		name  string
		after func(kubeconfig string) string
	}{
		{"that are others now", func(kubeconfig string) string {
			return strings.Replace(kubeconfig, "token: secret", "token: rotated", 1)
		}},
		{"that are gone", func(string) string { return "" }},
		{"that are no longer taken", func(kubeconfig string) string {
			return strings.Replace(kubeconfig, "token: secret", "tokenFile: /etc/passwd", 1)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newConnected(t)
			s := newSupervision(t)
			s.rotateTo(c.kubeconfig)
			member := s.await(func(m *Member) bool { return m != nil && m.Config.Host != "https://member.example" })
			c.ask(member)
			s.rotateTo(tc.after(c.kubeconfig))
			s.await(func(m *Member) bool { return m != member })
			c.isClosed()
		})
	}
}
