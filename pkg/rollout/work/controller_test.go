// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	hubfake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

var testTime = time.Date(2026, 11, 23, 2, 21, 30, 0, time.UTC)

const (
	namespaceJSON = `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"test-namespace"}}`
	configMapJSON = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"test-cm","namespace":"test-namespace"}}`
	noOverrides   = "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"
)

// bench is a controller on an API in memory. Nothing runs: caches are filled and passes made by hand.
type bench struct {
	*Controller
	t      *testing.T
	api    *fake.Clientset
	clock  *clocktesting.FakeClock
	events *record.FakeRecorder
	// namespace of the placement under test, empty for a cluster-scoped one.
	namespace string
}

func newBench(t *testing.T, namespace string) *bench {
	t.Helper()
	b := &bench{
		t: t, namespace: namespace, api: fake.NewClientset(), clock: clocktesting.NewFakeClock(testTime), events: record.NewFakeRecorder(10),
	}
	b.api.PrependReactor("update", "works", b.countGenerations)
	b.Controller = New(fleet.New(b.api), hubfake.NewClientset(), nil, b.events, b.clock)
	b.add(&clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: "member1"}})
	placement := b.fleet.Placements.New(b.key("web"))
	create(b, b.fleet.Placements, placement)
	return b
}

func (b *bench) key(name string) reconcile.Key {
	return reconcile.Key{Namespace: b.namespace, Name: name}
}

func (b *bench) add(obj runtime.Object) {
	b.t.Helper()
	if err := b.api.Tracker().Add(obj); err != nil {
		b.t.Fatal(err)
	}
}

func create[O fleet.Object](b *bench, kind fleet.Kind[O], obj O) {
	b.t.Helper()
	if _, err := kind.Client(b.namespace).Create(b.t.Context(), obj, metav1.CreateOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

// countGenerations counts a Work's generation as the API server does.
func (b *bench) countGenerations(action clienttesting.Action) (bool, runtime.Object, error) {
	update := action.(clienttesting.UpdateAction)
	if update.GetSubresource() != "" {
		return false, nil, nil
	}
	work := update.GetObject().(*v1beta1.Work)
	stored, err := b.api.Tracker().Get(v1beta1.SchemeGroupVersion.WithResource("works"), work.Namespace, work.Name)
	if err == nil && !cmp.Equal(stored.(*v1beta1.Work).Spec, work.Spec) {
		work.Generation++
	}
	return false, nil, nil
}

// snapshot makes a snapshot with index 1, or a part of one.
func (b *bench) snapshot(name string, annotations map[string]string, resources ...string) {
	b.t.Helper()
	snapshot := b.fleet.Snapshots.New(b.key(name))
	snapshot.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "web", wellknown.ResourceIndexLabel: "1"})
	snapshot.SetAnnotations(annotations)
	for _, r := range resources {
		content := v1beta1.ResourceContent{}
		content.Raw = []byte(r)
		snapshot.SnapshotSpec().SelectedResources = append(snapshot.SnapshotSpec().SelectedResources, content)
	}
	create(b, b.fleet.Snapshots, snapshot)
}

// binding makes a Bound binding to member1 with the snapshot of index 1, rolled out.
func (b *bench) binding(change func(v1beta1.BindingObject)) {
	b.t.Helper()
	binding := b.fleet.Bindings.New(b.key("web-member1"))
	binding.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "web"})
	binding.SetFinalizers([]string{wellknown.WorkCleanupFinalizer})
	binding.SetGeneration(2)
	*binding.BindingSpec() = v1beta1.ResourceBindingSpec{
		State: v1beta1.BindingStateBound, ResourceSnapshotName: "web-1-snapshot", TargetCluster: "member1",
		ApplyStrategy: &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeClientSideApply},
	}
	binding.BindingStatus().Conditions = []metav1.Condition{rolloutStarted}
	if change != nil {
		change(binding)
	}
	create(b, b.fleet.Bindings, binding)
}

var rolloutStarted = metav1.Condition{
	Type: v1beta1.BindingRolloutStarted, Status: metav1.ConditionTrue, Reason: "RolloutStarted", Message: "by the run",
	ObservedGeneration: 2, LastTransitionTime: metav1.NewTime(testTime),
}

// cacheUp makes the caches what the API is.
func (b *bench) cacheUp() {
	b.t.Helper()
	ctx := b.t.Context()
	fill(b, b.fleet.Works.Informer().GetStore().Replace, func() (runtime.Object, error) {
		return b.api.PlacementV1beta1().Works("").List(ctx, metav1.ListOptions{})
	})
	fill(b, b.fleet.MemberClusters.Informer().GetStore().Replace, func() (runtime.Object, error) {
		return b.api.ClusterV1beta1().MemberClusters().List(ctx, metav1.ListOptions{})
	})
	c := b.api.PlacementV1beta1()
	fill(b, b.fleet.Bindings.Informers()[0].GetStore().Replace, func() (runtime.Object, error) {
		return c.ClusterResourceBindings().List(ctx, metav1.ListOptions{})
	})
	fill(b, b.fleet.Bindings.Informers()[1].GetStore().Replace, func() (runtime.Object, error) {
		return c.ResourceBindings("").List(ctx, metav1.ListOptions{})
	})
	fill(b, b.fleet.Snapshots.Informers()[0].GetStore().Replace, func() (runtime.Object, error) {
		return c.ClusterResourceSnapshots().List(ctx, metav1.ListOptions{})
	})
	fill(b, b.fleet.Snapshots.Informers()[1].GetStore().Replace, func() (runtime.Object, error) {
		return c.ResourceSnapshots("").List(ctx, metav1.ListOptions{})
	})
	fill(b, b.fleet.OverrideSnapshots.Informers()[0].GetStore().Replace, func() (runtime.Object, error) {
		return c.ClusterResourceOverrideSnapshots().List(ctx, metav1.ListOptions{})
	})
	fill(b, b.fleet.OverrideSnapshots.Informers()[1].GetStore().Replace, func() (runtime.Object, error) {
		return c.ResourceOverrideSnapshots("").List(ctx, metav1.ListOptions{})
	})
	fill(b, b.fleet.Overrides.Informers()[1].GetStore().Replace, func() (runtime.Object, error) {
		return c.ResourceOverrides("").List(ctx, metav1.ListOptions{})
	})
	fill(b, b.fleet.Placements.Informers()[0].GetStore().Replace, func() (runtime.Object, error) {
		return c.ClusterResourcePlacements().List(ctx, metav1.ListOptions{})
	})
	fill(b, b.fleet.Placements.Informers()[1].GetStore().Replace, func() (runtime.Object, error) {
		return c.ResourcePlacements("").List(ctx, metav1.ListOptions{})
	})
}

func fill(b *bench, replace func([]any, string) error, list func() (runtime.Object, error)) {
	b.t.Helper()
	found, err := list()
	if err != nil {
		b.t.Fatal(err)
	}
	items, err := meta.ExtractList(found)
	if err != nil {
		b.t.Fatal(err)
	}
	objects := make([]any, len(items))
	for i := range items {
		objects[i] = items[i]
	}
	if err := replace(objects, ""); err != nil {
		b.t.Fatal(err)
	}
}

// pass makes one pass with caches that are up to date. It says when to look again.
func (b *bench) pass() time.Duration {
	b.t.Helper()
	b.cacheUp()
	again, err := b.Controller.reconcile(b.t.Context(), b.key("web-member1"))
	if err != nil {
		b.t.Fatalf("reconcile: %v", err)
	}
	return again
}

// settle makes passes until nothing more is written, past what is held back.
func (b *bench) settle() {
	b.t.Helper()
	b.pass()
	b.clock.Step(patience)
	b.pass()
}

func (b *bench) works() []v1beta1.Work {
	b.t.Helper()
	list, err := b.api.PlacementV1beta1().Works("fleet-member-member1").List(b.t.Context(), metav1.ListOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	slices.SortFunc(list.Items, func(a, c v1beta1.Work) int { return strings.Compare(a.Name, c.Name) })
	return list.Items
}

func (b *bench) current() v1beta1.BindingObject {
	b.t.Helper()
	binding, err := b.fleet.Bindings.Client(b.namespace).Get(b.t.Context(), "web-member1", metav1.GetOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	return binding
}

// edit changes the binding in the API.
func (b *bench) edit(change func(v1beta1.BindingObject)) {
	b.t.Helper()
	binding := b.current()
	change(binding)
	if _, err := b.fleet.Bindings.Client(b.namespace).Update(b.t.Context(), binding, metav1.UpdateOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

// answer has the member report on a Work's generation.
func (b *bench) answer(name string, manifests []v1beta1.ManifestCondition, conditions ...metav1.Condition) {
	b.t.Helper()
	works := b.api.PlacementV1beta1().Works("fleet-member-member1")
	work, err := works.Get(b.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	for i := range conditions {
		conditions[i].ObservedGeneration = work.Generation
	}
	work.Status = v1beta1.WorkStatus{Conditions: conditions, ManifestConditions: manifests, LeftGeneration: work.Generation}
	if _, err := works.UpdateStatus(b.t.Context(), work, metav1.UpdateOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

// said are the binding's conditions as "Type=Status Reason: message".
func (b *bench) said() []string {
	b.t.Helper()
	var found []string
	for _, c := range b.current().BindingStatus().Conditions {
		found = append(found, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return found
}

var bothScopes = []struct{ name, namespace, prefix string }{
	{"cluster-scoped", "", "web"},
	{"namespaced", "test-namespace", "test-namespace.web"},
}

func TestWorkOfABinding(t *testing.T) {
	for _, scope := range bothScopes {
		t.Run(scope.name, func(t *testing.T) {
			b := newBench(t, scope.namespace)
			b.snapshot("web-1-snapshot", nil, configMapJSON)
			b.binding(nil)
			b.pass()

			labels := map[string]string{
				"kubernetes-fleet.io/parent-CRP": "web", "kubernetes-fleet.io/parent-resource-binding": "web-member1",
				"kubernetes-fleet.io/parent-resource-snapshot-index": "1",
			}
			if scope.namespace != "" {
				labels["kubernetes-fleet.io/parent-placement-namespace"] = scope.namespace
			}
			want := v1beta1.Work{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: "fleet-member-member1", Name: scope.prefix + "-work", Labels: labels,
					Annotations: map[string]string{
						"kubernetes-fleet.io/parent-resource-snapshot-name":                  "web-1-snapshot",
						"kubernetes-fleet.io/parent-cluster-resource-override-snapshot-hash": noOverrides,
						"kubernetes-fleet.io/parent-resource-override-snapshot-hash":         noOverrides,
						"kubernetes-fleet.io/number-of-works":                                "1",
					},
					Finalizers: []string{"kubernetes-fleet.io/work-cleanup"},
				},
				Spec: v1beta1.WorkSpec{
					Workload:      v1beta1.WorkloadTemplate{Manifests: []v1beta1.Manifest{{RawExtension: runtime.RawExtension{Raw: []byte(configMapJSON)}}}},
					ApplyStrategy: &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeClientSideApply},
				},
			}
			got := b.works()
			for i := range got {
				got[i].ManagedFields, got[i].ResourceVersion, got[i].TypeMeta = nil, "", metav1.TypeMeta{}
			}
			if diff := cmp.Diff([]v1beta1.Work{want}, got); diff != "" {
				t.Errorf("Works (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatusIsWrittenOnceWhenTheMemberAnswersSoon(t *testing.T) {
	for _, scope := range bothScopes {
		t.Run(scope.name, func(t *testing.T) {
			b := newBench(t, scope.namespace)
			b.snapshot("web-1-snapshot", nil, configMapJSON)
			b.binding(nil)
			if again := b.pass(); again != patience {
				t.Errorf("looks again after %v, want %v", again, patience)
			}
			if diff := cmp.Diff([]string{"RolloutStarted=True RolloutStarted: by the run"}, b.said()); diff != "" {
				t.Errorf("conditions before the member has answered (-want +got):\n%s", diff)
			}
			b.answer(scope.prefix+"-work", nil,
				metav1.Condition{Type: "Applied", Status: "True", Reason: "AllManifestsApplied"},
				metav1.Condition{Type: "Available", Status: "True", Reason: "AllManifestsAvailable"})
			b.pass()
			want := []string{
				"RolloutStarted=True RolloutStarted: by the run",
				"Overridden=True NoOverrideSpecified: No override rules are configured for the selected resources",
				"WorkSynchronized=True AllWorkSynced: All of the works are synchronized to the latest",
				"Applied=True AllWorkHaveBeenApplied: All corresponding work objects are applied",
				"Available=True AllWorkAreAvailable: All corresponding work objects are available",
			}
			if diff := cmp.Diff(want, b.said()); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			for _, c := range b.current().BindingStatus().Conditions {
				if c.ObservedGeneration != 2 || !c.LastTransitionTime.Time.Equal(testTime) {
					t.Errorf("condition of generation %d at %v", c.ObservedGeneration, c.LastTransitionTime)
				}
			}

			b.api.ClearActions()
			b.pass()
			for _, a := range b.api.Actions() {
				if a.GetVerb() != "list" {
					t.Errorf("a pass with nothing to do makes %s %s", a.GetVerb(), a.GetResource().Resource)
				}
			}
		})
	}
}

func TestProgressIsReportedWhereItLasts(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMapJSON)
	b.binding(nil)
	b.settle()
	want := []string{
		"RolloutStarted=True RolloutStarted: by the run",
		"Overridden=True NoOverrideSpecified: No override rules are configured for the selected resources",
		"WorkSynchronized=True AllWorkSynced: All of the works are synchronized to the latest",
		"Applied=False ApplyInProgress: Resources are being applied",
	}
	if diff := cmp.Diff(want, b.said()); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}

func TestAClusterThatCannotBeUsedIsWhatIsWaitedFor(t *testing.T) {
	const down = "The member cannot be reached: dial tcp 127.0.0.1:6443: connect: connection refused"
	member := func(joined, healthy metav1.ConditionStatus) *clusterv1beta1.MemberCluster {
		return &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: "member1"}, Status: clusterv1beta1.MemberClusterStatus{
			Conditions: []metav1.Condition{
				{Type: clusterv1beta1.ConditionTypeMemberClusterJoined, Status: joined, Message: down},
				{Type: clusterv1beta1.ConditionTypeMemberClusterHealthy, Status: healthy, Message: down},
			},
		}}
	}
	for name, tc := range map[string]struct {
		now  *clusterv1beta1.MemberCluster
		want string
	}{
		"not looked at yet": {member(metav1.ConditionUnknown, metav1.ConditionUnknown), "ApplyInProgress: Resources are being applied"},
		"in use":            {member(metav1.ConditionTrue, metav1.ConditionTrue), "ApplyInProgress: Resources are being applied"},
		"unhealthy":         {member(metav1.ConditionTrue, metav1.ConditionFalse), "ClusterUnreachable: " + down},
		"of another fleet":  {member(metav1.ConditionFalse, metav1.ConditionTrue), "ClusterUnreachable: " + down},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "")
			b.snapshot("web-1-snapshot", nil, configMapJSON)
			b.binding(nil)
			b.settle()
			before := member("", "")
			if _, err := b.api.ClusterV1beta1().MemberClusters().Update(t.Context(), tc.now, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			if woken := b.bindingsOfMember(before, tc.now); (len(woken) > 0) != strings.HasSuffix(tc.want, down) {
				t.Errorf("woken: %v", woken)
			}
			b.settle()
			if said := b.said(); said[len(said)-1] != "Applied=False "+tc.want {
				t.Errorf("says %q", said[len(said)-1])
			}
			// What is applied stays so.
			b.applied(testTime)
			b.settle()
			if said := b.said(); strings.Contains(strings.Join(said, "\n"), down) {
				t.Errorf("an applied version says %q", said)
			}
		})
	}
}

func TestWorkFollowsTheBinding(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", map[string]string{wellknown.NumberOfSnapshotsAnnotation: "3"}, namespaceJSON)
	b.snapshot("web-1-1", map[string]string{wellknown.SubindexAnnotation: "1"}, configMapJSON)
	b.binding(nil)
	b.settle()
	if works := b.works(); len(works) != 0 {
		t.Errorf("Works of an incomplete snapshot: %v", works)
	}
	if said := b.said(); !strings.Contains(said[len(said)-1], `WorkSynchronized=False SyncWorkFailed: Failed to synchronize the work to the latest: resource snapshot "web-1-snapshot" has 2 of its 3 parts`) {
		t.Errorf("conditions: %v", said)
	}

	b.snapshot("web-1-0", map[string]string{wellknown.SubindexAnnotation: "0"}, configMapJSON)
	b.settle()
	if diff := cmp.Diff([]string{"web-0", "web-1", "web-work"}, names(b.works())); diff != "" {
		t.Errorf("Works (-want +got):\n%s", diff)
	}

	snapshot := b.fleet.Snapshots.New(b.key("web-2-snapshot"))
	snapshot.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "web", wellknown.ResourceIndexLabel: "2"})
	create(b, b.fleet.Snapshots, snapshot)
	b.change(func(o v1beta1.BindingObject) {
		o.BindingSpec().ResourceSnapshotName = "web-2-snapshot"
		o.BindingSpec().ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeServerSideApply}
	})
	b.settle()
	works := b.works()
	if diff := cmp.Diff([]string{"web-work"}, names(works)); diff != "" {
		t.Fatalf("Works of a smaller snapshot (-want +got):\n%s", diff)
	}
	if w := works[0]; len(w.Spec.Workload.Manifests) != 0 || w.Spec.ApplyStrategy.Type != v1beta1.ApplyStrategyTypeServerSideApply ||
		w.Labels[wellknown.ParentSnapshotIndexLabel] != "2" {
		t.Errorf("Work: %+v", w)
	}
}

func names(works []v1beta1.Work) []string {
	var found []string
	for _, w := range works {
		found = append(found, w.Name)
	}
	return found
}

func TestOnlyBoundBindingsHaveWorks(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(b *bench, o v1beta1.BindingObject)
	}{
		{"Scheduled", func(_ *bench, o v1beta1.BindingObject) { o.BindingSpec().State = v1beta1.BindingStateScheduled }},
		{"no state", func(_ *bench, o v1beta1.BindingObject) { o.BindingSpec().State = "" }},
		{"no cluster", func(_ *bench, o v1beta1.BindingObject) { o.BindingSpec().TargetCluster = "" }},
		{"no snapshot named", func(_ *bench, o v1beta1.BindingObject) { o.BindingSpec().ResourceSnapshotName = "" }},
		{"Unscheduled", func(_ *bench, o v1beta1.BindingObject) { o.BindingSpec().State = v1beta1.BindingStateUnscheduled }},
		{"cluster that is gone", func(_ *bench, o v1beta1.BindingObject) { o.BindingSpec().TargetCluster = "gone" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, "")
			b.snapshot("web-1-snapshot", nil, configMapJSON)
			b.binding(func(o v1beta1.BindingObject) { tc.change(b, o) })
			b.settle()
			if works := b.works(); len(works) > 0 {
				t.Errorf("Works: %v", names(works))
			}
		})
	}
}

func TestFinalizerIsThereBeforeTheRollout(t *testing.T) {
	b := newBench(t, "")
	b.binding(func(o v1beta1.BindingObject) {
		o.SetFinalizers(nil)
		o.BindingSpec().State = v1beta1.BindingStateScheduled
	})
	b.pass()
	if diff := cmp.Diff([]string{wellknown.WorkCleanupFinalizer}, b.current().GetFinalizers()); diff != "" {
		t.Errorf("finalizers (-want +got):\n%s", diff)
	}
}

func TestMissingSnapshot(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMapJSON)
	b.binding(nil)
	b.settle()

	t.Run("that the Works hold is synchronized", func(t *testing.T) {
		if err := b.fleet.Snapshots.Client("").Delete(t.Context(), "web-1-snapshot", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		b.settle()
		if said := b.said(); !slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "WorkSynchronized=True") }) {
			t.Errorf("conditions: %v", said)
		}
	})
	t.Run("that they do not hold is named, and they stay", func(t *testing.T) {
		b.edit(func(o v1beta1.BindingObject) { o.BindingSpec().ResourceSnapshotName = "web-7-snapshot" })
		b.settle()
		want := `WorkSynchronized=False SyncWorkFailed: Failed to synchronize the work to the latest: resource snapshot "web-7-snapshot" is not found`
		if said := b.said(); said[len(said)-1] != want {
			t.Errorf("conditions: %v, want in the end %s", said, want)
		}
		if diff := cmp.Diff([]string{"web-work"}, names(b.works())); diff != "" {
			t.Errorf("Works (-want +got):\n%s", diff)
		}
	})
}

func TestWhatMayNotBePlaced(t *testing.T) {
	const elsewhere = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"test-cm","namespace":"other"}}`
	const reserved = `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"member-a","namespace":"fleet-system"}}`
	const envelope = `{"apiVersion":"placement.kubernetes-fleet.io/v1beta1","kind":"ClusterResourceEnvelope","metadata":{"name":"e"}}`
	for _, tc := range []struct{ name, namespace, manifest, want string }{
		{
			"cluster-scoped object from a namespace", "test-namespace", namespaceJSON,
			`Namespace "test-namespace" is cluster-scoped, and a ResourcePlacement places what is in its namespace "test-namespace" only`,
		},
		{
			"object of another namespace", "test-namespace", elsewhere,
			`ConfigMap other/test-cm is in another namespace, and a ResourcePlacement places what is in its namespace "test-namespace" only`,
		},
		{
			"object of another namespace that says so in two ways", "test-namespace",
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"test-cm","namespace":"other"},"Metadata":{"namespace":"test-namespace"}}`,
			`ConfigMap other/test-cm is in another namespace, and a ResourcePlacement places what is in its namespace "test-namespace" only`,
		},
		{
			"cluster-scoped object that has its metadata twice", "test-namespace",
			`{"apiVersion":"v1","kind":"Namespace","metadata":{"namespace":"test-namespace"},"metadata":{"name":"other"}}`,
			`Namespace "other" is cluster-scoped, and a ResourcePlacement places what is in its namespace "test-namespace" only`,
		},
		{
			"object of a reserved namespace", "", reserved,
			"Secret fleet-system/member-a is in namespace fleet-system, which belongs to clusters or the fleet and is not allowed to propagate",
		},
		{
			"object of a reserved namespace, which is the placement's", "fleet-system", reserved,
			"Secret fleet-system/member-a is in namespace fleet-system, which belongs to clusters or the fleet and is not allowed to propagate",
		},
		{
			"reserved namespace", "", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-node-lease"}}`,
			"Namespace kube-node-lease belongs to clusters or the fleet and is not allowed to propagate",
		},
		{
			"envelope without a namespace from a namespace", "test-namespace", envelope,
			`ClusterResourceEnvelope "e" is cluster-scoped, and a ResourcePlacement places what is in its namespace "test-namespace" only`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, tc.namespace)
			b.snapshot("web-1-snapshot", nil, tc.manifest, configMapJSON)
			b.binding(nil)
			b.settle()
			if works := b.works(); len(works) > 0 {
				t.Errorf("Works: %v", names(works))
			}
			want := "WorkSynchronized=False SyncWorkFailed: Failed to synchronize the work to the latest: " + tc.want
			if said := b.said(); said[len(said)-1] != want {
				t.Errorf("conditions: %v, want in the end %s", said, want)
			}
			select {
			case event := <-b.events.Events:
				if !strings.Contains(event, tc.want) {
					t.Errorf("Event: %s", event)
				}
			default:
				t.Error("no Event")
			}
		})
	}
}

