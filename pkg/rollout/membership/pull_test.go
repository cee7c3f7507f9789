// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/inspect"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

var (
	memberNamespace = wellknown.MemberNamespace(name)
	agentIdentity   = rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: memberNamespace, Name: "agent"}
)

// pulledWorld has a member that waits for its agent.
func pulledWorld(t *testing.T, inFleet ...runtime.Object) *world {
	t.Helper()
	cluster := memberCluster()
	pull(cluster)
	w := newWorld(t, append(inFleet, cluster)...)
	w.reconcile()
	w.told()
	return w
}

func pull(cluster *v1beta1.MemberCluster) {
	metav1.SetMetaDataAnnotation(&cluster.ObjectMeta, wellknown.DeliveryAnnotation, wellknown.DeliveryPull)
	cluster.Spec.Identity = agentIdentity
}

// report has the agent of the member write what it sees, with a heartbeat by its own clock.
func (w *world) report(beat time.Time, change func(*v1beta1.InternalMemberClusterStatus)) {
	w.t.Helper()
	internal := w.internal()
	r := inspect.Reporter{Status: inspect.Restored(internal), Generation: internal.Generation, Period: time.Minute}
	r.Observed(inspect.Observation{At: beat, Properties: map[v1beta1.PropertyName]string{storeid.ClusterUIDProperty: "cluster-a"}})
	internal.Status = inspect.Internal(r.Status, internal.Generation)
	if change != nil {
		change(&internal.Status)
	}
	if _, err := w.api.ClusterV1beta1().InternalMemberClusters(memberNamespace).UpdateStatus(w.t.Context(), internal, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) roleBinding() *rbacv1.RoleBinding {
	w.t.Helper()
	binding, err := w.hub.RbacV1().RoleBindings(memberNamespace).Get(w.t.Context(), wellknown.MemberAgentRole, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return binding
}

func TestAnAgentGetsItsRightsAndIsToldWhoseMemberItServes(t *testing.T) {
	w := pulledWorld(t)
	binding := w.roleBinding()
	if binding == nil {
		t.Fatal("no RoleBinding")
	}
	if diff := cmp.Diff([]rbacv1.Subject{agentIdentity}, binding.Subjects); diff != "" || binding.RoleRef.Name != "stagegate-member-agent" || binding.RoleRef.Kind != "ClusterRole" {
		t.Errorf("gives %v to (-want +got):\n%s", binding.RoleRef, diff)
	}
	account, err := w.hub.CoreV1().ServiceAccounts(memberNamespace).Get(t.Context(), "agent", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{wellknown.DeliveryAnnotation: "Pull", wellknown.StoreIDAnnotation: storeID, wellknown.HubUIDAnnotation: hubUID}
	if diff := cmp.Diff(want, w.internal().Annotations); diff != "" {
		t.Errorf("annotations of the InternalMemberCluster (-want +got):\n%s", diff)
	}
	w.expect(v1beta1.ConditionTypeMemberClusterReadyToJoin, metav1.ConditionTrue, inspect.ReasonReadyToJoin)
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionUnknown, inspect.ReasonJoinUnknown,
		"Member cluster a has not reported all the expected agents, expected 1, got 0")

	// Who deletes the ServiceAccount ends its tokens; the agent can be given new ones.
	if err := w.hub.CoreV1().ServiceAccounts(memberNamespace).Delete(t.Context(), account.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.clock.Step(confirmRights)
	w.reconcile()
	if _, err := w.hub.CoreV1().ServiceAccounts(memberNamespace).Get(t.Context(), "agent", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	// Another identity takes the rights from the one before.
	w.edit(func(cluster *v1beta1.MemberCluster) {
		cluster.Spec.Identity = rbacv1.Subject{Kind: rbacv1.UserKind, Name: "upstream"}
	})
	w.reconcile()
	if diff := cmp.Diff([]rbacv1.Subject{{Kind: "User", Name: "upstream", APIGroup: rbacv1.GroupName}}, w.roleBinding().Subjects); diff != "" {
		t.Errorf("subjects (-want +got):\n%s", diff)
	}
}

// Where the server is killed between the two, what is left tells the next one that there are rights to take.
func TestAnAgentIsToldBeforeItGetsRightsAndLosesThemBeforeItIsTold(t *testing.T) {
	w, _ := joinedWorld(t)
	isTold := func() bool { return wellknown.IsPulled(w.internal().Annotations) }
	asked := map[string]bool{}
	for _, verb := range []string{"create", "delete"} {
		w.hub.PrependReactor(verb, "rolebindings", func(clienttesting.Action) (bool, runtime.Object, error) {
			asked[verb] = isTold()
			return false, nil, nil
		})
	}
	w.edit(pull)
	w.reconcile()
	if !asked["create"] || w.roleBinding() == nil {
		t.Errorf("told before it had rights: %v", asked)
	}
	w.told()
	w.edit(func(cluster *v1beta1.MemberCluster) { delete(cluster.Annotations, wellknown.DeliveryAnnotation) })
	w.reconcile()
	if !asked["delete"] || w.roleBinding() != nil || isTold() {
		t.Errorf("it had no rights before it was told: %v", asked)
	}
}

func TestTheRightsOfAnAgentGoWithoutAnInternalMemberCluster(t *testing.T) {
	w := pulledWorld(t)
	if err := w.api.ClusterV1beta1().InternalMemberClusters(memberNamespace).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.edit(func(cluster *v1beta1.MemberCluster) { delete(cluster.Annotations, wellknown.DeliveryAnnotation) })
	w.reconcile()
	if binding := w.roleBinding(); binding != nil {
		t.Errorf("the agent has rights still: %v", binding.Subjects)
	}
}

func TestAMemberWithAnAgentIsNeverAsked(t *testing.T) {
	w, m := joinedWorld(t)
	w.edit(pull)
	probes := m.probes()
	for range 3 {
		w.clock.Step(time.Hour)
		w.reconcile()
		w.collect()
		w.directory.Doubt(name)
	}
	w.delete()
	w.reconcile()
	if got := m.probes(); got != probes {
		t.Errorf("asked %d times", got-probes)
	}
	if m.get(crdOf) == nil {
		t.Error("it was withdrawn from")
	}
}

func TestWhatAnAgentReportsIsReadAndNotWritten(t *testing.T) {
	w := pulledWorld(t)
	w.report(start, func(status *v1beta1.InternalMemberClusterStatus) {
		status.Namespaces = map[string]string{"web": "web-work"}
		status.ResourceUsage.Capacity = list("4", "8Gi")
		status.Conditions = append(status.Conditions, metav1.Condition{
			Type: v1beta1.ConditionTypeNamespaceCollectionSucceeded, Status: metav1.ConditionTrue, Reason: "Succeeded", LastTransitionTime: metav1.NewTime(start),
		})
	})
	before := w.internal()
	w.reconcile()
	if diff := cmp.Diff(before, w.internal()); diff != "" {
		t.Errorf("the InternalMemberCluster was written (-before +after):\n%s", diff)
	}
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionTrue, inspect.ReasonHealthy)
	w.expect(v1beta1.ConditionTypeNamespaceCollectionSucceeded, metav1.ConditionTrue, "Succeeded")
	got := w.cluster().Status
	if got.Namespaces["web"] != "web-work" || got.ResourceUsage.Capacity.Cpu().Value() != 4 || got.Properties[storeid.ClusterUIDProperty].Value != "cluster-a" {
		t.Errorf("status %+v", got)
	}
	if agent := inspect.Agent(&got); agent == nil || !agent.LastReceivedHeartbeat.Time.Equal(start) {
		t.Errorf("agent %+v", agent)
	}
	// From now on the agent is told which cluster is the member.
	w.reconcile()
	if got := w.internal().Annotations[wellknown.ClusterUIDAnnotation]; got != "cluster-a" {
		t.Errorf("the agent is told cluster %q", got)
	}
}

func TestAnAgentThatSaysItCannotJoinIsQuoted(t *testing.T) {
	w := pulledWorld(t)
	w.report(start, func(status *v1beta1.InternalMemberClusterStatus) {
		r := inspect.Reporter{Status: &v1beta1.MemberClusterStatus{}, Period: time.Minute}
		r.Alive(start, &inspect.Failure{Reason: inspect.ReasonOtherStore, Message: "another store's"})
		*status = inspect.Internal(r.Status, 0)
	})
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionFalse, inspect.ReasonOtherStore, "another store's")
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionFalse, inspect.ReasonAgentUnhealthy, "another store's")
}

func TestAnAgentThatIsSilentMakesItsMemberUnhealthy(t *testing.T) {
	w := pulledWorld(t)
	// Its clock is an hour behind, which is nobody's business.
	skew := -time.Hour
	w.report(start.Add(skew), nil)
	again := w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionTrue, inspect.ReasonHealthy)
	if again != 3*time.Minute {
		t.Errorf("looked at again after %s, want when it has been silent for 3 periods", again)
	}
	w.clock.Step(time.Minute)
	w.report(start.Add(time.Minute+skew), nil)
	w.reconcile()
	w.clock.Step(3*time.Minute - time.Second)
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionTrue, inspect.ReasonHealthy)
	w.clock.Step(time.Second)
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionFalse, "MemberAgentHeartbeatLost", "was not heard of since 2026-01-02T12:01:00Z")
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)
	if agent := inspect.Agent(&w.cluster().Status); meta.IsStatusConditionTrue(agent.Conditions, v1beta1.AgentHealthy) {
		t.Error("placements still find the agent healthy")
	}

	// Another server takes over. What it does not know is in the status.
	w.controller.forget(name)
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionFalse, "MemberAgentHeartbeatLost", "was not heard of since 2026-01-02T12:01:00Z")

	w.report(start.Add(time.Hour), nil)
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionTrue, inspect.ReasonHealthy)
}

