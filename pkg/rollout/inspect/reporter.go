// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// Reasons and messages of conditions, upstream's where it has them.
const (
	ReasonReadyToJoin    = "MemberClusterReadyToJoin"
	ReasonNotReadyToJoin = "MemberClusterNotReadyToJoin"
	ReasonJoined         = "MemberClusterJoined"
	ReasonLeaving        = "MemberClusterLeaving"
	ReasonLeft           = "MemberClusterLeft"
	ReasonHealthy        = "MemberClusterHealthy"

	ReasonAgentJoined    = "InternalMemberClusterJoined"
	ReasonAgentLeft      = "InternalMemberClusterLeft"
	ReasonAgentHealthy   = "InternalMemberClusterHealthy"
	ReasonAgentUnhealthy = "InternalMemberClusterUnhealthy"

	// ReasonJoinUnknown says that an agent has not reported yet.
	ReasonJoinUnknown   = "MemberClusterJoinStateUnknown"
	reasonFailedToJoin  = "InternalMemberClusterFailedToJoin"
	reasonFailedToLeave = "InternalMemberClusterFailedToLeave"

	MessageReadyToJoin = "Member cluster is ready to join the fleet"
	MessageJoined      = "Member cluster has successfully joined the fleet"
	MessageLeft        = "Member cluster has left the fleet"
	MessageHealthy     = "Member cluster answers and is ready"
)

// Reporter brings into a status what was seen of a member.
type Reporter struct {
	// Status is written to. That of an InternalMemberCluster is made from it by Internal.
	Status *v1beta1.MemberClusterStatus
	// Generation that the conditions are for.
	Generation int64
	// Period is the time between two heartbeats.
	Period time.Duration
}

func (r Reporter) set(conditions *[]metav1.Condition, conditionType string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type:               conditionType,
		Status:             status,
		ObservedGeneration: r.Generation,
		Reason:             reason,
		Message:            message,
	})
}

// ReadyToJoin sets the condition that reports whether the hub is ready for the member.
func (r Reporter) ReadyToJoin(status metav1.ConditionStatus, reason, message string) {
	r.set(&r.Status.Conditions, v1beta1.ConditionTypeMemberClusterReadyToJoin, status, reason, message)
}

// Joined sets the condition that reports whether the cluster is a member.
func (r Reporter) Joined(status metav1.ConditionStatus, reason, message string) {
	r.set(&r.Status.Conditions, v1beta1.ConditionTypeMemberClusterJoined, status, reason, message)
}

// Healthy sets the condition that reports whether the member can be used.
func (r Reporter) Healthy(status metav1.ConditionStatus, reason, message string) {
	r.set(&r.Status.Conditions, v1beta1.ConditionTypeMemberClusterHealthy, status, reason, message)
}

// Observed records what was seen of the member. A cluster that has joined stays joined while it cannot be used, since its workloads
// run on: it is unhealthy. Only another store takes it out of the fleet.
func (r Reporter) Observed(seen Observation) {
	if seen.Failure == nil {
		r.answered(seen)
		return
	}
	r.Unhealthy(seen.Failure)
	agent := Agent(r.Status)
	if agent != nil && seen.Failure.Answers {
		r.beat(agent, seen.At)
	}
	switch {
	case !IsMember(r.Status):
		r.Joined(seen.Failure.unknownOrFalse(), seen.Failure.Reason, seen.Failure.Message)
	case seen.Failure.Revokes():
		r.Joined(metav1.ConditionFalse, seen.Failure.Reason, seen.Failure.Message)
		r.set(&agent.Conditions, v1beta1.AgentJoined, metav1.ConditionFalse, ReasonAgentLeft, seen.Failure.Message)
	default:
		r.Joined(metav1.ConditionTrue, ReasonJoined, MessageJoined)
	}
}

// Unhealthy records why the member cannot be used.
func (r Reporter) Unhealthy(f *Failure) {
	r.Healthy(metav1.ConditionFalse, f.Reason, f.Message)
	if agent := Agent(r.Status); agent != nil {
		r.set(&agent.Conditions, v1beta1.AgentHealthy, metav1.ConditionFalse, ReasonAgentUnhealthy, f.Message)
	}
}

// Left says that nothing of the fleet is done on the member any more.
func (r Reporter) Left() {
	r.Joined(metav1.ConditionFalse, ReasonLeft, MessageLeft)
	if agent := Agent(r.Status); agent != nil {
		r.set(&agent.Conditions, v1beta1.AgentJoined, metav1.ConditionFalse, ReasonAgentLeft, MessageLeft)
	}
}

