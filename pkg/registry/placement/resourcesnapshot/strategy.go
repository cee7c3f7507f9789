// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package resourcesnapshot

import (
	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Resources are the kinds of the family in both scopes.
func Resources() []store.Resource {
	family := store.Family[placement.ResourceSnapshotObject, placement.ResourceSnapshotSpec, placement.ResourceSnapshotStatus]{
		Spec:                 placement.ResourceSnapshotObject.SnapshotSpec,
		Status:               placement.ResourceSnapshotObject.SnapshotStatus,
		Validate:             validation.ValidateResourceSnapshot,
		ValidateUpdate:       validation.ValidateResourceSnapshotUpdate,
		ValidateStatusUpdate: validation.ValidateResourceSnapshotStatusUpdate,
		Columns: []store.Column[placement.ResourceSnapshotObject]{
			store.Generation[placement.ResourceSnapshotObject](),
			store.Age[placement.ResourceSnapshotObject](),
		},
	}
	return []store.Resource{
		store.NewResource[placement.ClusterResourceSnapshot, placement.ClusterResourceSnapshotList](
			placement.GroupName, registry.ClusterScoped("clusterresourcesnapshots", "crs"), family),
		store.NewResource[placement.ResourceSnapshot, placement.ResourceSnapshotList](
			placement.GroupName, registry.Namespaced("resourcesnapshots", "rs"), family),
	}
}
