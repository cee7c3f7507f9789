// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceBinding ties a ClusterResourcePlacement to one member cluster.
type ClusterResourceBinding struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec says which version the cluster is to have.
	Spec ResourceBindingSpec

	// Status says how far the cluster has come with it.
	Status ResourceBindingStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceBindingList is a list of ClusterResourceBindings.
type ClusterResourceBindingList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ClusterResourceBindings.
	Items []ClusterResourceBinding
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceBinding ties a ResourcePlacement to one member cluster.
type ResourceBinding struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec says which version the cluster is to have.
	Spec ResourceBindingSpec

	// Status says how far the cluster has come with it.
	Status ResourceBindingStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceBindingList is a list of ResourceBindings.
type ResourceBindingList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ResourceBindings.
	Items []ResourceBinding
}

// BindingState is the stage of a binding's life.
type BindingState string

const (
	// BindingStateScheduled is a cluster that was picked; nothing is rolled out to it by this binding yet.
	BindingStateScheduled BindingState = "Scheduled"
	// BindingStateBound is a cluster that has, or is getting, the resources.
	BindingStateBound BindingState = "Bound"
	// BindingStateUnscheduled is a cluster that is no longer picked and waits for the resources to be removed.
	BindingStateUnscheduled BindingState = "Unscheduled"
)

// ResourceBindingSpec says which version a cluster is to have.
type ResourceBindingSpec struct {
	// State is Scheduled, Bound or Unscheduled. A binding may be created without; nothing is placed by it then. Once set, it cannot be taken away.
	State BindingState

	// ResourceSnapshotName is the master resource snapshot that the cluster is to have; empty as long as none was rolled out.
	ResourceSnapshotName string

	// ResourceOverrideSnapshots are the ResourceOverride snapshots in force on the cluster.
	ResourceOverrideSnapshots []NamespacedName

	// ClusterResourceOverrideSnapshots are the ClusterResourceOverride snapshots in force on the cluster.
	ClusterResourceOverrideSnapshots []string

	// SchedulingPolicySnapshotName is the policy snapshot by which the cluster was picked.
	SchedulingPolicySnapshotName string

	// TargetCluster is the member cluster. A binding may be created without; nothing is placed by it then. Once set, it cannot be changed.
	TargetCluster string

	// ClusterDecision says why the cluster was picked.
	ClusterDecision ClusterDecision

	// ApplyStrategy is how manifests are written to the cluster.
	ApplyStrategy *ApplyStrategy
}

// ResourceBindingStatus says how far a cluster has come.
type ResourceBindingStatus struct {
	// FailedPlacements are objects that could not be applied or are not available, at most 100.
	FailedPlacements []FailedResourcePlacement

	// DriftedPlacements are objects that were changed on the cluster, at most 100.
	DriftedPlacements []DriftedResourcePlacement

	// DiffedPlacements are objects that differ from their manifest, at most 100.
	DiffedPlacements []DiffedResourcePlacement

	// Conditions of the binding: RolloutStarted, Overridden, WorkSynchronized, Applied, Available, DiffReported,
	// ObjectsKept, ObjectsRemaining.
	Conditions []metav1.Condition
}
