// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// nameLimit is that of a label: versions carry the name of their override in one.
var nameLimit = store.NameLimit{Max: 63, Message: "the name field cannot have length exceeding 63"}

// Resources are the overrides of both scopes, whose specs differ, and their snapshots.
func Resources() []store.Resource {
	return append([]store.Resource{
		store.NewResource[placement.ClusterResourceOverride, placement.ClusterResourceOverrideList](
			placement.GroupName, registry.ClusterScoped("clusterresourceoverrides"),
			store.Family[*placement.ClusterResourceOverride, placement.ClusterResourceOverrideSpec, struct{}]{
				Spec: func(o *placement.ClusterResourceOverride) *placement.ClusterResourceOverrideSpec {
					return &o.Spec
				},
				Name:           nameLimit,
				Validate:       validation.ValidateClusterResourceOverride,
				ValidateUpdate: validation.ValidateClusterResourceOverrideUpdate,
				Columns: columns(
					func(o *placement.ClusterResourceOverride) *placement.PlacementRef { return o.Spec.Placement },
					func(o *placement.ClusterResourceOverride) []string {
						return namesOf(o.Spec.ClusterResourceSelectors, func(s placement.ResourceSelectorTerm) string { return s.Kind + "/" + s.Name })
					}),
			}),
		store.NewResource[placement.ResourceOverride, placement.ResourceOverrideList](
			placement.GroupName, registry.Namespaced("resourceoverrides"),
			store.Family[*placement.ResourceOverride, placement.ResourceOverrideSpec, struct{}]{
				Spec:           func(o *placement.ResourceOverride) *placement.ResourceOverrideSpec { return &o.Spec },
				Name:           nameLimit,
				Validate:       validation.ValidateResourceOverride,
				ValidateUpdate: validation.ValidateResourceOverrideUpdate,
				Columns: columns(
					func(o *placement.ResourceOverride) *placement.PlacementRef { return o.Spec.Placement },
					func(o *placement.ResourceOverride) []string {
						return namesOf(o.Spec.ResourceSelectors, func(s placement.ResourceSelector) string { return s.Kind + "/" + s.Name })
					}),
			}),
	}, SnapshotResources()...)
}

// SnapshotResources are the resources of the versions of overrides.
func SnapshotResources() []store.Resource {
	return []store.Resource{
		store.NewResource[placement.ClusterResourceOverrideSnapshot, placement.ClusterResourceOverrideSnapshotList](
			placement.GroupName, registry.ClusterScoped("clusterresourceoverridesnapshots"),
			store.Family[*placement.ClusterResourceOverrideSnapshot, placement.ClusterResourceOverrideSnapshotSpec, struct{}]{
				Spec: func(o *placement.ClusterResourceOverrideSnapshot) *placement.ClusterResourceOverrideSnapshotSpec {
					return &o.Spec
				},
				Validate:       validation.ValidateClusterResourceOverrideSnapshot,
				ValidateUpdate: validation.ValidateClusterResourceOverrideSnapshotUpdate,
				Columns:        snapshotColumns[*placement.ClusterResourceOverrideSnapshot](),
			}),
		store.NewResource[placement.ResourceOverrideSnapshot, placement.ResourceOverrideSnapshotList](
			placement.GroupName, registry.Namespaced("resourceoverridesnapshots"),
			store.Family[*placement.ResourceOverrideSnapshot, placement.ResourceOverrideSnapshotSpec, struct{}]{
				Spec: func(o *placement.ResourceOverrideSnapshot) *placement.ResourceOverrideSnapshotSpec {
					return &o.Spec
				},
				Validate:       validation.ValidateResourceOverrideSnapshot,
				ValidateUpdate: validation.ValidateResourceOverrideSnapshotUpdate,
				Columns:        snapshotColumns[*placement.ResourceOverrideSnapshot](),
			}),
	}
}
