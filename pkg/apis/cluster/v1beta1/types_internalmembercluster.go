// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +k8s:supportsSubresource="/status"
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// InternalMemberCluster is what the hub asks of a member cluster, in spec, and what is known of it, in status. The server
// writes both, since it is the agent of its members. It is in the namespace fleet-member-<name> and has the name of the
// MemberCluster. Users do not write it.
type InternalMemberCluster struct {
	metav1.TypeMeta `json:""`

	// metadata is the object's standard metadata. The name is that of the MemberCluster.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the desired state of the member, which the hub writes.
	// +required
	Spec InternalMemberClusterSpec `json:"spec"`

	// status is the observed state of the member, as in the MemberCluster. It can only be written through the status
	// subresource.
	// +optional
	Status InternalMemberClusterStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// InternalMemberClusterList is a list of InternalMemberClusters.
type InternalMemberClusterList struct {
	metav1.TypeMeta `json:""`

	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the InternalMemberClusters of the list.
	Items []InternalMemberCluster `json:"items"`
}

// InternalMemberClusterSpec is the desired state of a member.
type InternalMemberClusterSpec struct {
	// state is Join or Leave. Join asks the member to join the fleet and to stay in it, Leave asks it to clean up and
	// to leave the fleet.
	// +required
	// +k8s:required
	State ClusterState `json:"state"`

	// heartbeatPeriodSeconds is the time between two heartbeats of the member, in seconds, 1 to 600. Defaults to 60.
	// +optional
	// +default=60
	// +k8s:optional
	// +k8s:minimum=1
	// +k8s:maximum=600
	HeartbeatPeriodSeconds int32 `json:"heartbeatPeriodSeconds,omitempty"`
}

// ClusterState is the desired membership of a cluster.
// +enum
// +k8s:enum
type ClusterState string

const (
	// ClusterStateJoin asks the member to join the fleet and to stay in it.
	ClusterStateJoin ClusterState = "Join"
	// ClusterStateLeave asks the member to clean up and to leave the fleet.
	ClusterStateLeave ClusterState = "Leave"
)

// InternalMemberClusterStatus is the observed state of a member.
type InternalMemberClusterStatus struct {
	// conditions are the conditions of the member's reports: ClusterPropertyProviderStarted,
	// ClusterPropertyCollectionSucceeded and NamespaceCollectionSucceeded.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:listType=atomic
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// namespaces maps the names of the cluster's namespaces to the name of the Work that manages the namespace, empty
	// if none does. It has the first 200 by name, and is complete while NamespaceCollectionSucceeded is True.
	// +optional
	Namespaces map[string]string `json:"namespaces,omitempty"`

	// properties maps the names of the cluster's properties, such as kubernetes-fleet.io/node-count, to their values.
	// +optional
	Properties map[PropertyName]PropertyValue `json:"properties,omitempty"`

	// resourceUsage is the capacity of the cluster's nodes and how much of it is free, in CPU and memory. It is absent if
	// the cluster has no nodes, or was never read. If a later read fails, the last numbers stay, and observationTime says
	// when they were read.
	// +optional
	ResourceUsage ResourceUsage `json:"resourceUsage,omitempty,omitzero"`

	// agentStatus has one entry for each agent that serves the cluster.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:listType=atomic
	AgentStatus []AgentStatus `json:"agentStatus,omitempty"`
}
