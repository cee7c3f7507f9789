// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// Reasons and messages of conditions, upstream's where it has them.
const (
	reasonReadyToJoin    = "MemberClusterReadyToJoin"
	reasonNotReadyToJoin = "MemberClusterNotReadyToJoin"
	reasonJoined         = "MemberClusterJoined"
	reasonLeaving        = "MemberClusterLeaving"
	reasonLeft           = "MemberClusterLeft"
	reasonHealthy        = "MemberClusterHealthy"

	reasonAgentJoined    = "InternalMemberClusterJoined"
	reasonAgentLeft      = "InternalMemberClusterLeft"
	reasonAgentHealthy   = "InternalMemberClusterHealthy"
	reasonAgentUnhealthy = "InternalMemberClusterUnhealthy"

	messageReadyToJoin = "Member cluster is ready to join the fleet"
	messageJoined      = "Member cluster has successfully joined the fleet"
	messageLeft        = "Member cluster has left the fleet"
	messageHealthy     = "Member cluster answers and is ready"
)

// reporter sets the conditions of a MemberCluster, all for the generation that was looked at.
type reporter struct {
	cluster *v1beta1.MemberCluster
	status  *v1beta1.MemberClusterStatus
}

func newReporter(cluster *v1beta1.MemberCluster) reporter {
	return reporter{cluster, cluster.Status.DeepCopy()}
}

func (r reporter) set(conditions *[]metav1.Condition, conditionType string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type:               conditionType,
		Status:             status,
		ObservedGeneration: r.cluster.Generation,
		Reason:             reason,
		Message:            message,
	})
}

func (r reporter) readyToJoin(status metav1.ConditionStatus, reason, message string) {
	r.set(&r.status.Conditions, v1beta1.ConditionTypeMemberClusterReadyToJoin, status, reason, message)
}

func (r reporter) joined(status metav1.ConditionStatus, reason, message string) {
	r.set(&r.status.Conditions, v1beta1.ConditionTypeMemberClusterJoined, status, reason, message)
}

func (r reporter) healthy(status metav1.ConditionStatus, reason, message string) {
	r.set(&r.status.Conditions, v1beta1.ConditionTypeMemberClusterHealthy, status, reason, message)
}

// observed records what was seen of the member. A cluster that has joined stays joined while it cannot be used, since its workloads
// run on: it is unhealthy. Only another store takes it out of the fleet.
func (r reporter) observed(seen observation) {
	if seen.failure == nil {
		r.answered(seen)
		return
	}
	r.unhealthy(seen.failure)
	agent := findAgent(r.status)
	if agent != nil && seen.failure.answers {
		r.beat(agent, seen.at)
	}
	switch {
	case !isMember(r.status):
		r.joined(seen.failure.unknownOrFalse(), seen.failure.reason, seen.failure.message)
	case seen.failure.revokes():
		r.joined(metav1.ConditionFalse, seen.failure.reason, seen.failure.message)
		r.set(&agent.Conditions, v1beta1.AgentJoined, metav1.ConditionFalse, reasonAgentLeft, seen.failure.message)
	default:
		r.joined(metav1.ConditionTrue, reasonJoined, messageJoined)
	}
}

func (r reporter) unhealthy(f *failure) {
	r.healthy(metav1.ConditionFalse, f.reason, f.message)
	if agent := findAgent(r.status); agent != nil {
		r.set(&agent.Conditions, v1beta1.AgentHealthy, metav1.ConditionFalse, reasonAgentUnhealthy, f.message)
	}
}

// left says that nothing of the fleet is done on the member any more.
func (r reporter) left() {
	r.joined(metav1.ConditionFalse, reasonLeft, messageLeft)
	if agent := findAgent(r.status); agent != nil {
		r.set(&agent.Conditions, v1beta1.AgentJoined, metav1.ConditionFalse, reasonAgentLeft, messageLeft)
	}
}

func (r reporter) answered(seen observation) {
	r.joined(metav1.ConditionTrue, reasonJoined, messageJoined)
	r.healthy(metav1.ConditionTrue, reasonHealthy, messageHealthy+through(seen.proxy))
	agent := findAgent(r.status)
	if agent == nil {
		r.status.AgentStatus = append(r.status.AgentStatus, v1beta1.AgentStatus{Type: v1beta1.MemberAgent})
		agent = findAgent(r.status)
	}
	r.set(&agent.Conditions, v1beta1.AgentJoined, metav1.ConditionTrue, reasonAgentJoined, messageJoined)
	r.set(&agent.Conditions, v1beta1.AgentHealthy, metav1.ConditionTrue, reasonAgentHealthy, messageHealthy+through(seen.proxy))

	beats := r.beat(agent, seen.at)
	at := metav1.NewTime(seen.at).Rfc3339Copy()
	properties := make(map[v1beta1.PropertyName]v1beta1.PropertyValue, len(seen.properties))
	for name, value := range seen.properties {
		property := r.status.Properties[name]
		if beats || property.Value != value {
			property = v1beta1.PropertyValue{Value: value, ObservationTime: at}
		}
		properties[name] = property
	}
	for name, last := range r.status.Properties {
		// What could not be read stays as it was read last, of the same cluster.
		if _, read := seen.properties[name]; !read && r.status.Properties[storeid.ClusterUIDProperty].Value == seen.properties[storeid.ClusterUIDProperty] {
			properties[name] = last
		}
	}
	r.status.Properties = properties
}

