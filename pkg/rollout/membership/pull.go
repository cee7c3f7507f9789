// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/inspect"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// A member that is pulled has an agent, which does what the server does with a member that it reaches: it looks at the cluster, applies
// Works, and writes the status of the InternalMemberCluster. The server gives the agent's identity its rights in the namespace of the member,
// reads what the agent reports, and never writes to that status nor to the cluster.

const (
	// confirmRights is how often the rights of an agent that reports are looked at.
	confirmRights = 5 * time.Minute
	// shortestSilence is after how long at least an agent counts as silent.
	shortestSilence = 10 * time.Second
)

// pulled is what is remembered of a member with an agent.
type pulled struct {
	// heartbeat is the last one that the agent has written, by its own clock, and heard when this server saw it, by its clock.
	heartbeat, heard time.Time
	// identity has the rights of the agent as it was seen at confirmed.
	identity  rbacv1.Subject
	confirmed time.Time
}

// settle has one side let go of a member before the other begins: nothing of the server works on the member before the InternalMemberCluster
// tells the agent that it is its turn, and the agent has no rights any more before the InternalMemberCluster tells the server so. An agent
// gets its rights after that, see grant: as long as there are rights, the InternalMemberCluster tells of an agent, or there is none.
func (c *Controller) settle(ctx context.Context, cluster *v1beta1.MemberCluster) error {
	if wellknown.IsPulled(cluster.Annotations) {
		if err := c.waitUntilIdle(ctx, cluster.Name); err != nil {
			return err
		}
		c.forgetView(cluster.Name)
		return nil
	}
	internal := c.internal(cluster.Name)
	if internal != nil && !wellknown.IsPulled(internal.Annotations) {
		return nil
	}
	c.forget(cluster.Name)
	err := c.revoke(ctx, cluster.Name)
	if internal == nil && apierrors.IsForbidden(err) {
		// A server that may not delete the RoleBinding has made none: it is one of a fleet without agents, where members join all the same.
		return nil
	}
	return err
}

// grant gives an agent that serves a member its rights.
func (c *Controller) grant(ctx context.Context, cluster *v1beta1.MemberCluster) error {
	if !wellknown.IsPulled(cluster.Annotations) {
		return nil
	}
	state := c.pulledOf(cluster.Name)
	now := c.clock.Now()
	if state.identity == cluster.Spec.Identity && now.Before(state.confirmed.Add(confirmRights)) {
		return nil
	}
	if err := c.authorize(ctx, cluster); err != nil {
		return err
	}
	state.identity, state.confirmed = cluster.Spec.Identity, now
	return nil
}

// authorize gives the identity of a member the rights of an agent in the member's namespace, and only there. A ServiceAccount of that
// namespace is created where it is missing: with it go all tokens of one that somebody has deleted.
func (c *Controller) authorize(ctx context.Context, cluster *v1beta1.MemberCluster) error {
	namespace, identity := wellknown.MemberNamespace(cluster.Name), cluster.Spec.Identity
	labels := map[string]string{wellknown.FleetResourceLabel: "true"}
	if identity.Kind == rbacv1.ServiceAccountKind && identity.Namespace == namespace {
		accounts := c.hub.CoreV1().ServiceAccounts(namespace)
		_, err := accounts.Get(ctx, identity.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			_, err = accounts.Create(ctx, &corev1.ServiceAccount{
				ObjectMeta:                   metav1.ObjectMeta{Name: identity.Name, Labels: labels},
				AutomountServiceAccountToken: new(false),
			}, metav1.CreateOptions{FieldManager: fieldManager})
			if err == nil {
				c.recorder.Eventf(cluster, corev1.EventTypeNormal, "ServiceAccountCreated", "ServiceAccount %s/%s was created", namespace, identity.Name)
			}
		}
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("ServiceAccount %s/%s on the hub, the identity of the member: %w", namespace, identity.Name, err)
		}
	}
	want := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: wellknown.MemberAgentRole, Labels: labels},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: wellknown.MemberAgentRole},
		Subjects:   []rbacv1.Subject{subjectOf(identity)},
	}
	bindings := c.hub.RbacV1().RoleBindings(namespace)
	found, err := bindings.Get(ctx, want.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		if _, err = bindings.Create(ctx, want, metav1.CreateOptions{FieldManager: fieldManager}); err == nil {
			c.recorder.Eventf(cluster, corev1.EventTypeNormal, "RoleBindingCreated", "RoleBinding %s/%s was created", namespace, want.Name)
		}
	case err == nil && !equality.Semantic.DeepEqual(found.Subjects, want.Subjects):
		found = found.DeepCopy()
		found.Subjects = want.Subjects
		if _, err = bindings.Update(ctx, found, metav1.UpdateOptions{FieldManager: fieldManager}); err == nil {
			c.recorder.Eventf(cluster, corev1.EventTypeNormal, "RoleBindingUpdated", "RoleBinding %s/%s was updated", namespace, want.Name)
		}
	}
	if err != nil {
		return fmt.Errorf("RoleBinding %s/%s on the hub, which gives the agent its rights: %w", namespace, want.Name, err)
	}
	return nil
}

