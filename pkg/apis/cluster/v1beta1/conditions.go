// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

// Condition types of a MemberCluster.
const (
	// ConditionTypeMemberClusterReadyToJoin is True once the hub has everything in place for the cluster to join.
	ConditionTypeMemberClusterReadyToJoin = "ReadyToJoin"
	// ConditionTypeMemberClusterJoined is True while all agents of the cluster have joined, False once all have left, and
	// Unknown in between.
	ConditionTypeMemberClusterJoined = "Joined"
	// ConditionTypeMemberClusterHealthy is True while the cluster answers.
	ConditionTypeMemberClusterHealthy = "Healthy"
)

// Condition types that an InternalMemberCluster reports and its MemberCluster repeats.
const (
	// ConditionTypeClusterPropertyProviderStarted is True once the source of cluster properties runs.
	ConditionTypeClusterPropertyProviderStarted = "ClusterPropertyProviderStarted"
	// ConditionTypeClusterPropertyCollectionSucceeded is True while the last collection of cluster properties succeeded.
	ConditionTypeClusterPropertyCollectionSucceeded = "ClusterPropertyCollectionSucceeded"
	// ConditionTypeNamespaceCollectionSucceeded is True while status.namespaces is complete.
	ConditionTypeNamespaceCollectionSucceeded = "NamespaceCollectionSucceeded"
)

// Condition types of an agent.
const (
	// AgentJoined is True while the agent takes part in the fleet.
	AgentJoined = "Joined"
	// AgentHealthy is True while the cluster that the agent serves answers.
	AgentHealthy = "Healthy"
)

// Agents that may serve a member cluster.
const (
	// MemberAgent applies Works and reports on the cluster.
	MemberAgent AgentType = "MemberAgent"
	// MultiClusterServiceAgent serves the multi-cluster services of the cluster.
	MultiClusterServiceAgent AgentType = "MultiClusterServiceAgent"
	// ServiceExportImportAgent serves the service exports and imports of the cluster.
	ServiceExportImportAgent AgentType = "ServiceExportImportAgent"
)
