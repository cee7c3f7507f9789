// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// nameLimit is that of a label: versions carry the name of their override in one.
var nameLimit = store.NameLimit{Max: 63, Message: "the name field cannot have length exceeding 63"}

// Resources are the overrides of both scopes, whose specs differ, and their snapshots.
func Resources() []store.Resource {
	return append([]store.Resource{
		store.NewResource[v1beta1.ClusterResourceOverride, v1beta1.ClusterResourceOverrideList](
			v1beta1.GroupName, registry.ClusterScoped("clusterresourceoverrides"),
			store.Family[*v1beta1.ClusterResourceOverride, v1beta1.ClusterResourceOverrideSpec, struct{}]{
				Spec: func(o *v1beta1.ClusterResourceOverride) *v1beta1.ClusterResourceOverrideSpec {
					return &o.Spec
				},
				Name:           nameLimit,
				Validate:       validation.ValidateClusterResourceOverride,
				ValidateUpdate: validation.ValidateClusterResourceOverrideUpdate,
				Columns: columns(
					func(o *v1beta1.ClusterResourceOverride) *v1beta1.PlacementRef { return o.Spec.Placement },
					func(o *v1beta1.ClusterResourceOverride) []string {
						return namesOf(o.Spec.ClusterResourceSelectors, func(s v1beta1.ResourceSelectorTerm) string { return s.Kind + "/" + s.Name })
					}),
			}),
		store.NewResource[v1beta1.ResourceOverride, v1beta1.ResourceOverrideList](
			v1beta1.GroupName, registry.Namespaced("resourceoverrides"),
			store.Family[*v1beta1.ResourceOverride, v1beta1.ResourceOverrideSpec, struct{}]{
				Spec:           func(o *v1beta1.ResourceOverride) *v1beta1.ResourceOverrideSpec { return &o.Spec },
				Name:           nameLimit,
				Validate:       validation.ValidateResourceOverride,
				ValidateUpdate: validation.ValidateResourceOverrideUpdate,
				Columns: columns(
					func(o *v1beta1.ResourceOverride) *v1beta1.PlacementRef { return o.Spec.Placement },
					func(o *v1beta1.ResourceOverride) []string {
						return namesOf(o.Spec.ResourceSelectors, func(s v1beta1.ResourceSelector) string { return s.Kind + "/" + s.Name })
					}),
			}),
	}, SnapshotResources()...)
}

// SnapshotResources are the resources of the versions of overrides.
func SnapshotResources() []store.Resource {
	return []store.Resource{
		store.NewResource[v1beta1.ClusterResourceOverrideSnapshot, v1beta1.ClusterResourceOverrideSnapshotList](
			v1beta1.GroupName, registry.ClusterScoped("clusterresourceoverridesnapshots"),
			store.Family[*v1beta1.ClusterResourceOverrideSnapshot, v1beta1.ClusterResourceOverrideSnapshotSpec, struct{}]{
				Spec: func(o *v1beta1.ClusterResourceOverrideSnapshot) *v1beta1.ClusterResourceOverrideSnapshotSpec {
					return &o.Spec
				},
				Validate:       validation.ValidateClusterResourceOverrideSnapshot,
				ValidateUpdate: validation.ValidateClusterResourceOverrideSnapshotUpdate,
				Columns:        snapshotColumns[*v1beta1.ClusterResourceOverrideSnapshot](),
			}),
		store.NewResource[v1beta1.ResourceOverrideSnapshot, v1beta1.ResourceOverrideSnapshotList](
			v1beta1.GroupName, registry.Namespaced("resourceoverridesnapshots"),
			store.Family[*v1beta1.ResourceOverrideSnapshot, v1beta1.ResourceOverrideSnapshotSpec, struct{}]{
				Spec: func(o *v1beta1.ResourceOverrideSnapshot) *v1beta1.ResourceOverrideSnapshotSpec {
					return &o.Spec
				},
				Validate:       validation.ValidateResourceOverrideSnapshot,
				ValidateUpdate: validation.ValidateResourceOverrideSnapshotUpdate,
				Columns:        snapshotColumns[*v1beta1.ResourceOverrideSnapshot](),
			}),
	}
}
