// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"

// ClusterResourcePlacementEviction asks once for a placement to be taken off a member cluster.
type ClusterResourcePlacementEviction struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec says which placement and which cluster. It cannot be changed.
	// +required
	Spec PlacementEvictionSpec `json:"spec"`

	// Status says what became of it.
	// +optional
	Status PlacementEvictionStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementEvictionList is a list of ClusterResourcePlacementEvictions.
type ClusterResourcePlacementEvictionList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ClusterResourcePlacementEvictions.
	Items []ClusterResourcePlacementEviction `json:"items"`
}

// +genclient
// +genclient:nonNamespaced
// +genclient:noStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementDisruptionBudget limits the evictions of the ClusterResourcePlacement of the same name.
type ClusterResourcePlacementDisruptionBudget struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec is the limit.
	// +required
	Spec PlacementDisruptionBudgetSpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementDisruptionBudgetList is a list of ClusterResourcePlacementDisruptionBudgets.
type ClusterResourcePlacementDisruptionBudgetList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ClusterResourcePlacementDisruptionBudgets.
	Items []ClusterResourcePlacementDisruptionBudget `json:"items"`
}

// PlacementEvictionSpec says which placement is to leave which cluster.
type PlacementEvictionSpec struct {
	// PlacementName is the ClusterResourcePlacement, at most 255 characters. It cannot be changed.
	// +required
	// +k8s:required
	// +k8s:maxLength=255
	PlacementName string `json:"placementName"`

	// ClusterName is the member cluster, at most 255 characters. It cannot be changed.
	// +required
	// +k8s:required
	// +k8s:maxLength=255
	ClusterName string `json:"clusterName"`
}

// PlacementEvictionStatus says what became of an eviction.
type PlacementEvictionStatus struct {
	// Conditions of the eviction: Valid and Executed.
	// +optional
	// +k8s:optional
	// +listType=atomic
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// PlacementDisruptionBudgetSpec limits evictions. Set one of the two.
type PlacementDisruptionBudgetSpec struct {
	// MaxUnavailable is how many clusters may be without available resources: a number, or a percentage of the target number.
	// +optional
	// +k8s:optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// MinAvailable is how many clusters have to have available resources: a number, or a percentage of the target number.
	// +optional
	// +k8s:optional
	MinAvailable *intstr.IntOrString `json:"minAvailable,omitempty"`
}