func TestAMemberStaysJoinedWhereItsInternalMemberClusterWasDeleted(t *testing.T) {
	w := pulledWorld(t)
	w.report(start, nil)
	w.reconcile()
	if err := w.api.ClusterV1beta1().InternalMemberClusters(memberNamespace).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.clock.Step(time.Hour)
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionFalse, "MemberAgentHeartbeatLost")
}

func TestNothingIsTakenFromTheAgentOfAnotherCluster(t *testing.T) {
	w := pulledWorld(t)
	w.report(start, nil)
	w.reconcile()
	w.clock.Step(time.Minute)
	w.report(start.Add(time.Minute), func(status *v1beta1.InternalMemberClusterStatus) {
		status.Properties[storeid.ClusterUIDProperty] = v1beta1.PropertyValue{Value: "cluster-b"}
		status.Namespaces = map[string]string{"of-b": ""}
	})
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionFalse, inspect.ReasonOtherMember, "cluster-b", wellknown.AdoptClusterUIDAnnotation)
	if got := w.cluster().Status; got.Properties[storeid.ClusterUIDProperty].Value != "cluster-a" || len(got.Namespaces) > 0 {
		t.Errorf("taken: %+v", got)
	}
	w.edit(func(cluster *v1beta1.MemberCluster) {
		metav1.SetMetaDataAnnotation(&cluster.ObjectMeta, wellknown.AdoptClusterUIDAnnotation, "cluster-b")
	})
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)
	if got := w.internal().Annotations[wellknown.AdoptClusterUIDAnnotation]; got != "cluster-b" {
		t.Errorf("the agent is told to adopt %q", got)
	}
}

