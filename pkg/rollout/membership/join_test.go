// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/inspect"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
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
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionTrue, inspect.ReasonHealthy)

	at := metav1.NewTime(start)
	agent := inspect.Agent(&cluster.Status)
	if agent == nil || !agent.LastReceivedHeartbeat.Equal(&at) ||
		!meta.IsStatusConditionTrue(agent.Conditions, v1beta1.AgentJoined) || !meta.IsStatusConditionTrue(agent.Conditions, v1beta1.AgentHealthy) {
		t.Errorf("agent %+v", agent)
	}
	want := map[v1beta1.PropertyName]v1beta1.PropertyValue{
		"kubernetes-fleet.io/node-count":  {Value: "3", ObservationTime: at},
		"k8s.io/k8s-version":              {Value: "v1.37.2", ObservationTime: at},
		"kubernetes-fleet.io/cluster-uid": {Value: "cluster-a", ObservationTime: at},
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
	ofAnotherGeneration := cmpopts.IgnoreFields(metav1.Condition{}, "ObservedGeneration")
	if diff := cmp.Diff(cluster.Status.AgentStatus, internal.Status.AgentStatus, ofAnotherGeneration); diff != "" {
		t.Errorf("agents of MemberCluster and InternalMemberCluster differ:\n%s", diff)
	}
	for annotation, want := range map[string]string{
		wellknown.StoreIDAnnotation: storeID, wellknown.HubUIDAnnotation: hubUID, wellknown.MemberNameAnnotation: name,
	} {
		if got := m.annotation(crdOf, annotation); got != want {
			t.Errorf("%s on the member is %q, want %q", annotation, got, want)
		}
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
		// mend takes back what the member does, beyond what is mended for all.
		mend func(m *member)
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
			status:     metav1.ConditionUnknown, reason: "Unreachable", says: []string{"cannot be reached", "connection refused; if that is not its address, put its kubeconfig into Secret fleet-system/member-a"},
		},
		"a wrong token": {
			kubeconfig: func(_ *testing.T, m *member) string { return m.kubeconfig("wrong") },
			status:     metav1.ConditionFalse, reason: "Unauthorized", says: []string{"does not accept the credentials: the server has asked for the client to provide credentials; put a kubeconfig that it accepts into Secret fleet-system/member-a"},
		},
		"no TLS": {
			kubeconfig: func(_ *testing.T, m *member) string {
				return strings.Replace(m.kubeconfig(memberToken), "https://", "http://", 1)
			},
			status: metav1.ConditionFalse, reason: "KubeconfigRefused", says: []string{"a server without TLS is not allowed", "--allow-insecure-members"},
		},
		"a proxy that does not answer": {
			kubeconfig: func(t *testing.T, m *member) string {
				proxy := strings.TrimPrefix(unreachable(t), "https://")
				return strings.Replace(m.kubeconfig(memberToken), "{server:", `{proxy-url: "http://user:password@`+proxy+`", server:`, 1)
			},
			status: metav1.ConditionUnknown, reason: "Unreachable", says: []string{"cannot be reached", "(through the proxy http://127.0.0.1:"},
		},
		"a member that redirects": {
			member: func(m *member) { m.redirect = "https://metadata.example/latest" },
			mend:   func(m *member) { m.redirect = "" },
			status: metav1.ConditionUnknown, reason: "Unreachable",
			says: []string{"redirects GET /readyz to https://metadata.example/latest, and redirects are not followed"},
		},
		"a uid that is a program": {
			member: func(m *member) { m.store(systemPath, namespaceOf("$(reboot)")) },
			mend:   func(m *member) { m.store(systemPath, namespaceOf("cluster-a")) },
			status: metav1.ConditionUnknown, reason: "Unreachable", says: []string{"has none that can be one"},
		},
		"a member that says very much": {
			member: func(m *member) { m.store(crdOf, appliedWorksOf(strings.Repeat("x", 100<<10))) },
			status: metav1.ConditionFalse, reason: "OtherStore", says: []string{"belongs to another fleet", "kubernetes-fleet.io/store-id-"},
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
		"a member of another hub with a copy of the store": {
			member: func(m *member) {
				m.store(crdOf, joinedAs(map[string]any{wellknown.StoreIDAnnotation: storeID, wellknown.HubUIDAnnotation: "that-hub"}))
			},
			status: metav1.ConditionFalse, reason: "OtherHub",
			says: []string{"that-hub", hubUID, "kubectl annotate crd appliedworks.placement.kubernetes-fleet.io kubernetes-fleet.io/hub-uid-"},
		},
		"another member": {
			member: func(m *member) {
				m.store(crdOf, joinedAs(map[string]any{
					wellknown.StoreIDAnnotation: storeID, wellknown.HubUIDAnnotation: hubUID, wellknown.MemberNameAnnotation: "b",
				}))
			},
			status: metav1.ConditionFalse, reason: "OtherMember",
			says: []string{"joined as member b", "kubectl annotate --overwrite crd appliedworks.placement.kubernetes-fleet.io kubernetes-fleet.io/member-name=a"},
		},
		"what an earlier version has made another member": {
			member: func(m *member) {
				m.store(crdOf, appliedWorksOf(storeID))
				m.store(appliedPath+"/web-work", map[string]any{
					"metadata": map[string]any{"name": "web-work"}, "spec": map[string]any{"workNamespace": "fleet-member-b"},
				})
			},
			status: metav1.ConditionFalse, reason: "OtherMember", says: []string{"AppliedWork web-work", "fleet-member-b"},
		},
		"a hub of another store": {
			member: func(m *member) {
				m.isHub = true
				m.store(systemPath, namespaceOf(hubUID))
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
			w.expect(v1beta1.ConditionTypeMemberClusterReadyToJoin, metav1.ConditionTrue, inspect.ReasonReadyToJoin)
			w.expect(v1beta1.ConditionTypeMemberClusterJoined, tc.status, tc.reason, tc.says...)
			w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionFalse, tc.reason)
			if agents := w.cluster().Status.AgentStatus; len(agents) != 0 {
				t.Errorf("agents %+v", agents)
			}
			for _, c := range w.cluster().Status.Conditions {
				if len(c.Message) > 2*inspect.MaxMessage || strings.Contains(c.Message, "password") {
					t.Errorf("%s says %d bytes: %q", c.Type, len(c.Message), c.Message)
				}
			}
			if m.annotation(crdOf, wellknown.StoreIDAnnotation) == storeID && m.annotation(crdOf, wellknown.HubUIDAnnotation) == hubUID &&
				m.annotation(crdOf, wellknown.MemberNameAnnotation) == name {
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
				if tc.mend != nil {
					tc.mend(m)
				}
			})
			m.put(configMapPath+"/stagegate-store", map[string]any{"metadata": map[string]any{"name": "stagegate-store"}, "data": map[string]any{"id": storeID}})
			w.setSecret(m.kubeconfig(memberToken))
			w.clock.Step(time.Hour)
			w.reconcile()
			w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)
		})
	}
}

