// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

func TestAClusterJoins(t *testing.T) {
	w, m := newWorld(t, memberCluster()), newMember(t)
	w.setSecret(m.kubeconfig(memberToken))
	again := w.reconcile()

	cluster := w.cluster()
	if !slices.Contains(cluster.Finalizers, wellknown.MemberClusterFinalizer) || cluster.Labels[wellknown.MemberNameLabel] != name {
		t.Errorf("finalizers %v, labels %v", cluster.Finalizers, cluster.Labels)
	}
	w.expect(v1beta1.ConditionTypeMemberClusterReadyToJoin, metav1.ConditionTrue, "MemberClusterReadyToJoin", "Member cluster is ready to join the fleet")
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, "MemberClusterJoined", "Member cluster has successfully joined the fleet")
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionTrue, reasonHealthy)

	at := metav1.NewTime(start)
	agent := findAgent(&cluster.Status)
	if agent == nil || !agent.LastReceivedHeartbeat.Equal(&at) ||
		!meta.IsStatusConditionTrue(agent.Conditions, v1beta1.AgentJoined) || !meta.IsStatusConditionTrue(agent.Conditions, v1beta1.AgentHealthy) {
		t.Errorf("agent %+v", agent)
	}
	want := map[v1beta1.PropertyName]v1beta1.PropertyValue{
		"kubernetes-fleet.io/node-count": {Value: "3", ObservationTime: at},
		"k8s.io/k8s-version":             {Value: "v1.37.2", ObservationTime: at},
	}
	if diff := cmp.Diff(want, cluster.Status.Properties); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}

	namespace := w.namespace()
	if namespace == nil || namespace.Labels[wellknown.FleetResourceLabel] != "true" || len(namespace.OwnerReferences) != 0 {
		t.Errorf("namespace %+v", namespace)
	}
	internal := w.internal()
	if internal == nil || internal.Spec.State != v1beta1.ClusterStateJoin || internal.Spec.HeartbeatPeriodSeconds != 60 {
		t.Fatalf("InternalMemberCluster %+v", internal)
	}
	if diff := cmp.Diff(cluster.Status.AgentStatus, internal.Status.AgentStatus); diff != "" {
		t.Errorf("agents of MemberCluster and InternalMemberCluster differ:\n%s", diff)
	}
	if got := m.annotation(crdOf, wellknown.StoreIDAnnotation); got != storeID {
		t.Errorf("the store id on the member is %q", got)
	}
	if shortest, longest := 57*time.Second, 63*time.Second; again < shortest || again > longest {
		t.Errorf("looks again in %s, want the period with its jitter", again)
	}
	wantEvents := []string{"NamespaceCreated", "InternalMemberClusterCreated", "MemberClusterReadyToJoin", "MemberClusterJoined", "MemberClusterHealthy"}
	if diff := cmp.Diff(wantEvents, w.told()); diff != "" {
		t.Errorf("Events (-want +got):\n%s", diff)
	}
}

