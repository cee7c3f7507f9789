// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

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
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the desired state of the placement.
	// +required
	Spec PlacementSpec `json:"spec"`

	// status is the observed state of the placement. Only the server writes it.
	// +optional
	Status PlacementStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementList is a list of ClusterResourcePlacements.
type ClusterResourcePlacementList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the placements.
	Items []ClusterResourcePlacement `json:"items"`
}

// +genclient
// +genclient:method=Prune,verb=create,subresource=prune,input=PlacementPrune,result=PlacementPrune
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"

// ResourcePlacement selects objects of its own namespace on the hub and places them onto member clusters.
type ResourcePlacement struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the desired state of the placement.
	// +required
	Spec PlacementSpec `json:"spec"`

	// status is the observed state of the placement. Only the server writes it.
	// +optional
	Status PlacementStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourcePlacementList is a list of ResourcePlacements.
type ResourcePlacementList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the placements.
	Items []ResourcePlacement `json:"items"`
}

// StatusReportingScope is where the status of a cluster-scoped placement can be read.
// +enum
// +k8s:enum
type StatusReportingScope string

const (
	// ClusterScopeOnly keeps the status on the placement.
	ClusterScopeOnly StatusReportingScope = "ClusterScopeOnly"
	// NamespaceAccessible also mirrors the status into the selected namespace, as a ClusterResourcePlacementStatus.
	NamespaceAccessible StatusReportingScope = "NamespaceAccessible"
)

// PlacementSpec specifies the resources to place, the clusters and the rollout.
type PlacementSpec struct {
	// resourceSelectors select the objects of the hub to place, 1 to 100. An object is placed if any of them selects
	// it.
	// +required
	// +k8s:required
	// +k8s:maxItems=100
	// +listType=atomic
	ResourceSelectors []ResourceSelectorTerm `json:"resourceSelectors"`

	// policy specifies which member clusters are picked. If it is absent, all are. Once set, it cannot be removed.
	// +optional
	// +k8s:optional
	Policy *PlacementPolicy `json:"policy,omitempty"`

	// strategy specifies how clusters are updated to a new version of the resources.
	// +optional
	// +patchStrategy=retainKeys
	Strategy RolloutStrategy `json:"strategy,omitempty,omitzero" patchStrategy:"retainKeys"`

	// revisionHistoryLimit is the number of resource snapshots and of policy snapshots to keep for rollbacks, 1 to
	// 1000. Snapshots that a run or a cluster uses are kept beyond the limit. It defaults to 10.
	// +optional
	// +k8s:optional
	// +k8s:minimum=1
	// +k8s:maximum=1000
	// +default=10
	RevisionHistoryLimit *int32 `json:"revisionHistoryLimit,omitempty"`

	// statusReportingScope specifies whether the status is mirrored into the selected namespace: ClusterScopeOnly or
	// NamespaceAccessible. Only for cluster-scoped placements. It cannot be changed. It defaults to ClusterScopeOnly.
	// With NamespaceAccessible exactly one selector must be of kind Namespace, with a name, and that name cannot change.
	// +optional
	// +k8s:optional
	// +default="ClusterScopeOnly"
	StatusReportingScope StatusReportingScope `json:"statusReportingScope,omitempty"`
}

// PlacementStatus is the observed state of a placement.
type PlacementStatus struct {
	// selectedResources are the objects in the snapshot that the clusters hold. With the External strategy they are shown once
	// all clusters hold the same one.
	// +optional
	// +k8s:optional
	// +listType=atomic
	SelectedResources []ResourceIdentifier `json:"selectedResources,omitempty"`

	// observedResourceIndex is the index of the resource snapshot that selectedResources lists.
	// +optional
	ObservedResourceIndex string `json:"observedResourceIndex,omitempty"`

	// placementStatuses are the states of the picked clusters, and of clusters that could not be picked. Of more than 1000
	// picked clusters it lists 1000: those that failed, then those that are under way, then others. Those that keep
	// objects since an adoption are always listed.
	// +optional
	// +k8s:optional
	// +listType=atomic
	PerClusterPlacementStatuses []PerClusterPlacementStatus `json:"placementStatuses,omitempty"`

	// selectedClusters is the number of picked clusters where placementStatuses does not list all of them, and else absent.
	// +optional
	SelectedClusters int32 `json:"selectedClusters,omitempty"`

	// prune is the last request to remove the objects that clusters have kept since an adoption and that are not in
	// their version. Only the server writes it, through the subresource prune.
	// +optional
	// +k8s:optional
	Prune *PlacementPruneRecord `json:"prune,omitempty"`

	// conditions are the conditions of the placement. Their types have the kind as a prefix: ResourcesSelected, Scheduled,
	// RolloutStarted, Overridden, WorkSynchronized, Applied, Available, DiffReported, ObjectsRemaining, StatusSynced.
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

// PerClusterPlacementStatus is the state of one picked cluster, or the reason why a cluster could not be picked.
type PerClusterPlacementStatus struct {
	// clusterName is the name of the member cluster. It is empty for a cluster that could not be picked.
	// +optional
	ClusterName string `json:"clusterName,omitempty"`

	// observedResourceIndex is the index of the resource snapshot that the cluster has or is updated to.
	// +optional
	ObservedResourceIndex string `json:"observedResourceIndex,omitempty"`

	// applicableResourceOverrides are the ResourceOverride snapshots in force on the cluster.
	// +optional
	// +listType=atomic
	ApplicableResourceOverrides []NamespacedName `json:"applicableResourceOverrides,omitempty"`

	// applicableClusterResourceOverrides are the ClusterResourceOverride snapshots in force on the cluster.
	// +optional
	// +listType=atomic
	ApplicableClusterResourceOverrides []string `json:"applicableClusterResourceOverrides,omitempty"`

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

	// conditions are the conditions of the cluster: Scheduled, RolloutStarted, Overridden, WorkSynchronized, Applied,
	// Available, DiffReported, ObjectsKept.
	// +optional
	// +k8s:optional
	// +listType=atomic
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// +genclient
// +genclient:noStatus
// +genclient:skipVerbs=apply,applyStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementStatus is the status of the ClusterResourcePlacement of the same name, mirrored into the
// namespace that it places, for users without cluster-wide access.
type ClusterResourcePlacementStatus struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// sourceStatus is the status of the placement, without the values of fields that drifted or differ and without the
	// condition StatusSynced.
	// +required
	SourceStatus PlacementStatus `json:"sourceStatus"`

	// lastUpdatedTime is when the status was mirrored.
	// +required
	LastUpdatedTime metav1.Time `json:"lastUpdatedTime"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementStatusList is a list of ClusterResourcePlacementStatuses.
type ClusterResourcePlacementStatusList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the mirrored statuses.
	Items []ClusterResourcePlacementStatus `json:"items"`
}
