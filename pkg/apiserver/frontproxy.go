// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
)

// awaitFrontProxy has the hub's requests answered with a retry until the hub can be told from anybody else. The CA of its front proxy
// is read from the hub and arrives a moment after the server listens; until then users would be taken for anonymous, and refused.
func awaitFrontProxy(config *genericapiserver.Config) {
	headers := config.Authentication.RequestHeaderConfig
	if headers == nil || headers.CAContentProvider == nil {
		return
	}
	build := config.BuildHandlerChainFunc
	config.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
		return untilLoaded(headers.CAContentProvider, build(api, c))
	}
}

// untilLoaded turns away requests with a client certificate as long as there is no CA to check it with. Clients of Kubernetes try again
// by themselves when they are told when.
func untilLoaded(ca dynamiccertificates.CAContentProvider, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 && len(ca.CurrentCABundleContent()) == 0 {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "the server has not read the CA of the hub's front proxy yet", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}