func TestWhatIsPlacedOfAReservedNamespaceStays(t *testing.T) {
	for scope, namespace := range map[string]string{"cluster-scoped": "", "namespaced": "fleet-system"} {
		t.Run(scope, func(t *testing.T) {
			b := newBench(t, namespace)
			b.snapshot("web-1-snapshot", nil)
			b.binding(nil)
			b.settle()
			const manifest = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"test-cm","namespace":"fleet-system"}}`
			before := b.works()[0]
			before.Spec.Workload.Manifests = []v1beta1.Manifest{{RawExtension: runtime.RawExtension{Raw: []byte(manifest)}}}
			if _, err := b.api.PlacementV1beta1().Works(before.Namespace).Update(t.Context(), &before, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			b.snapshot("web-2-snapshot", nil, manifest)
			b.edit(func(o v1beta1.BindingObject) { o.BindingSpec().ResourceSnapshotName = "web-2-snapshot" })
			b.settle()
			works := b.works()
			if len(works) != 1 || works[0].DeletionTimestamp != nil || !sameManifests(works[0].Spec.Workload.Manifests, before.Spec.Workload.Manifests) {
				t.Errorf("Works: %+v", works)
			}
			if said := b.said(); !strings.HasSuffix(said[len(said)-1], "is not allowed to propagate") {
				t.Errorf("conditions: %v", said)
			}
		})
	}
}

// What an administrator has skipped since it was placed stays as it is, and nothing more of it goes to a member, whoever made the version.
func TestWhatLimitsKeepBecomesNoWorkAndStaysInThose(t *testing.T) {
	for name, options := range map[string]placeable.LimitOptions{
		"a namespace": {SkippedNamespaces: "test-namespace"}, "a kind": {SkippedAPIs: "v1/ConfigMap"}, "all but a kind": {AllowedAPIs: "v1/Secret"},
	} {
		for scope, namespace := range map[string]string{"cluster-scoped": "", "namespaced": "test-namespace"} {
			t.Run(name+"/"+scope, func(t *testing.T) {
				b := newBench(t, namespace)
				before := []string{`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"test-cm","namespace":"test-namespace"}}`}
				b.snapshot("web-1-snapshot", nil, before...)
				b.binding(nil)
				b.settle()
				held := b.works()[0].Spec.Workload.Manifests
				limits, err := placeable.ParseLimits(options)
				if err != nil {
					t.Fatal(err)
				}
				b.checks = newChecks(limits)
				b.snapshot("web-2-snapshot", nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"test-cm","namespace":"test-namespace"},"data":{"key":"new"}}`)
				b.edit(func(o v1beta1.BindingObject) { o.BindingSpec().ResourceSnapshotName = "web-2-snapshot" })
				b.settle()
				works := b.works()
				if len(works) != 1 || works[0].DeletionTimestamp != nil || !sameManifests(works[0].Spec.Workload.Manifests, held) {
					t.Errorf("Works: %+v", works)
				}
				if said := b.said(); !strings.Contains(said[len(said)-1], "ConfigMap test-namespace/test-cm is not allowed to propagate on this hub") {
					t.Errorf("conditions: %v", said)
				}
			})
		}
	}
}

