// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PropertyName is the name of a cluster property, in the form of a label key.
type PropertyName string

// PropertyValue is the value of a property that a cluster reports about itself.
type PropertyValue struct {
	// value is the value of the property. Numbers are written as Kubernetes quantities.
	// +required
	Value string `json:"value"`

	// observationTime is when the value was observed on the cluster.
	// +required
	ObservationTime metav1.Time `json:"observationTime"`
}

// ResourceUsage is the capacity of the nodes of a cluster and how much of it is free, each as a sum over all nodes.
type ResourceUsage struct {
	// capacity is the total capacity of the nodes, as quantities by resource name.
	// +optional
	// +k8s:opaqueType
	Capacity corev1.ResourceList `json:"capacity,omitempty"`

	// allocatable is the capacity that the nodes offer to pods, as quantities by resource name.
	// +optional
	// +k8s:opaqueType
	Allocatable corev1.ResourceList `json:"allocatable,omitempty"`

	// available is the part of allocatable that no pod has requested, as quantities by resource name. It is not renewed
	// for a difference of less than a hundredth of allocatable.
	// +optional
	// +k8s:opaqueType
	Available corev1.ResourceList `json:"available,omitempty"`

	// observationTime is when the numbers were observed on the cluster.
	// +optional
	ObservationTime metav1.Time `json:"observationTime,omitempty,omitzero"`
}

// AgentType is the kind of an agent that serves a member cluster.
type AgentType string

// AgentStatus is the state of one agent that serves a member cluster.
type AgentStatus struct {
	// type is the kind of the agent: MemberAgent, MultiClusterServiceAgent or ServiceExportImportAgent. The server writes
	// MemberAgent only.
	// +required
	Type AgentType `json:"type"`

	// conditions are the conditions of the agent: Joined and Healthy.
	// +optional
	// +patchMergeKey=type
	// +patchStrategy=merge
	// +listType=map
	// +listMapKey=type
	// +k8s:optional
	// +k8s:listType=map
	// +k8s:listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// lastReceivedHeartbeat is when the agent last sent a heartbeat.
	// +optional
	LastReceivedHeartbeat metav1.Time `json:"lastReceivedHeartbeat,omitempty,omitzero"`
}
