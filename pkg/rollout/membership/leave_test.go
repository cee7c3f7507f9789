// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	placementv1beta1 "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/inspect"
	"github.com/stagegate/stagegate/pkg/rollout/members"
)

func work(namespace, name string) *placementv1beta1.Work {
	return &placementv1beta1.Work{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: "uid", Finalizers: []string{wellknown.WorkCleanupFinalizer},
	}}
}

func (m *member) putAppliedWork(name, namespace string) {
	m.put(appliedPath+"/"+name, map[string]any{
		"metadata": map[string]any{"name": name},
		"spec":     map[string]any{"workName": name, "workNamespace": namespace},
	})
}

// neverDeleteWithFinalizer fails the test where a Work would get a deletion timestamp, which an applier takes for the wish to have its
// workload removed.
func (w *world) neverDeleteWithFinalizer() {
	w.api.PrependReactor("delete", "works", func(action clienttesting.Action) (bool, runtime.Object, error) {
		deletion := action.(clienttesting.DeleteActionImpl)
		found, err := w.api.Tracker().Get(action.GetResource(), deletion.Namespace, deletion.Name)
		if err != nil {
			w.t.Error(err)
		}
		if work := found.(*placementv1beta1.Work); len(work.Finalizers) != 0 {
			w.t.Errorf("Work %s is deleted with finalizers %v", work.Name, work.Finalizers)
		}
		if p := deletion.DeleteOptions.Preconditions; p == nil || p.ResourceVersion == nil {
			w.t.Error("a Work is deleted whatever was made of it meanwhile")
		}
		return false, nil, nil
	})
}

// hasLeft checks that nothing but the MemberCluster is left on the hub, and lets that go.
func (w *world) hasLeft() {
	w.t.Helper()
	w.reconcile()
	if w.internal() != nil || w.namespace() != nil {
		w.t.Error("the namespace or the InternalMemberCluster is still there")
	}
	works, err := w.api.PlacementV1beta1().Works(wellknown.MemberNamespace(name)).List(w.t.Context(), metav1.ListOptions{})
	if err != nil || len(works.Items) != 0 {
		w.t.Errorf("%d Works are left, %v", len(works.Items), err)
	}
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionFalse, inspect.ReasonLeft, "Member cluster has left the fleet")
	if finalizers := w.cluster().Finalizers; slices.Contains(finalizers, wellknown.MemberClusterFinalizer) {
		w.t.Errorf("finalizers %v", finalizers)
	}
}

func TestAClusterLeavesAndKeepsItsWorkloads(t *testing.T) {
	namespace := wellknown.MemberNamespace(name)
	w, m := joinedWorld(t, work(namespace, "one"), work(namespace, "two"), work("fleet-member-b", "other"))
	w.neverDeleteWithFinalizer()
	m.putAppliedWork("ours", namespace)
	m.putAppliedWork("others", "fleet-member-b")

	w.delete()
	w.reconcile()
	if finalizers := w.cluster().Finalizers; !slices.Contains(finalizers, wellknown.MemberClusterFinalizer) {
		t.Error("the MemberCluster goes before its namespace is seen to be gone")
	}
	w.hasLeft()

	if diff := cmp.Diff([]string{"MemberClusterLeaving", "MemberClusterLeft"}, w.told()); diff != "" {
		t.Errorf("Events (-want +got):\n%s", diff)
	}
	if m.get(appliedPath+"/ours") != nil || m.deleted[appliedPath+"/ours"]["propagationPolicy"] != "Orphan" {
		t.Errorf("the AppliedWork was deleted with %v, want Orphan", m.deleted[appliedPath+"/ours"])
	}
	if m.get(appliedPath+"/others") == nil {
		t.Error("the AppliedWork of another member was deleted")
	}
	if m.get(crdOf) == nil || m.annotation(crdOf, wellknown.StoreIDAnnotation)+m.annotation(crdOf, wellknown.HubUIDAnnotation)+
		m.annotation(crdOf, wellknown.MemberNameAnnotation) != "" {
		t.Error("the kind must stay on the member, without what it has joined as")
	}
	if _, err := w.api.PlacementV1beta1().Works("fleet-member-b").Get(t.Context(), "other", metav1.GetOptions{}); err != nil {
		t.Errorf("Work of another member: %v", err)
	}
}

