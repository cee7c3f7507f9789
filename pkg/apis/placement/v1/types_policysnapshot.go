// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"

// ClusterSchedulingPolicySnapshot is one version of the policy of a ClusterResourcePlacement, and what was scheduled by it.
type ClusterSchedulingPolicySnapshot struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec is the policy. It is never changed.
	// +required
	Spec SchedulingPolicySnapshotSpec `json:"spec"`

	// Status is what was scheduled.
	// +optional
	Status SchedulingPolicySnapshotStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterSchedulingPolicySnapshotList is a list of ClusterSchedulingPolicySnapshots.
type ClusterSchedulingPolicySnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ClusterSchedulingPolicySnapshots.
	Items []ClusterSchedulingPolicySnapshot `json:"items"`
}

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"

// SchedulingPolicySnapshot is one version of the policy of a ResourcePlacement, and what was scheduled by it.
type SchedulingPolicySnapshot struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec is the policy. It is never changed.
	// +required
	Spec SchedulingPolicySnapshotSpec `json:"spec"`

	// Status is what was scheduled.
	// +optional
	Status SchedulingPolicySnapshotStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// SchedulingPolicySnapshotList is a list of SchedulingPolicySnapshots.
type SchedulingPolicySnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the SchedulingPolicySnapshots.
	Items []SchedulingPolicySnapshot `json:"items"`
}

// SchedulingPolicySnapshotSpec is one version of a policy.
type SchedulingPolicySnapshotSpec struct {
	// Policy of the placement, without numberOfClusters, which stands in an annotation so that scaling makes no new version.
	// +optional
	// +k8s:optional
	Policy *PlacementPolicy `json:"policy,omitempty"`

	// PolicyHash is a hash of the policy, in hexadecimal.
	// +required
	PolicyHash []byte `json:"policyHash"`
}

// SchedulingPolicySnapshotStatus is what was scheduled by a policy.
type SchedulingPolicySnapshotStatus struct {
	// ObservedCRPGeneration is the generation of the placement that was last scheduled.
	// +required
	ObservedCRPGeneration int64 `json:"observedCRPGeneration"`

	// Conditions of the snapshot: Scheduled.
	// +optional
	// +k8s:optional
	// +listType=map
	// +listMapKey=type
	// +k8s:listType=map
	// +k8s:listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// ClusterDecisions say which clusters were picked and why, and which were not: all picked ones first, then up to 20 others,
	// at most 1000.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=1000
	// +listType=atomic
	ClusterDecisions []ClusterDecision `json:"targetClusters,omitempty"`

	// SelectedClusters is the number of clusters that are picked, those that do not fit into the list of decisions included.
	// +optional
	SelectedClusters int32 `json:"selectedClusters,omitempty"`
}

// ClusterDecision says whether a cluster was picked, and why.
type ClusterDecision struct {
	// ClusterName is the member cluster.
	// +required
	ClusterName string `json:"clusterName"`

	// Selected says whether it was picked.
	// +required
	Selected bool `json:"selected"`

	// ClusterScore is its rank among the clusters that meet the policy. Only for PickN.
	// +optional
	// +k8s:optional
	ClusterScore *ClusterScore `json:"clusterScore,omitempty"`

	// Reason says why it was picked or not.
	// +required
	Reason string `json:"reason"`
}

// ClusterScore is the rank of a cluster among those that meet a policy.
type ClusterScore struct {
	// AffinityScore is the sum of the weights of the preferred rules that the cluster matches.
	// +optional
	// +k8s:optional
	AffinityScore *int32 `json:"affinityScore,omitempty"`

	// TopologySpreadScore says how well picking the cluster spreads the placement.
	// +optional
	// +k8s:optional
	TopologySpreadScore *int32 `json:"priorityScore,omitempty"`
}
