// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Resources are the overrides of both scopes, whose specs differ, and their snapshots.
func Resources() []store.Resource {
	return []store.Resource{
		store.NewResource[placement.ClusterResourceOverride, placement.ClusterResourceOverrideList](
			placement.GroupName, registry.ClusterScoped("clusterresourceoverrides"),
			store.Family[*placement.ClusterResourceOverride, placement.ClusterResourceOverrideSpec, struct{}]{
				Spec: func(o *placement.ClusterResourceOverride) *placement.ClusterResourceOverrideSpec {
					return &o.Spec
				},
				Validate:       validation.ValidateClusterResourceOverride,
				ValidateUpdate: validation.ValidateClusterResourceOverrideUpdate,
				Inert:          true,
				Columns:        age[*placement.ClusterResourceOverride](),
			}),
		store.NewResource[placement.ResourceOverride, placement.ResourceOverrideList](
			placement.GroupName, registry.Namespaced("resourceoverrides"),
			store.Family[*placement.ResourceOverride, placement.ResourceOverrideSpec, struct{}]{
				Spec:           func(o *placement.ResourceOverride) *placement.ResourceOverrideSpec { return &o.Spec },
				Validate:       validation.ValidateResourceOverride,
				ValidateUpdate: validation.ValidateResourceOverrideUpdate,
				Inert:          true,
				Columns:        age[*placement.ResourceOverride](),
			}),
		store.NewResource[placement.ClusterResourceOverrideSnapshot, placement.ClusterResourceOverrideSnapshotList](
			placement.GroupName, registry.ClusterScoped("clusterresourceoverridesnapshots"),
			store.Family[*placement.ClusterResourceOverrideSnapshot, placement.ClusterResourceOverrideSnapshotSpec, struct{}]{
				Spec: func(o *placement.ClusterResourceOverrideSnapshot) *placement.ClusterResourceOverrideSnapshotSpec {
					return &o.Spec
				},
				Validate:       validation.ValidateClusterResourceOverrideSnapshot,
				ValidateUpdate: validation.ValidateClusterResourceOverrideSnapshotUpdate,
				Inert:          true,
				Columns:        age[*placement.ClusterResourceOverrideSnapshot](),
			}),
		store.NewResource[placement.ResourceOverrideSnapshot, placement.ResourceOverrideSnapshotList](
			placement.GroupName, registry.Namespaced("resourceoverridesnapshots"),
			store.Family[*placement.ResourceOverrideSnapshot, placement.ResourceOverrideSnapshotSpec, struct{}]{
				Spec: func(o *placement.ResourceOverrideSnapshot) *placement.ResourceOverrideSnapshotSpec {
					return &o.Spec
				},
				Validate:       validation.ValidateResourceOverrideSnapshot,
				ValidateUpdate: validation.ValidateResourceOverrideSnapshotUpdate,
				Inert:          true,
				Columns:        age[*placement.ResourceOverrideSnapshot](),
			}),
	}
}

func age[O store.Object]() []store.Column[O] { return []store.Column[O]{store.Age[O]()} }
