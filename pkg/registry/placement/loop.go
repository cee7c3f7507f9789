// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"context"
	"slices"

	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

// IsLoop says whether a request is one of the loops', which the server knows by the identity of its own loopback client. An
// administrator is in the same group, and is no loop.
func IsLoop(ctx context.Context) bool {
	info, ok := genericapirequest.UserFrom(ctx)
	return ok && info.GetName() == user.APIServerUser && slices.Contains(info.GetGroups(), user.SystemPrivilegedGroup)
}
