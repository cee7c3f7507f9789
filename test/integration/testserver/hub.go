// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package testserver

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// HubStoreID is the store that a hub of StartHub belongs to.
const HubStoreID = "store"

// hubUID is the uid of a hub of StartHub.
const hubUID = "hub"

// hubKinds are the kinds of a hub of StartHub.
var hubKinds = map[string][]metav1.APIResource{
	"v1": {
		{Name: "namespaces", Kind: "Namespace", Verbs: metav1.Verbs{"get", "list", "watch"}},
		{Name: "secrets", Kind: "Secret", Namespaced: true, Verbs: metav1.Verbs{"get", "list", "watch"}},
	},
	"rbac.authorization.k8s.io/v1": {
		{Name: "clusterroles", Kind: "ClusterRole", Verbs: metav1.Verbs{"get", "list", "watch"}},
	},
}

// StartHub serves the little that the controllers and admission ask of a hub without members: it belongs to the store, has no objects of the few
// kinds that it tells, and takes every Event.
func StartHub(tb testing.TB) *rest.Config {
	tb.Helper()
	const core = "/api/v1/namespaces/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+core+wellknown.SystemNamespace+"/configmaps/"+storeid.ConfigMapName, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, &corev1.ConfigMap{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
			Data:     map[string]string{storeid.ConfigMapKey: HubStoreID, storeid.ConfigMapHubKey: hubUID},
		})
	})
	mux.HandleFunc("GET "+core+metav1.NamespaceSystem, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, &corev1.Namespace{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
			ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem, UID: hubUID},
		})
	})
	mux.HandleFunc("GET "+core+wellknown.SystemNamespace+"/secrets", serveNone("SecretList"))
	mux.HandleFunc("GET "+core+wellknown.SystemNamespace+"/configmaps", serveNone("ConfigMapList"))
	takeEvent := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w, http.StatusCreated, &corev1.Event{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Event"}})
	}
	mux.HandleFunc("POST "+core+"{namespace}/events", takeEvent)
	mux.HandleFunc("PATCH "+core+"{namespace}/events/{name}", takeEvent)

	for path, resource := range map[string]string{
		core + "{name}": "namespaces", core + "{namespace}/secrets/{name}": "secrets", "/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}": "clusterroles",
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			status := apierrors.NewNotFound(schema.GroupResource{Resource: resource}, r.PathValue("name")).ErrStatus
			status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
			answer(w, http.StatusNotFound, &status)
		})
	}
	serveKinds(mux)

	server := httptest.NewServer(mux)
	tb.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return &rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeJSON}}
}

// serveKinds tells the kinds, as a server does that knows no aggregated discovery.
func serveKinds(mux *http.ServeMux) {
	groups := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroupList"}}
	for groupVersion, resources := range hubKinds {
		group, version, found := strings.Cut(groupVersion, "/")
		path := "/apis/" + groupVersion
		if found {
			v := metav1.GroupVersionForDiscovery{GroupVersion: groupVersion, Version: version}
			groups.Groups = append(groups.Groups, metav1.APIGroup{Name: group, Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v})
		} else {
			path = "/api/" + groupVersion
		}
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusOK, &metav1.APIResourceList{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"}, GroupVersion: groupVersion, APIResources: resources,
			})
		})
	}
	mux.HandleFunc("GET /api", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, &metav1.APIVersions{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIVersions"}, Versions: []string{"v1"}})
	})
	mux.HandleFunc("GET /apis", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, &groups) })
	mux.HandleFunc("GET /apis/apiregistration.k8s.io/v1/apiservices", serveNone("APIServiceList"))
}

// serveNone lists no object, and has a watch wait.
func serveNone(listKind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		switch {
		case query.Has("sendInitialEvents"):
			// As a server that does not know of it: the client lists instead.
			answer(w, http.StatusUnprocessableEntity, &metav1.Status{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
				Status:   metav1.StatusFailure, Reason: metav1.StatusReasonInvalid, Code: http.StatusUnprocessableEntity,
			})
		case strings.EqualFold(query.Get("watch"), "true"):
			w.Header().Set("Content-Type", runtime.ContentTypeJSON)
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		default:
			answer(w, http.StatusOK, &metav1.PartialObjectMetadataList{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: listKind},
				ListMeta: metav1.ListMeta{ResourceVersion: "1"},
			})
		}
	}
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", runtime.ContentTypeJSON)
	w.WriteHeader(code)
	// Who has hung up needs no answer.
	_ = json.NewEncoder(w).Encode(body)
}
