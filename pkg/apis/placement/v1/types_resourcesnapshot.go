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

// ClusterResourceSnapshot is one version of the resources that a ClusterResourcePlacement selects. It is named
// <placement>-<index>-snapshot; resources that do not fit follow in <placement>-<index>-<part>.
type ClusterResourceSnapshot struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the list of resources. It never changes.
	// +required
	Spec ResourceSnapshotSpec `json:"spec"`

	// status is not used.
	// +optional
	Status ResourceSnapshotStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceSnapshotList is a list of ClusterResourceSnapshots.
type ClusterResourceSnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ClusterResourceSnapshots.
	Items []ClusterResourceSnapshot `json:"items"`
}

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"

// ResourceSnapshot is one version of the resources that a ResourcePlacement selects. It is named
// <placement>-<index>-snapshot; resources that do not fit follow in <placement>-<index>-<part>.
type ResourceSnapshot struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the list of resources. It never changes.
	// +required
	Spec ResourceSnapshotSpec `json:"spec"`

	// status is not used.
	// +optional
	Status ResourceSnapshotStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceSnapshotList is a list of ResourceSnapshots.
type ResourceSnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ResourceSnapshots.
	Items []ResourceSnapshot `json:"items"`
}

// ResourceSnapshotSpec is the list of resources of a snapshot.
type ResourceSnapshotSpec struct {
	// selectedResources are the selected objects, complete but for fields that have a meaning on the hub only, such
	// as status, uid and owners.
	// +required
	// +listType=atomic
	SelectedResources []ResourceContent `json:"selectedResources"`
}

// ResourceSnapshotStatus is not used.
type ResourceSnapshotStatus struct {
	// conditions are not used.
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