func appliedWorksOf(store string) map[string]any {
	return joinedAs(map[string]any{wellknown.StoreIDAnnotation: store})
}

func joinedAs(annotations map[string]any) map[string]any {
	return map[string]any{"metadata": map[string]any{"name": storeid.MemberCRD, "annotations": annotations}}
}

func TestAMemberOfAnEarlierVersionSaysAsWhatItHasJoinedAtTheFirstLook(t *testing.T) {
	w, m := newWorld(t, memberCluster()), newMember(t)
	m.put(crdOf, appliedWorksOf(storeID))
	m.putAppliedWork("web-work", wellknown.MemberNamespace(name))
	w.setSecret(m.kubeconfig(memberToken))
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)
	if got := m.annotation(crdOf, wellknown.HubUIDAnnotation) + " " + m.annotation(crdOf, wellknown.MemberNameAnnotation); got != hubUID+" "+name {
		t.Errorf("hub and name on the member are %q", got)
	}
	if got := w.cluster().Status.Properties[storeid.ClusterUIDProperty].Value; got != "cluster-a" {
		t.Errorf("the uid of the cluster is %q", got)
	}
}

func TestAKubeconfigThatLeadsElsewhereEndsTheMembership(t *testing.T) {
	for _, tc := range []struct {
		name  string
		there func(m *member)
		// adopt is what the message says to do, to say done.
		says  string
		adopt func(w *world, m *member)
	}{
		{
			name: "to another member",
			there: func(m *member) {
				m.put(systemPath, namespaceOf("cluster-b"))
				m.put(crdOf, joinedAs(map[string]any{
					wellknown.StoreIDAnnotation: storeID, wellknown.HubUIDAnnotation: hubUID, wellknown.MemberNameAnnotation: "b",
				}))
			},
			says: "joined as member b",
		},
		{
			name:  "to a cluster that is new",
			there: func(m *member) { m.put(systemPath, namespaceOf("cluster-b")) },
			says:  "kubectl annotate --overwrite membercluster a kubernetes-fleet.io/adopt-cluster-uid=cluster-b",
			adopt: func(w *world, _ *member) {
				w.edit(func(c *v1beta1.MemberCluster) {
					metav1.SetMetaDataAnnotation(&c.ObjectMeta, wellknown.AdoptClusterUIDAnnotation, "cluster-b")
				})
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, _ := joinedWorld(t)
			other := newMember(t)
			tc.there(other)
			objects := len(other.objects)
			w.setSecret(other.kubeconfig(memberToken))
			w.reconcile()
			w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionFalse, inspect.ReasonOtherMember, tc.says)
			if inspect.IsMember(&w.cluster().Status) {
				t.Error("the agent is still joined")
			}
			if len(other.objects) != objects {
				t.Error("something was made on the other cluster")
			}
			if got := w.cluster().Status.Properties[storeid.ClusterUIDProperty].Value; got != "cluster-a" {
				t.Errorf("the uid that joined is forgotten: %q", got)
			}
			if tc.adopt == nil {
				return
			}
			tc.adopt(w, other)
			w.clock.Step(2 * time.Minute)
			w.reconcile()
			w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)
			if got := w.cluster().Status.Properties[storeid.ClusterUIDProperty].Value; got != "cluster-b" {
				t.Errorf("the uid after the adoption is %q", got)
			}
		})
	}
}

