// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// Whoever writes the status of a Work or of an AppliedWork chooses what a removal looks up.
func TestWhatNoObjectIsCalledWasNeverApplied(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		code, reason := http.StatusInternalServerError, "InternalError"
		if strings.Contains(r.URL.Path, "/tokenreviews/") {
			code, reason = http.StatusMethodNotAllowed, "MethodNotAllowed"
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"` + reason + `"}`))
	}))
	defer server.Close()
	m, err := connectWith(&rest.Config{Host: server.URL, QPS: -1}, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*v1beta1.WorkResourceIdentifier){
		"a name with a slash":         func(id *v1beta1.WorkResourceIdentifier) { id.Name = "a/b" },
		"a name with a percent sign":  func(id *v1beta1.WorkResourceIdentifier) { id.Name = "a%2fb" },
		"a name that goes up":         func(id *v1beta1.WorkResourceIdentifier) { id.Name = ".." },
		"no name":                     func(id *v1beta1.WorkResourceIdentifier) { id.Name = "" },
		"a name of a megabyte":        func(id *v1beta1.WorkResourceIdentifier) { id.Name = strings.Repeat("a", 1<<20) },
		"a namespace with a slash":    func(id *v1beta1.WorkResourceIdentifier) { id.Namespace = "a/b" },
		"a resource with a slash":     func(id *v1beta1.WorkResourceIdentifier) { id.Resource = "pods/exec" },
		"a resource that goes up":     func(id *v1beta1.WorkResourceIdentifier) { id.Resource = "../.." },
		"a version with a slash":      func(id *v1beta1.WorkResourceIdentifier) { id.Version = "v1/namespaces" },
		"no version":                  func(id *v1beta1.WorkResourceIdentifier) { id.Version = "" },
		"a group with a slash":        func(id *v1beta1.WorkResourceIdentifier) { id.Group = "apps/v1" },
		"no kind":                     func(id *v1beta1.WorkResourceIdentifier) { id.Kind, id.Resource = "", "" },
		"a resource that is not read": func(id *v1beta1.WorkResourceIdentifier) { id.Resource = "tokenreviews" },
	} {
		t.Run(name, func(t *testing.T) {
			r := v1beta1.AppliedResourceMeta{WorkResourceIdentifier: v1beta1.WorkResourceIdentifier{
				Version: "v1", Kind: "Namespace", Resource: "namespaces", Name: "web",
			}}
			change(&r.WorkResourceIdentifier)
			if _, live, err := m.find(t.Context(), r); live != nil || err != nil {
				t.Errorf("found %v, error %v", live, err)
			}
		})
	}
	if got := asked.Load(); got != 1 {
		t.Errorf("the member was asked %d times, want once, for the resource that is not read", got)
	}
	r := v1beta1.AppliedResourceMeta{WorkResourceIdentifier: v1beta1.WorkResourceIdentifier{
		Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole", Resource: "clusterroles", Name: "system:web",
	}}
	if _, _, err := m.find(t.Context(), r); err == nil {
		t.Error("an object that cannot be read counts as gone")
	}
}
