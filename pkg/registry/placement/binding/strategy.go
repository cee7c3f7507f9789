// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

func columns() []store.Column[v1beta1.BindingObject] {
	return []store.Column[v1beta1.BindingObject]{
		store.Condition("WorkSynchronized", v1beta1.BindingWorkSynchronized, conditions),
		store.Condition("ResourcesApplied", v1beta1.BindingApplied, conditions),
		store.Condition("ResourceAvailable", v1beta1.BindingAvailable, conditions).OnlyWide(),
		store.Age[v1beta1.BindingObject](),
		{Name: "Cluster", Wide: true, Description: "Member cluster.", Text: targetCluster},
		{Name: "State", Wide: true, Description: "Scheduled, Bound or Unscheduled.", Text: state},
		{Name: "Resource-Snapshot", Wide: true, Description: "Version that the cluster is to have.", Text: resourceSnapshotName},
	}
}

func targetCluster(o v1beta1.BindingObject) string { return o.BindingSpec().TargetCluster }

func state(o v1beta1.BindingObject) string { return string(o.BindingSpec().State) }

func resourceSnapshotName(o v1beta1.BindingObject) string {
	return o.BindingSpec().ResourceSnapshotName
}

func conditions(o v1beta1.BindingObject) []metav1.Condition { return o.BindingStatus().Conditions }
