// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +genclient:nonNamespaced
// +genclient:method=UpdateRollout,verb=update,subresource=rollout
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"
// +k8s:supportsSubresource="/rollout"

// ClusterResourceBinding ties a ClusterResourcePlacement to one member cluster.
type ClusterResourceBinding struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the version that the cluster must have.
	// +required
	Spec ResourceBindingSpec `json:"spec"`

	// status is the progress of the cluster towards that version.
	// +optional
	Status ResourceBindingStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceBindingList is a list of ClusterResourceBindings.
type ClusterResourceBindingList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ClusterResourceBindings.
	Items []ClusterResourceBinding `json:"items"`
}

// +genclient
// +genclient:method=UpdateRollout,verb=update,subresource=rollout
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"
// +k8s:supportsSubresource="/rollout"

// ResourceBinding ties a ResourcePlacement to one member cluster.
type ResourceBinding struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the version that the cluster must have.
	// +required
	Spec ResourceBindingSpec `json:"spec"`

	// status is the progress of the cluster towards that version.
	// +optional
	Status ResourceBindingStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceBindingList is a list of ResourceBindings.
type ResourceBindingList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ResourceBindings.
	Items []ResourceBinding `json:"items"`
}

// BindingState is the state of a binding in its life cycle.
type BindingState string

const (
	// BindingStateScheduled is a cluster that was picked; nothing is rolled out to it by this binding yet.
	BindingStateScheduled BindingState = "Scheduled"
	// BindingStateBound is a cluster that has, or is getting, the resources.
	BindingStateBound BindingState = "Bound"
	// BindingStateUnscheduled is a cluster that is no longer picked and waits for the resources to be removed.
	BindingStateUnscheduled BindingState = "Unscheduled"
)

// ResourceBindingSpec is the version that a cluster must have.
type ResourceBindingSpec struct {
	// state is Scheduled, Bound or Unscheduled. A binding without a state places nothing. Once set, the state cannot
	// be cleared.
	// +required
	State BindingState `json:"state"`

	// resourceSnapshotName is the name of the master resource snapshot that the cluster must have. It is empty until
	// a version is rolled out to the cluster.
	// +optional
	ResourceSnapshotName string `json:"resourceSnapshotName"`

	// resourceOverrideSnapshots are the ResourceOverride snapshots in force on the cluster.
	// +optional
	// +listType=atomic
	ResourceOverrideSnapshots []NamespacedName `json:"resourceOverrideSnapshots,omitempty"`

	// clusterResourceOverrideSnapshots are the ClusterResourceOverride snapshots in force on the cluster.
	// +optional
	// +listType=atomic
	ClusterResourceOverrideSnapshots []string `json:"clusterResourceOverrideSnapshots,omitempty"`

	// schedulingPolicySnapshotName is the name of the policy snapshot that picked the cluster.
	// +optional
	SchedulingPolicySnapshotName string `json:"schedulingPolicySnapshotName"`

	// targetCluster is the name of the member cluster. A binding without a target cluster places nothing. Once set,
	// it cannot be changed.
	// +required
	TargetCluster string `json:"targetCluster"`

	// clusterDecision describes why the cluster was picked.
	// +required
	ClusterDecision ClusterDecision `json:"clusterDecision"`

	// applyStrategy specifies how manifests are applied to the cluster.
	// +optional
	// +k8s:optional
	ApplyStrategy *ApplyStrategy `json:"applyStrategy,omitempty"`
}

// ResourceBindingStatus is the progress of a cluster towards the version of its binding.
type ResourceBindingStatus struct {
	// failedPlacements are objects that could not be applied or are not available, at most 100.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=100
	// +listType=atomic
	FailedPlacements []FailedResourcePlacement `json:"failedPlacements,omitempty"`

	// driftedPlacements are objects that were changed on the cluster, at most 100.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=100
	// +listType=atomic
	DriftedPlacements []DriftedResourcePlacement `json:"driftedPlacements,omitempty"`

	// diffedPlacements are objects that differ from their manifest, at most 100.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=100
	// +listType=atomic
	DiffedPlacements []DiffedResourcePlacement `json:"diffedPlacements,omitempty"`

	// synchronizedVersion is the version that the Works of the binding were last made to hold, all of them. It may be another one than the binding
	// asks for: that of before, until all Works hold what the binding asks for. Absent until all Works of a first version are there.
	// +optional
	// +k8s:optional
	SynchronizedVersion *BindingVersion `json:"synchronizedVersion,omitempty"`

	// conditions are the conditions of the binding: RolloutStarted, Overridden, WorkSynchronized, Applied, Available,
	// DiffReported, ObjectsKept, ObjectsRemaining.
	// +optional
	// +k8s:optional
	// +listType=map
	// +listMapKey=type
	// +k8s:listType=map
	// +k8s:listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`
}

// BindingVersion is a version of a placement for one cluster, as its binding asks for it.
type BindingVersion struct {
	// resourceSnapshotName is the name of the master resource snapshot.
	// +required
	ResourceSnapshotName string `json:"resourceSnapshotName"`

	// resourceOverrideSnapshots are the ResourceOverride snapshots that are part of the version.
	// +optional
	// +listType=atomic
	ResourceOverrideSnapshots []NamespacedName `json:"resourceOverrideSnapshots,omitempty"`

	// clusterResourceOverrideSnapshots are the ClusterResourceOverride snapshots that are part of the version.
	// +optional
	// +listType=atomic
	ClusterResourceOverrideSnapshots []string `json:"clusterResourceOverrideSnapshots,omitempty"`

	// applyStrategy specifies how the version is applied, or that the cluster is only compared with it. Absent for the default.
	// +optional
	// +k8s:optional
	ApplyStrategy *ApplyStrategy `json:"applyStrategy,omitempty"`

	// completedGeneration is the last generation of the binding at which the member said that it had all that the binding asked for, or how it
	// differs where the cluster is only compared. It stays when objects drift or fail later. Absent where the member never did.
	// +optional
	CompletedGeneration int64 `json:"completedGeneration,omitempty"`

	// accountedGeneration is the last generation of the binding at which the member had all that the binding asked for, and its Works named all that is
	// left there of earlier versions. Absent where that never was so. Until then the cluster may have any object of them.
	// +optional
	AccountedGeneration int64 `json:"accountedGeneration,omitempty"`
}
