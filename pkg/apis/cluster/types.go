// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// MemberCluster is a cluster of the fleet, as the hub sees it.
type MemberCluster struct {
	metav1.TypeMeta
	metav1.ObjectMeta

	// Spec is what the fleet wants of the cluster.
	Spec MemberClusterSpec
	// Status is what is known of the cluster.
	Status MemberClusterStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// MemberClusterList is a list of MemberClusters.
type MemberClusterList struct {
	metav1.TypeMeta
	metav1.ListMeta

	Items []MemberCluster
}

// MemberClusterSpec is what the fleet wants of a member cluster.
type MemberClusterSpec struct {
	// Identity is whom the member's agent is on the hub.
	Identity rbacv1.Subject
	// HeartbeatPeriodSeconds is the time between two heartbeats, in seconds.
	HeartbeatPeriodSeconds int32
	// Taints keep placements that do not tolerate them from choosing the cluster.
	Taints []Taint
	// DeleteOptions says how the cluster leaves.
	DeleteOptions *DeleteOptions
}

// Taint keeps placements that do not tolerate it from choosing the cluster.
type Taint struct {
	Key    string
	Value  string
	Effect TaintEffect
}

// TaintEffect is what a taint does to placements that do not tolerate it.
type TaintEffect string

// TaintEffectNoSchedule keeps new placements away and leaves those already there.
const TaintEffectNoSchedule TaintEffect = "NoSchedule"

// DeleteOptions says how a member cluster leaves.
type DeleteOptions struct {
	ValidationMode DeleteValidationMode
}

// DeleteValidationMode says whether a leaving cluster is waited for.
type DeleteValidationMode string

const (
	// DeleteValidationModeSkip does not wait for a cluster that does not answer.
	DeleteValidationModeSkip DeleteValidationMode = "Skip"
	// DeleteValidationModeStrict waits for a cluster that does not answer.
	DeleteValidationModeStrict DeleteValidationMode = "Strict"
)

// MemberClusterStatus is what is known of a member cluster.
type MemberClusterStatus struct {
	Conditions []metav1.Condition
	// Namespaces has the namespaces of the cluster and, for those that a Work manages, the Work's name.
	Namespaces map[string]string
	// Properties has the facts reported about the cluster.
	Properties map[PropertyName]PropertyValue
	// ResourceUsage is what the nodes offer and what of it is free.
	ResourceUsage ResourceUsage
	// AgentStatus has one entry for each agent that serves the cluster.
	AgentStatus []AgentStatus
}

// PropertyName is the name of a property, in the form of a label key.
type PropertyName string

// PropertyValue is a fact about a cluster.
type PropertyValue struct {
	Value           string
	ObservationTime metav1.Time
}

// ResourceUsage is what the nodes of a cluster offer and what of it is free.
type ResourceUsage struct {
	Capacity        corev1.ResourceList
	Allocatable     corev1.ResourceList
	Available       corev1.ResourceList
	ObservationTime metav1.Time
}

// AgentType is the kind of an agent.
type AgentType string

// AgentStatus is the state of one agent.
type AgentStatus struct {
	Type                  AgentType
	Conditions            []metav1.Condition
	LastReceivedHeartbeat metav1.Time
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// InternalMemberCluster is how hub and member agent talk about a member cluster.
type InternalMemberCluster struct {
	metav1.TypeMeta
	metav1.ObjectMeta

	// Spec is what the hub asks of the member agent.
	Spec InternalMemberClusterSpec
	// Status is what the member agent answers.
	Status InternalMemberClusterStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// InternalMemberClusterList is a list of InternalMemberClusters.
type InternalMemberClusterList struct {
	metav1.TypeMeta
	metav1.ListMeta

	Items []InternalMemberCluster
}

// InternalMemberClusterSpec is what the hub asks of the member agent.
type InternalMemberClusterSpec struct {
	// State is whether the member is to join or to leave.
	State ClusterState
	// HeartbeatPeriodSeconds is the time between two heartbeats, in seconds.
	HeartbeatPeriodSeconds int32
}

// ClusterState is what the hub wants a member to do.
type ClusterState string

const (
	// ClusterStateJoin asks the member to join the fleet and stay in it.
	ClusterStateJoin ClusterState = "Join"
	// ClusterStateLeave asks the member to clean up and leave the fleet.
	ClusterStateLeave ClusterState = "Leave"
)

// InternalMemberClusterStatus is what the member agent reports.
type InternalMemberClusterStatus struct {
	Conditions []metav1.Condition
	// Namespaces has the namespaces of the cluster and, for those that a Work manages, the Work's name.
	Namespaces map[string]string
	// Properties has the facts reported about the cluster.
	Properties map[PropertyName]PropertyValue
	// ResourceUsage is what the nodes offer and what of it is free.
	ResourceUsage ResourceUsage
	// AgentStatus has one entry for each agent that serves the cluster.
	AgentStatus []AgentStatus
}