// An AppliedWork is held until what it owns was let go of. One that the garbage collector takes out of the owners goes without that.
func TestAClusterThatLeavesHoldsNoAppliedWork(t *testing.T) {
	for _, tc := range []struct {
		name       string
		finalizers []any
		deleted    bool
		// want are the finalizers after it, and orphan is whether its deletion asks for that.
		want   []any
		orphan bool
	}{
		{name: "held", finalizers: []any{wellknown.AppliedWorkFinalizer}, want: []any{}, orphan: true},
		{name: "held and deleted by somebody", finalizers: []any{wellknown.AppliedWorkFinalizer}, deleted: true, want: []any{}, orphan: true},
		{name: "orphaned by a pass that was cut off", finalizers: []any{wellknown.AppliedWorkFinalizer, "orphan"}, deleted: true, want: []any{"orphan"}},
		{name: "orphaned", finalizers: []any{"orphan"}, deleted: true, want: []any{"orphan"}},
		{name: "of an earlier version", orphan: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, m := joinedWorld(t)
			metadata := map[string]any{"name": "ours", "resourceVersion": "1"}
			if tc.finalizers != nil {
				metadata["finalizers"] = tc.finalizers
			}
			if tc.deleted {
				metadata["deletionTimestamp"] = "2026-11-23T02:20:00Z"
			}
			at := appliedPath + "/ours"
			m.put(at, map[string]any{"metadata": metadata, "spec": map[string]any{"workName": "ours", "workNamespace": wellknown.MemberNamespace(name)}})
			m.keepDeleted = true
			w.delete()
			w.reconcile()
			if got := m.deleted[at]["propagationPolicy"] == "Orphan"; got != tc.orphan {
				t.Errorf("deleted with %v, want Orphan %t", m.deleted[at], tc.orphan)
			}
			got, _ := m.get(at)["metadata"].(map[string]any)["finalizers"].([]any)
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("finalizers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAClusterThatNeverJoinedLeavesAtOnce(t *testing.T) {
	w := newWorld(t, memberCluster())
	w.reconcile()
	w.delete()
	w.reconcile()
	w.hasLeft()
}

func TestAClusterOfAnotherStoreLeavesUntouched(t *testing.T) {
	w, m := joinedWorld(t)
	m.put(crdOf, appliedWorksOf("that-store"))
	m.putAppliedWork("theirs", wellknown.MemberNamespace(name))
	w.delete()
	w.reconcile()
	w.hasLeft()
	if m.annotation(crdOf, wellknown.StoreIDAnnotation) != "that-store" || len(m.deleted) != 0 {
		t.Error("something of the other store was touched")
	}
}

func TestLeavingThroughTheKubeconfigOfAnotherMemberTouchesNothing(t *testing.T) {
	w, _ := joinedWorld(t)
	other := newMember(t)
	other.put(systemPath, namespaceOf("cluster-b"))
	other.put(crdOf, joinedAs(map[string]any{
		wellknown.StoreIDAnnotation: storeID, wellknown.HubUIDAnnotation: hubUID, wellknown.MemberNameAnnotation: "b",
	}))
	other.putAppliedWork("theirs", "fleet-member-b")
	w.setSecret(other.kubeconfig(memberToken))
	w.delete()
	w.reconcile()
	w.hasLeft()
	if other.annotation(crdOf, wellknown.MemberNameAnnotation) != "b" || len(other.deleted) != 0 {
		t.Error("something of the other member was touched")
	}
}

func TestLeavingAMemberThatCannotBeReached(t *testing.T) {
	lose := func(w *world, m *member) {
		m.Close()
		w.delete()
	}
	t.Run("is waited for, and then left as it is", func(t *testing.T) {
		applied := func(work *placementv1beta1.Work) *placementv1beta1.Work {
			work.Status.Conditions = []metav1.Condition{{Type: placementv1beta1.WorkApplied, Status: metav1.ConditionFalse}}
			return work
		}
		begun, never := work(wellknown.MemberNamespace(name), "begun"), work(wellknown.MemberNamespace(name), "never")
		never.Finalizers = nil
		w, m := joinedWorld(t, applied(work(wellknown.MemberNamespace(name), "two")), applied(work(wellknown.MemberNamespace(name), "one")),
			begun, never, applied(work("fleet-member-b", "theirs")))
		lose(w, m)
		again := w.reconcile()
		if again <= 0 || again > 2*time.Second {
			t.Errorf("tries again in %s, want soon", again)
		}
		w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionUnknown, inspect.ReasonLeaving, "until 12:15:00Z", "validationMode to Skip", "cannot be reached")
		w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionFalse, inspect.ReasonUnreachable)
		if w.namespace() == nil {
			t.Error("the namespace was deleted while the member is waited for")
		}
		w.writes()
		w.clock.Step(10 * time.Minute)
		w.reconcile()
		if got := w.writes(); got != 0 {
			t.Errorf("%d writes where nothing has changed", got)
		}
		w.told()

		w.clock.Step(5 * time.Minute)
		w.reconcile()
		if event, want := <-w.events, "Warning MemberClusterNotCleanedUp The store id and 2 AppliedWorks stay on the member, "+
			"with what they have placed (one, two), and perhaps 1 more that it has not told of (begun); their status lists the objects to delete, and the AppliedWorks take kubectl delete and the removal of their finalizer: The member cannot be reached: "; !strings.HasPrefix(event, want) {
			t.Errorf("Event %q, want %q", event, want)
		}
		w.hasLeft()
	})
	t.Run("goes on when it is back", func(t *testing.T) {
		w, m := joinedWorld(t)
		m.change(func(m *member) { m.token = "other" })
		w.delete()
		w.reconcile()
		w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionUnknown, inspect.ReasonLeaving, "does not accept the credentials")
		w.setSecret(m.kubeconfig("other"))
		w.reconcile()
		w.hasLeft()
		if got := m.annotation(crdOf, wellknown.StoreIDAnnotation); got != "" {
			t.Errorf("store id %q is left on the member", got)
		}
	})
	t.Run("is not waited for with Skip", func(t *testing.T) {
		w, m := joinedWorld(t)
		w.edit(func(cluster *v1beta1.MemberCluster) {
			cluster.Spec.DeleteOptions = &v1beta1.DeleteOptions{ValidationMode: v1beta1.DeleteValidationModeSkip}
		})
		lose(w, m)
		w.reconcile()
		w.hasLeft()
	})
	t.Run("is waited for without a Secret, too", func(t *testing.T) {
		w, _ := joinedWorld(t)
		w.setSecret("")
		w.delete()
		if got := w.reconcile(); got != testOptions.ForceDeleteWait {
			t.Errorf("tries again in %s, want %s", got, testOptions.ForceDeleteWait)
		}
		w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionUnknown, inspect.ReasonLeaving, "Secret fleet-system/member-a does not exist")
	})
}

