// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inprocess

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"k8s.io/client-go/rest"
)

func serve(t *testing.T, handler http.HandlerFunc) (*Network, *http.Client) {
	t.Helper()
	n := New()
	n.Serve(handler)
	t.Cleanup(n.Close)
	client, err := rest.HTTPClientFor(n.Config(&rest.Config{
		Host: "https://192.0.2.1:443", BearerToken: "loopback", TLSClientConfig: rest.TLSClientConfig{CAData: []byte("x"), ServerName: "other"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	return n, client
}

func request(ctx context.Context, t *testing.T, method string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, host+"/apis?x=y", body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type callerKey struct{}

func TestRequestsReachTheHandlerAsThoseOfAConnectionDo(t *testing.T) {
	seen := make(chan *http.Request, 1)
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		w.Header().Set("X-Answer", "yes")
		w.WriteHeader(http.StatusAccepted)
		w.Header().Set("X-Late", "yes")
		_, _ = io.Copy(w, r.Body)
	})
	large := strings.Repeat("x", 1<<20)
	// A plugin of admission asks in the context of the request that it looks at.
	response, err := client.Do(request(context.WithValue(t.Context(), callerKey{}, "root"), t, http.MethodPost, strings.NewReader(large)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got, err := io.ReadAll(response.Body); err != nil || string(got) != large {
		t.Errorf("%d bytes came back, want %d: %v", len(got), len(large), err)
	}
	if response.StatusCode != http.StatusAccepted || response.Header.Get("X-Answer") != "yes" || response.Header.Get("X-Late") != "" {
		t.Errorf("status %d, header %v", response.StatusCode, response.Header)
	}
	r := <-seen
	if got := r.Header.Get("Authorization"); got != "Bearer loopback" {
		t.Errorf("authorization %q", got)
	}
	if got := r.Context().Value(callerKey{}); got != nil {
		t.Errorf("the handler has %v of its client's context", got)
	}
	if r.RequestURI != "/apis?x=y" {
		t.Errorf("request of %s", r.RequestURI)
	}
	// The audit log has it as the source.
	if address, _, err := net.SplitHostPort(r.RemoteAddr); err != nil || address != "127.0.0.1" {
		t.Errorf("the request is from %s: %v", r.RemoteAddr, err)
	}
}

func TestAHandlerThatWritesNothingAnswersOK(t *testing.T) {
	_, client := serve(t, func(http.ResponseWriter, *http.Request) {})
	response, err := client.Do(request(t.Context(), t, http.MethodGet, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); response.StatusCode != http.StatusOK || len(body) != 0 || err != nil {
		t.Errorf("%d %q: %v", response.StatusCode, body, err)
	}
}

// A request that nobody waits for any more must end at the server, too: watches would pile up.
func TestARequestEndsWithItsClient(t *testing.T) {
	for _, tc := range []struct {
		name  string
		flush bool
		leave func(cancel func(), response *http.Response)
	}{
		{"its context ends before an answer", false, func(cancel func(), _ *http.Response) { cancel() }},
		{"its context ends during the answer", true, func(cancel func(), _ *http.Response) { cancel() }},
		{"it closes the body", true, func(_ func(), response *http.Response) { _ = response.Body.Close() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
					if tc.flush {
						w.(http.Flusher).Flush()
					}
					<-r.Context().Done()
					<-w.(http.CloseNotifier).CloseNotify() //nolint:staticcheck // The filters ask for it.
					_, err := w.Write([]byte("late"))
					ended <- err
				})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				answer := make(chan error, 1)
				responses := make(chan *http.Response, 1)
				go func() {
					response, err := client.Do(request(ctx, t, http.MethodGet, nil))
					if err == nil {
						responses <- response
						_, err = io.ReadAll(response.Body)
						_ = response.Body.Close()
					}
					answer <- err
				}()
				var response *http.Response
				if tc.flush {
					response = <-responses
				}
				synctest.Wait()
				tc.leave(cancel, response)
				if err := <-answer; err == nil {
					t.Error("the client got an answer")
				}
				if err := <-ended; err == nil {
					t.Error("the handler could still write")
				}
			})
		})
	}
}

func TestAPanicIsTheErrorOfOneRequest(t *testing.T) {
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
			panic("broken")
		case http.MethodPut:
			_, _ = w.Write([]byte("half"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	})
	if response, err := client.Do(request(t.Context(), t, http.MethodGet, nil)); err == nil {
		_ = response.Body.Close()
		t.Error("a handler that panicked has answered")
	} else if !strings.Contains(err.Error(), "panicked: broken") {
		t.Error(err)
	}
	response, err := client.Do(request(t.Context(), t, http.MethodPut, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got, err := io.ReadAll(response.Body); err == nil || string(got) != "half" {
		t.Errorf("half of an answer is %q, %v", got, err)
	}
	response, err = client.Do(request(t.Context(), t, http.MethodDelete, nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
}

// A client that does not read must not have the server keep what it is sent.
func TestAHandlerWaitsForItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const chunk = 1 << 10
		written := 0
		_, client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			for range 1000 {
				n, err := w.Write(bytes.Repeat([]byte{'x'}, chunk))
				if written += n; err != nil {
					t.Error(err)
				}
			}
		})
		response, err := client.Do(request(t.Context(), t, http.MethodGet, nil))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if written == 0 || written > maxPendingBytes+chunk {
			t.Errorf("%d bytes wait for a client that does not read", written)
		}
		if body, err := io.ReadAll(response.Body); err != nil || len(body) != 1000*chunk {
			t.Errorf("%d bytes: %v", len(body), err)
		}
		_ = response.Body.Close()
	})
}

func TestThereIsNoAnswerWithoutAServer(t *testing.T) {
	n := New()
	client, err := rest.HTTPClientFor(n.Config(&rest.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		response, err := client.Do(request(t.Context(), t, http.MethodGet, nil))
		if err == nil {
			_ = response.Body.Close()
		}
		return err
	}
	if err := ask(); !errors.Is(err, errNotServing) {
		t.Errorf("before the server serves: %v", err)
	}
	begun := make(chan struct{})
	n.Serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		panic(r.Context().Err())
	}))
	go func() {
		<-begun
		n.Close()
	}()
	if err := ask(); err == nil {
		t.Error("a request that was under way when the server ended was answered")
	}
	if err := ask(); !errors.Is(err, errClosed) {
		t.Errorf("after the server has ended: %v", err)
	}
}
