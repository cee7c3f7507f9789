// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2/ktesting"
	clocktesting "k8s.io/utils/clock/testing"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

var now = time.Date(2025, 7, 22, 21, 28, 8, 0, time.UTC)

func member(name string, change ...func(*clusterv1beta1.MemberCluster)) *clusterv1beta1.MemberCluster {
	m := &clusterv1beta1.MemberCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"environment": "canary"}},
		Status: clusterv1beta1.MemberClusterStatus{
			Conditions: []metav1.Condition{
				{Type: clusterv1beta1.ConditionTypeMemberClusterJoined, Status: metav1.ConditionTrue},
				{Type: clusterv1beta1.ConditionTypeMemberClusterHealthy, Status: metav1.ConditionTrue},
			},
			AgentStatus: []clusterv1beta1.AgentStatus{{Type: clusterv1beta1.MemberAgent, LastReceivedHeartbeat: metav1.NewTime(now)}},
			Properties:  map[clusterv1beta1.PropertyName]clusterv1beta1.PropertyValue{"kubernetes-fleet.io/node-count": {Value: "3"}},
		},
	}
	for _, f := range change {
		f(m)
	}
	return m
}

func leaving(m *clusterv1beta1.MemberCluster) { m.DeletionTimestamp = &metav1.Time{Time: now} }
func notJoined(m *clusterv1beta1.MemberCluster) {
	meta.RemoveStatusCondition(&m.Status.Conditions, clusterv1beta1.ConditionTypeMemberClusterJoined)
}
func notOnline(m *clusterv1beta1.MemberCluster) { m.Status.AgentStatus = nil }
func noHealth(m *clusterv1beta1.MemberCluster) {
	meta.RemoveStatusCondition(&m.Status.Conditions, clusterv1beta1.ConditionTypeMemberClusterHealthy)
}
func silentFor(d time.Duration) func(*clusterv1beta1.MemberCluster) {
	return func(m *clusterv1beta1.MemberCluster) {
		m.Status.AgentStatus[0].LastReceivedHeartbeat = metav1.NewTime(now.Add(-d))
	}
}
func namespaces(status metav1.ConditionStatus, names ...string) func(*clusterv1beta1.MemberCluster) {
	return func(m *clusterv1beta1.MemberCluster) {
		meta.SetStatusCondition(&m.Status.Conditions, metav1.Condition{Type: clusterv1beta1.ConditionTypeNamespaceCollectionSucceeded, Status: status})
		for _, name := range names {
			if m.Status.Namespaces == nil {
				m.Status.Namespaces = map[string]string{}
			}
			m.Status.Namespaces[name] = ""
		}
	}
}
func slowHeart(m *clusterv1beta1.MemberCluster) { m.Spec.HeartbeatPeriodSeconds = 600 }
func labeled(pairs ...string) func(*clusterv1beta1.MemberCluster) {
	return func(m *clusterv1beta1.MemberCluster) {
		m.Labels = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m.Labels[pairs[i]] = pairs[i+1]
		}
	}
}
func reporting(pairs ...string) func(*clusterv1beta1.MemberCluster) {
	return func(m *clusterv1beta1.MemberCluster) {
		m.Status.Properties = map[clusterv1beta1.PropertyName]clusterv1beta1.PropertyValue{}
		for i := 0; i < len(pairs); i += 2 {
			m.Status.Properties[clusterv1beta1.PropertyName(pairs[i])] = clusterv1beta1.PropertyValue{Value: pairs[i+1]}
		}
	}
}
func tainted(m *clusterv1beta1.MemberCluster) {
	m.Spec.Taints = []clusterv1beta1.Taint{{Key: "k", Value: "v", Effect: clusterv1beta1.TaintEffect("NoSchedule")}}
}
func unhealthyFor(d time.Duration) func(*clusterv1beta1.MemberCluster) {
	return func(m *clusterv1beta1.MemberCluster) {
		noHealth(m)
		meta.SetStatusCondition(&m.Status.Conditions, metav1.Condition{
			Type: clusterv1beta1.ConditionTypeMemberClusterHealthy, Status: metav1.ConditionFalse, LastTransitionTime: metav1.NewTime(now.Add(-d)),
		})
	}
}