func TestTheNamespaceIsWaitedFor(t *testing.T) {
	w, _ := joinedWorld(t)
	namespace, now := w.namespace(), metav1.NewTime(start)
	namespace.DeletionTimestamp = &now
	w.hub.PrependReactor("delete", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, w.hub.Tracker().Update(corev1.SchemeGroupVersion.WithResource("namespaces"), namespace, "")
	})
	w.delete()
	for range 3 {
		if again := w.reconcile(); again != 0 {
			t.Errorf("looks again in %s, want to be told", again)
		}
	}
	if !slices.Contains(w.cluster().Finalizers, wellknown.MemberClusterFinalizer) {
		t.Error("the MemberCluster goes before its namespace")
	}
}

func TestNothingIsRemovedWhileTheMemberIsInUse(t *testing.T) {
	w, m := joinedWorld(t)
	w.controller.fleet.Start(t.Context().Done())
	started, told, mayEnd, supervised := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		supervised <- members.Supervise(ctx, w.controller.fleet, w.directory, func(ctx context.Context, _ *members.Member) error {
			close(started)
			<-ctx.Done()
			close(told)
			<-mayEnd
			return nil
		})
	}()
	<-started
	w.delete()
	<-told

	cluster := w.cluster()
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := w.controller.leave(ended, cluster); err == nil {
		t.Error("no error while the member is in use")
	}
	if w.namespace() == nil || w.internal() == nil || m.annotation(crdOf, wellknown.StoreIDAnnotation) != storeID {
		t.Error("something was removed while the member is in use")
	}
	idle := w.directory.Idle(name)
	close(mayEnd)
	<-idle
	if _, err := w.controller.leave(t.Context(), cluster); err != nil {
		t.Error(err)
	}
	if w.namespace() != nil {
		t.Error("the namespace is still there")
	}
	cancel()
	if err := <-supervised; err != nil {
		t.Error(err)
	}
}