func TestWhichClusterIsTheMemberIsNotForgotten(t *testing.T) {
	w := pulledWorld(t)
	w.report(start, nil)
	w.reconcile()
	w.clock.Step(time.Minute)
	w.report(start.Add(time.Minute), func(status *v1beta1.InternalMemberClusterStatus) {
		status.Properties = map[v1beta1.PropertyName]v1beta1.PropertyValue{"kubernetes-fleet.io/node-count": {Value: "7"}}
	})
	w.reconcile()
	if got := w.cluster().Status.Properties; got[storeid.ClusterUIDProperty].Value != "cluster-a" || len(got) != 2 {
		t.Errorf("properties %v", got)
	}
	w.report(start.Add(2*time.Minute), func(status *v1beta1.InternalMemberClusterStatus) {
		status.Properties[storeid.ClusterUIDProperty] = v1beta1.PropertyValue{Value: "cluster-b"}
	})
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionFalse, inspect.ReasonOtherMember)
}

func TestWhatAnAgentReportsIsBounded(t *testing.T) {
	w := pulledWorld(t)
	long := strings.Repeat("x", 30000)
	w.report(start, func(status *v1beta1.InternalMemberClusterStatus) {
		status.Namespaces = map[string]string{"Not A Name": ""}
		for i := range 1000 {
			status.Namespaces[fmt.Sprintf("n-%04d", i)] = "No Work"
			status.Properties[v1beta1.PropertyName(fmt.Sprintf("p-%04d", i))] = v1beta1.PropertyValue{Value: long}
			condition := metav1.Condition{Type: fmt.Sprintf("C%d", i), Status: metav1.ConditionTrue, Reason: "R"}
			status.Conditions = append(status.Conditions, condition)
			status.AgentStatus = append(status.AgentStatus, v1beta1.AgentStatus{Type: v1beta1.AgentType(fmt.Sprintf("A%d", i)), Conditions: []metav1.Condition{condition}})
		}
		status.AgentStatus[0].Conditions = append(status.AgentStatus[0].Conditions, metav1.Condition{Type: "Other", Message: long})
		for i := range status.AgentStatus[0].Conditions {
			status.AgentStatus[0].Conditions[i].Message = long
		}
		status.ResourceUsage.Capacity = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("-4"), "gpu": resource.MustParse("1")}
	})
	w.reconcile()
	got := w.cluster().Status
	if len(got.Namespaces) != inspect.MaxNamespaces || got.Namespaces["n-0000"] != "" || len(got.Properties) > 100 || len(got.AgentStatus) != 1 ||
		len(got.AgentStatus[0].Conditions) != 2 || len(got.Conditions) > 3 || len(got.ResourceUsage.Capacity) > 0 {
		t.Errorf("%d namespaces, %d properties, %d agents, %d conditions, capacity %v",
			len(got.Namespaces), len(got.Properties), len(got.AgentStatus), len(got.Conditions), got.ResourceUsage.Capacity)
	}
	for _, condition := range slices.Concat(got.Conditions, got.AgentStatus[0].Conditions) {
		if len(condition.Message) > inspect.MaxMessage {
			t.Errorf("the message of %s has %d bytes", condition.Type, len(condition.Message))
		}
	}
}

