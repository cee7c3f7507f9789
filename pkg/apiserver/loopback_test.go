// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"
	"testing"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"
	basecompatibility "k8s.io/component-base/compatibility"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/registry/placement"
)

// TestEachServerKnowsItsOwnControllersAlone has two servers of one store, as replicas are.
func TestEachServerKnowsItsOwnControllersAlone(t *testing.T) {
	// everybody else has the name and the groups of the controllers, as if the hub had said so.
	everybodyElse := authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
		own := placement.Controllers()
		return &authenticator.Response{User: &user.DefaultInfo{Name: own.GetName(), UID: own.GetUID(), Groups: own.GetGroups()}}, true, nil
	})
	isLoop := func(token string, request *http.Request) bool {
		config := genericapiserver.NewConfig(scheme.Codecs)
		config.EffectiveVersion = basecompatibility.NewEffectiveVersionFromString("1.0", "", "")
		config.ExternalAddress = "127.0.0.1:443"
		config.LoopbackClientConfig = &rest.Config{BearerToken: token}
		config.Authentication.Authenticator = everybodyElse
		config.Authorization.Authorizer = authorizerfactory.NewAlwaysAllowAuthorizer()
		completed := config.Complete(nil)
		authenticateControllers(completed)
		answer, ok, err := completed.Authentication.Authenticator.AuthenticateRequest(request)
		if err != nil || !ok {
			t.Fatalf("not authenticated: %v", err)
		}
		return placement.IsController(genericapirequest.WithUser(t.Context(), answer.User))
	}
	for _, tc := range []struct {
		name, loopback, sent string
		want                 bool
	}{
		{"its own token", "one", "one", true},
		{"the token of the other replica", "one", "two", false},
		{"no token", "one", "", false},
		{"a server without a loopback token", "", "", false},
	} {
		request := &http.Request{Header: http.Header{}}
		if tc.sent != "" {
			request.Header.Set("Authorization", "Bearer "+tc.sent)
		}
		if got := isLoop(tc.loopback, request); got != tc.want {
			t.Errorf("%s: a controller is %v, want %v", tc.name, got, tc.want)
		}
	}
}
