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

// authenticateControllers authenticates requests with the token of the loopback client as the server's own controllers. The generic server
// accepts that token too, but for a user who can be impersonated. So call this after the configuration is completed: it puts its
// authenticator first.
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
