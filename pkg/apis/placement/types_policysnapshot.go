// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterSchedulingPolicySnapshot is one version of the policy of a ClusterResourcePlacement, and what was scheduled by it.
type ClusterSchedulingPolicySnapshot struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec is the policy. It is never changed.
	Spec SchedulingPolicySnapshotSpec

	// Status is what was scheduled.
	Status SchedulingPolicySnapshotStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterSchedulingPolicySnapshotList is a list of ClusterSchedulingPolicySnapshots.
type ClusterSchedulingPolicySnapshotList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ClusterSchedulingPolicySnapshots.
	Items []ClusterSchedulingPolicySnapshot
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// SchedulingPolicySnapshot is one version of the policy of a ResourcePlacement, and what was scheduled by it.
type SchedulingPolicySnapshot struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec is the policy. It is never changed.
	Spec SchedulingPolicySnapshotSpec

	// Status is what was scheduled.
	Status SchedulingPolicySnapshotStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// SchedulingPolicySnapshotList is a list of SchedulingPolicySnapshots.
type SchedulingPolicySnapshotList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the SchedulingPolicySnapshots.
	Items []SchedulingPolicySnapshot
}

// SchedulingPolicySnapshotSpec is one version of a policy.
type SchedulingPolicySnapshotSpec struct {
	// Policy of the placement, without numberOfClusters, which stands in an annotation so that scaling makes no new version.
	Policy *PlacementPolicy

	// PolicyHash is a hash of the policy, in hexadecimal.
	PolicyHash []byte
}

// SchedulingPolicySnapshotStatus is what was scheduled by a policy.
type SchedulingPolicySnapshotStatus struct {
	// ObservedCRPGeneration is the generation of the placement that was last scheduled.
	ObservedCRPGeneration int64

	// Conditions of the snapshot: Scheduled.
	Conditions []metav1.Condition

	// ClusterDecisions say which clusters were picked and why, and which were not: all picked ones first, then up to 20 others,
	// at most 1000.
	ClusterDecisions []ClusterDecision

	// SelectedClusters is the number of clusters that are picked, those that do not fit into the list of decisions included.
	SelectedClusters int32
}

// ClusterDecision says whether a cluster was picked, and why.
type ClusterDecision struct {
	// ClusterName is the member cluster.
	ClusterName string

	// Selected says whether it was picked.
	Selected bool

	// ClusterScore is its rank among the clusters that meet the policy. Only for PickN.
	ClusterScore *ClusterScore

	// Reason says why it was picked or not.
	Reason string
}

// ClusterScore is the rank of a cluster among those that meet a policy.
type ClusterScore struct {
	// AffinityScore is the sum of the weights of the preferred rules that the cluster matches.
	AffinityScore *int32

	// TopologySpreadScore says how well picking the cluster spreads the placement.
	TopologySpreadScore *int32
}
