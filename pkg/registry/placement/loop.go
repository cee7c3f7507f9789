// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"context"

	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

// controllers is the user that the server's own controllers are. Only the server's authenticator returns a user of this type, to a
// request with the token of its own loopback client. A user who is impersonated, or whom the hub passes on, is of another type, whatever
// name, uid and groups the request claims.
type controllers struct{ user.DefaultInfo }

// Controllers returns the user whom IsLoop knows. It has the name and the groups that every API server gives to its loopback client, and no
// uid: nothing that is recorded of it helps anybody to pass for it.
func Controllers() user.Info {
	return &controllers{user.DefaultInfo{
		Name:   user.APIServerUser,
		Groups: []string{user.AllAuthenticated, user.SystemPrivilegedGroup},
	}}
}

// IsLoop reports whether a request is one of the server's own controllers. An administrator is in the same group, and may impersonate the
// same name, and is no controller.
func IsLoop(ctx context.Context) bool {
	info, _ := genericapirequest.UserFrom(ctx)
	_, ok := info.(*controllers)
	return ok
}
