// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
)

// beStrictWithActions has what users do by a subresource, such as approving, refused where its body has a field that is not known. What is
// done cannot be undone, and a comment that is misspelled would be lost: kubectl patch shows a warning only.
func beStrictWithActions(config *genericapiserver.Config) {
	build := config.BuildHandlerChainFunc
	config.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
		return build(withStrictActions(api), c)
	}
}

func withStrictActions(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := genericapirequest.RequestInfoFrom(r.Context())
		query := r.URL.Query()
		if !ok || !isAction(info) || query.Get("fieldValidation") == metav1.FieldValidationStrict {
			next.ServeHTTP(w, r)
			return
		}
		query.Set("fieldValidation", metav1.FieldValidationStrict)
		strict, address := *r, *r.URL
		address.RawQuery = query.Encode()
		strict.URL = &address
		next.ServeHTTP(w, &strict)
	})
}

// isAction reports whether a request writes a subresource that is something done to an object. A status is written as it is read.
func isAction(info *genericapirequest.RequestInfo) bool {
	if !info.IsResourceRequest || info.Subresource == "" || info.Subresource == "status" {
		return false
	}
	return info.Verb == "create" || info.Verb == "update" || info.Verb == "patch"
}
