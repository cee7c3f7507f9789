// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"maps"

	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Paths are the storages of a resource of this package: the requests, their guarded status, and the subresources that decide them.
func Paths(s *store.Storage, authz authorizer.Authorizer, clk clock.PassiveClock) map[string]rest.Storage {
	paths := s.Paths()
	maps.Copy(paths, Subresources(s, authz, clk))
	return paths
}
