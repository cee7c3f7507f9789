// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/storage/storagebackend"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/importer"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
)

// recordImport has a store be as an import leaves it; nil is one that was taken back.
func recordImport(t *testing.T, storage storagebackend.Config, record *importer.Record) {
	t.Helper()
	err := withEtcd(t.Context(), storage, func(ctx context.Context, client *clientv3.Client) error {
		key := path.Join(storage.Prefix, "import")
		if record == nil {
			_, err := client.Delete(ctx, key)
			return err
		}
		data, err := json.Marshal(record)
		if err != nil {
			return err
		}
		_, err = client.Put(ctx, key, string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// throughGate asks for a path, and returns what is answered to somebody, or to the controllers of the server.
func throughGate(t *testing.T, i *imports, url string, resource, controller bool) *httptest.ResponseRecorder {
	t.Helper()
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	ctx := genericapirequest.WithRequestInfo(t.Context(), &genericapirequest.RequestInfo{
		IsResourceRequest: resource, Verb: "list", APIGroup: "cluster.kubernetes-fleet.io", APIVersion: "v1beta1", Resource: "memberclusters",
	})
	if controller {
		ctx = genericapirequest.WithUser(ctx, registry.Controllers())
	}
	answer := httptest.NewRecorder()
	i.withGate(next, registry.IsController, scheme.Codecs).ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody))
	return answer
}

func TestObjectsAreNotServedBeforeTheImportIsComplete(t *testing.T) {
	const members = "/apis/cluster.kubernetes-fleet.io/v1beta1/memberclusters"
	storage := newStore(t)
	if i, record, err := openImports(t.Context(), storage); i != nil || record != nil || err != nil {
		t.Fatalf("a store that was not imported has %v, %v (%v)", i, record, err)
	}
	recordImport(t, storage, &importer.Record{Phase: importer.Switching})
	i, record, err := openImports(t.Context(), storage)
	if err != nil || record == nil || record.Phase != importer.Switching {
		t.Fatalf("%+v, %v", record, err)
	}
	for name, tc := range map[string]struct {
		url                  string
		resource, controller bool
		want                 int
	}{
		"objects":                      {members, true, false, http.StatusServiceUnavailable},
		"objects for the caches":       {members, true, true, http.StatusTeapot},
		"kinds":                        {"/apis/cluster.kubernetes-fleet.io/v1beta1", false, false, http.StatusTeapot},
		"health, which is no object's": {"/readyz", false, false, http.StatusTeapot},
	} {
		answer := throughGate(t, i, tc.url, tc.resource, tc.controller)
		if answer.Code != tc.want {
			t.Errorf("%s are answered with %d, want %d", name, answer.Code, tc.want)
		}
		if tc.want != http.StatusServiceUnavailable {
			continue
		}
		// A 404 would have the garbage collector of the hub delete what members own.
		if got := answer.Body.String(); !strings.Contains(got, "the import from KubeFleet is not complete (Switching): run stagegate-apiserver import again") ||
			!strings.Contains(got, `"retryAfterSeconds":5`) {
			t.Errorf("%s are answered with %s", name, got)
		}
	}

	// Another process goes on with the import.
	ctx, end := context.WithCancel(t.Context())
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		i.follow(ctx)
	}()
	t.Cleanup(func() {
		end()
		<-followed
	})
	for _, step := range []struct {
		record *importer.Record
		want   string
	}{
		{&importer.Record{Phase: importer.Complete}, ""},
		{&importer.Record{Phase: importer.Returning}, "run stagegate-apiserver import --back again"},
		{&importer.Record{Phase: importer.Complete}, ""},
		{nil, "the hub was given back to KubeFleet: stop this server"},
	} {
		recordImport(t, storage, step.record)
		var answer *httptest.ResponseRecorder
		ok := func() bool {
			answer = throughGate(t, i, members, true, false)
			if step.want == "" {
				return answer.Code == http.StatusTeapot
			}
			return answer.Code == http.StatusServiceUnavailable && strings.Contains(answer.Body.String(), step.want)
		}
		// What follows tells nobody, so that it is asked.
		for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("after %+v objects are answered with %d %s", step.record, answer.Code, answer.Body)
			}
		}
	}
}

func TestControllersBeginOnceTheImportIsCompleteAndEndTheWayBack(t *testing.T) {
	storage := newStore(t)
	recordImport(t, storage, &importer.Record{Phase: importer.Importing})
	i, _, err := openImports(t.Context(), storage)
	if err != nil {
		t.Fatal(err)
	}
	checkError(t, i.begin(t.Context()), "the import from KubeFleet is not complete (Importing)")
	recordImport(t, storage, &importer.Record{Phase: importer.Returning})
	checkError(t, i.begin(t.Context()), "the hub is being given back to KubeFleet")
	recordImport(t, storage, &importer.Record{Phase: importer.Complete, Started: metav1.Now()})
	for range 2 {
		checkError(t, i.begin(t.Context()), "")
	}
	if _, record, err := openImports(t.Context(), storage); err != nil || record.Begun == nil {
		t.Errorf("the record is %+v (%v)", record, err)
	}
	recordImport(t, storage, nil)
	checkError(t, i.begin(t.Context()), "the hub was given back to KubeFleet: stop this server")
}
