// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/inspect"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

const (
	cluster   = "paris"
	namespace = "fleet-member-paris"
	deadline  = 30 * time.Second
)

var pulled = map[string]string{
	wellknown.DeliveryAnnotation: wellknown.DeliveryPull, wellknown.StoreIDAnnotation: "store", wellknown.HubUIDAnnotation: "hub", wellknown.ClusterUIDAnnotation: "uid",
}

func internalMemberCluster(state v1beta1.ClusterState, generation int64) *v1beta1.InternalMemberCluster {
	return &v1beta1.InternalMemberCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: cluster, Generation: generation, Annotations: pulled},
		Spec:       v1beta1.InternalMemberClusterSpec{State: state, HeartbeatPeriodSeconds: 60},
	}
}

// site is a hub and a member, whose agent is woken by hand.
type site struct {
	t     *testing.T
	api   *fake.Clientset
	clock *clocktesting.FakeClock
	agent *Agent
	// seen is what a look at the member finds; looks and withdrawals count them.
	seen              inspect.Observation
	looks, withdrawn  int
	applying, stopped chan order
	// identity is as what the cluster was to have joined.
	identity storeid.Membership
}

func newSite(t *testing.T, internal *v1beta1.InternalMemberCluster) *site {
	t.Helper()
	s := &site{t: t, api: fake.NewClientset(), clock: clocktesting.NewFakeClock(start), applying: make(chan order, 10), stopped: make(chan order, 10)}
	s.agent = newAgent(s.api, Options{Cluster: cluster, Version: "v1.2.3", Clock: s.clock})
	s.agent.look = func() view { return s }
	s.agent.apply = func(ctx context.Context, o order) error {
		s.applying <- o
		<-ctx.Done()
		s.stopped <- o
		return nil
	}
	s.seen.Properties = map[v1beta1.PropertyName]string{storeid.ClusterUIDProperty: "uid"}
	s.set(internal)
	t.Cleanup(s.agent.stop)
	return s
}

func (s *site) Observe(_ context.Context, look inspect.Look) (inspect.Observation, time.Duration) {
	if look.Leaving {
		s.withdrawn++
	} else {
		s.looks++
	}
	s.identity = look.As("uid")
	s.seen.At = s.clock.Now()
	return s.seen, look.Period
}

func (s *site) Collect(context.Context, time.Duration, func(*inspect.Report) bool) (time.Duration, bool) {
	return time.Minute, true
}

func (s *site) Report() *inspect.Report { return nil }