func TestAKindThatIsThereIsAdopted(t *testing.T) {
	w, m := newWorld(t, memberCluster()), newMember(t)
	m.put(crdOf, map[string]any{"metadata": map[string]any{"name": storeid.MemberCRD, "labels": map[string]any{"by": "upstream"}}})
	w.setSecret(m.kubeconfig(memberToken))
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)
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
	m.put(systemPath, namespaceOf(hubUID))
	w.setSecret(m.kubeconfig(memberToken))
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionUnknown, "NotReady", "ConfigMap fleet-system/stagegate-store")
	if m.get(configMapPath+"/stagegate-store") != nil {
		t.Error("the hub was claimed by joining it")
	}

	m.put(configMapPath+"/stagegate-store", map[string]any{"metadata": map[string]any{"name": "stagegate-store"}, "data": map[string]any{"id": storeID}})
	w.clock.Step(time.Hour)
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)
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
	if got := inspect.Agent(&w.cluster().Status).LastReceivedHeartbeat.Sub(start); got != 63*time.Second {
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
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionTrue, inspect.ReasonHealthy)
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
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionFalse, inspect.ReasonNotReady)
	agent := inspect.Agent(&w.cluster().Status)
	// It is not well, and it is there.
	if since := w.clock.Since(agent.LastReceivedHeartbeat.Time); meta.IsStatusConditionTrue(agent.Conditions, v1beta1.AgentHealthy) || since > 2*time.Minute {
		t.Errorf("agent %+v, last heartbeat %s ago", agent, since)
	}
	if diff := cmp.Diff([]string{"NotReady"}, w.told()); diff != "" {
		t.Errorf("Events (-want +got):\n%s", diff)
	}

	m.change(func(m *member) { m.ready = true })
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionTrue, inspect.ReasonHealthy)
}

func TestAMemberThatDoesNotAnswerHasNoHeartbeat(t *testing.T) {
	w, m := joinedWorld(t)
	m.Close()
	w.clock.Step(time.Hour)
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionFalse, inspect.ReasonUnreachable)
	if agent := inspect.Agent(&w.cluster().Status); agent.LastReceivedHeartbeat.Sub(start) != 0 {
		t.Errorf("agent %+v", agent)
	}
}

func TestAMemberThatDoesNotAnswerSomebodyIsLookedAtBeforeItsHeartbeat(t *testing.T) {
	w, m := joinedWorld(t)
	m.change(func(m *member) { m.ready = false })
	w.clock.Step(time.Second)
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionTrue, inspect.ReasonHealthy)
	w.directory.Doubt(w.cluster().Name)
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionFalse, inspect.ReasonNotReady)
}

