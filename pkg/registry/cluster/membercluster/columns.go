// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membercluster

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// nodeCountProperty is the property that holds the number of nodes.
const nodeCountProperty v1beta1.PropertyName = wellknown.Prefix + "node-count"

type column = store.Column[*v1beta1.MemberCluster]

func columns() []column {
	available := func(u *v1beta1.ResourceUsage) corev1.ResourceList { return u.Available }
	allocatable := func(u *v1beta1.ResourceUsage) corev1.ResourceList { return u.Allocatable }
	return []column{
		store.Condition("Joined", v1beta1.ConditionTypeMemberClusterJoined, conditions),
		store.Age[*v1beta1.MemberCluster](),
		{Name: "Member-Agent-Last-Seen", Date: true, Description: "Time since the cluster was last heard of.", Text: lastSeen},
		{Name: "Node-Count", Description: "Number of nodes.", Text: nodeCount},
		usage("Available-CPU", "CPU that is free.", corev1.ResourceCPU, available),
		usage("Available-Memory", "Memory that is free.", corev1.ResourceMemory, available),
		usage("Allocatable-CPU", "CPU that workloads can have in all.", corev1.ResourceCPU, allocatable).OnlyWide(),
		usage("Allocatable-Memory", "Memory that workloads can have in all.", corev1.ResourceMemory, allocatable).OnlyWide(),
		store.Condition("Healthy", v1beta1.ConditionTypeMemberClusterHealthy, conditions).OnlyWide(),
		column{Name: "Taints", Description: "What keeps placements off that do not tolerate it.", Text: taints}.OnlyWide(),
		column{Name: "Delivery", Description: "Push where the server reaches the cluster, Pull where an agent serves it.", Text: delivery}.OnlyWide(),
		column{Name: "Agent-Version", Description: "Version of the agent that serves the cluster.", Text: agentVersion}.OnlyWide(),
		column{Name: "Reason", Description: "Why the cluster has not joined or is not healthy.", Text: reason}.OnlyWide(),
	}
}

func conditions(o *v1beta1.MemberCluster) []metav1.Condition { return o.Status.Conditions }

// taints are written as kubectl takes them for nodes, at most three of them.
func taints(o *v1beta1.MemberCluster) string {
	var all []string
	for _, taint := range o.Spec.Taints {
		text := taint.Key
		if taint.Value != "" {
			text += "=" + taint.Value
		}
		all = append(all, text+":"+string(taint.Effect))
	}
	return strings.ReplaceAll(wording.FirstNames(all), ", ", ",")
}

// reason is that of the first condition that keeps the cluster from being used.
func reason(o *v1beta1.MemberCluster) string {
	for _, conditionType := range []string{v1beta1.ConditionTypeMemberClusterJoined, v1beta1.ConditionTypeMemberClusterHealthy} {
		if c := meta.FindStatusCondition(o.Status.Conditions, conditionType); c != nil && c.Status != metav1.ConditionTrue {
			return c.Reason
		}
	}
	return ""
}

func lastSeen(o *v1beta1.MemberCluster) string {
	for i := range o.Status.AgentStatus {
		if agent := &o.Status.AgentStatus[i]; agent.Type == v1beta1.AgentType(v1beta1.MemberAgent) {
			return store.Since(agent.LastReceivedHeartbeat)
		}
	}
	return ""
}

func nodeCount(o *v1beta1.MemberCluster) string {
	return o.Status.Properties[nodeCountProperty].Value
}

func delivery(o *v1beta1.MemberCluster) string {
	if wellknown.IsPulled(o.Annotations) {
		return wellknown.DeliveryPull
	}
	return wellknown.DeliveryPush
}

// agentVersion is not that of an agent which served the cluster before.
func agentVersion(o *v1beta1.MemberCluster) string {
	if !wellknown.IsPulled(o.Annotations) {
		return ""
	}
	return o.Status.Properties[wellknown.AgentVersionProperty].Value
}

func usage(name, description string, resource corev1.ResourceName, of func(*v1beta1.ResourceUsage) corev1.ResourceList) column {
	return column{Name: name, Description: description, Text: func(o *v1beta1.MemberCluster) string {
		if quantity, ok := of(&o.Status.ResourceUsage)[resource]; ok {
			return quantity.String()
		}
		return ""
	}}
}