func affinity(terms ...v1beta1.ClusterSelectorTerm) *v1beta1.PlacementPolicy {
	return &v1beta1.PlacementPolicy{Affinity: &v1beta1.Affinity{ClusterAffinity: &v1beta1.ClusterAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &v1beta1.ClusterSelector{ClusterSelectorTerms: terms},
	}}}
}

// held are clusters that the policy in force has picked, and that have the placement.
func held(names ...string) map[string]place {
	placed := map[string]place{}
	for _, name := range names {
		placed[name] = place{current: true, picked: true, rolledOut: true}
	}
	return placed
}

// obsolete are clusters that a policy before has picked, and that have the placement.
func obsolete(names ...string) map[string]place {
	placed := map[string]place{}
	for _, name := range names {
		placed[name] = place{picked: true, rolledOut: true}
	}
	return placed
}

func TestDecide(t *testing.T) {
	fixed := func(names ...string) *v1beta1.PlacementPolicy {
		return &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickFixedPlacementType, ClusterNames: names}
	}
	nodes := func(op v1beta1.PropertySelectorOperator, value string) *v1beta1.PlacementPolicy {
		return affinity(v1beta1.ClusterSelectorTerm{PropertySelector: &v1beta1.PropertySelector{MatchExpressions: []v1beta1.PropertySelectorRequirement{
			{Name: "kubernetes-fleet.io/node-count", Operator: op, Values: []string{value}},
		}}})
	}
	tests := map[string]struct {
		policy     *v1beta1.PlacementPolicy
		clusters   []*clusterv1beta1.MemberCluster
		placed     map[string]place
		namespace  string
		selected   string
		unselected string
		unmet      bool
	}{
		"no policy picks every joined cluster, by name": {
			clusters: []*clusterv1beta1.MemberCluster{member("b"), member("a"), member("c", notJoined)},
			selected: "a b", unselected: "c: ClusterUnschedulable, cluster is not connected to the fleet: member agent not joined yet",
		},
		"a leaving cluster is not picked, not even one that was": {
			clusters: []*clusterv1beta1.MemberCluster{member("a", leaving)}, placed: held("a"),
			unselected: "a: ClusterUnschedulable, cluster has left the fleet",
		},
		"a short illness does not matter": {
			clusters: []*clusterv1beta1.MemberCluster{member("a", unhealthyFor(time.Minute))}, selected: "a",
		},
		"a long illness does": {
			clusters:   []*clusterv1beta1.MemberCluster{member("a", unhealthyFor(6*time.Minute))},
			unselected: "a: ClusterUnschedulable, cluster is not connected to the fleet: unhealthy for a prolonged period of time (last transitioned 6.00 minutes ago)",
		},
		"a long illness does not move what is there": {
			clusters: []*clusterv1beta1.MemberCluster{member("a", unhealthyFor(6*time.Minute))}, placed: held("a"), selected: "a",
		},
		"a cluster that the hub has never heard of": {
			clusters:   []*clusterv1beta1.MemberCluster{member("a", notOnline, notJoined, noHealth)},
			unselected: "a: ClusterUnschedulable, cluster is not connected to the fleet: member not online yet",
		},
		"a cluster that is silent": {
			clusters:   []*clusterv1beta1.MemberCluster{member("a", silentFor(6*time.Minute))},
			unselected: "a: ClusterUnschedulable, cluster is not connected to the fleet: no recent heartbeat signals (last received 6.00 minutes ago)",
		},
		"a short silence does not matter": {
			clusters: []*clusterv1beta1.MemberCluster{member("a", silentFor(5*time.Minute))}, selected: "a",
		},
		"nor does a slow heart": {
			clusters: []*clusterv1beta1.MemberCluster{member("a", slowHeart, silentFor(30*time.Minute))}, selected: "a",
		},
		"but a slow one stops as well": {
			clusters:   []*clusterv1beta1.MemberCluster{member("a", slowHeart, silentFor(31*time.Minute))},
			unselected: "a: ClusterUnschedulable, cluster is not connected to the fleet: no recent heartbeat signals (last received 31.00 minutes ago)",
		},
		"a silence does not move what is there, by whatever policy": {
			clusters: []*clusterv1beta1.MemberCluster{member("a", silentFor(time.Hour)), member("b", silentFor(time.Hour), notJoined)},
			placed:   all(held("a"), obsolete("b")), selected: "a b",
		},
		"a cluster of unknown health": {
			clusters:   []*clusterv1beta1.MemberCluster{member("a", noHealth)},
			unselected: "a: ClusterUnschedulable, cluster is not connected to the fleet: health condition from member agent is not available",
		},
		"a namespace that all clusters with a report have": {
			namespace: "team", clusters: []*clusterv1beta1.MemberCluster{member("a", namespaces(metav1.ConditionTrue, "team")), member("b")}, selected: "a b",
		},
		"a namespace that a cluster lacks": {
			namespace: "team", clusters: []*clusterv1beta1.MemberCluster{member("a", namespaces(metav1.ConditionTrue, "other"))},
			unselected: "a: ClusterUnschedulable, target namespace does not exist on cluster",
		},
		"a namespace matters to nothing cluster-scoped": {
			clusters: []*clusterv1beta1.MemberCluster{member("a", namespaces(metav1.ConditionTrue, "other"))}, selected: "a",
		},
		"a namespace that a cut report has": {
			namespace: "team", clusters: []*clusterv1beta1.MemberCluster{member("a", namespaces(metav1.ConditionFalse, "team"))}, selected: "a",
		},
		"a namespace that a cut report lacks may be there": {
			namespace: "team", clusters: []*clusterv1beta1.MemberCluster{member("a", namespaces(metav1.ConditionFalse, "other"))},
			unselected: "a: ClusterUnschedulable, cluster has no namespace information available",
		},
		"a report that failed": {
			namespace: "team", clusters: []*clusterv1beta1.MemberCluster{member("a", namespaces(metav1.ConditionTrue))},
			unselected: "a: ClusterUnschedulable, cluster has no namespace information available",
		},
		"a namespace that is gone, or no longer reported, moves nothing": {
			namespace: "team", placed: all(held("a"), obsolete("b", "c")), selected: "a b c", clusters: []*clusterv1beta1.MemberCluster{
				member("a", namespaces(metav1.ConditionTrue)), member("b", namespaces(metav1.ConditionTrue, "other")), member("c", namespaces(metav1.ConditionFalse, "other")),
			},
		},
		"a taint keeps a placement off": {
			clusters: []*clusterv1beta1.MemberCluster{member("a", tainted)}, unselected: "a: ClusterUnschedulable, taint {Key:k Value:v Effect:NoSchedule} cannot be tolerated",
		},
		"a toleration of the key and value lets it on": {
			policy:   &v1beta1.PlacementPolicy{Tolerations: []v1beta1.Toleration{{Key: "k", Operator: v1beta1.TolerationOpEqual, Value: "v"}}},
			clusters: []*clusterv1beta1.MemberCluster{member("a", tainted)}, selected: "a",
		},
		"a toleration of another value does not": {
			policy:   &v1beta1.PlacementPolicy{Tolerations: []v1beta1.Toleration{{Key: "k", Operator: v1beta1.TolerationOpEqual, Value: "w"}}},
			clusters: []*clusterv1beta1.MemberCluster{member("a", tainted)}, unselected: "a: ClusterUnschedulable, taint {Key:k Value:v Effect:NoSchedule} cannot be tolerated",
		},
		"a toleration of every taint lets it on": {
			policy:   &v1beta1.PlacementPolicy{Tolerations: []v1beta1.Toleration{{Operator: v1beta1.TolerationOpExists}}},
			clusters: []*clusterv1beta1.MemberCluster{member("a", tainted)}, selected: "a",
		},
		"required labels": {
			policy: affinity(v1beta1.ClusterSelectorTerm{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "canary"}}}),
			clusters: []*clusterv1beta1.MemberCluster{member("a"), member("b", func(m *clusterv1beta1.MemberCluster) {
				m.Labels = nil
			})},
			selected: "a", unselected: "b: ClusterUnschedulable, cluster does not match with any of the required cluster affinity terms",
		},
		"a property that is high enough": {policy: nodes(v1beta1.PropertySelectorGreaterThanOrEqualTo, "3"), clusters: []*clusterv1beta1.MemberCluster{member("a")}, selected: "a"},
		"a property that is too low": {
			policy: nodes(v1beta1.PropertySelectorGreaterThan, "3"), clusters: []*clusterv1beta1.MemberCluster{member("a")},
			unselected: "a: ClusterUnschedulable, cluster does not match with any of the required cluster affinity terms",
		},
		"one of two terms is enough": {
			policy:   affinity(v1beta1.ClusterSelectorTerm{LabelSelector: matching("environment", "prod")}, v1beta1.ClusterSelectorTerm{LabelSelector: matching("environment", "canary")}),
			clusters: []*clusterv1beta1.MemberCluster{member("a")}, selected: "a",
		},
		"a property that is no quantity is named, and keeps no other cluster out": {
			policy: nodes(v1beta1.PropertySelectorGreaterThan, "1"),
			clusters: []*clusterv1beta1.MemberCluster{
				member("a"), member("b", reporting("kubernetes-fleet.io/node-count", "many")), member("c", reporting("kubernetes-fleet.io/node-count", "1e999999999")),
			},
			selected: "a",
			unselected: `b: ClusterUnschedulable, cluster does not match with any of the required cluster affinity terms: property kubernetes-fleet.io/node-count is "many", which is no quantity; ` +
				`c: ClusterUnschedulable, cluster does not match with any of the required cluster affinity terms: property kubernetes-fleet.io/node-count is "1e999999999", which is no quantity`,
		},
		"PickFixed keeps a cluster whose list is edited while it is ill": {
			policy: fixed("a", "b"), clusters: []*clusterv1beta1.MemberCluster{member("a", unhealthyFor(time.Hour), silentFor(time.Hour)), member("b")},
			placed: obsolete("a"), selected: "a b",
		},
		"PickFixed keeps one that is listed again before a run has removed it": {
			policy: fixed("a"), clusters: []*clusterv1beta1.MemberCluster{member("a", silentFor(time.Hour))}, placed: map[string]place{"a": {rolledOut: true}}, selected: "a",
		},
		"PickFixed shows a cluster that is ill and held as selected": {
			policy: fixed("a"), clusters: []*clusterv1beta1.MemberCluster{member("a", unhealthyFor(time.Hour))}, placed: held("a"), selected: "a",
		},
		"PickFixed of none has none": {
			policy: fixed(), clusters: []*clusterv1beta1.MemberCluster{member("a")}, placed: obsolete("a"),
		},
		"PickFixed takes named clusters whatever their taints": {
			policy: fixed("a"), clusters: []*clusterv1beta1.MemberCluster{member("a", tainted), member("b")}, selected: "a",
		},
		"PickFixed is not fulfilled as long as a cluster is missing": {
			policy: fixed("a", "z"), clusters: []*clusterv1beta1.MemberCluster{member("a")}, selected: "a", unselected: `z: Specified cluster "z" is not found`, unmet: true,
		},
		"PickFixed is not fulfilled as long as a cluster has not joined": {
			policy: fixed("a"), clusters: []*clusterv1beta1.MemberCluster{member("a", notJoined)}, unmet: true,
			unselected: `a: Cluster "a" is not eligible for resource placement yet: cluster is not connected to the fleet: member agent not joined yet`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := decide(request{policy: test.policy, namespace: test.namespace, clusters: test.clusters, placed: test.placed, now: now})
			var selected, unselected []string
			for _, d := range got.selected {
				selected = append(selected, d.ClusterName)
			}
			for _, d := range got.unselected {
				unselected = append(unselected, d.ClusterName+": "+d.Reason)
			}
			if s := strings.Join(selected, " "); s != test.selected {
				t.Errorf("selected %q, want %q", s, test.selected)
			}
			if s := strings.Join(unselected, "; "); s != test.unselected {
				t.Errorf("unselected %q, want %q", s, test.unselected)
			}
			if got.fulfilled == test.unmet {
				t.Errorf("fulfilled %v, want %v", got.fulfilled, !test.unmet)
			}
		})
	}
}