// What the server does is over before the agent begins, and the agent has no rights any more before the server begins.
func TestOneSideLetsGoBeforeTheOtherBegins(t *testing.T) {
	w, m := joinedWorld(t)
	w.edit(pull)
	w.reconcile()
	w.report(start.Add(time.Minute), nil)
	w.clock.Step(time.Minute)
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)

	refused := true
	w.hub.PrependReactor("delete", "rolebindings", func(clienttesting.Action) (bool, runtime.Object, error) {
		if refused {
			return true, nil, apierrors.NewInternalError(fmt.Errorf("not now"))
		}
		return false, nil, nil
	})
	w.edit(func(cluster *v1beta1.MemberCluster) { delete(cluster.Annotations, wellknown.DeliveryAnnotation) })
	probes := m.probes()
	if _, err := w.tryReconcile(); err == nil {
		t.Error("the rights of the agent were not taken, and nobody noticed")
	}
	if m.probes() != probes || !wellknown.IsPulled(w.internal().Annotations) {
		t.Error("the server has begun while the agent may go on")
	}
	select {
	case <-w.woken:
		// That of the Secret.
	default:
	}
	refused = false
	w.reconcile()
	select {
	case <-w.woken:
	case <-time.After(time.Minute):
		t.Error("the server is not told that it may begin")
	}
	if w.roleBinding() != nil || m.probes() != probes+1 {
		t.Errorf("RoleBinding %v, asked %d times", w.roleBinding(), m.probes()-probes)
	}
	if annotations := w.internal().Annotations; len(annotations) > 0 {
		t.Errorf("annotations of the InternalMemberCluster: %v", annotations)
	}
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)
}

