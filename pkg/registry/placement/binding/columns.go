// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

func columns() []store.Column[placement.BindingObject] {
	return []store.Column[placement.BindingObject]{
		store.Condition("WorkSynchronized", placement.BindingWorkSynchronized, conditions),
		store.Condition("ResourcesApplied", placement.BindingApplied, conditions),
		store.Condition("ResourceAvailable", placement.BindingAvailable, conditions).OnlyWide(),
		store.Age[placement.BindingObject](),
		{Name: "Cluster", Wide: true, Description: "Member cluster.", Text: targetCluster},
		{Name: "State", Wide: true, Description: "Scheduled, Bound or Unscheduled.", Text: state},
		{Name: "Resource-Snapshot", Wide: true, Description: "Version that the cluster is to have.", Text: resourceSnapshotName},
	}
}

func targetCluster(o placement.BindingObject) string { return o.BindingSpec().TargetCluster }

func state(o placement.BindingObject) string { return string(o.BindingSpec().State) }

func resourceSnapshotName(o placement.BindingObject) string {
	return o.BindingSpec().ResourceSnapshotName
}

func conditions(o placement.BindingObject) []metav1.Condition { return o.BindingStatus().Conditions }