func TestDeletedBinding(t *testing.T) {
	now := metav1.NewTime(testTime)
	deletePlacement := func(strategy *v1beta1.DeleteStrategy) func(b *bench) {
		return func(b *bench) {
			placement, err := b.fleet.Placements.Client(b.namespace).Get(b.t.Context(), "web", metav1.GetOptions{})
			if err != nil {
				b.t.Fatal(err)
			}
			placement.SetDeletionTimestamp(&now)
			placement.SetFinalizers([]string{"held"})
			placement.PlacementSpec().Strategy.DeleteStrategy = strategy
			if _, err := b.fleet.Placements.Client(b.namespace).Update(b.t.Context(), placement, metav1.UpdateOptions{}); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	// evict marks the binding for an eviction, which there is unless change is nil.
	evict := func(change func(*v1beta1.ClusterResourcePlacementEviction)) func(b *bench) {
		return func(b *bench) {
			b.edit(func(o v1beta1.BindingObject) {
				o.SetAnnotations(map[string]string{wellknown.EvictedByAnnotation: "e/1"})
			})
			if change != nil {
				e := &v1beta1.ClusterResourcePlacementEviction{
					ObjectMeta: metav1.ObjectMeta{Name: "e", UID: "1"}, Spec: v1beta1.PlacementEvictionSpec{PlacementName: "web", ClusterName: "member1"},
				}
				change(e)
				b.add(e)
			}
		}
	}
	for _, tc := range []struct {
		name   string
		before func(b *bench)
		// policy is what the Works are marked with; for a namespaced placement namespacedPolicy where that differs.
		policy, namespacedPolicy string
	}{
		{name: "takes its objects along with its placement", before: deletePlacement(nil), policy: "Delete"},
		{
			name: "has them leave their objects where the placement wants that", policy: "Abandon",
			before: deletePlacement(&v1beta1.DeleteStrategy{PropagationPolicy: v1beta1.DeletePropagationPolicyAbandon}),
		},
		{
			name: "takes its objects along where the placement picks the cluster no more", policy: "Delete",
			before: func(b *bench) {
				b.edit(func(o v1beta1.BindingObject) { o.BindingSpec().State = v1beta1.BindingStateUnscheduled })
			},
		},
		{
			name: "of a cluster that leaves the fleet leaves its objects", policy: "Abandon",
			before: func(b *bench) {
				b.edit(func(o v1beta1.BindingObject) { o.BindingSpec().State = v1beta1.BindingStateUnscheduled })
				clusters := b.api.ClusterV1beta1().MemberClusters()
				cluster, err := clusters.Get(b.t.Context(), "member1", metav1.GetOptions{})
				if err != nil {
					b.t.Fatal(err)
				}
				cluster.DeletionTimestamp = &now
				if _, err := clusters.Update(b.t.Context(), cluster, metav1.UpdateOptions{}); err != nil {
					b.t.Fatal(err)
				}
			},
		},
		{name: "takes its objects along where it is evicted", policy: "Delete", namespacedPolicy: "Abandon", before: evict(func(*v1beta1.ClusterResourcePlacementEviction) {})},
		{name: "leaves its objects without the eviction", policy: "Abandon", before: evict(nil)},
		{
			name: "leaves its objects where the eviction is blocked", policy: "Abandon",
			before: evict(func(e *v1beta1.ClusterResourcePlacementEviction) {
				e.Status.Conditions = []metav1.Condition{{Type: v1beta1.EvictionExecuted, Status: metav1.ConditionFalse}}
			}),
		},
		{
			name: "leaves its objects where the eviction is an earlier one", policy: "Abandon",
			before: evict(func(e *v1beta1.ClusterResourcePlacementEviction) { e.UID = "0" }),
		},
		{name: "that nothing asks for leaves its objects", before: func(*bench) {}, policy: "Abandon"},
		{
			name: "without its placement leaves its objects", policy: "Abandon",
			before: func(b *bench) {
				if err := b.fleet.Placements.Client(b.namespace).Delete(b.t.Context(), "web", metav1.DeleteOptions{}); err != nil {
					b.t.Fatal(err)
				}
			},
		},
		{
			name: "takes its objects along where its namespace is deleted", policy: "Abandon", namespacedPolicy: "Delete",
			before: func(b *bench) {
				namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "test-namespace", DeletionTimestamp: &now, Finalizers: []string{"kubernetes"}}}
				if _, err := b.hub.CoreV1().Namespaces().Create(b.t.Context(), namespace, metav1.CreateOptions{}); err != nil {
					b.t.Fatal(err)
				}
			},
		},
		{
			name: "leaves its objects where the placement wants that and their namespace is deleted", policy: "Abandon",
			before: func(b *bench) {
				placement, err := b.fleet.Placements.Client(b.namespace).Get(b.t.Context(), "web", metav1.GetOptions{})
				if err != nil {
					b.t.Fatal(err)
				}
				placement.PlacementSpec().Strategy.DeleteStrategy = &v1beta1.DeleteStrategy{PropagationPolicy: v1beta1.DeletePropagationPolicyAbandon}
				if _, err := b.fleet.Placements.Client(b.namespace).Update(b.t.Context(), placement, metav1.UpdateOptions{}); err != nil {
					b.t.Fatal(err)
				}
				namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "test-namespace", DeletionTimestamp: &now, Finalizers: []string{"kubernetes"}}}
				if _, err := b.hub.CoreV1().Namespaces().Create(b.t.Context(), namespace, metav1.CreateOptions{}); err != nil {
					b.t.Fatal(err)
				}
			},
		},
	} {
		for _, scope := range bothScopes {
			t.Run(tc.name+", "+scope.name, func(t *testing.T) {
				b := newBench(t, scope.namespace)
				b.snapshot("web-1-snapshot", map[string]string{wellknown.NumberOfSnapshotsAnnotation: "2"}, namespaceJSON)
				b.snapshot("web-1-0", map[string]string{wellknown.SubindexAnnotation: "0"}, configMapJSON)
				if scope.namespace != "" {
					b = newBench(t, scope.namespace)
					b.snapshot("web-1-snapshot", map[string]string{wellknown.NumberOfSnapshotsAnnotation: "2"}, configMapJSON)
					b.snapshot("web-1-0", map[string]string{wellknown.SubindexAnnotation: "0"}, strings.Replace(configMapJSON, "test-cm", "other", 1))
				}
				b.binding(nil)
				b.settle()
				if works := b.works(); len(works) != 2 {
					t.Fatalf("Works: %v", names(works))
				}
				tc.before(b)
				b.edit(func(o v1beta1.BindingObject) { o.SetDeletionTimestamp(&now) })
				b.api.ClearActions()
				b.pass()

				want := tc.policy
				if scope.namespace != "" && tc.namespacedPolicy != "" {
					want = tc.namespacedPolicy
				}
				// All are marked before the first is deleted.
				var writes []string
				for _, a := range b.api.Actions() {
					if p, ok := a.(clienttesting.PatchAction); ok && strings.Contains(string(p.GetPatch()),
						`"kubernetes-fleet.io/delete-propagation-policy":"`+want+`"`) {
						writes = append(writes, "mark")
					}
					if a.Matches("delete", "works") {
						writes = append(writes, "delete")
					}
				}
				if diff := cmp.Diff([]string{"mark", "mark", "delete", "delete"}, writes); diff != "" {
					t.Errorf("writes of Works (-want +got):\n%s", diff)
				}
				if works := b.works(); len(works) > 0 {
					t.Errorf("Works: %v", names(works))
				}
				if binding := b.current(); len(binding.GetFinalizers()) != 1 {
					t.Error("the binding is released before its Works were seen to be gone")
				}
				b.pass()
				binding, err := b.fleet.Bindings.Client(b.namespace).Get(t.Context(), "web-member1", metav1.GetOptions{})
				if !apierrors.IsNotFound(err) && (err != nil || len(binding.GetFinalizers()) > 0) {
					t.Errorf("the binding is not released: %v, %v", binding.GetFinalizers(), err)
				}
			})
		}
	}

	t.Run("is released without its cluster", func(t *testing.T) {
		b := newBench(t, "")
		now := metav1.NewTime(testTime)
		b.binding(func(o v1beta1.BindingObject) {
			o.SetDeletionTimestamp(&now)
			o.BindingSpec().TargetCluster = "gone"
		})
		b.pass()
		binding, err := b.fleet.Bindings.Client("").Get(t.Context(), "web-member1", metav1.GetOptions{})
		if !apierrors.IsNotFound(err) && (err != nil || len(binding.GetFinalizers()) > 0) {
			t.Errorf("the binding is not released: %v, %v", binding, err)
		}
	})
}

