// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacement selects objects of the hub and places them onto member clusters.
type ClusterResourcePlacement struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec is the wanted placement.
	Spec PlacementSpec

	// Status is the observed placement, written by Stagegate.
	Status PlacementStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementList is a list of ClusterResourcePlacements.
type ClusterResourcePlacementList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the placements.
	Items []ClusterResourcePlacement
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourcePlacement selects objects of its own namespace on the hub and places them onto member clusters.
type ResourcePlacement struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec is the wanted placement.
	Spec PlacementSpec

	// Status is the observed placement, written by Stagegate.
	Status PlacementStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourcePlacementList is a list of ResourcePlacements.
type ResourcePlacementList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the placements.
	Items []ResourcePlacement
}

// StatusReportingScope says who can read the status of a cluster-scoped placement.
type StatusReportingScope string

const (
	// ClusterScopeOnly keeps the status on the placement.
	ClusterScopeOnly StatusReportingScope = "ClusterScopeOnly"
	// NamespaceAccessible also mirrors it into the selected namespace, as a ClusterResourcePlacementStatus.
	NamespaceAccessible StatusReportingScope = "NamespaceAccessible"
)

// PlacementSpec says what to place, where, and how.
type PlacementSpec struct {
	// ResourceSelectors say which objects of the hub are placed. An object is placed if any of them selects it. 1 to 100.
	ResourceSelectors []ResourceSelectorTerm

	// Policy says which member clusters are picked. Absent means all of them; once set it cannot be removed.
	Policy *PlacementPolicy

	// Strategy says how clusters move to a new version of the resources.
	Strategy RolloutStrategy

	// RevisionHistoryLimit is how many resource and policy snapshots are kept for rolling back, 1 to 1000. A snapshot that a run
	// or a cluster uses is kept beyond it. It defaults to 10.
	RevisionHistoryLimit *int32

	// StatusReportingScope says whether the status is mirrored into the selected namespace. Only for cluster-scoped placements;
	// it cannot be changed. It defaults to ClusterScopeOnly.
	StatusReportingScope StatusReportingScope
}

// PlacementStatus is what is known of a placement.
type PlacementStatus struct {
	// SelectedResources are the objects in the snapshot that the clusters hold. With the External strategy they are shown once
	// all clusters hold the same one.
	SelectedResources []ResourceIdentifier

	// ObservedResourceIndex is the index of that snapshot.
	ObservedResourceIndex string

	// PerClusterPlacementStatuses say how each picked cluster is doing.
	PerClusterPlacementStatuses []PerClusterPlacementStatus

	// Prune is the last request that clusters let go of what they have kept since an adoption and their version does not have. Only
	// the server writes it, for the subresource prune.
	Prune *PlacementPruneRecord

	// Conditions of the placement. Their types have the kind as a prefix: Scheduled, RolloutStarted, Overridden,
	// WorkSynchronized, Applied, Available, DiffReported, ObjectsRemaining, StatusSynced.
	Conditions []metav1.Condition
}

// PerClusterPlacementStatus says how one picked cluster is doing, or why one could not be picked.
type PerClusterPlacementStatus struct {
	// ClusterName is the member cluster; empty for a cluster that could not be picked.
	ClusterName string

	// ObservedResourceIndex is the index of the resource snapshot that the cluster holds or moves to.
	ObservedResourceIndex string

	// ApplicableResourceOverrides are the ResourceOverride snapshots in force on the cluster.
	ApplicableResourceOverrides []NamespacedName

	// ApplicableClusterResourceOverrides are the ClusterResourceOverride snapshots in force on the cluster.
	ApplicableClusterResourceOverrides []string

	// FailedPlacements are objects that could not be applied or are not available, at most 100.
	FailedPlacements []FailedResourcePlacement

	// DriftedPlacements are objects that were changed on the cluster, at most 100.
	DriftedPlacements []DriftedResourcePlacement

	// DiffedPlacements are objects that differ from their manifest, at most 100.
	DiffedPlacements []DiffedResourcePlacement

	// Conditions of the cluster: Scheduled, RolloutStarted, Overridden, WorkSynchronized, Applied, Available, DiffReported,
	// ObjectsKept.
	Conditions []metav1.Condition
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementStatus is the status of the ClusterResourcePlacement of the same name, mirrored into the namespace that
// it places, for readers who have no cluster-wide access.
type ClusterResourcePlacementStatus struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// SourceStatus is the status of the placement.
	SourceStatus PlacementStatus

	// LastUpdatedTime is when it was mirrored.
	LastUpdatedTime metav1.Time
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementStatusList is a list of ClusterResourcePlacementStatuses.
type ClusterResourcePlacementStatusList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the mirrored statuses.
	Items []ClusterResourcePlacementStatus
}
