// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// pagedMember is a member that has three objects of each kind and lists one on a page. It cannot stream a list, as older ones cannot.
type pagedMember struct {
	mu    sync.Mutex
	lists []url.Values
}

func (m *pagedMember) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	query := r.URL.Query()
	switch {
	case query.Get("sendInitialEvents") != "":
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(apierrors.NewInvalid(schema.GroupKind{Kind: "ListOptions"}, "", nil).Status())
		return
	case query.Get("watch") != "":
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	}
	m.mu.Lock()
	m.lists = append(m.lists, query)
	m.mu.Unlock()
	page, _ := strconv.Atoi(query.Get("continue"))
	next := ""
	if page < 2 {
		next = strconv.Itoa(page + 1)
	}
	_, _ = io.WriteString(w, fmt.Sprintf(`{"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "AppliedWorkList", "metadata": {"resourceVersion": "1", "continue": %q},
		"items": [{"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "AppliedWork", "metadata": {"name": "o-%d", "resourceVersion": "1"}}]}`, next, page))
}

// limits are those of the requests to list, with the resourceVersions that they asked for.
func (m *pagedMember) limits() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []string
	for _, query := range m.lists {
		found = append(found, query.Get("limit")+query.Get("resourceVersion"))
	}
	return found
}

func TestObjectsOfAMemberAreListedInPages(t *testing.T) {
	t.Run("their metadata", func(t *testing.T) {
		paged := &pagedMember{}
		server := httptest.NewServer(paged)
		defer server.Close()
		m, err := connect(&rest.Config{Host: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		informer := m.informer(configMaps)
		done := make(chan struct{})
		stop := make(chan struct{})
		go func() { defer close(done); informer.Run(stop) }()
		defer func() { close(stop); <-done }()
		timeout := make(chan struct{})
		timer := time.AfterFunc(time.Minute, func() { close(timeout) })
		defer timer.Stop()
		if !cache.WaitForCacheSync(timeout, informer.HasSynced) {
			t.Fatal("the cache is not filled")
		}
		if n := len(informer.GetStore().ListKeys()); n != 3 {
			t.Errorf("%d objects, want 3", n)
		}
		if diff := cmp.Diff([]string{"100", "100", "100"}, paged.limits()); diff != "" {
			t.Errorf("limits (-want +got):\n%s", diff)
		}
	})
	t.Run("AppliedWorks", func(t *testing.T) {
		paged := &pagedMember{}
		server := httptest.NewServer(paged)
		defer server.Close()
		m, err := connect(&rest.Config{Host: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		if err := m.eachAppliedWork(t.Context(), func(o *unstructured.Unstructured) error {
			names = append(names, o.GetName())
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"o-0", "o-1", "o-2"}, names); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"20", "20", "20"}, paged.limits()); diff != "" {
			t.Errorf("limits (-want +got):\n%s", diff)
		}
		boom := errors.New("boom")
		if err := m.eachAppliedWork(t.Context(), func(*unstructured.Unstructured) error { return boom }); !errors.Is(err, boom) {
			t.Errorf("got %v", err)
		}
	})
}