func TestAMemberWithAnAgentLeavesOnceTheAgentHasCleanedUp(t *testing.T) {
	w := pulledWorld(t, work(memberNamespace, "web-work"))
	w.report(start, nil)
	w.reconcile()
	w.neverDeleteWithFinalizer()
	w.delete()
	w.reconcile()
	w.reconcile()
	if w.internal().Spec.State != v1beta1.ClusterStateLeave {
		t.Error("the agent was not told")
	}
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionUnknown, inspect.ReasonLeaving, "has not said yet that it has cleaned up", "12:15:00Z")
	if works, _ := w.api.PlacementV1beta1().Works(memberNamespace).List(t.Context(), metav1.ListOptions{}); len(works.Items) != 1 || w.roleBinding() == nil {
		t.Errorf("Works or rights went before the agent has cleaned up: %d Works, RoleBinding %v", len(works.Items), w.roleBinding())
	}
	w.report(start.Add(time.Minute), func(status *v1beta1.InternalMemberClusterStatus) {
		r := inspect.Reporter{Status: &v1beta1.MemberClusterStatus{AgentStatus: status.AgentStatus}}
		r.Left()
		status.AgentStatus = r.Status.AgentStatus
	})
	for range 3 {
		w.reconcile()
	}
	w.hasLeft()
}

func TestAMemberWhoseAgentIsGoneLeavesAfterTheWait(t *testing.T) {
	w := pulledWorld(t, work(memberNamespace, "web-work"))
	w.report(start, nil)
	w.reconcile()
	w.neverDeleteWithFinalizer()
	w.delete()
	w.reconcile()
	w.clock.Step(testOptions.ForceDeleteWait - time.Second)
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionUnknown, inspect.ReasonLeaving, "was not heard of since 2026-01-02T12:00:00Z")
	w.clock.Step(time.Second)
	for range 3 {
		w.reconcile()
	}
	w.hasLeft()
	if told := w.told(); !slices.Contains(told, "MemberClusterNotCleanedUp") {
		t.Errorf("Events %v", told)
	}
}

// Whoever has the token may change the Works all the time, also those that have just lost the finalizer.
func TestAMemberLeavesWhateverIsDoneWithTheTokenOfItsAgent(t *testing.T) {
	for name, prepare := range map[string]func(*v1beta1.MemberCluster){
		"by pull": func(*v1beta1.MemberCluster) {},
		"when it was just changed to push": func(cluster *v1beta1.MemberCluster) {
			delete(cluster.Annotations, wellknown.DeliveryAnnotation)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := pulledWorld(t, work(memberNamespace, "web-work"))
			w.report(start, nil)
			w.reconcile()
			w.api.PrependReactor("delete", "works", func(action clienttesting.Action) (bool, runtime.Object, error) {
				if w.roleBinding() == nil {
					return false, nil, nil
				}
				return true, nil, apierrors.NewConflict(action.GetResource().GroupResource(), "web-work", fmt.Errorf("it has changed"))
			})
			w.edit(func(cluster *v1beta1.MemberCluster) {
				prepare(cluster)
				cluster.Spec.DeleteOptions = &v1beta1.DeleteOptions{ValidationMode: v1beta1.DeleteValidationModeSkip}
			})
			w.delete()
			for range 3 {
				w.reconcile()
			}
			w.hasLeft()
		})
	}
}

// A hub that reaches all of its members need not let the server write RoleBindings.
func TestAMemberWithoutAnAgentJoinsWithoutRightsOnRoleBindings(t *testing.T) {
	w, m := newWorld(t, memberCluster()), newMember(t)
	w.setSecret(m.kubeconfig(memberToken))
	w.hub.PrependReactor("*", "rolebindings", func(action clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(action.GetResource().GroupResource(), wellknown.MemberAgentRole, fmt.Errorf("no rights"))
	})
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)
}

func TestAMemberWithoutAnAgentLeavesWithoutRightsOnRoleBindings(t *testing.T) {
	w, _ := joinedWorld(t)
	w.hub.PrependReactor("*", "rolebindings", func(action clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(action.GetResource().GroupResource(), wellknown.MemberAgentRole, fmt.Errorf("no rights"))
	})
	w.delete()
	for range 3 {
		w.reconcile()
	}
	w.hasLeft()
}
