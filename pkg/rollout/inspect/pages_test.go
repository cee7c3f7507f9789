// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// lister serves lists as a test has them.
func lister(t testing.TB, serve http.HandlerFunc) rest.Interface {
	t.Helper()
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, QPS: 1e6, Burst: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	return client.CoreV1().RESTClient()
}

func TestAListIsReadPageByPage(t *testing.T) {
	const objects = 1234
	var sizes []int
	client := lister(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/pods" || r.URL.Query().Get("fieldSelector") != "spec.nodeName!=" || r.Header.Get("Accept") != wholeObjects {
			t.Errorf("%s with Accept %s", r.URL, r.Header.Get("Accept"))
		}
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		to := min(from+limit, objects)
		sizes = append(sizes, limit)
		next := ""
		if to < objects {
			next = strconv.Itoa(to)
		}
		_, _ = fmt.Fprintf(w, `{"kind":"PodList","metadata":{"continue":%q},"items":[`, next)
		for i := from; i < to; i++ {
			_, _ = fmt.Fprintf(w, `{"spec":{"nodeName":"n%d","more":[{"x":%q}]}},`, i, strings.Repeat("x", 2000))
		}
		_, _ = io.WriteString(w, "{}]}")
	})
	var names []string
	err := each(t.Context(), pages{client: client, resource: "pods", accept: wholeObjects, fieldSelector: "spec.nodeName!=", limit: 1e6}, func(p *pod) error {
		if p.Spec.NodeName != "" {
			names = append(names, p.Spec.NodeName)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if name != "n"+strconv.Itoa(i) {
			t.Fatalf("object %d is %s", i, name)
		}
	}
	if len(names) != objects || sizes[0] != firstPage || sizes[1] < 80 || sizes[1] > 110 {
		t.Errorf("%d objects in pages of %v, want %d in pages of about %d bytes", len(names), sizes, objects, pageBytes)
	}
}

func TestAHostileListEnds(t *testing.T) {
	endless := func(begin, item string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"items":[`+begin)
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, item); err != nil {
					return
				}
			}
		}
	}
	answer := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
	}
	for _, tc := range []struct {
		name  string
		serve http.HandlerFunc
		says  string
	}{
		{"pages without end", answer(`{"metadata":{"continue":"again"},"items":[{},{}]}`), "the member has more than 5000 pods"},
		{"empty pages without end", answer(`{"metadata":{"continue":"again"},"items":[]}`), "is empty and promises another"},
		{"a page without end", endless("", `{},`), "the member has more than 5000 pods"},
		{"an object without end", endless(`{"spec":{"nodeName":"`, "n"), "has more than 3145728 bytes"},
		{"a list that is none", answer(`{"items":"many"}`), "a list begins with many"},
		{"an answer that is no object", answer(`[]`), "belongs"},
		{"an answer that ends before its end", answer(`{"items":[{}]`), "EOF"},
		{"objects that are none", answer(`{"items":[1]}`), "cannot unmarshal number"},
		{"more levels than anybody needs", answer(`{"items":[` + strings.Repeat("[", 1e5)), "exceeded max depth"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := each(t.Context(), pages{client: lister(t, tc.serve), resource: "pods", accept: wholeObjects, limit: 5000}, func(*pod) error { return nil })
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
}

func TestAListEndsWhereEnoughIsKnown(t *testing.T) {
	asked := 0
	client := lister(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		_, _ = io.WriteString(w, `{"metadata":{"continue":"again"},"items":[{},{}]}`)
	})
	seen := 0
	err := each(t.Context(), pages{client: client, resource: "pods", accept: wholeObjects, limit: 10}, func(*pod) error {
		if seen++; seen == 3 {
			return errEnough
		}
		return nil
	})
	if err != nil || seen != 3 || asked != 2 {
		t.Errorf("%d objects of %d pages, error %v", seen, asked, err)
	}
	if err := each(t.Context(), pages{client: client, resource: "pods", accept: wholeObjects, limit: 10}, func(*pod) error { return io.ErrClosedPipe }); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

// TestAListTakesTheMemoryOfOneObject reads 40 MiB of Pods. -v prints the figures.
func TestAListTakesTheMemoryOfOneObject(t *testing.T) {
	const objects = 5000
	item := fmt.Sprintf(`{"metadata":{"annotations":{"a":%q}},"spec":{"nodeName":"n","containers":[{"resources":{"requests":{"cpu":"10m","memory":"1Mi"}}}]}}`,
		strings.Repeat("x", 8000))
	var before, peak runtime.MemStats
	client := lister(t, func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		to, next := min(from+limit, objects), ""
		if to < objects {
			next = strconv.Itoa(to)
		}
		_, _ = fmt.Fprintf(w, `{"metadata":{"continue":%q},"items":[%s]}`, next, strings.TrimSuffix(strings.Repeat(item+",", to-from), ","))
	})
	runtime.GC()
	runtime.ReadMemStats(&before)
	most, seen, sum, start := uint64(0), 0, amounts{}, time.Now()
	err := each(t.Context(), pages{client: client, resource: "pods", accept: wholeObjects, limit: maxPods}, func(p *pod) error {
		sum = sum.plus(p.requests())
		if seen++; seen%1000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&peak)
			most = max(most, peak.HeapAlloc)
		}
		return nil
	})
	if err != nil || seen != objects || sum.cpu != 10*objects {
		t.Fatalf("%d objects, %+v, error %v", seen, sum, err)
	}
	t.Logf("%d Pods of 8 KiB: %s, %d KiB more in use", objects, time.Since(start).Round(time.Millisecond), int64(most-before.HeapAlloc)>>10)
	if most > before.HeapAlloc+8<<20 {
		t.Errorf("%d bytes more are in use, want less than 8 MiB", most-before.HeapAlloc)
	}
}
