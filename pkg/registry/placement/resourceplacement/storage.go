// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package resourceplacement

import (
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Paths are the storages of a resource of this package: the placements, their status, and the subresource prune. The authorizer is asked
// who may use that, the clock says when they did.
func Paths(s *store.Storage, authz authorizer.Authorizer, clk clock.PassiveClock) map[string]rest.Storage {
	paths := s.Paths()
	paths[pruneSubresource] = store.NewActionREST(s, "placement", prunedByAnnotation, &pruning{
		resource:   s.Action.DefaultQualifiedResource,
		authorizer: authz,
		clock:      clk,
	})
	return paths
}
