// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policysnapshot

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Resources are the kinds of the family in both scopes.
func Resources() []store.Resource {
	family := store.Family[v1beta1.PolicySnapshotObject, v1beta1.SchedulingPolicySnapshotSpec, v1beta1.SchedulingPolicySnapshotStatus]{
		Spec:                 v1beta1.PolicySnapshotObject.PolicySnapshotSpec,
		Status:               v1beta1.PolicySnapshotObject.PolicySnapshotStatus,
		Validate:             validation.ValidatePolicySnapshot,
		ValidateUpdate:       validation.ValidatePolicySnapshotUpdate,
		ValidateStatusUpdate: validation.ValidatePolicySnapshotStatusUpdate,
		Columns: []store.Column[v1beta1.PolicySnapshotObject]{
			store.Generation[v1beta1.PolicySnapshotObject](),
			store.Age[v1beta1.PolicySnapshotObject](),
			store.Condition("Scheduled", v1beta1.PolicySnapshotScheduled, conditions).OnlyWide(),
		},
	}
	return []store.Resource{
		store.NewResource[v1beta1.ClusterSchedulingPolicySnapshot, v1beta1.ClusterSchedulingPolicySnapshotList](
			v1beta1.GroupName, registry.ClusterScoped("clusterschedulingpolicysnapshots", "csps"), family),
		store.NewResource[v1beta1.SchedulingPolicySnapshot, v1beta1.SchedulingPolicySnapshotList](
			v1beta1.GroupName, registry.Namespaced("schedulingpolicysnapshots", "sps"), family),
	}
}

func conditions(o v1beta1.PolicySnapshotObject) []metav1.Condition {
	return o.PolicySnapshotStatus().Conditions
}
