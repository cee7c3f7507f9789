// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +genclient:nonNamespaced
// +k8s:supportsSubresource="/status"
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// MemberCluster is a cluster of the fleet. Creating one asks the cluster to join, deleting it asks the cluster to
// leave. Placements and stages select clusters by its labels. The name has at most 50 characters and no dot, since
// the namespace fleet-member-<name> on the hub is named after it.
type MemberCluster struct {
	metav1.TypeMeta `json:""`

	// metadata is the object's standard metadata. Placements and stages select clusters by its labels.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the desired state of the cluster.
	// +required
	Spec MemberClusterSpec `json:"spec"`

	// status is the observed state of the cluster. The server writes it; it can only be written through the status
	// subresource.
	// +optional
	Status MemberClusterStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// MemberClusterList is a list of MemberClusters.
type MemberClusterList struct {
	metav1.TypeMeta `json:""`

	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the MemberClusters of the list.
	Items []MemberCluster `json:"items"`
}

// MemberClusterSpec is the desired state of a member cluster.
type MemberClusterSpec struct {
	// identity is the user, group or service account of an agent of the member on the hub. It gets the rights of an agent
	// in the namespace fleet-member-<name> if the annotation kubernetes-fleet.io/delivery is Pull. Otherwise it is not
	// used: the server reaches the member with the kubeconfig in the Secret member-<name> of fleet-system. kind and name
	// are required.
	// +required
	// +k8s:opaqueType
	// +k8s:subfield(kind)=+k8s:required
	// +k8s:subfield(name)=+k8s:required
	Identity rbacv1.Subject `json:"identity"`

	// heartbeatPeriodSeconds is the time between two heartbeats of the member, in seconds, 1 to 600. Defaults to 60.
	// +optional
	// +default=60
	// +k8s:optional
	// +k8s:minimum=1
	// +k8s:maximum=600
	HeartbeatPeriodSeconds int32 `json:"heartbeatPeriodSeconds,omitempty"`

	// taints keep placements that do not tolerate them off the cluster. Resources that are already placed there stay.
	// No two may be equal. At most 100.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=100
	Taints []Taint `json:"taints,omitempty"`

	// deleteOptions specifies how the cluster leaves the fleet.
	// +optional
	// +k8s:optional
	DeleteOptions *DeleteOptions `json:"deleteOptions,omitempty"`
}

// Taint keeps placements that do not tolerate it off the cluster.
type Taint struct {
	// key is the key of the taint, in the form of a label key: an optional DNS prefix and a slash, then at most 63
	// characters.
	// +required
	// +k8s:required
	// +k8s:format=k8s-label-key
	Key string `json:"key"`

	// value is the value of the taint, in the form of a label value: at most 63 characters. It may be empty.
	// +optional
	// +k8s:optional
	// +k8s:format=k8s-label-value
	Value string `json:"value,omitempty"`

	// effect is the effect of the taint on placements that do not tolerate it. The only effect is NoSchedule: such
	// placements do not pick the cluster, but keep it if they have already picked it.
	// +required
	// +k8s:required
	Effect TaintEffect `json:"effect"`
}

// TaintEffect is the effect of a taint on placements that do not tolerate it.
// +enum
// +k8s:enum
type TaintEffect string

// TaintEffectNoSchedule keeps new placements away and leaves those already there.
const TaintEffectNoSchedule TaintEffect = "NoSchedule"

// DeleteOptions specifies how a member cluster leaves the fleet.
type DeleteOptions struct {
	// validationMode is Strict or Skip. A cluster that leaves keeps the placed resources; the server removes only its
	// own objects from it. If the cluster does not answer, Strict tries for --force-delete-wait-time (15 minutes by
	// default), and Skip tries once. Defaults to Strict.
	// +optional
	// +default="Strict"
	// +k8s:optional
	ValidationMode DeleteValidationMode `json:"validationMode,omitempty"`
}

// DeleteValidationMode specifies whether to wait for a leaving cluster that does not answer.
// +enum
// +k8s:enum
type DeleteValidationMode string

const (
	// DeleteValidationModeSkip does not wait for a cluster that does not answer.
	DeleteValidationModeSkip DeleteValidationMode = "Skip"
	// DeleteValidationModeStrict waits for a cluster that does not answer.
	DeleteValidationModeStrict DeleteValidationMode = "Strict"
)

// MemberClusterStatus is the observed state of a member cluster.
type MemberClusterStatus struct {
	// conditions are the conditions of the cluster: ReadyToJoin, Joined, Healthy, ClusterPropertyProviderStarted,
	// ClusterPropertyCollectionSucceeded and NamespaceCollectionSucceeded.
	// +optional
	// +patchMergeKey=type
	// +patchStrategy=merge
	// +listType=map
	// +listMapKey=type
	// +k8s:optional
	// +k8s:listType=map
	// +k8s:listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// namespaces maps the names of the namespaces that the cluster reports to the name of the Work that manages the
	// namespace, empty if none does. It has the first 200 by name, and is complete while NamespaceCollectionSucceeded is
	// True.
	// +optional
	Namespaces map[string]string `json:"namespaces,omitempty"`

	// properties maps the names of the properties that the cluster reports, such as kubernetes-fleet.io/node-count,
	// to their values. Placements can select clusters by them.
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
