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

// ClusterSchedulingPolicySnapshot is one version of the policy of a ClusterResourcePlacement, and the clusters that
// it picked.
type ClusterSchedulingPolicySnapshot struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the policy. It never changes.
	// +required
	Spec SchedulingPolicySnapshotSpec `json:"spec"`

	// status is the result of scheduling.
	// +optional
	Status SchedulingPolicySnapshotStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterSchedulingPolicySnapshotList is a list of ClusterSchedulingPolicySnapshots.
type ClusterSchedulingPolicySnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ClusterSchedulingPolicySnapshots.
	Items []ClusterSchedulingPolicySnapshot `json:"items"`
}

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"

// SchedulingPolicySnapshot is one version of the policy of a ResourcePlacement, and the clusters that it picked.
type SchedulingPolicySnapshot struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the policy. It never changes.
	// +required
	Spec SchedulingPolicySnapshotSpec `json:"spec"`

	// status is the result of scheduling.
	// +optional
	Status SchedulingPolicySnapshotStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// SchedulingPolicySnapshotList is a list of SchedulingPolicySnapshots.
type SchedulingPolicySnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the SchedulingPolicySnapshots.
	Items []SchedulingPolicySnapshot `json:"items"`
}

// SchedulingPolicySnapshotSpec is one version of a policy.
type SchedulingPolicySnapshotSpec struct {
	// policy is the policy of the placement without numberOfClusters, which is in an annotation, so that scaling
	// creates no new version.
	// +optional
	// +k8s:optional
	Policy *PlacementPolicy `json:"policy,omitempty"`

	// policyHash is the hash of the policy, in hexadecimal.
	// +required
	PolicyHash []byte `json:"policyHash"`
}

// SchedulingPolicySnapshotStatus is the result of scheduling by a policy.
type SchedulingPolicySnapshotStatus struct {
	// observedCRPGeneration is the generation of the placement when it was last scheduled.
	// +required
	ObservedCRPGeneration int64 `json:"observedCRPGeneration"`

	// conditions are the conditions of the snapshot: Scheduled.
	// +optional
	// +k8s:optional
	// +listType=map
	// +listMapKey=type
	// +k8s:listType=map
	// +k8s:listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// targetClusters are the decisions on clusters: first all clusters that were picked, by name, then up to 20 others,
	// those with the highest scores first, at most 1000 in all.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=1000
	// +listType=atomic
	ClusterDecisions []ClusterDecision `json:"targetClusters,omitempty"`

	// selectedClusters is the number of clusters that were picked, including those beyond the limit of
	// targetClusters.
	// +optional
	SelectedClusters int32 `json:"selectedClusters,omitempty"`
}

// ClusterDecision is the decision on whether a cluster is picked, with the reason.
type ClusterDecision struct {
	// clusterName is the name of the member cluster.
	// +required
	ClusterName string `json:"clusterName"`

	// selected reports whether the cluster was picked.
	// +required
	Selected bool `json:"selected"`

	// clusterScore is the score of the cluster among those that meet the policy. Only for PickN.
	// +optional
	// +k8s:optional
	ClusterScore *ClusterScore `json:"clusterScore,omitempty"`

	// reason explains why the cluster was picked or not.
	// +required
	Reason string `json:"reason"`
}

// ClusterScore is the score of a cluster among those that meet a policy.
type ClusterScore struct {
	// affinityScore is the sum of the weights of the preferred rules that the cluster matches, as of the last decision.
	// +optional
	AffinityScore *int32 `json:"affinityScore,omitempty"`

	// priorityScore is how much more evenly the placement is spread with the cluster, as of when it was picked: the sum
	// over all constraints of the decrease of the skew. A ScheduleAnyway constraint that it violates counts -1000.
	// +optional
	TopologySpreadScore *int32 `json:"priorityScore,omitempty"`
}