// world is a fake API with a controller whose caches hold what the API had when the last step began.
type world struct {
	t          testing.TB
	ctx        context.Context
	client     *fake.Clientset
	fleet      *fleet.Fleet
	controller *Controller
	key        reconcile.Key
}

func newWorld(t testing.TB, namespace string, objects ...runtime.Object) *world {
	_, ctx := ktesting.NewTestContext(t)
	w := &world{t: t, ctx: ctx, client: fake.NewSimpleClientset(objects...), key: reconcile.Key{Namespace: namespace, Name: "app"}}
	w.refresh()
	return w
}

func (w *world) refresh() {
	w.fleet = fleet.New(w.client)
	ctx, cancel := context.WithCancel(w.ctx)
	w.t.Cleanup(cancel)
	w.fleet.Start(ctx.Done())
	if !w.fleet.WaitForSync(ctx.Done()) {
		w.t.Fatal("caches are not filled")
	}
	w.controller = New(w.fleet, record.NewFakeRecorder(100), clocktesting.NewFakeClock(now))
}

// step reconciles once with fresh caches.
func (w *world) step() {
	w.t.Helper()
	w.refresh()
	if _, err := w.controller.reconcile(w.ctx, w.key); err != nil {
		w.t.Fatal(err)
	}
	w.refresh()
}

