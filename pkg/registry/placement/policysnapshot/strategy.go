// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policysnapshot

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Resources are the kinds of the family in both scopes.
func Resources() []store.Resource {
	family := store.Family[placement.PolicySnapshotObject, placement.SchedulingPolicySnapshotSpec, placement.SchedulingPolicySnapshotStatus]{
		Spec:                 placement.PolicySnapshotObject.PolicySnapshotSpec,
		Status:               placement.PolicySnapshotObject.PolicySnapshotStatus,
		Validate:             validation.ValidatePolicySnapshot,
		ValidateUpdate:       validation.ValidatePolicySnapshotUpdate,
		ValidateStatusUpdate: validation.ValidatePolicySnapshotStatusUpdate,
		Columns: []store.Column[placement.PolicySnapshotObject]{
			store.Generation[placement.PolicySnapshotObject](),
			store.Age[placement.PolicySnapshotObject](),
			store.Condition("Scheduled", placement.PolicySnapshotScheduled, conditions).OnlyWide(),
		},
	}
	return []store.Resource{
		store.NewResource[placement.ClusterSchedulingPolicySnapshot, placement.ClusterSchedulingPolicySnapshotList](
			placement.GroupName, registry.ClusterScoped("clusterschedulingpolicysnapshots", "csps"), family),
		store.NewResource[placement.SchedulingPolicySnapshot, placement.SchedulingPolicySnapshotList](
			placement.GroupName, registry.Namespaced("schedulingpolicysnapshots", "sps"), family),
	}
}

func conditions(o placement.PolicySnapshotObject) []metav1.Condition {
	return o.PolicySnapshotStatus().Conditions
}
