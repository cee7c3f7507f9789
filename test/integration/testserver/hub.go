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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// HubStoreID is the store that a hub of StartHub belongs to.
const HubStoreID = "store"

// StartHub serves the little that the loops ask of a hub without members: it belongs to the store, has no Secrets and takes every Event.
func StartHub(tb testing.TB) *rest.Config {
	tb.Helper()
	const core = "/api/v1/namespaces/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+core+wellknown.SystemNamespace+"/configmaps/"+storeid.ConfigMapName, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, &corev1.ConfigMap{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
			Data:     map[string]string{storeid.ConfigMapKey: HubStoreID},
		})
	})
	mux.HandleFunc("GET "+core+wellknown.SystemNamespace+"/secrets", serveNoSecrets)
	takeEvent := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w, http.StatusCreated, &corev1.Event{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Event"}})
	}
	mux.HandleFunc("POST "+core+"{namespace}/events", takeEvent)
	mux.HandleFunc("PATCH "+core+"{namespace}/events/{name}", takeEvent)

	server := httptest.NewServer(mux)
	tb.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return &rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeJSON}}
}

// serveNoSecrets lists none, and has a watch wait.
func serveNoSecrets(w http.ResponseWriter, r *http.Request) {
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
		answer(w, http.StatusOK, &corev1.SecretList{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "SecretList"},
			ListMeta: metav1.ListMeta{ResourceVersion: "1"},
		})
	}
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", runtime.ContentTypeJSON)
	w.WriteHeader(code)
	// Who has hung up needs no answer.
	_ = json.NewEncoder(w).Encode(body)
}
