// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// maxProperties bounds how many properties an agent can have a MemberCluster show.
const maxProperties = 100

// agentTypes are the agents that there can be, of which the first must report.
var agentTypes = []v1beta1.AgentType{v1beta1.MemberAgent, v1beta1.MultiClusterServiceAgent, v1beta1.ServiceExportImportAgent}

// HasLeft reports whether the agent has said that it has cleaned up for what the InternalMemberCluster asks of it now.
func HasLeft(internal *v1beta1.InternalMemberCluster) bool {
	agent := AgentOf(internal.Status.AgentStatus)
	if agent == nil {
		return false
	}
	joined := meta.FindStatusCondition(agent.Conditions, v1beta1.AgentJoined)
	return joined != nil && joined.Status == metav1.ConditionFalse && joined.ObservedGeneration == internal.Generation
}

// Copied brings into the status what an agent has reported in that of the InternalMemberCluster. The heartbeat is when the agent was heard
// of. An agent is not trusted: what it reports is bounded, and what cannot be is left out.
func (r Reporter) Copied(from *v1beta1.InternalMemberClusterStatus, heard time.Time) {
	var agents []v1beta1.AgentStatus
	for _, agentType := range agentTypes {
		i := slices.IndexFunc(from.AgentStatus, func(agent v1beta1.AgentStatus) bool { return agent.Type == agentType })
		if i < 0 {
			continue
		}
		agent := v1beta1.AgentStatus{Type: agentType, LastReceivedHeartbeat: from.AgentStatus[i].LastReceivedHeartbeat}
		if agentType == v1beta1.MemberAgent {
			agent.LastReceivedHeartbeat = metav1.NewTime(heard).Rfc3339Copy()
		}
		for _, conditionType := range []string{v1beta1.AgentJoined, v1beta1.AgentHealthy} {
			if condition := meta.FindStatusCondition(from.AgentStatus[i].Conditions, conditionType); condition != nil {
				agent.Conditions = append(agent.Conditions, r.copied(*condition))
			}
		}
		agents = append(agents, agent)
	}
	r.Status.AgentStatus = agents

	for _, condition := range from.Conditions {
		if !IsNoReport(condition) {
			meta.SetStatusCondition(&r.Status.Conditions, r.copied(condition))
		}
	}
	if from.Properties != nil {
		recorded, known := r.Status.Properties[storeid.ClusterUIDProperty]
		r.Status.Properties = copiedProperties(from.Properties)
		if _, found := from.Properties[storeid.ClusterUIDProperty]; known && !found {
			// Which cluster is the member is not forgotten because an agent does not say it.
			r.Status.Properties[storeid.ClusterUIDProperty] = recorded
		}
	}
	if from.Namespaces != nil {
		r.Status.Namespaces = copiedNamespaces(from.Namespaces)
	}
	r.Status.ResourceUsage = v1beta1.ResourceUsage{
		Capacity:        copiedResources(from.ResourceUsage.Capacity),
		Allocatable:     copiedResources(from.ResourceUsage.Allocatable),
		Available:       copiedResources(from.ResourceUsage.Available),
		ObservationTime: from.ResourceUsage.ObservationTime,
	}
	r.concluded()
}

// concluded draws from what the member agent says of itself whether the cluster is a member, and whether it can be used.
func (r Reporter) concluded() {
	agent := Agent(r.Status)
	joined := meta.FindStatusCondition(agent.Conditions, v1beta1.AgentJoined)
	switch {
	case joined == nil:
		r.Joined(metav1.ConditionUnknown, ReasonJoinUnknown, "Member cluster has not reported the join condition for agent MemberAgent")
	case joined.Status == metav1.ConditionTrue:
		r.Joined(metav1.ConditionTrue, ReasonJoined, MessageJoined)
	case joined.Status == metav1.ConditionFalse && joined.Reason == ReasonAgentLeft:
		r.Joined(metav1.ConditionFalse, ReasonLeft, joined.Message)
	default:
		r.Joined(joined.Status, joined.Reason, joined.Message)
	}
	healthy := meta.FindStatusCondition(agent.Conditions, v1beta1.AgentHealthy)
	switch {
	case healthy == nil:
		r.Healthy(metav1.ConditionUnknown, ReasonAgentUnhealthy, "The agent has not reported whether the member is healthy")
	case healthy.Status == metav1.ConditionTrue:
		r.Healthy(metav1.ConditionTrue, ReasonHealthy, MessageHealthy)
	default:
		r.Healthy(healthy.Status, healthy.Reason, healthy.Message)
	}
}

