// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"context"

	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

// controllers is the type of the user as whom the server's own controllers make requests. Only the server's authenticator returns it, for
// the token of its own loopback client. Users who are impersonated, or whom the hub passes on, are of another type, whatever name, uid and
// groups the request claims.
type controllers struct{ user.DefaultInfo }

// Controllers returns the user for whom IsController is true. It has the name and the groups that every API server gives to its loopback
// client, and no uid: nothing that is recorded of it helps anybody to pass for it.
func Controllers() user.Info {
	return &controllers{user.DefaultInfo{
		Name:   user.APIServerUser,
		Groups: []string{user.AllAuthenticated, user.SystemPrivilegedGroup},
	}}
}

// IsController reports whether one of the server's own controllers makes the request. An administrator is in the same group and may
// impersonate the same name, but is not a controller.
func IsController(ctx context.Context) bool {
	info, _ := genericapirequest.UserFrom(ctx)
	_, ok := info.(*controllers)
	return ok
}