func TestNothingIsWrittenBeforeTheNamesOfWorksAreFree(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(w *v1beta1.Work)
		// deletes reports whether a deletion that was begun is carried on.
		deletes bool
	}{
		{name: "being deleted", change: func(w *v1beta1.Work) {
			now := metav1.NewTime(testTime)
			w.DeletionTimestamp = &now
		}},
		{name: "about to be deleted", deletes: true, change: func(w *v1beta1.Work) {
			w.Annotations[wellknown.DeletePropagationAnnotation] = "Delete"
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, "")
			b.snapshot("web-1-snapshot", map[string]string{wellknown.NumberOfSnapshotsAnnotation: "2"}, namespaceJSON)
			b.snapshot("web-1-0", map[string]string{wellknown.SubindexAnnotation: "0"}, configMapJSON)
			b.binding(nil)
			b.settle()
			works := b.api.PlacementV1beta1().Works("fleet-member-member1")
			going, err := works.Get(t.Context(), "web-0", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			tc.change(going)
			if _, err := works.Update(t.Context(), going, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			first, err := works.Get(t.Context(), "web-work", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			first.Annotations[wellknown.ParentSnapshotNameAnnotation] = "web-0-snapshot"
			if _, err := works.Update(t.Context(), first, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			b.api.ClearActions()
			b.pass()
			deleted := false
			for _, a := range b.api.Actions() {
				switch {
				case a.Matches("delete", "works"):
					deleted = true
				case a.Matches("update", "works") || a.Matches("create", "works"):
					t.Errorf("a Work was written: %v", a)
				}
			}
			if deleted != tc.deletes {
				t.Errorf("deleted: %t, want %t", deleted, tc.deletes)
			}
		})
	}
}

func TestWorkOfAnotherBindingIsWaitedFor(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMapJSON)
	other := b.fleet.Bindings.New(b.key("web-member1-old"))
	create(b, b.fleet.Bindings, other)
	b.add(&v1beta1.Work{ObjectMeta: metav1.ObjectMeta{
		Namespace: "fleet-member-member1", Name: "web-work",
		Labels: map[string]string{wellknown.ParentPlacementLabel: "web", wellknown.ParentBindingLabel: "web-member1-old"},
	}})
	b.binding(nil)
	b.settle()
	work := b.works()[0]
	if work.Labels[wellknown.ParentBindingLabel] != "web-member1-old" {
		t.Error("the Work was taken from the other binding")
	}
	b.cacheUp()
	keys := b.bindingsOfWork(&work, nil)
	if !slices.Contains(keys, b.key("web-member1")) {
		t.Errorf("the going of the Work is heard of by %v", keys)
	}
}

func TestNothingIsDecidedOnWorksOlderThanTheLastWrite(t *testing.T) {
	for _, scope := range bothScopes {
		b := newBench(t, scope.namespace)
		b.snapshot("web-1-snapshot", nil, configMapJSON)
		b.binding(nil)
		b.settle()
		work := b.works()[0]
		cached := func(version string) {
			work.ResourceVersion = version
			if _, err := b.api.PlacementV1beta1().Works(work.Namespace).Update(t.Context(), &work, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		newer := work.DeepCopy()
		newer.ResourceVersion = "10"
		b.wroteWork(b.current(), newer)
		b.edit(func(binding v1beta1.BindingObject) {
			binding.BindingSpec().ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
		})
		isWritten := func() bool { return b.works()[0].Spec.ApplyStrategy.Type == v1beta1.ApplyStrategyTypeReportDiff }
		cached("9")
		b.pass()
		if isWritten() {
			t.Error("a Work is written while the cache is older than the last write")
		}
		cached("10")
		b.pass()
		if !isWritten() {
			t.Error("the Work is not written although the cache has the last write")
		}
	}
}

func TestStatusFromWorks(t *testing.T) {
	condition := func(conditionType string, status metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{Type: conditionType, Status: status, Reason: reason, ObservedGeneration: 2}
	}
	work := func(name string, conditions ...metav1.Condition) *v1beta1.Work {
		return &v1beta1.Work{
			ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 2}, Status: v1beta1.WorkStatus{Conditions: conditions},
		}
	}
	available := work("a", condition("Applied", "True", ""), condition("Available", "True", "AllManifestsAvailable"))
	guessed := work("b", condition("Applied", "True", ""), condition("Available", "True", "WorkNotTrackable"))
	starting := work("c", condition("Applied", "True", ""), condition("Available", "False", ""))
	unchecked := work("d", condition("Applied", "True", ""))
	failed := work("e", condition("Applied", "False", ""))
	silent := work("f")
	stale := work("g", metav1.Condition{Type: "Applied", Status: "True", ObservedGeneration: 1})
	unreported := work("i", condition("DiffReported", "False", ""))
	unreported.Status.ManifestConditions = []v1beta1.ManifestCondition{
		{Conditions: []metav1.Condition{condition("DiffReported", "True", "")}},
		{
			Identifier: v1beta1.WorkResourceIdentifier{Kind: "ConfigMap", Namespace: "ns", Name: "c"},
			Conditions: []metav1.Condition{{Type: "DiffReported", Status: "False", Message: "forbidden"}},
		},
	}
	carrying(unreported)
	for _, tc := range []struct {
		name  string
		works []*v1beta1.Work
		diff  bool
		want  string
	}{
		{"all available", []*v1beta1.Work{available}, false, "Available=True AllWorkAreAvailable"},
		{"one not trackable", []*v1beta1.Work{available, guessed}, false, "Available=True NotAllWorkAreAvailabilityTrackable: The availability of work object b is not trackable"},
		{"one not available", []*v1beta1.Work{guessed, starting}, false, "Available=False NotAllWorkAreAvailable: Work object c is not yet available"},
		{"one not checked", []*v1beta1.Work{available, unchecked}, false, "Available=False NotAllWorkAreAvailable: Work object d has not yet completed availability check"},
		{"one failed", []*v1beta1.Work{silent, failed, available}, false, "Applied=False NotAllWorkHaveBeenApplied: Work object e has failed to apply"},
		{"one silent", []*v1beta1.Work{available, silent}, false, "Applied=False NotAllWorkHaveBeenApplied: Work object f has not yet completed the apply op"},
		{"none has answered to this generation", []*v1beta1.Work{silent, stale}, false, "Applied=False ApplyInProgress"},
		{"differences wanted", []*v1beta1.Work{available}, true, "DiffReported=False DiffReportInProgress"},
		{"differences reported", []*v1beta1.Work{work("h", condition("DiffReported", "True", ""))}, true, "DiffReported=True AllWorkHaveDiffReported"},
		{
			"differences of an object not reported", []*v1beta1.Work{unreported}, true,
			"DiffReported=False NotAllWorkHaveDiffReported: Work object i has failed to report diff: ConfigMap ns/c: forbidden",
		},
		{
			"differences of a Work to come", []*v1beta1.Work{work("h", condition("DiffReported", "True", "")), silent}, true,
			"DiffReported=False DiffReportInProgress: Work object f has not yet completed diff reporting",
		},
		{"differences not reported", []*v1beta1.Work{work("i", condition("DiffReported", "False", ""))}, true, "DiffReported=False NotAllWorkHaveDiffReported: Work object i has failed to report diff"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			binding := &v1beta1.ClusterResourceBinding{}
			if tc.diff {
				binding.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
			}
			all := bindingConditions(binding, outcome{works: tc.works})
			last := all[len(all)-1]
			if got := fmt.Sprintf("%s=%s %s: %s", last.Type, last.Status, last.Reason, last.Message); !strings.HasPrefix(got, tc.want) {
				t.Errorf("last condition is %q, want %q", got, tc.want)
			}
		})
	}
}

func TestTimesOfConditions(t *testing.T) {
	earlier := metav1.NewTime(testTime.Add(-time.Hour))
	for _, tc := range []struct {
		name       string
		status     metav1.ConditionStatus
		generation int64
		want       time.Time
	}{
		{"stay where nothing is new", metav1.ConditionTrue, 2, earlier.Time},
		{"are new with the status", metav1.ConditionFalse, 2, testTime},
		{"are new with the generation", metav1.ConditionTrue, 1, testTime},
	} {
		t.Run(tc.name, func(t *testing.T) {
			binding := &v1beta1.ClusterResourceBinding{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
			binding.Status.Conditions = []metav1.Condition{{
				Type: v1beta1.BindingApplied, Status: tc.status, ObservedGeneration: tc.generation, LastTransitionTime: earlier,
			}}
			status := statusOf(binding, outcome{}, metav1.NewTime(testTime))
			if got := find(status.Conditions, v1beta1.BindingApplied); !got.LastTransitionTime.Time.Equal(tc.want) {
				t.Errorf("the time is %v, want %v", got.LastTransitionTime, tc.want)
			}
		})
	}
}

func TestABindingHasAsManyDetailsAsCanBeStored(t *testing.T) {
	details := make([]v1beta1.PatchDetail, 100)
	for i := range details {
		details[i] = v1beta1.PatchDetail{Path: fmt.Sprintf("/data/%d", i), ValueInMember: strings.Repeat("m", 256), ValueInHub: strings.Repeat("h", 256)}
	}
	work := &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{Generation: 1}, Status: v1beta1.WorkStatus{
		Conditions: []metav1.Condition{{Type: "Applied", Status: "True", ObservedGeneration: 1}},
	}}
	for i := range 20 {
		work.Status.ManifestConditions = append(work.Status.ManifestConditions, v1beta1.ManifestCondition{
			Identifier:   v1beta1.WorkResourceIdentifier{Version: "v1", Kind: "ConfigMap", Resource: "configmaps", Namespace: "ns", Name: fmt.Sprintf("cm-%02d", i)},
			DriftDetails: &v1beta1.DriftDetails{ObservedDrifts: details},
			DiffDetails:  &v1beta1.DiffDetails{ObservedDiffs: details},
		})
	}
	var status v1beta1.ResourceBindingStatus
	collect(&status, []*v1beta1.Work{carrying(work)})
	if len(status.DriftedPlacements) != 20 || len(status.DiffedPlacements) != 20 {
		t.Errorf("%d drifted, %d differ, want 20 each", len(status.DriftedPlacements), len(status.DiffedPlacements))
	}
	if len(status.DriftedPlacements[0].ObservedDrifts) != len(details) {
		t.Error("the first object has no details")
	}
	if data, err := json.Marshal(status); err != nil || len(data) > 2*maxDetails {
		t.Errorf("the status has %d bytes, %v", len(data), err)
	}
	if work.Status.ManifestConditions[19].DiffDetails.ObservedDiffs == nil {
		t.Error("the Work in the cache was changed")
	}
}

// carrying has a Work carry all that its status is about.
func carrying(work *v1beta1.Work) *v1beta1.Work {
	work.Spec.Workload.Manifests = nil
	for i := range work.Status.ManifestConditions {
		id := &work.Status.ManifestConditions[i].Identifier
		id.Ordinal = i
		work.Spec.Workload.Manifests = append(work.Spec.Workload.Manifests, v1beta1.Manifest{RawExtension: runtime.RawExtension{
			Raw: fmt.Appendf(nil, `{"apiVersion":%q,"kind":%q,"metadata":{"namespace":%q,"name":%q}}`,
				schema.GroupVersion{Group: id.Group, Version: id.Version}, id.Kind, id.Namespace, id.Name),
		}})
	}
	return work
}

// Whoever has the token of an agent says of other objects what it likes, in texts as long as it likes.
func TestAMemberSpeaksOfWhatItsWorksCarry(t *testing.T) {
	long := strings.Repeat("m", 30<<10)
	failed := func(name string) v1beta1.ManifestCondition {
		return v1beta1.ManifestCondition{
			Identifier:  v1beta1.WorkResourceIdentifier{Version: "v1", Kind: "ConfigMap", Namespace: "ns", Name: name},
			Conditions:  []metav1.Condition{{Type: "Applied", Status: "False", Reason: "ManifestApplyFailed", Message: long}, {Type: "DiffReported", Status: "False", Message: long}},
			DiffDetails: &v1beta1.DiffDetails{ObservedDiffs: []v1beta1.PatchDetail{{Path: "/" + long, ValueInHub: long, ValueInMember: long}}},
		}
	}
	work := carrying(&v1beta1.Work{ObjectMeta: metav1.ObjectMeta{Generation: 1}, Status: v1beta1.WorkStatus{
		Conditions:         []metav1.Condition{{Type: "Applied", Status: "False", ObservedGeneration: 1}},
		ManifestConditions: []v1beta1.ManifestCondition{failed("a"), failed("b")},
	}})
	others := failed(strings.Repeat("n", 1<<20))
	work.Status.ManifestConditions = append([]v1beta1.ManifestCondition{others, failed("kube-root-ca.crt")}, work.Status.ManifestConditions...)
	work.Status.ManifestConditions[0].Identifier.Ordinal = 7
	work.Status.ManifestConditions[1].Identifier.Ordinal = -1

	var status v1beta1.ResourceBindingStatus
	collect(&status, []*v1beta1.Work{work})
	if len(status.FailedPlacements) != 2 || len(status.DiffedPlacements) != 2 || status.FailedPlacements[0].Name != "a" || status.FailedPlacements[1].Name != "b" {
		t.Errorf("%d failed, %d differ, want a and b", len(status.FailedPlacements), len(status.DiffedPlacements))
	}
	if data, err := json.Marshal(status); err != nil || len(data) > 2*5<<10 {
		t.Errorf("the status has %d bytes, %v", len(data), err)
	}
	if said := why(work, "DiffReported"); len(said) > 2<<10 || !strings.Contains(said, "ConfigMap ns/a: m") {
		t.Errorf("it says %d bytes: %.100s", len(said), said)
	}
	if len(work.Status.ManifestConditions[2].DiffDetails.ObservedDiffs[0].Path) <= 30<<10 || len(work.Status.ManifestConditions[2].Conditions[0].Message) != 30<<10 {
		t.Error("the Work in the cache was changed")
	}
}

func TestPlacementsInTheStatus(t *testing.T) {
	failing := metav1.Condition{Type: "Applied", Status: "False", Reason: "ManifestApplyFailed"}
	waiting := metav1.Condition{Type: "Available", Status: "False", Reason: "ManifestNotAvailableYet"}
	applied := metav1.Condition{Type: "Applied", Status: "True", ObservedGeneration: 1}
	id := func(name string) v1beta1.WorkResourceIdentifier {
		return v1beta1.WorkResourceIdentifier{Version: "v1", Kind: "ConfigMap", Resource: "configmaps", Namespace: "ns", Name: name}
	}
	work := &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{Generation: 1}, Status: v1beta1.WorkStatus{
		Conditions: []metav1.Condition{{Type: "Applied", Status: "False", ObservedGeneration: 1}},
		ManifestConditions: []v1beta1.ManifestCondition{
			{Identifier: id("c"), Conditions: []metav1.Condition{failing}},
			{Identifier: id("b"), Conditions: []metav1.Condition{applied, waiting}},
			{Identifier: id("a"), Conditions: []metav1.Condition{applied}, DriftDetails: &v1beta1.DriftDetails{ObservedInMemberClusterGeneration: 4}},
			{Identifier: id("d"), Conditions: []metav1.Condition{applied}, DiffDetails: &v1beta1.DiffDetails{ObservedInMemberClusterGeneration: ptr.To[int64](5)}},
		},
	}}
	var status v1beta1.ResourceBindingStatus
	collect(&status, []*v1beta1.Work{carrying(work)})
	resource := func(name string) v1beta1.ResourceIdentifier {
		return v1beta1.ResourceIdentifier{Version: "v1", Kind: "ConfigMap", Namespace: "ns", Name: name}
	}
	want := v1beta1.ResourceBindingStatus{
		FailedPlacements: []v1beta1.FailedResourcePlacement{
			{ResourceIdentifier: resource("b"), Condition: waiting}, {ResourceIdentifier: resource("c"), Condition: failing},
		},
		DriftedPlacements: []v1beta1.DriftedResourcePlacement{{ResourceIdentifier: resource("a"), TargetClusterObservedGeneration: 4}},
		DiffedPlacements:  []v1beta1.DiffedResourcePlacement{{ResourceIdentifier: resource("d"), TargetClusterObservedGeneration: ptr.To[int64](5)}},
	}
	if diff := cmp.Diff(want, status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}

	for i := range 2 * maxPlacements {
		work.Status.ManifestConditions = append(work.Status.ManifestConditions,
			v1beta1.ManifestCondition{Identifier: id(fmt.Sprintf("x%03d", i)), Conditions: []metav1.Condition{failing}})
	}
	status = v1beta1.ResourceBindingStatus{}
	collect(&status, []*v1beta1.Work{carrying(work)})
	if len(status.FailedPlacements) != maxPlacements {
		t.Errorf("%d failed placements, want %d", len(status.FailedPlacements), maxPlacements)
	}
	// The run must learn of it, however many others fail.
	refused := metav1.Condition{Type: "Applied", Status: "False", Reason: wellknown.ReasonManifestRefused}
	work.Status.ManifestConditions = append(work.Status.ManifestConditions, v1beta1.ManifestCondition{Identifier: id("z"), Conditions: []metav1.Condition{refused}})
	status = v1beta1.ResourceBindingStatus{}
	collect(&status, []*v1beta1.Work{carrying(work)})
	if first := status.FailedPlacements[0]; first.Name != "z" || status.FailedPlacements[1].Name != "b" {
		t.Errorf("what cannot heal is not the first: %s", first.Name)
	}
	work.Generation++
	status = v1beta1.ResourceBindingStatus{}
	if collect(&status, []*v1beta1.Work{carrying(work)}); len(status.FailedPlacements) > 0 {
		t.Error("failures of an earlier generation are reported")
	}
}
