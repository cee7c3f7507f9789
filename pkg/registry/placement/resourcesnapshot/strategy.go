// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package resourcesnapshot

import (
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Resources are the kinds of the family in both scopes.
func Resources() []store.Resource {
	family := store.Family[v1beta1.ResourceSnapshotObject, v1beta1.ResourceSnapshotSpec, v1beta1.ResourceSnapshotStatus]{
		Spec:                 v1beta1.ResourceSnapshotObject.SnapshotSpec,
		Status:               v1beta1.ResourceSnapshotObject.SnapshotStatus,
		Validate:             validation.ValidateResourceSnapshot,
		ValidateUpdate:       validation.ValidateResourceSnapshotUpdate,
		ValidateStatusUpdate: validation.ValidateResourceSnapshotStatusUpdate,
		Columns: []store.Column[v1beta1.ResourceSnapshotObject]{
			store.Generation[v1beta1.ResourceSnapshotObject](),
			store.Age[v1beta1.ResourceSnapshotObject](),
		},
	}
	return []store.Resource{
		store.NewResource[v1beta1.ClusterResourceSnapshot, v1beta1.ClusterResourceSnapshotList](
			v1beta1.GroupName, registry.ClusterScoped("clusterresourcesnapshots", "crs"), family),
		store.NewResource[v1beta1.ResourceSnapshot, v1beta1.ResourceSnapshotList](
			v1beta1.GroupName, registry.Namespaced("resourcesnapshots", "rs"), family),
	}
}