// subjectOf is an identity as RBAC stores it.
func subjectOf(identity rbacv1.Subject) rbacv1.Subject {
	if identity.APIGroup == "" && identity.Kind != rbacv1.ServiceAccountKind {
		identity.APIGroup = rbacv1.GroupName
	}
	return identity
}

// revoke takes the rights of a member's agent. Its tokens stay, and are worth nothing without them.
func (c *Controller) revoke(ctx context.Context, cluster string) error {
	namespace := wellknown.MemberNamespace(cluster)
	err := c.hub.RbacV1().RoleBindings(namespace).Delete(ctx, wellknown.MemberAgentRole, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("taking the rights of the agent, RoleBinding %s/%s on the hub: %w", namespace, wellknown.MemberAgentRole, err)
	}
	return nil
}

// tellAgent returns the annotations by which an InternalMemberCluster tells the agent whose member the cluster is to be, and removes them
// where the server serves the member. Others stay as they are.
func (c *Controller) tellAgent(cluster *v1beta1.MemberCluster, annotations map[string]string) map[string]string {
	told := map[string]string{}
	if wellknown.IsPulled(cluster.Annotations) {
		told = map[string]string{
			wellknown.DeliveryAnnotation:        wellknown.DeliveryPull,
			wellknown.StoreIDAnnotation:         c.options.Ruler.Store,
			wellknown.HubUIDAnnotation:          c.options.Ruler.Hub,
			wellknown.ClusterUIDAnnotation:      cluster.Status.Properties[storeid.ClusterUIDProperty].Value,
			wellknown.AdoptClusterUIDAnnotation: cluster.Annotations[wellknown.AdoptClusterUIDAnnotation],
		}
	}
	result := maps.Clone(annotations)
	for _, key := range []string{
		wellknown.DeliveryAnnotation, wellknown.StoreIDAnnotation, wellknown.HubUIDAnnotation,
		wellknown.ClusterUIDAnnotation, wellknown.AdoptClusterUIDAnnotation,
	} {
		delete(result, key)
		if value := told[key]; value != "" {
			if result == nil {
				result = map[string]string{}
			}
			result[key] = value
		}
	}
	return result
}

// joinByPull reports what the agent of a member has reported.
func (c *Controller) joinByPull(ctx context.Context, r reporter, internal *v1beta1.InternalMemberCluster) (time.Duration, error) {
	heard := c.hear(r.cluster, internal)
	silent := heard.Add(silence(r.cluster))
	now := c.clock.Now()
	r.reported(internal, heard, c.identity(r.cluster))
	if now.Before(silent) {
		// The agent's next heartbeat brings the key back sooner.
		return silent.Sub(now), c.write(ctx, r, nil)
	}
	if !heard.IsZero() {
		r.Unhealthy(silentSince(heard))
	}
	return confirmRights, c.write(ctx, r, nil)
}

// silence is how long an agent may say nothing.
func silence(cluster *v1beta1.MemberCluster) time.Duration {
	return max(wellknown.SilentHeartbeats*period(cluster), shortestSilence)
}

// reasonSilent is upstream's for what a ClusterProfile says of such a member.
const reasonSilent = "MemberAgentHeartbeatLost"