func TestWhyAClusterDoesNotJoin(t *testing.T) {
	for name, tc := range map[string]struct {
		member     func(m *member)
		kubeconfig func(t *testing.T, m *member) string
		status     metav1.ConditionStatus
		reason     string
		says       []string
	}{
		"no Secret": {
			kubeconfig: func(*testing.T, *member) string { return "" },
			status:     metav1.ConditionFalse, reason: "SecretNotFound", says: []string{"Secret fleet-system/member-a does not exist", `"kubeconfig"`},
		},
		"a bad kubeconfig": {
			kubeconfig: func(*testing.T, *member) string { return "{" },
			status:     metav1.ConditionFalse, reason: "KubeconfigInvalid", says: []string{"Secret fleet-system/member-a"},
		},
		"nobody listens": {
			kubeconfig: func(t *testing.T, _ *member) string { return kubeconfig(unreachable(t), "", memberToken) },
			status:     metav1.ConditionUnknown, reason: "Unreachable", says: []string{"cannot be reached", "connection refused"},
		},
		"a wrong token": {
			kubeconfig: func(_ *testing.T, m *member) string { return m.kubeconfig("wrong") },
			status:     metav1.ConditionFalse, reason: "Unauthorized", says: []string{"does not accept the credentials"},
		},
		"a member that is not ready": {
			member: func(m *member) { m.ready = false },
			status: metav1.ConditionUnknown, reason: "NotReady", says: []string{"etcd failed"},
		},
		"a member of another store": {
			member: func(m *member) { m.store(crdOf, appliedWorksOf("that-store")) },
			status: metav1.ConditionFalse, reason: "OtherStore",
			says: []string{"that-store", "kubectl annotate crd appliedworks.placement.kubernetes-fleet.io kubernetes-fleet.io/store-id-"},
		},
		"a hub of another store": {
			member: func(m *member) {
				m.isHub = true
				m.store(configMapPath+"/stagegate-store", map[string]any{"metadata": map[string]any{"name": "stagegate-store"}, "data": map[string]any{"id": "that-store"}})
			},
			status: metav1.ConditionFalse, reason: "OtherStore", says: []string{"that-store", "a member of its own fleet only"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, m := newWorld(t, memberCluster()), newMember(t)
			if tc.member != nil {
				m.change(tc.member)
			}
			kubeconfig := m.kubeconfig(memberToken)
			if tc.kubeconfig != nil {
				kubeconfig = tc.kubeconfig(t, m)
			}
			w.setSecret(kubeconfig)
			w.reconcile()
			w.expect(v1beta1.ConditionTypeMemberClusterReadyToJoin, metav1.ConditionTrue, reasonReadyToJoin)
			w.expect(v1beta1.ConditionTypeMemberClusterJoined, tc.status, tc.reason, tc.says...)
			w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionFalse, tc.reason)
			if agents := w.cluster().Status.AgentStatus; len(agents) != 0 {
				t.Errorf("agents %+v", agents)
			}
			if got := m.annotation(crdOf, wellknown.StoreIDAnnotation); got == storeID {
				t.Error("the member was claimed")
			}
			w.writes()
			w.clock.Step(time.Hour)
			w.reconcile()
			if got := w.writes(); got != 0 {
				t.Errorf("%d writes where nothing has changed", got)
			}

			// What kept it from joining is mended.
			m.change(func(m *member) {
				m.ready = true
				delete(m.objects, crdOf)
			})
			m.put(configMapPath+"/stagegate-store", map[string]any{"metadata": map[string]any{"name": "stagegate-store"}, "data": map[string]any{"id": storeID}})
			w.setSecret(m.kubeconfig(memberToken))
			w.clock.Step(time.Hour)
			w.reconcile()
			w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, reasonJoined)
		})
	}
}

func appliedWorksOf(store string) map[string]any {
	return map[string]any{"metadata": map[string]any{
		"name":        appliedWorksName,
		"annotations": map[string]any{wellknown.StoreIDAnnotation: store},
	}}
}

func TestAKindThatIsThereIsAdopted(t *testing.T) {
	w, m := newWorld(t, memberCluster()), newMember(t)
	m.put(crdOf, map[string]any{"metadata": map[string]any{"name": appliedWorksName, "labels": map[string]any{"by": "upstream"}}})
	w.setSecret(m.kubeconfig(memberToken))
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, reasonJoined)
	if got := m.annotation(crdOf, wellknown.StoreIDAnnotation); got != storeID {
		t.Errorf("the store id on the member is %q", got)
	}
	if _, there := m.get(crdOf)["spec"]; there {
		t.Error("the kind was overwritten")
	}
}

func TestAHubIsAMemberWithoutACustomResourceDefinition(t *testing.T) {
	w, m := newWorld(t, memberCluster()), newMember(t)
	m.change(func(m *member) { m.isHub = true })
	w.setSecret(m.kubeconfig(memberToken))
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionUnknown, "NotReady", "ConfigMap fleet-system/stagegate-store")
	if m.get(configMapPath+"/stagegate-store") != nil {
		t.Error("the hub was claimed by joining it")
	}

	m.put(configMapPath+"/stagegate-store", map[string]any{"metadata": map[string]any{"name": "stagegate-store"}, "data": map[string]any{"id": storeID}})
	w.clock.Step(time.Hour)
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, reasonJoined)
	if m.get(crdOf) != nil {
		t.Error("a CustomResourceDefinition was made beside the served kind")
	}
}

