// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Resources are the kinds of the family in both scopes.
func Resources() []store.Resource {
	family := store.Family[v1beta1.BindingObject, v1beta1.ResourceBindingSpec, v1beta1.ResourceBindingStatus]{
		Spec:                 v1beta1.BindingObject.BindingSpec,
		Status:               v1beta1.BindingObject.BindingStatus,
		Validate:             validation.ValidateBinding,
		ValidateUpdate:       validation.ValidateBindingUpdate,
		ValidateStatusUpdate: validation.ValidateBindingStatusUpdate,
		Columns:              columns(),
		Fields: map[string]func(v1beta1.BindingObject) string{
			"spec.targetCluster":        targetCluster,
			"spec.resourceSnapshotName": resourceSnapshotName,
		},
	}
	return []store.Resource{
		store.NewResource[v1beta1.ClusterResourceBinding, v1beta1.ClusterResourceBindingList](
			v1beta1.GroupName, registry.ClusterScoped("clusterresourcebindings", "crb"), family),
		store.NewResource[v1beta1.ResourceBinding, v1beta1.ResourceBindingList](
			v1beta1.GroupName, registry.Namespaced("resourcebindings", "rb"), family),
	}
}
