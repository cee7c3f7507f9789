// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Resources are the kinds of the family in both scopes.
func Resources() []store.Resource {
	family := store.Family[placement.BindingObject, placement.ResourceBindingSpec, placement.ResourceBindingStatus]{
		Spec:                 placement.BindingObject.BindingSpec,
		Status:               placement.BindingObject.BindingStatus,
		Validate:             validation.ValidateBinding,
		ValidateUpdate:       validation.ValidateBindingUpdate,
		ValidateStatusUpdate: validation.ValidateBindingStatusUpdate,
		Columns:              columns(),
		Fields: map[string]func(placement.BindingObject) string{
			"spec.targetCluster":        targetCluster,
			"spec.resourceSnapshotName": resourceSnapshotName,
		},
	}
	return []store.Resource{
		store.NewResource[placement.ClusterResourceBinding, placement.ClusterResourceBindingList](
			placement.GroupName, registry.ClusterScoped("clusterresourcebindings", "crb"), family),
		store.NewResource[placement.ResourceBinding, placement.ResourceBindingList](
			placement.GroupName, registry.Namespaced("resourcebindings", "rb"), family),
	}
}