func silentSince(heard time.Time) *inspect.Failure {
	return &inspect.Failure{Reason: reasonSilent, Passing: true, Message: fmt.Sprintf(
		"The agent of the member was not heard of since %s; on the member, look at its Deployment and its log: it may be stopped, without a way to the hub, "+
			"or without a token that is valid", heard.UTC().Format(time.RFC3339))}
}

// hear returns when the agent of a member was last heard of by the clock of this server, zero for never. What the clock of the member says
// is not compared with anything: it may be wrong, and whoever has the token of the agent chooses it.
func (c *Controller) hear(cluster *v1beta1.MemberCluster, internal *v1beta1.InternalMemberCluster) time.Time {
	agent := inspect.AgentOf(internal.Status.AgentStatus)
	if agent == nil || agent.LastReceivedHeartbeat.IsZero() {
		if known := inspect.Agent(&cluster.Status); known != nil {
			return known.LastReceivedHeartbeat.Time
		}
		return time.Time{}
	}
	state := c.pulledOf(cluster.Name)
	beat := agent.LastReceivedHeartbeat.Time
	switch {
	case beat.Equal(state.heartbeat):
	case state.heartbeat.IsZero():
		// Of the heartbeats before this server led it is not known when they came, but from what an earlier leader wrote down.
		state.heard = c.clock.Now()
		if known := inspect.Agent(&cluster.Status); known != nil && !known.LastReceivedHeartbeat.IsZero() {
			state.heard = known.LastReceivedHeartbeat.Time
		}
	default:
		state.heard = c.clock.Now()
	}
	state.heartbeat = beat
	if now := c.clock.Now(); state.heard.After(now) {
		state.heard = now
	}
	return state.heard
}

// leftByPull is whether the agent of a member that leaves has said that it has cleaned up, as if the server had looked at the member.
func (c *Controller) leftByPull(cluster *v1beta1.MemberCluster) inspect.Observation {
	now := c.clock.Now()
	internal := c.internal(cluster.Name)
	if internal == nil {
		return inspect.Observation{At: now, Failure: &inspect.Failure{
			Reason: reasonSilent, Message: "The agent of the member cannot say that it has left: it has no InternalMemberCluster", Passing: true,
		}}
	}
	if internal.Spec.State == v1beta1.ClusterStateLeave && inspect.HasLeft(internal) {
		return inspect.Observation{At: now}
	}
	heard := c.hear(cluster, internal)
	if heard.IsZero() || !now.Before(heard.Add(silence(cluster))) {
		return inspect.Observation{At: now, Failure: silentSince(heard)}
	}
	return inspect.Observation{At: now, Failure: &inspect.Failure{
		Reason: inspect.ReasonLeaving, Message: "The agent of the member has not said yet that it has cleaned up", Passing: true,
	}}
}

// reported brings into the status of a MemberCluster what its agent has reported, in bounds: whoever has the token of the agent chooses it.
// Nothing of it is taken from a cluster that is not the member.
func (r reporter) reported(internal *v1beta1.InternalMemberCluster, heard time.Time, as inspect.Identity) {
	status := &internal.Status
	agent := inspect.AgentOf(status.AgentStatus)
	if uid := status.Properties[storeid.ClusterUIDProperty].Value; uid != "" {
		if err := storeid.Mismatch(nil, uid, as(uid)); err != nil {
			r.Observed(inspect.Observation{At: heard, Failure: inspect.Classify(err)})
			return
		}
	}
	switch {
	case agent == nil && inspect.IsMember(r.Status):
		// Its InternalMemberCluster was recreated. What has joined stays joined while nothing is heard of it.
		return
	case agent == nil:
		r.Joined(metav1.ConditionUnknown, inspect.ReasonJoinUnknown, fmt.Sprintf(
			"Member cluster %s has not reported all the expected agents, expected 1, got 0: start the agent on the member", r.cluster.Name))
		return
	}
	r.Copied(status, heard)
}

func (c *Controller) pulledOf(cluster string) *pulled {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := c.pulls[cluster]
	if state == nil {
		state = &pulled{}
		c.pulls[cluster] = state
	}
	return state
}

func (c *Controller) forgetView(cluster string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.views, cluster)
}