func (r Reporter) copied(condition metav1.Condition) metav1.Condition {
	condition.ObservedGeneration = r.Generation
	condition.Message = wording.Shorten(condition.Message, MaxMessage)
	return condition
}

// copiedProperties are the first by name.
func copiedProperties(from map[v1beta1.PropertyName]v1beta1.PropertyValue) map[v1beta1.PropertyName]v1beta1.PropertyValue {
	to := map[v1beta1.PropertyName]v1beta1.PropertyValue{}
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if len(to) == maxProperties {
			break
		}
		if len(validation.IsQualifiedName(string(name))) == 0 {
			value := from[name]
			value.Value = wording.Shorten(value.Value, MaxProperty)
			to[name] = value
		}
	}
	return to
}

// copiedNamespaces are the first by name.
func copiedNamespaces(from map[string]string) map[string]string {
	to := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if len(to) == MaxNamespaces {
			break
		}
		if len(validation.IsDNS1123Label(name)) > 0 {
			continue
		}
		if to[name] = from[name]; len(validation.IsDNS1123Subdomain(from[name])) > 0 {
			to[name] = ""
		}
	}
	return to
}

// copiedResources are those that are compared, where they are no nonsense.
func copiedResources(from corev1.ResourceList) corev1.ResourceList {
	var to corev1.ResourceList
	for _, name := range resourceNames {
		if quantity, found := from[name]; found && quantity.Sign() >= 0 {
			if to == nil {
				to = corev1.ResourceList{}
			}
			to[name] = quantity
		}
	}
	return to
}

// Restored is the status of a MemberCluster that says what an InternalMemberCluster says, for an agent to go on from.
func Restored(internal *v1beta1.InternalMemberCluster) *v1beta1.MemberClusterStatus {
	from := internal.Status.DeepCopy()
	return &v1beta1.MemberClusterStatus{
		Conditions: from.Conditions, Namespaces: from.Namespaces, Properties: from.Properties, ResourceUsage: from.ResourceUsage, AgentStatus: from.AgentStatus,
	}
}

// Alive records of an agent that it runs, and why it cannot do anything on its cluster if it cannot. The hub knows no other way to hear
// of either.
func (r Reporter) Alive(at time.Time, failure *Failure) {
	agent := Agent(r.Status)
	if agent == nil {
		r.Status.AgentStatus = append(r.Status.AgentStatus, v1beta1.AgentStatus{Type: v1beta1.MemberAgent})
		agent = Agent(r.Status)
	}
	r.beat(agent, at)
	if failure == nil {
		return
	}
	r.set(&agent.Conditions, v1beta1.AgentHealthy, metav1.ConditionFalse, ReasonAgentUnhealthy, failure.Message)
	switch joined := meta.FindStatusCondition(agent.Conditions, v1beta1.AgentJoined); {
	case failure.Revokes():
		r.set(&agent.Conditions, v1beta1.AgentJoined, metav1.ConditionFalse, failure.Reason, failure.Message)
	case joined == nil || joined.Status != metav1.ConditionTrue:
		r.set(&agent.Conditions, v1beta1.AgentJoined, metav1.ConditionUnknown, reasonFailedToJoin, failure.Message)
	}
}

// FailedToLeave records of an agent that it could not clean up.
func (r Reporter) FailedToLeave(at time.Time, failure *Failure) {
	r.Alive(at, nil)
	r.set(&Agent(r.Status).Conditions, v1beta1.AgentJoined, metav1.ConditionUnknown, reasonFailedToLeave, fmt.Sprintf("cleaning up on the member: %s", failure.Message))
}