func (w *world) bindings() map[string]string {
	found := map[string]string{}
	for _, b := range w.fleet.Bindings.ByIndex(fleet.ByPlacement, w.key) {
		state := string(b.BindingSpec().State) + " " + b.BindingSpec().SchedulingPolicySnapshotName
		if !b.GetDeletionTimestamp().IsZero() {
			state += " deleting"
		}
		found[b.BindingSpec().TargetCluster] = state
	}
	return found
}

func objects(namespace string) (v1beta1.PlacementObject, v1beta1.PolicySnapshotObject) {
	placementMeta := metav1.ObjectMeta{Namespace: namespace, Name: "app", UID: "uid", Generation: 1}
	snapshotMeta := metav1.ObjectMeta{
		Namespace: namespace, Name: "app-0", Generation: 1,
		Labels:      map[string]string{wellknown.ParentPlacementLabel: "app", wellknown.LatestSnapshotLabel: "true"},
		Annotations: map[string]string{wellknown.PlacementGenerationAnnotation: "1"},
	}
	if namespace == "" {
		return &v1beta1.ClusterResourcePlacement{ObjectMeta: placementMeta}, &v1beta1.ClusterSchedulingPolicySnapshot{ObjectMeta: snapshotMeta}
	}
	return &v1beta1.ResourcePlacement{ObjectMeta: placementMeta}, &v1beta1.SchedulingPolicySnapshot{ObjectMeta: snapshotMeta}
}

