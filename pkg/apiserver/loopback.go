// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"crypto/subtle"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/stagegate/stagegate/pkg/registry/placement"
)

// authenticateControllers has a request with the token of the loopback client be one of the server's own controllers. A generic server
// knows that token as well, once its configuration is complete, but for a user who could be impersonated; so this comes first, and must be
// called after.
func authenticateControllers(config genericapiserver.CompletedConfig) {
	if config.Authentication.Authenticator == nil || config.LoopbackClientConfig == nil || config.LoopbackClientConfig.BearerToken == "" {
		return
	}
	loopback := []byte(config.LoopbackClientConfig.BearerToken)
	tokens := authenticator.TokenFunc(func(_ context.Context, token string) (*authenticator.Response, bool, error) {
		if subtle.ConstantTimeCompare([]byte(token), loopback) != 1 {
			return nil, false, nil
		}
		return &authenticator.Response{User: placement.Controllers()}, true, nil
	})
	ours := bearertoken.New(authenticator.WrapAudienceAgnosticToken(config.Authentication.APIAudiences, tokens))
	config.Authentication.Authenticator = union.New(ours, config.Authentication.Authenticator)
}
