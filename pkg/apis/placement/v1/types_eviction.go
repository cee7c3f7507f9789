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

// ClusterResourcePlacementEviction requests the removal of a placement from a member cluster, once. A placement of type
// PickFixed cannot be evicted. The server deletes an eviction an hour after it has executed or refused it.
type ClusterResourcePlacementEviction struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec names the placement and the cluster. It cannot be changed.
	// +required
	Spec PlacementEvictionSpec `json:"spec"`

	// status is the result of the eviction.
	// +optional
	Status PlacementEvictionStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementEvictionList is a list of ClusterResourcePlacementEvictions.
type ClusterResourcePlacementEvictionList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ClusterResourcePlacementEvictions.
	Items []ClusterResourcePlacementEviction `json:"items"`
}

// +genclient
// +genclient:nonNamespaced
// +genclient:noStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementDisruptionBudget limits the evictions of the ClusterResourcePlacement of the same name.
type ClusterResourcePlacementDisruptionBudget struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the limit.
	// +required
	Spec PlacementDisruptionBudgetSpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementDisruptionBudgetList is a list of ClusterResourcePlacementDisruptionBudgets.
type ClusterResourcePlacementDisruptionBudgetList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ClusterResourcePlacementDisruptionBudgets.
	Items []ClusterResourcePlacementDisruptionBudget `json:"items"`
}

// PlacementEvictionSpec names a placement and the cluster that it must leave.
type PlacementEvictionSpec struct {
	// placementName is the name of the ClusterResourcePlacement, at most 255 characters. It cannot be changed.
	// +required
	// +k8s:required
	// +k8s:maxLength=255
	PlacementName string `json:"placementName"`

	// clusterName is the name of the member cluster, at most 255 characters. It cannot be changed.
	// +required
	// +k8s:required
	// +k8s:maxLength=255
	ClusterName string `json:"clusterName"`
}

// PlacementEvictionStatus is the result of an eviction.
type PlacementEvictionStatus struct {
	// conditions are the conditions of the eviction: Valid and Executed.
	// +optional
	// +k8s:optional
	// +listType=atomic
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// PlacementDisruptionBudgetSpec limits evictions. Set exactly one of its two fields: a budget with none blocks every
// eviction, and both together are refused.
type PlacementDisruptionBudgetSpec struct {
	// maxUnavailable is the number of clusters that may lack available resources, missing ones included: a number, or a
	// percentage of numberOfClusters rounded up. Evictions are allowed only below it. Not for PickAll.
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// minAvailable is the number of clusters that must keep available resources: a number, or, for PickN, a percentage
	// of numberOfClusters rounded up. Evictions are allowed only while more clusters are available.
	// +optional
	MinAvailable *intstr.IntOrString `json:"minAvailable,omitempty"`
}