func TestLifeOfAPlacement(t *testing.T) {
	for scope, namespace := range map[string]string{"cluster": "", "namespace": "team"} {
		t.Run(scope, func(t *testing.T) {
			placement, snapshot := objects(namespace)
			w := newWorld(t, namespace, placement, snapshot, member("a"), member("b"))

			w.step() // takes hold of the placement
			w.step() // schedules it
			if diff := cmp.Diff(map[string]string{"a": "Scheduled app-0", "b": "Scheduled app-0"}, w.bindings()); diff != "" {
				t.Fatalf("bindings after scheduling (-want +got):\n%s", diff)
			}
			got, err := w.fleet.PolicySnapshots.Get(reconcile.Key{Namespace: namespace, Name: "app-0"})
			if err != nil {
				t.Fatal(err)
			}
			condition := meta.FindStatusCondition(got.PolicySnapshotStatus().Conditions, v1beta1.PolicySnapshotScheduled)
			if condition == nil || condition.Status != metav1.ConditionTrue || condition.Message != "found all cluster needed as specified by the scheduling policy, found 2 cluster(s)" {
				t.Errorf("Scheduled condition %+v", condition)
			}
			if n := got.PolicySnapshotStatus().SelectedClusters; n != 2 {
				t.Errorf("%d clusters are selected, want 2", n)
			}

			// Nothing changed, so nothing is written.
			w.client.ClearActions()
			w.step()
			for _, action := range w.client.Actions() {
				if verb := action.GetVerb(); verb != "list" && verb != "watch" {
					t.Errorf("%s %s although nothing changed", verb, action.GetResource().Resource)
				}
			}

			// b is rolled out to and then leaves: its binding stays, for a rollout to remove. a leaves before it got anything.
			b := w.fleet.Bindings.ByIndex(fleet.ByPlacement, w.key)
			for _, binding := range b {
				if binding.BindingSpec().TargetCluster != "b" {
					continue
				}
				rolledOut := fleet.Copy(binding)
				rolledOut.BindingSpec().State, rolledOut.BindingSpec().ResourceSnapshotName = v1beta1.BindingStateBound, "app-0-snapshot"
				if _, err := w.fleet.Bindings.Client(namespace).Update(w.ctx, rolledOut, metav1.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range []string{"a", "b"} {
				if err := w.client.ClusterV1beta1().MemberClusters().Delete(w.ctx, name, metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			w.step()
			if diff := cmp.Diff(map[string]string{"b": "Unscheduled app-0"}, w.bindings()); diff != "" {
				t.Fatalf("bindings after the clusters left (-want +got):\n%s", diff)
			}

			// b comes back before the rollout: it is bound as it was.
			if _, err := w.client.ClusterV1beta1().MemberClusters().Create(w.ctx, member("b"), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			w.step()
			if diff := cmp.Diff(map[string]string{"b": "Bound app-0"}, w.bindings()); diff != "" {
				t.Fatalf("bindings after b came back (-want +got):\n%s", diff)
			}

			// The placement goes: its bindings go first.
			current, err := w.fleet.Placements.Get(w.key)
			if err != nil {
				t.Fatal(err)
			}
			deleted := fleet.Copy(current)
			deleted.SetDeletionTimestamp(&metav1.Time{Time: now})
			if _, err := w.fleet.Placements.Client(namespace).Update(w.ctx, deleted, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			w.step() // deletes the bindings; the fake API does not mind their finalizers
			w.step() // lets the placement go
			if got := w.bindings(); len(got) != 0 {
				t.Errorf("bindings %v outlive their placement", got)
			}
			if current, err := w.fleet.Placements.Get(w.key); err == nil && reconcile.HasFinalizer(current, wellknown.SchedulerCleanupFinalizer) {
				t.Error("the scheduler does not let the placement go")
			} else if err != nil && !apierrors.IsNotFound(err) {
				t.Fatal(err)
			}
		})
	}
}

func TestAPolicyOfAnOlderGenerationIsNotScheduled(t *testing.T) {
	placement, snapshot := objects("")
	placement.SetGeneration(2)
	placement.SetFinalizers([]string{wellknown.SchedulerCleanupFinalizer})
	w := newWorld(t, "", placement, snapshot, member("a"))
	w.step()
	if got := w.bindings(); len(got) != 0 {
		t.Errorf("bindings %v come from a policy that is out of date", got)
	}
}

func TestANewBindingWaitsForTheOldOne(t *testing.T) {
	placement, snapshot := objects("")
	old := &v1beta1.ClusterResourceBinding{ObjectMeta: metav1.ObjectMeta{
		Name: bindingName(placement, "a"), Labels: map[string]string{wellknown.ParentPlacementLabel: "app"},
		DeletionTimestamp: &metav1.Time{Time: now}, Finalizers: []string{wellknown.SchedulerBindingFinalizer, wellknown.WorkCleanupFinalizer},
	}, Spec: v1beta1.ResourceBindingSpec{TargetCluster: "a", State: v1beta1.BindingStateBound}}
	placement.SetFinalizers([]string{wellknown.SchedulerCleanupFinalizer})
	w := newWorld(t, "", placement, snapshot, old, member("a"))
	w.step()
	got, err := w.fleet.Bindings.Get(reconcile.KeyOf(old))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{wellknown.WorkCleanupFinalizer}, got.GetFinalizers()); diff != "" {
		t.Errorf("finalizers of the old binding (-want +got):\n%s", diff)
	}
	policy, err := w.fleet.PolicySnapshots.Get(reconcile.Key{Name: "app-0"})
	if err != nil {
		t.Fatal(err)
	}
	if len(policy.PolicySnapshotStatus().Conditions) != 0 {
		t.Error("scheduling is reported as done although a binding is missing")
	}
}

// TestBindingsThatSayLittle has bindings as a client writes them that leaves fields empty.
func TestBindingsThatSayLittle(t *testing.T) {
	for name, tt := range map[string]struct {
		spec v1beta1.ResourceBindingSpec
		want map[string]string
	}{
		"no cluster":                    {v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateBound, ResourceSnapshotName: "app-0-snapshot"}, map[string]string{}},
		"nothing":                       {v1beta1.ResourceBindingSpec{}, map[string]string{}},
		"no state, of a cluster":        {v1beta1.ResourceBindingSpec{TargetCluster: "gone"}, map[string]string{"gone": "Unscheduled app-0"}},
		"no state, of a picked cluster": {v1beta1.ResourceBindingSpec{TargetCluster: "a"}, map[string]string{"a": " app-0"}},
	} {
		t.Run(name, func(t *testing.T) {
			placement, snapshot := objects("")
			placement.SetFinalizers([]string{wellknown.SchedulerCleanupFinalizer})
			binding := &v1beta1.ClusterResourceBinding{
				ObjectMeta: metav1.ObjectMeta{Name: "little", Labels: map[string]string{wellknown.ParentPlacementLabel: "app"}}, Spec: tt.spec,
			}
			w := newWorld(t, "", placement, snapshot, binding, member("a"))
			w.step()
			got := map[string]string{}
			for cluster, state := range w.bindings() {
				if cluster != "a" || tt.spec.TargetCluster == "a" {
					got[cluster] = state
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("bindings (-want +got):\n%s", diff)
			}
			if _, ok := w.bindings()["a"]; !ok {
				t.Error("the picked cluster has no binding")
			}
		})
	}
}

// TestEveryBindingIsLookedAt has all that becomes of bindings and of picked clusters in one plan, so that none of them ends it.
func TestEveryBindingIsLookedAt(t *testing.T) {
	placement, _ := objects("")
	decisions := func(clusters ...string) []v1beta1.ClusterDecision {
		var all []v1beta1.ClusterDecision
		for _, cluster := range clusters {
			all = append(all, v1beta1.ClusterDecision{ClusterName: cluster, Selected: true})
		}
		return all
	}
	binding := func(name string, spec v1beta1.ResourceBindingSpec, change ...func(*v1beta1.ClusterResourceBinding)) v1beta1.BindingObject {
		spec.ClusterDecision = v1beta1.ClusterDecision{ClusterName: spec.TargetCluster, Selected: true}
		b := &v1beta1.ClusterResourceBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
		for _, f := range change {
			f(b)
		}
		return b
	}
	beingDeleted := func(b *v1beta1.ClusterResourceBinding) {
		b.DeletionTimestamp, b.Finalizers = &metav1.Time{Time: now}, []string{wellknown.SchedulerBindingFinalizer}
	}
	bound := func(cluster, policy string) v1beta1.ResourceBindingSpec {
		return v1beta1.ResourceBindingSpec{
			TargetCluster: cluster, State: v1beta1.BindingStateBound, ResourceSnapshotName: "app-0-snapshot", SchedulingPolicySnapshotName: policy,
		}
	}
	existing := []v1beta1.BindingObject{
		binding("leaving-1", bound("leaving-1", "app-0"), beingDeleted),
		binding("fresh-1", v1beta1.ResourceBindingSpec{TargetCluster: "fresh-1", State: v1beta1.BindingStateScheduled}),
		binding("scheduled-1", bound("scheduled-1", "app-1")),
		binding("dropped-1", bound("dropped-1", "app-0")),
		binding("leaving-2", bound("leaving-2", "app-0"), beingDeleted),
		binding("fresh-2", v1beta1.ResourceBindingSpec{TargetCluster: "fresh-2", State: v1beta1.BindingStateScheduled}),
		binding("scheduled-2", bound("scheduled-2", "app-1")),
		binding("dropped-2", bound("dropped-2", "app-0")),
	}
	p := planBindings(newWorld(t, "").fleet.Bindings, placement, existing, "app-1",
		decisions("scheduled-1", "leaving-1", "new-1", "scheduled-2", "leaving-2", "new-2"))
	clusters := func(bindings []v1beta1.BindingObject) []string {
		var names []string
		for _, b := range bindings {
			names = append(names, b.BindingSpec().TargetCluster)
		}
		return names
	}
	got := map[string][]string{"create": clusters(p.create), "update": clusters(p.update), "remove": clusters(p.remove), "release": clusters(p.release)}
	want := map[string][]string{
		"create": {"new-1", "new-2"}, "update": {"dropped-1", "dropped-2"}, "remove": {"fresh-1", "fresh-2"}, "release": {"leaving-1", "leaving-2"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if !p.waiting {
		t.Error("the plan does not wait for bindings that are being deleted")
	}
}

// TestOnlyABindingInForceHoldsItsCluster tells a cluster that keeps its place, whatever was edited since, from one that has to meet the
// policy.
func TestOnlyABindingInForceHoldsItsCluster(t *testing.T) {
	for name, test := range map[string]struct {
		state   v1beta1.BindingState
		policy  string
		deleted bool
		holds   bool
	}{
		"in force":          {state: v1beta1.BindingStateBound, policy: "app-0", holds: true},
		"of another policy": {state: v1beta1.BindingStateBound, policy: "app-9"},
		"unscheduled":       {state: v1beta1.BindingStateUnscheduled, policy: "app-0"},
		"being deleted":     {state: v1beta1.BindingStateBound, policy: "app-0", deleted: true},
	} {
		t.Run(name, func(t *testing.T) {
			placement, snapshot := objects("")
			placement.SetFinalizers([]string{wellknown.SchedulerCleanupFinalizer})
			binding := &v1beta1.ClusterResourceBinding{
				ObjectMeta: metav1.ObjectMeta{Name: bindingName(placement, "a"), Labels: map[string]string{wellknown.ParentPlacementLabel: "app"}},
				Spec:       v1beta1.ResourceBindingSpec{TargetCluster: "a", State: test.state, ResourceSnapshotName: "app-0-snapshot", SchedulingPolicySnapshotName: test.policy},
			}
			if test.deleted {
				binding.DeletionTimestamp, binding.Finalizers = &metav1.Time{Time: now}, []string{wellknown.WorkCleanupFinalizer}
			}
			w := newWorld(t, "", placement, snapshot, binding, member("a", tainted))
			w.step()
			policy, err := w.fleet.PolicySnapshots.Get(reconcile.Key{Name: "app-0"})
			if err != nil {
				t.Fatal(err)
			}
			holds := false
			for _, decision := range policy.PolicySnapshotStatus().ClusterDecisions {
				holds = holds || decision.ClusterName == "a" && decision.Selected
			}
			// A cluster whose binding is being deleted would be waited for, and no decision reported.
			if reported := len(policy.PolicySnapshotStatus().ClusterDecisions) > 0; !reported || holds != test.holds {
				t.Errorf("a decision is reported: %t, want true; the cluster keeps its place: %t, want %t", reported, holds, test.holds)
			}
		})
	}
}
