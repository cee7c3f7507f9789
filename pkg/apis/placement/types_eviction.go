// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementEviction asks once for a placement to be taken off a member cluster.
type ClusterResourcePlacementEviction struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec says which placement and which cluster. It cannot be changed.
	Spec PlacementEvictionSpec

	// Status says what became of it.
	Status PlacementEvictionStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementEvictionList is a list of ClusterResourcePlacementEvictions.
type ClusterResourcePlacementEvictionList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ClusterResourcePlacementEvictions.
	Items []ClusterResourcePlacementEviction
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementDisruptionBudget limits the evictions of the ClusterResourcePlacement of the same name.
type ClusterResourcePlacementDisruptionBudget struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec is the limit.
	Spec PlacementDisruptionBudgetSpec
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourcePlacementDisruptionBudgetList is a list of ClusterResourcePlacementDisruptionBudgets.
type ClusterResourcePlacementDisruptionBudgetList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ClusterResourcePlacementDisruptionBudgets.
	Items []ClusterResourcePlacementDisruptionBudget
}

// PlacementEvictionSpec says which placement is to leave which cluster.
type PlacementEvictionSpec struct {
	// PlacementName is the ClusterResourcePlacement, at most 255 characters. It cannot be changed.
	PlacementName string

	// ClusterName is the member cluster, at most 255 characters. It cannot be changed.
	ClusterName string
}

// PlacementEvictionStatus says what became of an eviction.
type PlacementEvictionStatus struct {
	// Conditions of the eviction: Valid and Executed.
	Conditions []metav1.Condition
}

// PlacementDisruptionBudgetSpec limits evictions. Set one of the two.
type PlacementDisruptionBudgetSpec struct {
	// MaxUnavailable is how many clusters may be without available resources: a number, or a percentage of the target number.
	MaxUnavailable *intstr.IntOrString

	// MinAvailable is how many clusters have to have available resources: a number, or a percentage of the target number.
	MinAvailable *intstr.IntOrString
}