// beat writes a heartbeat, which is that the member has answered, whether it is well or not. It is written once a period, however often
// the member was looked at: the rest of a period is the jitter's.
func (r reporter) beat(agent *v1beta1.AgentStatus, seen time.Time) bool {
	at := metav1.NewTime(seen).Rfc3339Copy()
	beats := at.Sub(agent.LastReceivedHeartbeat.Time) >= period(r.cluster)*9/10
	if beats {
		agent.LastReceivedHeartbeat = at
	}
	return beats
}

func findAgent(status *v1beta1.MemberClusterStatus) *v1beta1.AgentStatus {
	for i := range status.AgentStatus {
		if status.AgentStatus[i].Type == v1beta1.MemberAgent {
			return &status.AgentStatus[i]
		}
	}
	return nil
}

// isMember reports whether the cluster has joined and not left since: something may have been written to it.
func isMember(status *v1beta1.MemberClusterStatus) bool {
	agent := findAgent(status)
	return agent != nil && meta.IsStatusConditionTrue(agent.Conditions, v1beta1.AgentJoined)
}

// write stores what was reported if it differs, in the InternalMemberCluster as well if there is one, and tells of transitions.
func (c *Controller) write(ctx context.Context, r reporter, internal *v1beta1.InternalMemberCluster) error {
	if internal != nil && findAgent(r.status) != nil {
		if err := c.writeInternal(ctx, r, internal); err != nil {
			return err
		}
	}
	if equality.Semantic.DeepEqual(&r.cluster.Status, r.status) {
		return nil
	}
	cluster := r.cluster.DeepCopy()
	cluster.Status = *r.status
	if _, err := c.fleet.Clientset.ClusterV1beta1().MemberClusters().UpdateStatus(ctx, cluster, metav1.UpdateOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("status of MemberCluster %s: %w", cluster.Name, err)
	}
	c.tell(ctx, r)
	return nil
}

// writeInternal writes what an agent of the member would report.
func (c *Controller) writeInternal(ctx context.Context, r reporter, internal *v1beta1.InternalMemberCluster) error {
	status := v1beta1.InternalMemberClusterStatus{
		Conditions:    forGeneration(internal.Generation, slices.DeleteFunc(slices.Clone(r.status.Conditions), isNoReport)),
		Namespaces:    r.status.Namespaces,
		Properties:    r.status.Properties,
		ResourceUsage: r.status.ResourceUsage,
	}
	for _, agent := range r.status.AgentStatus {
		agent.Conditions = forGeneration(internal.Generation, slices.Clone(agent.Conditions))
		status.AgentStatus = append(status.AgentStatus, agent)
	}
	if equality.Semantic.DeepEqual(internal.Status, status) {
		return nil
	}
	internal = internal.DeepCopy()
	internal.Status = status
	if _, err := c.fleet.Clientset.ClusterV1beta1().InternalMemberClusters(internal.Namespace).UpdateStatus(ctx, internal,
		metav1.UpdateOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("status of InternalMemberCluster %s/%s: %w", internal.Namespace, internal.Name, err)
	}
	return nil
}

// isNoReport tells the conditions of a membership from those of the member's reports.
func isNoReport(condition metav1.Condition) bool {
	switch condition.Type {
	case v1beta1.ConditionTypeClusterPropertyProviderStarted, v1beta1.ConditionTypeClusterPropertyCollectionSucceeded,
		v1beta1.ConditionTypeNamespaceCollectionSucceeded:
		return false
	}
	return true
}

// forGeneration has conditions be for a generation.
func forGeneration(generation int64, conditions []metav1.Condition) []metav1.Condition {
	for i := range conditions {
		conditions[i].ObservedGeneration = generation
	}
	return conditions
}

// tell makes an Event of each condition that has changed its status or its reason.
func (c *Controller) tell(ctx context.Context, r reporter) {
	told := sets.New[string]()
	for _, now := range r.status.Conditions {
		before := meta.FindStatusCondition(r.cluster.Status.Conditions, now.Type)
		if before != nil && before.Status == now.Status && before.Reason == now.Reason {
			continue
		}
		klog.FromContext(ctx).V(2).Info("Condition changed", "condition", now.Type, "status", now.Status, "reason", now.Reason)
		// That a report was made once more is no news.
		if now.Status == metav1.ConditionTrue && !isNoReport(now) && now.Type != v1beta1.ConditionTypeClusterPropertyProviderStarted {
			continue
		}
		// What ails a member that has not joined is in two conditions, and one Event.
		if told.Has(now.Reason) {
			continue
		}
		told.Insert(now.Reason)
		level := corev1.EventTypeWarning
		if now.Status == metav1.ConditionTrue || now.Reason == reasonLeft || now.Reason == reasonLeaving {
			level = corev1.EventTypeNormal
		}
		c.recorder.Event(r.cluster, level, now.Reason, now.Message)
	}
}