func TestHeartbeats(t *testing.T) {
	w, m := joinedWorld(t)
	probes := m.probes()

	w.reconcile()
	w.clock.Step(10 * time.Second)
	w.reconcile()
	if m.probes() != probes || w.writes() != 0 {
		t.Errorf("the member was looked at or written between heartbeats")
	}

	w.clock.Step(53 * time.Second)
	w.reconcile()
	if got := m.probes() - probes; got != 1 {
		t.Errorf("%d looks at the member in a period, want 1", got)
	}
	if got := findAgent(&w.cluster().Status).LastReceivedHeartbeat.Sub(start); got != 63*time.Second {
		t.Errorf("last heartbeat %s after the first, want 63s", got)
	}
	if got := w.writes(); got != 2 {
		t.Errorf("%d writes at a heartbeat, want 2: MemberCluster and InternalMemberCluster", got)
	}
	if events := w.told(); len(events) != 0 {
		t.Errorf("Events at a heartbeat: %v", events)
	}

	// New credentials are tried at once, which is no heartbeat.
	m.change(func(m *member) { m.token = "rotated" })
	w.setSecret(m.kubeconfig("rotated"))
	w.clock.Step(time.Second)
	w.reconcile()
	if got := m.probes() - probes; got != 2 {
		t.Errorf("new credentials were not tried")
	}
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionTrue, reasonHealthy)
	if got := w.writes(); got != 0 {
		t.Errorf("%d writes where nothing has changed", got)
	}
}

func TestAMemberThatFailsStaysJoinedAndIsLookedAtSooner(t *testing.T) {
	w, m := joinedWorld(t)
	m.change(func(m *member) { m.ready = false })
	w.clock.Step(time.Minute + 3*time.Second)
	last := time.Duration(0)
	for range 8 {
		again := w.reconcile()
		if again <= last && last < 57*time.Second {
			t.Errorf("pause %s after %s, want a longer one", again, last)
		}
		last = again
		w.clock.Step(again)
	}
	if last < 57*time.Second || last > 63*time.Second {
		t.Errorf("the longest pause is %s, want the period", last)
	}
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, reasonJoined)
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionFalse, reasonNotReady)
	agent := findAgent(&w.cluster().Status)
	if meta.IsStatusConditionTrue(agent.Conditions, v1beta1.AgentHealthy) || agent.LastReceivedHeartbeat.Sub(start) != 0 {
		t.Errorf("agent %+v", agent)
	}
	if diff := cmp.Diff([]string{"NotReady"}, w.told()); diff != "" {
		t.Errorf("Events (-want +got):\n%s", diff)
	}

	m.change(func(m *member) { m.ready = true })
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionTrue, reasonHealthy)
}

func TestAMemberThatAnotherStoreTakesIsNoLongerJoined(t *testing.T) {
	w, m := joinedWorld(t)
	m.put(crdOf, appliedWorksOf("that-store"))
	w.clock.Step(2 * time.Minute)
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionFalse, reasonOtherStore)
	if isMember(&w.cluster().Status) {
		t.Error("the agent is still joined")
	}
}

func TestTheHubSideIsMended(t *testing.T) {
	w, _ := joinedWorld(t)
	namespaces := w.hub.CoreV1().Namespaces()
	namespace := w.namespace()
	namespace.Labels = nil
	namespace.OwnerReferences = []metav1.OwnerReference{
		{APIVersion: "cluster.kubernetes-fleet.io/v1beta1", Kind: "MemberCluster", Name: name, UID: "1"},
		{APIVersion: "example.com/v1", Kind: "Other", Name: name, UID: "2"},
	}
	if _, err := namespaces.Update(t.Context(), namespace, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	internals := w.api.ClusterV1beta1().InternalMemberClusters(wellknown.MemberNamespace(name))
	if err := internals.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	namespace = w.namespace()
	if namespace.Labels[wellknown.FleetResourceLabel] != "true" || len(namespace.OwnerReferences) != 1 || namespace.OwnerReferences[0].Kind != "Other" {
		t.Errorf("namespace %+v", namespace)
	}
	if w.internal() == nil {
		t.Error("the InternalMemberCluster is not back")
	}
}

func TestANamespaceThatIsStillBeingDeletedIsWaitedFor(t *testing.T) {
	w := newWorld(t, memberCluster())
	now := metav1.NewTime(start)
	if err := w.hub.Tracker().Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: wellknown.MemberNamespace(name), DeletionTimestamp: &now, Finalizers: []string{"kubernetes"},
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.tryReconcile(); err == nil {
		t.Error("no error")
	}
	w.expect(v1beta1.ConditionTypeMemberClusterReadyToJoin, metav1.ConditionFalse, reasonNotReadyToJoin, "fleet-member-a", "still being deleted")
}

func TestAMissingMemberClusterRemovesNothing(t *testing.T) {
	w, m := joinedWorld(t)
	if err := w.api.ClusterV1beta1().MemberClusters().Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.writes()
	if again := w.reconcile(); again != 0 {
		t.Errorf("looks again in %s", again)
	}
	if w.writes() != 0 || w.namespace() == nil || len(m.deleted) != 0 || m.annotation(crdOf, wellknown.StoreIDAnnotation) != storeID {
		t.Error("something was removed")
	}
}