func (r Reporter) answered(seen Observation) {
	r.Joined(metav1.ConditionTrue, ReasonJoined, MessageJoined)
	r.Healthy(metav1.ConditionTrue, ReasonHealthy, MessageHealthy+through(seen.Proxy))
	agent := Agent(r.Status)
	if agent == nil {
		r.Status.AgentStatus = append(r.Status.AgentStatus, v1beta1.AgentStatus{Type: v1beta1.MemberAgent})
		agent = Agent(r.Status)
	}
	r.set(&agent.Conditions, v1beta1.AgentJoined, metav1.ConditionTrue, ReasonAgentJoined, MessageJoined)
	r.set(&agent.Conditions, v1beta1.AgentHealthy, metav1.ConditionTrue, ReasonAgentHealthy, MessageHealthy+through(seen.Proxy))

	beats := r.beat(agent, seen.At)
	at := metav1.NewTime(seen.At).Rfc3339Copy()
	properties := make(map[v1beta1.PropertyName]v1beta1.PropertyValue, len(seen.Properties))
	for name, value := range seen.Properties {
		property := r.Status.Properties[name]
		if beats || property.Value != value {
			property = v1beta1.PropertyValue{Value: value, ObservationTime: at}
		}
		properties[name] = property
	}
	for name, last := range r.Status.Properties {
		// What could not be read stays as it was read last, of the same cluster.
		if _, read := seen.Properties[name]; !read && r.Status.Properties[storeid.ClusterUIDProperty].Value == seen.Properties[storeid.ClusterUIDProperty] {
			properties[name] = last
		}
	}
	r.Status.Properties = properties
}

// beat writes a heartbeat, which is that the member has answered, whether it is well or not. It is written once a period, however often
// the member was looked at: the rest of a period is the jitter's.
func (r Reporter) beat(agent *v1beta1.AgentStatus, seen time.Time) bool {
	at := metav1.NewTime(seen).Rfc3339Copy()
	beats := at.Sub(agent.LastReceivedHeartbeat.Time) >= r.Period*9/10
	if beats {
		agent.LastReceivedHeartbeat = at
	}
	return beats
}

// Agent is the entry of the member agent in a status, nil where there is none. By push the server is that agent.
func Agent(status *v1beta1.MemberClusterStatus) *v1beta1.AgentStatus {
	return AgentOf(status.AgentStatus)
}

// AgentOf is the entry of the member agent, nil where there is none.
func AgentOf(agents []v1beta1.AgentStatus) *v1beta1.AgentStatus {
	for i := range agents {
		if agents[i].Type == v1beta1.MemberAgent {
			return &agents[i]
		}
	}
	return nil
}

// IsMember reports whether the cluster has joined and not left since: something may have been written to it.
func IsMember(status *v1beta1.MemberClusterStatus) bool {
	agent := Agent(status)
	return agent != nil && meta.IsStatusConditionTrue(agent.Conditions, v1beta1.AgentJoined)
}

// IsNoReport tells the conditions of a membership from those of the member's reports.
func IsNoReport(condition metav1.Condition) bool {
	switch condition.Type {
	case v1beta1.ConditionTypeClusterPropertyProviderStarted, v1beta1.ConditionTypeClusterPropertyCollectionSucceeded,
		v1beta1.ConditionTypeNamespaceCollectionSucceeded:
		return false
	}
	return true
}

// Internal is the status of an InternalMemberCluster that says what that of its MemberCluster says, for the generation of the
// InternalMemberCluster.
func Internal(status *v1beta1.MemberClusterStatus, generation int64) v1beta1.InternalMemberClusterStatus {
	internal := v1beta1.InternalMemberClusterStatus{
		Conditions:    forGeneration(generation, slices.DeleteFunc(slices.Clone(status.Conditions), IsNoReport)),
		Namespaces:    status.Namespaces,
		Properties:    status.Properties,
		ResourceUsage: status.ResourceUsage,
	}
	for _, agent := range status.AgentStatus {
		agent.Conditions = forGeneration(generation, slices.Clone(agent.Conditions))
		internal.AgentStatus = append(internal.AgentStatus, agent)
	}
	return internal
}

// forGeneration has conditions be for a generation.
func forGeneration(generation int64, conditions []metav1.Condition) []metav1.Condition {
	for i := range conditions {
		conditions[i].ObservedGeneration = generation
	}
	return conditions
}
