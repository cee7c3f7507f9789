// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +genclient:nonNamespaced
// +genclient:method=Prune,verb=create,subresource=prune,input=PlacementPrune,result=PlacementPrune
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"

// ClusterResourcePlacement selects objects of the hub and places them onto member clusters.
type ClusterResourcePlacement struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec is the wanted placement.
	// +required
	Spec PlacementSpec `json:"spec"`

	// Status is the observed placement, written by Stagegate.
	// +optional
	Status PlacementStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementList is a list of ClusterResourcePlacements.
type ClusterResourcePlacementList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the placements.
	Items []ClusterResourcePlacement `json:"items"`
}

// +genclient
// +genclient:method=Prune,verb=create,subresource=prune,input=PlacementPrune,result=PlacementPrune
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"

// ResourcePlacement selects objects of its own namespace on the hub and places them onto member clusters.
type ResourcePlacement struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec is the wanted placement.
	// +required
	Spec PlacementSpec `json:"spec"`

	// Status is the observed placement, written by Stagegate.
	// +optional
	Status PlacementStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourcePlacementList is a list of ResourcePlacements.
type ResourcePlacementList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the placements.
	Items []ResourcePlacement `json:"items"`
}

// StatusReportingScope says who can read the status of a cluster-scoped placement.
// +enum
// +k8s:enum
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
	// +required
	// +k8s:required
	// +k8s:maxItems=100
	// +listType=atomic
	ResourceSelectors []ResourceSelectorTerm `json:"resourceSelectors"`

	// Policy says which member clusters are picked. Absent means all of them; once set it cannot be removed.
	// +optional
	// +k8s:optional
	Policy *PlacementPolicy `json:"policy,omitempty"`

	// Strategy says how clusters move to a new version of the resources.
	// +optional
	// +patchStrategy=retainKeys
	Strategy RolloutStrategy `json:"strategy,omitempty,omitzero" patchStrategy:"retainKeys"`

	// RevisionHistoryLimit is how many resource and policy snapshots are kept for rolling back, 1 to 1000. A snapshot that a run
	// or a cluster uses is kept beyond it. It defaults to 10.
	// +optional
	// +k8s:optional
	// +k8s:minimum=1
	// +k8s:maximum=1000
	// +default=10
	RevisionHistoryLimit *int32 `json:"revisionHistoryLimit,omitempty"`

	// StatusReportingScope says whether the status is mirrored into the selected namespace. Only for cluster-scoped placements;
	// it cannot be changed. It defaults to ClusterScopeOnly.
	// +optional
	// +k8s:optional
	// +default="ClusterScopeOnly"
	StatusReportingScope StatusReportingScope `json:"statusReportingScope,omitempty"`
}

// PlacementStatus is what is known of a placement.
type PlacementStatus struct {
	// SelectedResources are the objects in the snapshot that the clusters hold. With the External strategy they are shown once
	// all clusters hold the same one.
	// +optional
	// +k8s:optional
	// +listType=atomic
	SelectedResources []ResourceIdentifier `json:"selectedResources,omitempty"`

	// ObservedResourceIndex is the index of that snapshot.
	// +optional
	ObservedResourceIndex string `json:"observedResourceIndex,omitempty"`

	// PerClusterPlacementStatuses say how each picked cluster is doing.
	// +optional
	// +k8s:optional
	// +listType=atomic
	PerClusterPlacementStatuses []PerClusterPlacementStatus `json:"placementStatuses,omitempty"`

	// Prune is the last request that clusters let go of what they have kept since an adoption and their version does not have. Only
	// the server writes it, for the subresource prune.
	// +optional
	// +k8s:optional
	Prune *PlacementPruneRecord `json:"prune,omitempty"`

	// Conditions of the placement. Their types have the kind as a prefix: Scheduled, RolloutStarted, Overridden,
	// WorkSynchronized, Applied, Available, DiffReported, ObjectsRemaining, StatusSynced.
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

// PerClusterPlacementStatus says how one picked cluster is doing, or why one could not be picked.
type PerClusterPlacementStatus struct {
	// ClusterName is the member cluster; empty for a cluster that could not be picked.
	// +optional
	ClusterName string `json:"clusterName,omitempty"`

	// ObservedResourceIndex is the index of the resource snapshot that the cluster holds or moves to.
	// +optional
	ObservedResourceIndex string `json:"observedResourceIndex,omitempty"`

	// ApplicableResourceOverrides are the ResourceOverride snapshots in force on the cluster.
	// +optional
	// +k8s:optional
	// +listType=atomic
	ApplicableResourceOverrides []NamespacedName `json:"applicableResourceOverrides,omitempty"`

	// ApplicableClusterResourceOverrides are the ClusterResourceOverride snapshots in force on the cluster.
	// +optional
	// +k8s:optional
	// +listType=atomic
	ApplicableClusterResourceOverrides []string `json:"applicableClusterResourceOverrides,omitempty"`

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

	// Conditions of the cluster: Scheduled, RolloutStarted, Overridden, WorkSynchronized, Applied, Available, DiffReported,
	// ObjectsKept.
	// +optional
	// +k8s:optional
	// +listType=atomic
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// +genclient
// +genclient:noStatus
// +genclient:skipVerbs=apply,applyStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementStatus is the status of the ClusterResourcePlacement of the same name, mirrored into the namespace that
// it places, for readers who have no cluster-wide access.
type ClusterResourcePlacementStatus struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// SourceStatus is the status of the placement.
	// +required
	SourceStatus PlacementStatus `json:"sourceStatus"`

	// LastUpdatedTime is when it was mirrored.
	// +required
	LastUpdatedTime metav1.Time `json:"lastUpdatedTime"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementStatusList is a list of ClusterResourcePlacementStatuses.
type ClusterResourcePlacementStatusList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the mirrored statuses.
	Items []ClusterResourcePlacementStatus `json:"items"`
}
