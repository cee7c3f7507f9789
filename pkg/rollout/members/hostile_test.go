// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// The members of these tests are plain HTTPS servers: no kube-apiserver can be made to answer like this.

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

const objectJSON = `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm", "namespace": "ns", "resourceVersion": "1"}}`

// serve starts a member that answers like this, over HTTP/2 or HTTP/1.1.
func serve(t *testing.T, http2 bool, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = http2
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func configFor(server *httptest.Server) *rest.Config {
	return &rest.Config{Host: server.URL, BearerToken: "secret", TLSClientConfig: rest.TLSClientConfig{
		CAData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
	}}
}

// boundConfig is how this package reaches a server, with bounds of the test.
func boundConfig(t *testing.T, server *httptest.Server, b bounds) *rest.Config {
	t.Helper()
	config := configFor(server)
	if err := bind(config, b); err != nil {
		t.Fatal(err)
	}
	return config
}

// Requests of each sort that is made to members, by as many ways of making a client.
func readyz(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

func discover(_ context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	_, err = client.Discovery().ServerResourcesForGroupVersion("v1")
	return err
}

func getObject(ctx context.Context, config *rest.Config) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	_, err = client.Resource(configMaps).Namespace("ns").Get(ctx, "cm", metav1.GetOptions{})
	return err
}

func patchObject(ctx context.Context, config *rest.Config) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	_, err = client.Resource(configMaps).Namespace("ns").Patch(ctx, "cm", types.MergePatchType, []byte(`{"data": {"a": "b"}}`), metav1.PatchOptions{})
	return err
}

func listObjects(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	_, err = client.CoreV1().ConfigMaps("ns").List(ctx, metav1.ListOptions{})
	return err
}

// watchObjects returns the error with which a watch ends.
func watchObjects(ctx context.Context, config *rest.Config) error {
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	w, err := client.Resource(configMaps).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		if event.Type == watch.Error {
			return errors.FromObject(event.Object)
		}
	}
	return fmt.Errorf("the watch has ended")
}

// zeros is a body of 256 MiB that is small on the wire.
var zeros = sync.OnceValue(func() []byte {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	chunk := make([]byte, 1<<20)
	for range 256 {
		_, _ = w.Write(chunk)
	}
	_ = w.Close()
	return packed.Bytes()
})

func bomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write(zeros())
}

// endless begins a body and does not end it.
func endless(status int, begin string) http.HandlerFunc {
	return func(w http.ResponseWriter, request *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, err := io.WriteString(w, begin)
		for chunk := bytes.Repeat([]byte("a"), 1<<20); err == nil && request.Context().Err() == nil; {
			_, err = w.Write(chunk)
		}
	}
}

// heap has the test fail where the heap grows by more than a number of bytes while f runs.
func heap(t *testing.T, most uint64, f func()) {
	t.Helper()
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	for peak := uint64(0); ; {
		select {
		case <-done:
			if peak > before.HeapAlloc+most {
				t.Errorf("the heap grew by %d MiB, want at most %d", (peak-before.HeapAlloc)>>20, most>>20)
			}
			return
		case <-time.After(5 * time.Millisecond):
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
		}
	}
}

