// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceSnapshot is one version of the resources that a ClusterResourcePlacement selects. It is named
// <placement>-<index>-snapshot; what does not fit follows in <placement>-<index>-<part>.
type ClusterResourceSnapshot struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec are the resources. It is never changed.
	Spec ResourceSnapshotSpec

	// Status is not used.
	Status ResourceSnapshotStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceSnapshotList is a list of ClusterResourceSnapshots.
type ClusterResourceSnapshotList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ClusterResourceSnapshots.
	Items []ClusterResourceSnapshot
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceSnapshot is one version of the resources that a ResourcePlacement selects. It is named
// <placement>-<index>-snapshot; what does not fit follows in <placement>-<index>-<part>.
type ResourceSnapshot struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec are the resources. It is never changed.
	Spec ResourceSnapshotSpec

	// Status is not used.
	Status ResourceSnapshotStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceSnapshotList is a list of ResourceSnapshots.
type ResourceSnapshotList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ResourceSnapshots.
	Items []ResourceSnapshot
}

// ResourceSnapshotSpec are the resources of a snapshot.
type ResourceSnapshotSpec struct {
	// SelectedResources are complete objects without what belongs to the hub alone: status, uid, owners and the like.
	SelectedResources []ResourceContent
}

// ResourceSnapshotStatus is not used.
type ResourceSnapshotStatus struct {
	// Conditions of the snapshot. None is set.
	Conditions []metav1.Condition
}