func TestAMemberWhoseKubeconfigIsNoLongerTakenStaysJoined(t *testing.T) {
	w, m := joinedWorld(t)
	m.putAppliedWork("web-work", wellknown.MemberNamespace(name))
	probes := m.probes()
	w.setSecret(strings.Replace(m.kubeconfig(memberToken), "https://", "http://", 1))
	w.clock.Step(time.Hour)
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)
	w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionFalse, "KubeconfigRefused", "--allow-insecure-members")
	if !inspect.IsMember(&w.cluster().Status) || w.namespace() == nil || w.internal() == nil {
		t.Error("the membership has ended")
	}
	if m.probes() != probes || m.get(appliedPath+"/web-work") == nil || m.get(crdOf) == nil {
		t.Error("the member was reached")
	}
}

func TestAHealthyMemberSaysThroughWhichProxyItIsReached(t *testing.T) {
	r := newReporter(memberCluster())
	r.Observed(inspect.Observation{At: start, Proxy: "http://proxy.example:3128"})
	healthy := meta.FindStatusCondition(r.Status.Conditions, v1beta1.ConditionTypeMemberClusterHealthy)
	if want := inspect.MessageHealthy + " (through the proxy http://proxy.example:3128)"; healthy.Message != want {
		t.Errorf("got %q, want %q", healthy.Message, want)
	}
}

func TestWhatAMemberSaysOfItselfIsBounded(t *testing.T) {
	w, m := joinedWorld(t)
	m.change(func(m *member) { m.gitVersion = strings.Repeat("v", 1<<20) })
	w.clock.Step(2 * time.Minute)
	w.reconcile()
	if got := len(w.cluster().Status.Properties[inspect.KubernetesVersionProperty].Value); got == 0 || got > inspect.MaxProperty {
		t.Errorf("the version has %d bytes, want at most %d", got, inspect.MaxProperty)
	}
}

func TestAMemberThatAnotherStoreTakesIsNoLongerJoined(t *testing.T) {
	w, m := joinedWorld(t)
	m.put(crdOf, appliedWorksOf("that-store"))
	w.clock.Step(2 * time.Minute)
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionFalse, inspect.ReasonOtherStore)
	if inspect.IsMember(&w.cluster().Status) {
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
	if diff := cmp.Diff([]string{"NamespacePatched", "InternalMemberClusterCreated"}, w.told()); diff != "" {
		t.Errorf("Events (-want +got):\n%s", diff)
	}

	w.edit(func(c *v1beta1.MemberCluster) { c.Spec.HeartbeatPeriodSeconds = 30 })
	w.reconcile()
	w.reconcile()
	if diff := cmp.Diff([]string{"InternalMemberClusterSpecUpdated"}, w.told()); diff != "" {
		t.Errorf("Events (-want +got):\n%s", diff)
	}
	if got := w.internal().Spec.HeartbeatPeriodSeconds; got != 30 {
		t.Errorf("the period is %d", got)
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
	w.expect(v1beta1.ConditionTypeMemberClusterReadyToJoin, metav1.ConditionFalse, inspect.ReasonNotReadyToJoin, "fleet-member-a", "still being deleted")
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

// The APIServices of a hub can be away for a moment, and its discovery does not list AppliedWorks then.
func TestNoCustomResourceDefinitionIsMadeOnTheHub(t *testing.T) {
	w, m := newWorld(t, memberCluster()), newMember(t)
	m.put(systemPath, namespaceOf(hubUID))
	w.setSecret(m.kubeconfig(memberToken))
	w.reconcile()
	if m.get(crdOf) != nil {
		t.Error("a CustomResourceDefinition was made on the hub itself")
	}
}

func TestAnotherHubDoesNotJoinWhateverItNames(t *testing.T) {
	w, m := newWorld(t, memberCluster()), newMember(t)
	m.change(func(m *member) {
		m.isHub = true
		m.store(configMapPath+"/stagegate-store", map[string]any{
			"metadata": map[string]any{"name": "stagegate-store"}, "data": map[string]any{"id": storeID, "hub": hubUID},
		})
	})
	w.setSecret(m.kubeconfig(memberToken))
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionFalse, inspect.ReasonOtherMember, "cluster-a", hubUID, "a member of its own fleet only")
}