func TestAMemberThatMisbehavesHarmsNoOther(t *testing.T) {
	zeros()
	brief := memberBounds
	brief.answer = 200 * time.Millisecond
	for name, tc := range map[string]struct {
		answer  http.HandlerFunc
		request func(context.Context, *rest.Config) error
		bounds  bounds
		says    string
		is      func(error) bool
	}{
		"readyz that unpacks to very much": {answer: bomb, request: readyz, says: "the member's answer to GET /readyz has more than 8388608 bytes"},
		"discovery that does":              {answer: bomb, request: discover, says: "the member's answer to GET /api/v1 has more than 8388608 bytes"},
		"an object that does":              {answer: bomb, request: getObject, says: "the member's answer to GET /api/v1/namespaces/ns/configmaps/cm has more than 8388608 bytes"},
		"a patched object that does":       {answer: bomb, request: patchObject, says: "the member's answer to PATCH /api/v1/namespaces/ns/configmaps/cm has more than 8388608 bytes"},
		"a list that does":                 {answer: bomb, request: listObjects, says: "the member's answer to GET /api/v1/namespaces/ns/configmaps has more than 33554432 bytes"},
		"a watch that does":                {answer: bomb, request: watchObjects, says: "invalid character"},
		"an object without an end":         {answer: endless(http.StatusOK, `{"apiVersion": "`), request: getObject, says: "has more than 8388608 bytes"},
		"an event without an end":          {answer: endless(http.StatusOK, `{"type": "ADDED", "object": {"kind": "`), request: watchObjects, says: "an event of the member's watch has more than 16777216 bytes"},
		"a header of 10 MiB": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				for i := range 100 {
					w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("h", 100<<10))
				}
			},
			request: getObject,
		},
		"no JSON": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"apiVersion": "v1", "kind"`)
			},
			request: getObject, says: "unexpected end of JSON input",
		},
		"an error without an end keeps its status": {
			answer: endless(http.StatusForbidden, `{"kind": "Status", "apiVersion": "v1", "message": "`), request: getObject, is: errors.IsForbidden,
		},
		"no answer": {
			answer:  func(_ http.ResponseWriter, request *http.Request) { <-request.Context().Done() },
			request: getObject, bounds: brief, says: "no whole answer within 200ms",
		},
		"a watch that does not begin": {
			answer:  func(_ http.ResponseWriter, request *http.Request) { <-request.Context().Done() },
			request: watchObjects, bounds: brief, says: "no whole answer within 200ms",
		},
		"an answer of a byte now and then": {
			answer: func(w http.ResponseWriter, request *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				for {
					_, _ = io.WriteString(w, " ")
					_ = http.NewResponseController(w).Flush()
					select {
					case <-request.Context().Done():
						return
					case <-time.After(10 * time.Millisecond):
					}
				}
			},
			request: getObject, bounds: brief, says: "no whole answer within 200ms",
		},
		"a wait of years until the next try": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "100000000")
				w.WriteHeader(http.StatusTooManyRequests)
			},
			request: func(ctx context.Context, config *rest.Config) error {
				client, err := rest.HTTPClientFor(config)
				if err != nil {
					return err
				}
				response, err := client.Get(config.Host)
				if err != nil {
					return err
				}
				return fmt.Errorf("tried again after %s seconds", response.Header.Get("Retry-After"))
			},
			says: "tried again after 10 seconds",
		},
	} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", name, http2), func(t *testing.T) {
				if tc.bounds == (bounds{}) {
					tc.bounds = memberBounds
				}
				config := boundConfig(t, serve(t, http2, tc.answer), tc.bounds)
				good := boundConfig(t, serve(t, http2, func(http.ResponseWriter, *http.Request) {}), memberBounds)
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				heap(t, 160<<20, func() {
					failed := make(chan error, 1)
					go func() { failed <- tc.request(ctx, config) }()
					if err := readyz(ctx, good); err != nil {
						t.Errorf("another member is not reached meanwhile: %v", err)
					}
					err := <-failed
					if err == nil || !strings.Contains(err.Error(), tc.says) {
						t.Errorf("got %v, want %q", err, tc.says)
					}
					if tc.is != nil && !tc.is(err) {
						t.Errorf("%v is not known for what it is", err)
					}
				})
			})
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var arrived atomic.Int32
	other := serve(t, true, func(http.ResponseWriter, *http.Request) { arrived.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, request := range map[string]func(context.Context, *rest.Config) error{
			"readyz": readyz, "discovery": discover, "get": getObject, "list": listObjects, "watch": watchObjects, "patch": patchObject,
		} {
			t.Run(fmt.Sprintf("%s, %d", name, status), func(t *testing.T) {
				server := serve(t, true, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Location", strings.Replace(other.URL, "https://", "https://user:password@", 1)+"/latest/meta-data")
					w.WriteHeader(status)
				})
				err := request(t.Context(), boundConfig(t, server, memberBounds))
				if err == nil {
					t.Fatal("no error")
				}
				for _, part := range []string{"redirects are not followed", strings.TrimPrefix(other.URL, "https://") + "/latest/meta-data"} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q does not say %q", err, part)
					}
				}
				if strings.Contains(err.Error(), "password") {
					t.Errorf("%q has a password", err)
				}
			})
		}
	}
	if n := arrived.Load(); n > 0 {
		t.Errorf("%d requests arrived at the other host", n)
	}
}

func TestAWatchAsAWholeIsNotBounded(t *testing.T) {
	b := memberBounds
	b.answer, b.event, b.object, b.list = 200*time.Millisecond, 1<<10, 1<<10, 1<<10
	const count = 20
	server := serve(t, true, func(w http.ResponseWriter, request *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = http.NewResponseController(w).Flush()
		<-time.After(2 * b.answer)
		for i := range count {
			_, _ = fmt.Fprintf(w, `{"type": "ADDED", "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm-%d", "annotations": {"a": "%s\"}}\\"}}}}`+"\n",
				i, strings.Repeat("{", 500))
		}
		_ = http.NewResponseController(w).Flush()
		<-request.Context().Done()
	})
	client, err := dynamic.NewForConfig(boundConfig(t, server, b))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	w, err := client.Resource(configMaps).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for i := range count {
		event, ok := <-w.ResultChan()
		if !ok || event.Type != watch.Added || event.Object.(metav1.Object).GetName() != fmt.Sprintf("cm-%d", i) {
			t.Fatalf("event %d: %v", i, event)
		}
	}
}

func TestAnAnswerMayBeAsLargeAsItsBound(t *testing.T) {
	server := serve(t, true, func(w http.ResponseWriter, request *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		text := objectJSON
		if strings.HasSuffix(request.URL.Path, "/configmaps") {
			text = `{"apiVersion": "v1", "kind": "ConfigMapList", "items": [` + objectJSON + "," + objectJSON + `]}`
		}
		_, _ = io.WriteString(w, text)
	})
	b := memberBounds
	b.object, b.list = int64(len(objectJSON)), 1<<10
	// Some members serve their API under a path.
	for _, path := range []string{"", "/k8s/clusters/paris", "/k8s/clusters/paris/"} {
		config := configFor(server)
		config.Host += path
		if err := bind(config, b); err != nil {
			t.Fatal(err)
		}
		for name, request := range map[string]func(context.Context, *rest.Config) error{"get": getObject, "patch": patchObject, "list": listObjects} {
			if err := request(t.Context(), config); err != nil {
				t.Errorf("%s under %q: %v", name, path, err)
			}
		}
	}
	b.object--
	if err := getObject(t.Context(), boundConfig(t, server, b)); err == nil || !strings.Contains(err.Error(), "has more than") {
		t.Errorf("one byte too many: %v", err)
	}
}
