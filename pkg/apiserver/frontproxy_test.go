// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/apiserver/pkg/server/dynamiccertificates"
)

// bundle is a CA that may not have arrived yet. All but its content is left out.
type bundle struct {
	dynamiccertificates.CAContentProvider
	content string
}

func (b bundle) CurrentCABundleContent() []byte { return []byte(b.content) }

func TestTheHubIsToldToRetryUntilItCanBeRecognized(t *testing.T) {
	certificate := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}
	tests := map[string]struct {
		tls  *tls.ConnectionState
		ca   string
		want int
	}{
		"the hub, before its CA is here":           {tls: certificate, want: http.StatusServiceUnavailable},
		"the hub, once its CA is here":             {tls: certificate, ca: "CA", want: http.StatusOK},
		"a probe, which has no certificate":        {tls: &tls.ConnectionState{}, want: http.StatusOK},
		"a request that does not come in over TLS": {want: http.StatusOK},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			request, response := httptest.NewRequest(http.MethodGet, "/apis", nil), httptest.NewRecorder()
			request.TLS = test.tls
			untilLoaded(bundle{content: test.ca}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(response, request)
			if response.Code != test.want {
				t.Errorf("answered %d, want %d", response.Code, test.want)
			}
			if retry := response.Header().Get("Retry-After"); (retry != "") != (test.want == http.StatusServiceUnavailable) {
				t.Errorf("Retry-After is %q", retry)
			}
		})
	}
}