// set has the hub have an InternalMemberCluster, nil for none.
func (s *site) set(internal *v1beta1.InternalMemberCluster) {
	s.t.Helper()
	internals := s.api.ClusterV1beta1().InternalMemberClusters(namespace)
	_ = internals.Delete(s.t.Context(), cluster, metav1.DeleteOptions{})
	if internal != nil {
		if _, err := internals.Create(s.t.Context(), internal, metav1.CreateOptions{}); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *site) get() *v1beta1.InternalMemberCluster {
	s.t.Helper()
	internal, err := s.api.ClusterV1beta1().InternalMemberClusters(namespace).Get(s.t.Context(), cluster, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return internal
}

// wake has the agent look at what the hub has now.
func (s *site) wake() time.Duration {
	s.t.Helper()
	list, err := s.api.ClusterV1beta1().InternalMemberClusters(namespace).List(s.t.Context(), metav1.ListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	var items []any
	for i := range list.Items {
		items = append(items, &list.Items[i])
	}
	if err := s.agent.informer.GetStore().Replace(items, ""); err != nil {
		s.t.Fatal(err)
	}
	again, err := s.agent.serve(s.t.Context(), reconcile.Key{Namespace: namespace, Name: cluster})
	if err != nil {
		s.t.Fatal(err)
	}
	return again
}

func (s *site) expect(what string, from chan order) order {
	s.t.Helper()
	select {
	case o := <-from:
		return o
	case <-time.After(deadline):
		s.t.Fatalf("%s: did not happen", what)
		return order{}
	}
}

func (s *site) condition(conditionType string) *metav1.Condition {
	s.t.Helper()
	agent := inspect.AgentOf(s.get().Status.AgentStatus)
	if agent == nil {
		s.t.Fatal("the agent has not reported")
	}
	return meta.FindStatusCondition(agent.Conditions, conditionType)
}

// joinedSite has an agent that applies.
func joinedSite(t *testing.T) *site {
	t.Helper()
	s := newSite(t, internalMemberCluster(v1beta1.ClusterStateJoin, 1))
	s.wake()
	s.expect("it applies", s.applying)
	return s
}

func TestAnAgentJoinsAppliesAndReports(t *testing.T) {
	s := newSite(t, internalMemberCluster(v1beta1.ClusterStateJoin, 1))
	if again := s.wake(); again != time.Minute {
		t.Errorf("again after %s", again)
	}
	if o := s.expect("it applies", s.applying); o.ruler != (storeid.Ruler{Store: "store", Hub: "hub"}) || o.recorded != "uid" {
		t.Errorf("applies for %+v", o)
	}
	if want := (storeid.Membership{Ruler: storeid.Ruler{Store: "store", Hub: "hub"}, Member: cluster, ClusterUID: "uid"}); s.identity != want {
		t.Errorf("joins as %+v, want %+v", s.identity, want)
	}
	for conditionType, reason := range map[string]string{v1beta1.AgentJoined: "InternalMemberClusterJoined", v1beta1.AgentHealthy: "InternalMemberClusterHealthy"} {
		if c := s.condition(conditionType); c == nil || c.Status != metav1.ConditionTrue || c.Reason != reason || c.ObservedGeneration != 1 {
			t.Errorf("%s: %+v", conditionType, c)
		}
	}
	status := s.get().Status
	if got := status.Properties[wellknown.AgentVersionProperty].Value; got != "v1.2.3" {
		t.Errorf("version %q", got)
	}
	if heartbeat := status.AgentStatus[0].LastReceivedHeartbeat; !heartbeat.Time.Equal(start) {
		t.Errorf("heartbeat %s", heartbeat)
	}
	s.clock.Step(time.Minute)
	s.wake()
	if heartbeat := s.get().Status.AgentStatus[0].LastReceivedHeartbeat; !heartbeat.Time.Equal(start.Add(time.Minute)) {
		t.Errorf("the next heartbeat is %s", heartbeat)
	}
	if len(s.applying) > 0 || len(s.stopped) > 0 {
		t.Error("what is applied began again")
	}
}

func TestAnAgentWhoseClusterDoesNotAnswerHasAHeartbeatAndSaysSo(t *testing.T) {
	s := joinedSite(t)
	s.seen.Failure = &inspect.Failure{Reason: inspect.ReasonUnreachable, Message: "The member cannot be reached", Passing: true}
	s.clock.Step(time.Minute)
	s.wake()
	if c := s.condition(v1beta1.AgentHealthy); c.Status != metav1.ConditionFalse || c.Message != "The member cannot be reached" {
		t.Errorf("Healthy: %+v", c)
	}
	if c := s.condition(v1beta1.AgentJoined); c.Status != metav1.ConditionTrue {
		t.Errorf("Joined: %+v", c)
	}
	if heartbeat := s.get().Status.AgentStatus[0].LastReceivedHeartbeat; !heartbeat.Time.Equal(start.Add(time.Minute)) {
		t.Errorf("heartbeat %s", heartbeat)
	}
	if len(s.stopped) > 0 {
		t.Error("nothing is applied any more")
	}
}

// Nothing of what an agent does not see is a reason to remove anything: it stops, and comes back.
func TestAnAgentThatSeesNoOrderLeavesTheMemberAsItIs(t *testing.T) {
	deleting := internalMemberCluster(v1beta1.ClusterStateJoin, 1)
	deleting.DeletionTimestamp, deleting.Finalizers = &metav1.Time{Time: start}, []string{"example.com/f"}
	pushed := internalMemberCluster(v1beta1.ClusterStateJoin, 1)
	pushed.Annotations = map[string]string{wellknown.StoreIDAnnotation: "store", wellknown.HubUIDAnnotation: "hub"}
	leavesPushed := internalMemberCluster(v1beta1.ClusterStateLeave, 2)
	leavesPushed.Annotations = pushed.Annotations
	unruled := internalMemberCluster(v1beta1.ClusterStateJoin, 1)
	unruled.Annotations = map[string]string{wellknown.DeliveryAnnotation: wellknown.DeliveryPull}
	deletedLeave := internalMemberCluster(v1beta1.ClusterStateLeave, 2)
	deletedLeave.DeletionTimestamp, deletedLeave.Finalizers = deleting.DeletionTimestamp, deleting.Finalizers
	for name, internal := range map[string]*v1beta1.InternalMemberCluster{
		"none, as in a store that was restored":            nil,
		"one that is being deleted, as with its namespace": deleting,
		"one that leaves and is being deleted":             deletedLeave,
		"one of a member that the server serves":           pushed,
		"one that leaves and is the server's":              leavesPushed,
		"one that names no store":                          unruled,
	} {
		t.Run(name, func(t *testing.T) {
			s := joinedSite(t)
			s.set(internal)
			looks := s.looks
			if again := s.wake(); again != 0 {
				t.Errorf("again after %s", again)
			}
			s.expect("nothing is applied any more", s.stopped)
			if s.withdrawn > 0 || s.looks != looks {
				t.Errorf("withdrawn %d times, looked at %d times", s.withdrawn, s.looks-looks)
			}
			s.set(internalMemberCluster(v1beta1.ClusterStateJoin, 1))
			s.wake()
			s.expect("it applies again", s.applying)
		})
	}
}

func TestAnAgentStopsWhereTheClusterIsAnothers(t *testing.T) {
	s := joinedSite(t)
	other := internalMemberCluster(v1beta1.ClusterStateJoin, 1)
	other.Status = s.get().Status
	other.Annotations = map[string]string{wellknown.DeliveryAnnotation: "Pull", wellknown.StoreIDAnnotation: "restored", wellknown.HubUIDAnnotation: "hub"}
	s.set(other)
	s.seen.Failure = &inspect.Failure{Reason: inspect.ReasonOtherStore, Message: "The member belongs to another fleet"}
	s.wake()
	s.expect("nothing is applied any more", s.stopped)
	if c := s.condition(v1beta1.AgentJoined); c.Status != metav1.ConditionFalse || c.Reason != inspect.ReasonOtherStore {
		t.Errorf("Joined: %+v", c)
	}
	if len(s.applying) > 0 {
		t.Error("it applies for a store that the cluster does not belong to")
	}
}

func TestAnAgentOnAnotherClusterKeepsQuietWhileTheRightOneReports(t *testing.T) {
	s := joinedSite(t)
	before := s.get()
	s.seen.Failure = &inspect.Failure{Reason: inspect.ReasonOtherMember, Message: "the cluster is another"}
	s.clock.Step(time.Minute)
	s.wake()
	s.expect("nothing is applied any more", s.stopped)
	if after := s.get(); !after.Status.AgentStatus[0].LastReceivedHeartbeat.Equal(&before.Status.AgentStatus[0].LastReceivedHeartbeat) {
		t.Error("it has reported")
	}
	s.clock.Step(3 * time.Minute)
	s.wake()
	if c := s.condition(v1beta1.AgentJoined); c.Status != metav1.ConditionFalse || c.Reason != inspect.ReasonOtherMember {
		t.Errorf("Joined: %+v", c)
	}
}

func TestAnAgentLeavesOnceNothingIsApplied(t *testing.T) {
	s := joinedSite(t)
	leave := internalMemberCluster(v1beta1.ClusterStateLeave, 2)
	leave.Status = s.get().Status
	s.set(leave)
	s.seen.Failure = &inspect.Failure{Reason: inspect.ReasonUnreachable, Message: "no answer", Passing: true}
	if again := s.wake(); again != time.Minute {
		t.Errorf("again after %s", again)
	}
	s.expect("nothing is applied any more", s.stopped)
	if c := s.condition(v1beta1.AgentJoined); c.Status != metav1.ConditionUnknown || c.Reason != "InternalMemberClusterFailedToLeave" {
		t.Errorf("Joined: %+v", c)
	}
	s.seen.Failure = nil
	s.wake()
	if c := s.condition(v1beta1.AgentJoined); c.Status != metav1.ConditionFalse || c.Reason != "InternalMemberClusterLeft" || c.ObservedGeneration != 2 {
		t.Errorf("Joined: %+v", c)
	}
	// What has left is not touched again, by whichever agent.
	withdrawn := s.withdrawn
	if again := s.wake(); again != 0 || s.withdrawn != withdrawn {
		t.Errorf("again after %s, withdrawn %d times", again, s.withdrawn-withdrawn)
	}
}
