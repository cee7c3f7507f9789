// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

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
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec says which version the cluster is to have.
	// +required
	Spec ResourceBindingSpec `json:"spec"`

	// Status says how far the cluster has come with it.
	// +optional
	Status ResourceBindingStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceBindingList is a list of ClusterResourceBindings.
type ClusterResourceBindingList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ClusterResourceBindings.
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
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec says which version the cluster is to have.
	// +required
	Spec ResourceBindingSpec `json:"spec"`

	// Status says how far the cluster has come with it.
	// +optional
	Status ResourceBindingStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceBindingList is a list of ResourceBindings.
type ResourceBindingList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ResourceBindings.
	Items []ResourceBinding `json:"items"`
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
	// +required
	State BindingState `json:"state"`

	// ResourceSnapshotName is the master resource snapshot that the cluster is to have; empty as long as none was rolled out.
	// +optional
	ResourceSnapshotName string `json:"resourceSnapshotName"`

	// ResourceOverrideSnapshots are the ResourceOverride snapshots in force on the cluster.
	// +optional
	// +k8s:optional
	// +listType=atomic
	ResourceOverrideSnapshots []NamespacedName `json:"resourceOverrideSnapshots,omitempty"`

	// ClusterResourceOverrideSnapshots are the ClusterResourceOverride snapshots in force on the cluster.
	// +optional
	// +k8s:optional
	// +listType=atomic
	ClusterResourceOverrideSnapshots []string `json:"clusterResourceOverrideSnapshots,omitempty"`

	// SchedulingPolicySnapshotName is the policy snapshot by which the cluster was picked.
	// +optional
	SchedulingPolicySnapshotName string `json:"schedulingPolicySnapshotName"`

	// TargetCluster is the member cluster. A binding may be created without; nothing is placed by it then. Once set, it cannot be changed.
	// +required
	TargetCluster string `json:"targetCluster"`

	// ClusterDecision says why the cluster was picked.
	// +required
	ClusterDecision ClusterDecision `json:"clusterDecision"`

	// ApplyStrategy is how manifests are written to the cluster.
	// +optional
	// +k8s:optional
	ApplyStrategy *ApplyStrategy `json:"applyStrategy,omitempty"`
}

// ResourceBindingStatus says how far a cluster has come.
type ResourceBindingStatus struct {
	// FailedPlacements are objects that could not be applied or are not available, at most 100.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=100
	// +listType=atomic
	FailedPlacements []FailedResourcePlacement `json:"failedPlacements,omitempty"`

	// DriftedPlacements are objects that were changed on the cluster, at most 100.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=100
	// +listType=atomic
	DriftedPlacements []DriftedResourcePlacement `json:"driftedPlacements,omitempty"`

	// DiffedPlacements are objects that differ from their manifest, at most 100.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=100
	// +listType=atomic
	DiffedPlacements []DiffedResourcePlacement `json:"diffedPlacements,omitempty"`

	// Conditions of the binding: RolloutStarted, Overridden, WorkSynchronized, Applied, Available, DiffReported,
	// ObjectsKept, ObjectsRemaining.
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
