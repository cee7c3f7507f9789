// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// scopes are run by every test of what is written: the two scopes of a placement are one code path.
var scopes = map[string]string{"cluster-scoped": "", "namespaced": "a"}

func forBothScopes(t *testing.T, test func(t *testing.T, w *world)) {
	for name, namespace := range scopes {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, namespace)
			test(t, w)
		})
	}
}

// world is a placement with a fake API and a fake hub.
type world struct {
	t         *testing.T
	hub       *hub
	api       *fake.Clientset
	placement v1beta1.PlacementObject
}

func newWorld(t *testing.T, namespaceOf string) *world {
	if namespaceOf != "" {
		return newWorldOf(t, placementIn(namespaceOf, named("", "v1", "ConfigMap", "")))
	}
	return newWorldOf(t, placementIn("", namespaceTerm("a", "")))
}

func newWorldOf(t *testing.T, placement v1beta1.PlacementObject) *world {
	w := &world{t: t, hub: newHub(t), placement: placement}
	w.api = fake.NewSimpleClientset(fleet.Copy(w.placement))
	w.hub.put(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system","uid":"hub-1"}}`)
	w.hub.put(namespace("a"))
	w.hub.put(configMap("a", "test", "value1"))
	return w
}

// source is one that has read all there is, as after a start.
func (w *world) source() *Source {
	w.t.Helper()
	f := fleet.New(w.api)
	ctx, cancel := context.WithCancel(w.t.Context())
	w.t.Cleanup(cancel)
	f.Start(ctx.Done())
	if !f.WaitForSync(ctx.Done()) {
		w.t.Fatal("caches are not filled")
	}
	s := newSource(f, w.hub, w.hub.metadata, w.hub.dynamic)
	s.partBytes = 1 << 10
	return s
}

// snapshot makes one and returns its index and warnings.
func (w *world) snapshot(dryRun bool) (int, []string) {
	w.t.Helper()
	selection, err := w.source().Snapshot(w.t.Context(), w.placement, dryRun)
	if err != nil {
		w.t.Fatal(err)
	}
	return selection.Index, selection.Warnings
}

// snapshots are the stored ones, "name index latest" each.
func (w *world) snapshots() []string {
	w.t.Helper()
	var lines []string
	for _, s := range w.source().fleet.Snapshots.ByIndex(fleet.ByPlacement, reconcile.KeyOf(w.placement)) {
		line := s.GetName() + " " + s.GetLabels()[wellknown.ResourceIndexLabel]
		if latest, master := s.GetLabels()[wellknown.LatestSnapshotLabel]; master {
			line += " " + latest
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

func (w *world) expect(want ...string) {
	w.t.Helper()
	if diff := gocmp.Diff(want, w.snapshots()); diff != "" {
		w.t.Errorf("snapshots (-want +got):\n%s", diff)
	}
}

func (w *world) key(name string) reconcile.Key {
	return reconcile.Key{Namespace: w.placement.GetNamespace(), Name: name}
}

// create stores an object of the placement's scope.
func create[O fleet.Object](w *world, kind fleet.Kind[O], obj O) {
	w.t.Helper()
	if _, err := kind.Client(w.placement.GetNamespace()).Create(w.t.Context(), obj, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) bind(snapshot string, changes ...func(v1beta1.BindingObject)) {
	kind := w.source().fleet.Bindings
	b := kind.New(w.key("binding-" + snapshot))
	b.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "app"})
	b.BindingSpec().State = v1beta1.BindingStateBound
	b.BindingSpec().ResourceSnapshotName = snapshot
	b.BindingSpec().SchedulingPolicySnapshotName = strings.TrimSuffix(snapshot, "-snapshot")
	for _, change := range changes {
		change(b)
	}
	create(w, kind, b)
}

func TestASnapshotIsNeverCalledLikeOneThatABindingNames(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		// All snapshots are gone, by whatever mistake.
		w.bind("app-2-snapshot", func(b v1beta1.BindingObject) {
			b.BindingSpec().ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
			b.SetAnnotations(map[string]string{wellknown.AppliedVersionAnnotation: `{"resourceSnapshot": "app-3-snapshot"}`})
		})
		w.bind("app-1-snapshot")
		w.bind("app-x-snapshot")
		if index, _ := w.snapshot(true); index != 4 {
			t.Errorf("a dry run says %d", index)
		}
		if index, _ := w.snapshot(false); index != 4 {
			t.Errorf("the index is %d", index)
		}
		w.expect("app-4-snapshot 4 true")
	})
}

// goes has an object that somebody has deleted wait for a finalizer.
func goes[O fleet.Object](w *world, kind fleet.Kind[O], name string) {
	w.t.Helper()
	stored, err := kind.Get(w.key(name))
	if err != nil {
		w.t.Fatal(err)
	}
	stored = fleet.Copy(stored)
	stored.SetFinalizers([]string{"example.com/wait"})
	stored.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)})
	if _, err := kind.Client(stored.GetNamespace()).Update(w.t.Context(), stored, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func TestASnapshotThatIsBeingDeletedIsNotTheNewest(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		w.snapshot(false)
		goes(w, w.source().fleet.Snapshots, "app-0-snapshot")
		if index, _ := w.snapshot(true); index != 1 {
			t.Errorf("a dry run says %d", index)
		}
		if index, _ := w.snapshot(false); index != 1 {
			t.Errorf("the index is %d", index)
		}
		w.expect("app-0-snapshot 0 false", "app-1-snapshot 1 true")

		// Nobody schedules by the policy either.
		if err := w.source().ensurePolicy(t.Context(), w.placement); err != nil {
			t.Fatal(err)
		}
		goes(w, w.source().fleet.PolicySnapshots, "app-0")
		if err := w.source().ensurePolicy(t.Context(), w.placement); err != nil {
			t.Fatal(err)
		}
		if latest, err := w.source().fleet.PolicySnapshots.Get(w.key("app-1")); err != nil || latest.GetLabels()[wellknown.LatestSnapshotLabel] != "true" {
			t.Errorf("no new policy snapshot is marked: %v", err)
		}
	})
}

func TestTheFirstSnapshot(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		if index, _ := w.snapshot(true); index != 0 {
			t.Errorf("a dry run says %d", index)
		}
		w.expect()
		if index, _ := w.snapshot(false); index != 0 {
			t.Errorf("index %d", index)
		}
		got, err := w.source().fleet.Snapshots.Get(w.key("app-0-snapshot"))
		if err != nil {
			t.Fatal(err)
		}
		kind := "ClusterResourcePlacement"
		if w.placement.GetNamespace() != "" {
			kind = "ResourcePlacement"
		}
		hash := got.GetAnnotations()[wellknown.ResourceHashAnnotation]
		if len(hash) != 64 {
			t.Errorf("hash %q", hash)
		}
		want := metav1.ObjectMeta{
			Name:      "app-0-snapshot",
			Namespace: w.placement.GetNamespace(),
			Labels: map[string]string{
				"kubernetes-fleet.io/is-latest-snapshot": "true",
				"kubernetes-fleet.io/parent-CRP":         "app",
				"kubernetes-fleet.io/resource-index":     "0",
			},
			Annotations: map[string]string{
				"kubernetes-fleet.io/number-of-enveloped-object":   "0",
				"kubernetes-fleet.io/hub-uid":                      "hub-1",
				"kubernetes-fleet.io/number-of-resource-snapshots": "1",
				"kubernetes-fleet.io/resource-hash":                hash,
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "placement.kubernetes-fleet.io/v1beta1", Kind: kind, Name: "app", UID: "app-uid",
				Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
			}},
		}
		var meta metav1.ObjectMeta
		switch s := got.(type) {
		case *v1beta1.ClusterResourceSnapshot:
			meta = s.ObjectMeta
		case *v1beta1.ResourceSnapshot:
			meta = s.ObjectMeta
		}
		if diff := gocmp.Diff(want, meta); diff != "" {
			t.Errorf("metadata (-want +got):\n%s", diff)
		}
		content := got.SnapshotSpec().SelectedResources
		if last := string(content[len(content)-1].Raw); last !=
			`{"apiVersion":"v1","data":{"key":"value1"},"kind":"ConfigMap","metadata":{"labels":{"app":"test"},"name":"test","namespace":"a"}}` {
			t.Errorf("content %s", last)
		}
	})
}

func TestTheSameContentIsTheSameSnapshot(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		w.snapshot(false)
		for _, dryRun := range []bool{true, false} {
			if index, _ := w.snapshot(dryRun); index != 0 {
				t.Errorf("dry run %t: index %d", dryRun, index)
			}
		}
		w.expect("app-0-snapshot 0 true")
	})
}

// holdFinalizers makes what the hub's ConfigMap says hold finalizers.
func (w *world) holdFinalizers(names ...string) {
	object := parse(w.t, configMap("a", "test", "value1"))
	object.SetFinalizers(names)
	manifest, err := object.MarshalJSON()
	if err != nil {
		w.t.Fatal(err)
	}
	w.hub.put(string(manifest))
}

// madeEarlier has a snapshot be as KubeFleet and earlier versions make it: with the object's finalizers in it and in its hash.
func (w *world) madeEarlier(name string, finalizers ...string) {
	w.t.Helper()
	client := w.source().fleet.Snapshots.Client(w.placement.GetNamespace())
	stored, err := client.Get(w.t.Context(), w.key(name).Name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	for i, r := range stored.SnapshotSpec().SelectedResources {
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(r.Raw); err != nil {
			w.t.Fatal(err)
		}
		if object.GetKind() != "ConfigMap" {
			continue
		}
		object.SetFinalizers(finalizers)
		data, err := object.MarshalJSON()
		if err != nil {
			w.t.Fatal(err)
		}
		stored.SnapshotSpec().SelectedResources[i].Raw = bytes.TrimSpace(data)
	}
	hash, err := hashOf(*stored.SnapshotSpec())
	if err != nil {
		w.t.Fatal(err)
	}
	stored.GetAnnotations()[wellknown.ResourceHashAnnotation] = hash
	if _, err := client.Update(w.t.Context(), stored, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func TestFinalizersOfTheHubAreNotPlaced(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		w.snapshot(false)
		hash := func() string {
			got, err := w.source().fleet.Snapshots.Get(w.key("app-0-snapshot"))
			if err != nil {
				t.Fatal(err)
			}
			return got.GetAnnotations()[wellknown.ResourceHashAnnotation]
		}
		without := hash()
		w.holdFinalizers("example.com/hold")
		w.snapshot(false)
		w.expect("app-0-snapshot 0 true")
		if hash() != without {
			t.Error("the hash has become another")
		}
	})
}

func TestASnapshotOfAnEarlierVersionWithFinalizersStaysTheNewest(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		w.holdFinalizers("example.com/hold", "example.com/other")
		w.snapshot(false)
		w.madeEarlier("app-0-snapshot", "example.com/hold", "example.com/other")
		if index, _ := w.snapshot(true); index != 0 {
			t.Errorf("a dry run says %d", index)
		}
		w.snapshot(false)
		w.expect("app-0-snapshot 0 true")

		// It cannot be recognized any more, and what is made holds none.
		w.holdFinalizers()
		w.snapshot(false)
		w.holdFinalizers("example.com/hold")
		w.snapshot(false)
		w.expect("app-0-snapshot 0 false", "app-1-snapshot 1 true")
	})
}

func TestASnapshotOfAnEarlierVersionThatIsNotWholeIsNotFinished(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		object := parse(t, configMap("a", "test", "value1"))
		object.SetFinalizers([]string{"example.com/hold"})
		i, err := newItem(object)
		if err != nil {
			t.Fatal(err)
		}
		c, err := newContent([]*item{i})
		if err != nil {
			t.Fatal(err)
		}
		kind := w.source().fleet.Snapshots
		master := kind.New(w.key("app-0-snapshot"))
		master.SetOwnerReferences([]metav1.OwnerReference{w.source().owner(w.placement)})
		for latest, want := range map[string]bool{"true": true, "false": false} {
			master.SetLabels(map[string]string{wellknown.LatestSnapshotLabel: latest})
			master.SetAnnotations(map[string]string{wellknown.ResourceHashAnnotation: c.earlierHash})
			if got := c.heldBy(&resourceRevision{Master: master}, w.placement); got != want {
				t.Errorf("latest %s: held is %t, want %t", latest, got, want)
			}
		}
	})
}

func TestOtherContentIsAnotherSnapshotEvenIfItWasThereBefore(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		w.snapshot(false)
		for want, value := range []string{1: "value2", 2: "value1"} {
			if value == "" {
				continue
			}
			w.hub.put(configMap("a", "test", value))
			for _, dryRun := range []bool{true, false} {
				if index, _ := w.snapshot(dryRun); index != want {
					t.Errorf("dry run %t: index %d, want %d", dryRun, index, want)
				}
			}
		}
		w.expect("app-0-snapshot 0 false", "app-1-snapshot 1 false", "app-2-snapshot 2 true")
	})
}

func TestNothingSelectedIsAnEmptySnapshot(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		w.placement.PlacementSpec().ResourceSelectors = []v1beta1.ResourceSelectorTerm{named("", "v1", "Node", "")}
		_, warnings := w.snapshot(false)
		w.expect("app-0-snapshot 0 true")
		if len(warnings) != 1 || !strings.Contains(warnings[0], "app selects nothing: the hub has no Node") {
			t.Errorf("warnings %q", warnings)
		}
	})
}

func TestEnvelopesAreCounted(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		if w.placement.GetNamespace() != "" {
			w.placement.PlacementSpec().ResourceSelectors = []v1beta1.ResourceSelectorTerm{named("placement.kubernetes-fleet.io", "v1", "ResourceEnvelope", "")}
		}
		w.hub.put(`{apiVersion: placement.kubernetes-fleet.io/v1, kind: ResourceEnvelope, metadata: {name: e, namespace: a}}`)
		w.snapshot(false)
		got, err := w.source().fleet.Snapshots.Get(w.key("app-0-snapshot"))
		if err != nil {
			t.Fatal(err)
		}
		if n := got.GetAnnotations()[wellknown.NumberOfEnvelopesAnnotation]; n != "1" {
			t.Errorf("%s envelopes", n)
		}
	})
}

// large puts more on the hub than one object of the API takes: three parts.
func (w *world) large(value string) {
	for i := range 3 {
		w.hub.put(configMap("a", fmt.Sprintf("large-%d", i), value+strings.Repeat("x", 600)))
	}
}

var wantLarge = []string{"app-0-0 0", "app-0-1 0", "app-0-snapshot 0 true"}

func TestALargeSelectionIsSplit(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		w.large("a")
		w.snapshot(false)
		w.expect(wantLarge...)
		f := w.source().fleet
		master, err := f.Snapshots.Get(w.key("app-0-snapshot"))
		if err != nil {
			t.Fatal(err)
		}
		if n := master.GetAnnotations()[wellknown.NumberOfSnapshotsAnnotation]; n != "3" {
			t.Errorf("number of snapshots is %s", n)
		}
		// The small one fits into the last part.
		for name, objects := range map[string]int{"app-0-0": 1, "app-0-1": 2} {
			part, err := f.Snapshots.Get(w.key(name))
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(map[string]string{"kubernetes-fleet.io/subindex-of-resource-snapshot": name[len(name)-1:]}, part.GetAnnotations()); diff != "" {
				t.Errorf("annotations of %s (-want +got):\n%s", name, diff)
			}
			if n := len(part.SnapshotSpec().SelectedResources); n != objects {
				t.Errorf("%s has %d objects", name, n)
			}
		}
	})
}

// crashAt makes the API fail from the n-th write on.
func (w *world) crashAt(n int) (restart func()) {
	writes := 0
	chain := slices.Clone(w.api.ReactionChain)
	w.api.PrependReactor("*", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if !slices.Contains([]string{"create", "update", "patch", "delete"}, action.GetVerb()) {
			return false, nil, nil
		}
		writes++
		if writes <= n {
			return false, nil, nil
		}
		return true, nil, errors.New("crashed")
	})
	return func() { w.api.ReactionChain = chain }
}

func TestACrashBetweenAnyTwoWritesChangesNothing(t *testing.T) {
	for _, other := range []bool{false, true} {
		t.Run(fmt.Sprintf("content changes meanwhile: %t", other), func(t *testing.T) {
			forBothScopes(t, func(t *testing.T, w *world) {
				for n := range 6 {
					w := newWorld(t, w.placement.GetNamespace())
					w.snapshot(false)
					w.large("a")
					restart := w.crashAt(n)
					_, err := w.source().Snapshot(t.Context(), w.placement, false)
					crashed := err != nil
					if got := w.snapshots(); latest(got) > 1 {
						t.Errorf("crash after write %d: more than one is the newest: %q", n, got)
					}
					restart()
					if other {
						w.large("b")
					}
					index, _ := w.snapshot(false)
					got := w.snapshots()
					if latest(got) != 1 || !slices.Contains(got, fmt.Sprintf("app-%d-snapshot %d true", index, index)) {
						t.Errorf("crash after write %d: the newest is not marked: %q", n, got)
					}
					if parts := countPrefix(got, fmt.Sprintf("app-%d-", index)); parts != 3 {
						t.Errorf("crash after write %d: %d objects of index %d: %q", n, parts, index, got)
					}
					if !crashed && n < 5 {
						t.Errorf("no crash after write %d", n)
					}
					// What was left unfinished is either finished or gone.
					for old := range index {
						if parts := countPrefix(got, fmt.Sprintf("app-%d-", old)); old > 0 && parts != 0 && parts != 3 {
							t.Errorf("crash after write %d: %d objects of index %d are left: %q", n, parts, old, got)
						}
					}
				}
			})
		})
	}
}

func latest(lines []string) int {
	n := 0
	for _, line := range lines {
		if strings.HasSuffix(line, " true") {
			n++
		}
	}
	return n
}

func countPrefix(lines []string, prefix string) int {
	n := 0
	for _, line := range lines {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

func TestTwoWritersMakeOneSnapshot(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		w.snapshot(false)
		w.hub.put(configMap("a", "test", "value2"))
		// Neither has seen what the other writes.
		first, second := w.source(), w.source()
		for _, s := range []*Source{first, second} {
			selection, err := s.Snapshot(t.Context(), w.placement, false)
			if err != nil {
				t.Fatal(err)
			}
			if selection.Index != 1 {
				t.Errorf("index %d", selection.Index)
			}
		}
		w.expect("app-0-snapshot 0 false", "app-1-snapshot 1 true")
	})
}

func TestAWriterThatComesBetweenIsNoticed(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		s := w.source()
		between := true
		w.api.PrependReactor("create", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
			if !between {
				return false, nil, nil
			}
			between = false
			other := action.(clienttesting.CreateAction).GetObject().DeepCopyObject().(v1beta1.ResourceSnapshotObject)
			other.GetAnnotations()[wellknown.ResourceHashAnnotation] = "other"
			if err := w.api.Tracker().Create(action.GetResource(), other, action.GetNamespace()); err != nil {
				t.Error(err)
			}
			return false, nil, nil
		})
		selection, err := s.Snapshot(t.Context(), w.placement, false)
		if err != nil {
			t.Fatal(err)
		}
		if selection.Index != 1 {
			t.Errorf("index %d", selection.Index)
		}
		w.expect("app-0-snapshot 0 false", "app-1-snapshot 1 true")
	})
}

func TestASnapshotOfAnEarlierPlacementOfTheNameIsNotReused(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		w.snapshot(false)
		w.placement.SetUID("another-uid")
		if index, _ := w.snapshot(false); index != 1 {
			t.Errorf("index %d", index)
		}
		w.expect("app-0-snapshot 0 false", "app-1-snapshot 1 true")
	})
}

func TestHistoryIsLimited(t *testing.T) {
	run := func(specIndex, usedIndex string, conditions ...metav1.Condition) func(w *world) {
		return func(w *world) {
			kind := w.source().fleet.Runs
			r := kind.New(w.key("run"))
			r.RunSpec().PlacementName = "app"
			r.RunSpec().ResourceSnapshotIndex = specIndex
			r.RunStatus().ResourceSnapshotIndexUsed = usedIndex
			r.RunStatus().Conditions = conditions
			create(w, kind, r)
		}
	}
	for name, tc := range map[string]struct {
		use  func(w *world)
		want []string
	}{
		"nothing uses the old ones": {nil, nil},
		"a binding uses one":        {func(w *world) { w.bind("app-1-snapshot") }, []string{"app-1-snapshot 1 false"}},
		"a binding had one before it was only compared": {func(w *world) {
			w.bind("app-2-snapshot", func(b v1beta1.BindingObject) {
				b.BindingSpec().ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
				b.SetAnnotations(map[string]string{wellknown.AppliedVersionAnnotation: `{"resourceSnapshot": "app-1-snapshot"}`})
			})
		}, []string{"app-1-snapshot 1 false", "app-2-snapshot 2 false"}},
		"a run that has not begun names one":           {run("1", ""), []string{"app-1-snapshot 1 false"}},
		"a run that goes on rolls one out":             {run("", "2"), []string{"app-2-snapshot 2 false"}},
		"a run that stops is not over":                 {run("", "2", metav1.Condition{Type: "Succeeded", Status: "Unknown"}), []string{"app-2-snapshot 2 false"}},
		"a run that is done needs none":                {run("", "2", metav1.Condition{Type: "Succeeded", Status: "True"}), nil},
		"a run that failed needs none":                 {run("", "2", metav1.Condition{Type: "Succeeded", Status: "False"}), nil},
		"a run that could not be initialized has none": {run("2", "", metav1.Condition{Type: "Initialized", Status: "False"}), nil},
		"a run that tries again still names one": {func(w *world) {
			run("2", "", metav1.Condition{Type: "Initialized", Status: "False"})(w)
			kind := w.source().fleet.Runs
			r, err := kind.Get(w.key("run"))
			if err != nil {
				w.t.Fatal(err)
			}
			r = fleet.Copy(r)
			r.RunStatus().InitializationStartTime = ptr.To(metav1.Now())
			if _, err := kind.Client(w.placement.GetNamespace()).Update(w.t.Context(), r, metav1.UpdateOptions{}); err != nil {
				w.t.Fatal(err)
			}
		}, []string{"app-2-snapshot 2 false"}},
		"a run can take a cluster back to one": {func(w *world) {
			run("", "3", metav1.Condition{Type: "Initialized", Status: "True"})(w)
			kind := w.source().fleet.Runs
			r, err := kind.Get(w.key("run"))
			if err != nil {
				w.t.Fatal(err)
			}
			r = fleet.Copy(r)
			r.RunStatus().StagesStatus = []v1beta1.StageUpdatingStatus{{Clusters: []v1beta1.ClusterUpdatingStatus{
				{PreviousResourceSnapshotIndex: ptr.To("0")}, {PreviousResourceSnapshotIndex: ptr.To("")}, {ResourceSnapshotIndex: "1"}, {},
			}}}
			if _, err := kind.Client(w.placement.GetNamespace()).Update(w.t.Context(), r, metav1.UpdateOptions{}); err != nil {
				w.t.Fatal(err)
			}
		}, []string{"app-0-snapshot 0 false", "app-1-snapshot 1 false"}},
		"the last run can be taken back to one":   {func(w *world) { moved(w, "run", 2, "0", nil) }, []string{"app-0-snapshot 0 false"}},
		"the last run cannot be taken back again": {func(w *world) { moved(w, "run", 2, "0", &v1beta1.UpdateRunReference{Name: "back", UID: "uid"}) }, nil},
		"the rollback of the last run cannot be created yet": {func(w *world) {
			moved(w, "run", 2, "0", &v1beta1.UpdateRunReference{Name: "back"})
		}, []string{"app-0-snapshot 0 false"}},
		"a rollback of an earlier run cannot be created yet": {func(w *world) {
			moved(w, "run", 2, "1", nil)
			moved(w, "earlier", 1, "0", &v1beta1.UpdateRunReference{Name: "back"})
		}, []string{"app-0-snapshot 0 false", "app-1-snapshot 1 false"}},
		"a rollback is not planned yet": {func(w *world) {
			moved(w, "run", 2, "0", &v1beta1.UpdateRunReference{Name: "back", UID: "uid"})
			rollback(w, "back", metav1.Condition{Type: v1beta1.RunInitialized, Status: metav1.ConditionUnknown})
		}, []string{"app-0-snapshot 0 false"}},
		"a rollback could not be planned": {func(w *world) {
			moved(w, "run", 2, "0", &v1beta1.UpdateRunReference{Name: "back", UID: "uid"})
			rollback(w, "back", metav1.Condition{Type: v1beta1.RunInitialized, Status: metav1.ConditionFalse})
		}, nil},
		"a run before the last cannot be taken back": {func(w *world) {
			moved(w, "run", 2, "0", nil)
			moved(w, "earlier", 1, "1", nil)
		}, []string{"app-0-snapshot 0 false"}},
		"a cluster still holds one": {func(w *world) {
			work := &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet-member-m", Name: "w", Labels: map[string]string{
				wellknown.ParentPlacementLabel: "app", wellknown.ParentSnapshotIndexLabel: "0",
			}}}
			if w.placement.GetNamespace() != "" {
				work.Labels[wellknown.ParentNamespaceLabel] = w.placement.GetNamespace()
			}
			if _, err := w.api.PlacementV1beta1().Works(work.Namespace).Create(w.t.Context(), work, metav1.CreateOptions{}); err != nil {
				w.t.Fatal(err)
			}
		}, []string{"app-0-snapshot 0 false"}},
	} {
		t.Run(name, func(t *testing.T) {
			forBothScopes(t, func(t *testing.T, w *world) {
				w.placement.PlacementSpec().RevisionHistoryLimit = ptr.To(int32(2))
				for i := range 5 {
					if i == 3 {
						// Until now all are kept, as with a limit that was lowered.
						w.placement.PlacementSpec().RevisionHistoryLimit = ptr.To(int32(2))
						if tc.use != nil {
							tc.use(w)
						}
					}
					if i < 3 {
						w.placement.PlacementSpec().RevisionHistoryLimit = ptr.To(int32(10))
					}
					w.hub.put(configMap("a", "test", fmt.Sprintf("value%d", i)))
					w.snapshot(false)
				}
				w.expect(append(slices.Clone(tc.want), "app-3-snapshot 3 false", "app-4-snapshot 4 true")...)
			})
		})
	}
}

// moved makes a run that is over and has moved a cluster from a version.
func moved(w *world, name string, turn int64, from string, rolledBackBy *v1beta1.UpdateRunReference) {
	kind := w.source().fleet.Runs
	r := kind.New(w.key(name))
	r.RunSpec().PlacementName = w.placement.GetName()
	*r.RunStatus() = v1beta1.UpdateRunStatus{
		Conditions:   []metav1.Condition{{Type: v1beta1.RunSucceeded, Status: metav1.ConditionTrue}},
		Turn:         &v1beta1.UpdateRunTurn{Number: turn, State: v1beta1.TurnReleased},
		StagesStatus: []v1beta1.StageUpdatingStatus{{Clusters: []v1beta1.ClusterUpdatingStatus{{PreviousResourceSnapshotIndex: &from}}}},
		RolledBackBy: rolledBackBy,
	}
	create(w, kind, r)
}

// rollback makes a run that rolls another one back.
func rollback(w *world, name string, initialized metav1.Condition) {
	kind := w.source().fleet.Runs
	r := kind.New(w.key(name))
	r.RunSpec().PlacementName, r.RunSpec().RollbackOf = w.placement.GetName(), "run"
	r.RunStatus().Conditions = []metav1.Condition{initialized}
	create(w, kind, r)
}

func TestWarningsSayWhatARunWouldRemove(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		w.hub.put(configMap("a", "second", "x"))
		w.hub.put(configMap("a", "third", "x"))
		w.snapshot(false)
		w.hub.remove(configMap("a", "second", ""))
		w.hub.remove(configMap("a", "third", ""))
		if _, warnings := w.snapshot(true); len(warnings) != 0 {
			t.Errorf("no cluster has them: %q", warnings)
		}
		w.bind("app-0-snapshot")
		_, warnings := w.snapshot(true)
		want := []string{"2 object(s) that member clusters have from placement " + nameOf(w.placement) + " are no longer selected and will be removed: ConfigMap a/second, ConfigMap a/third"}
		if diff := gocmp.Diff(want, warnings); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
	})
}

func TestErrorsOfSnapshotSayWhoCanMendThem(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		w.hub.refuse("configmaps")
		_, err := w.source().Snapshot(t.Context(), w.placement, false)
		if err == nil || reconcile.IsTerminal(err) {
			t.Errorf("a kind that cannot be read: %v", err)
		}
		w.placement.PlacementSpec().ResourceSelectors = []v1beta1.ResourceSelectorTerm{named("example.com", "v1", "Widget", "")}
		_, err = w.source().Snapshot(t.Context(), w.placement, false)
		if !reconcile.IsTerminal(err) {
			t.Errorf("a kind that is not there: %v", err)
		}
		w.expect()
	})
}

func TestPolicySnapshots(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		got := func() []string {
			t.Helper()
			if err := w.source().ensurePolicy(t.Context(), w.placement); err != nil {
				t.Fatal(err)
			}
			var lines []string
			snapshots := w.source().fleet.PolicySnapshots.ByIndex(fleet.ByPlacement, reconcile.KeyOf(w.placement))
			slices.SortFunc(snapshots, func(a, b v1beta1.PolicySnapshotObject) int { return cmp.Compare(a.GetName(), b.GetName()) })
			for _, s := range snapshots {
				line := strings.Join([]string{s.GetName(), s.GetLabels()["kubernetes-fleet.io/policy-index"], s.GetLabels()["kubernetes-fleet.io/is-latest-snapshot"],
					s.GetAnnotations()["kubernetes-fleet.io/CRP-generation"], s.GetAnnotations()["kubernetes-fleet.io/number-of-clusters"]}, " ")
				lines = append(lines, strings.TrimSpace(line))
				if s.PolicySnapshotSpec().Policy.NumberOfClusters != nil || !ownedBy(s, w.placement) || s.GetLabels()["kubernetes-fleet.io/parent-CRP"] != "app" {
					t.Errorf("policy snapshot %+v", s)
				}
			}
			return lines
		}
		spec := w.placement.PlacementSpec()
		for _, step := range []struct {
			why    string
			change func()
			want   []string
		}{
			{"no policy picks all", func() {}, []string{"app-0 0 true 1"}},
			{"which can be said", func() { spec.Policy = &v1beta1.PlacementPolicy{PlacementType: "PickAll"} }, []string{"app-0 0 true 1"}},
			{"another generation has the same policy", func() { w.placement.SetGeneration(2) }, []string{"app-0 0 true 2"}},
			{"another policy", func() {
				spec.Policy = &v1beta1.PlacementPolicy{PlacementType: "PickN", NumberOfClusters: ptr.To(int32(2))}
			},
				[]string{"app-0 0 false 2", "app-1 1 true 2 2"}},
			{"scaling is no other policy", func() { spec.Policy.NumberOfClusters = ptr.To(int32(3)) }, []string{"app-0 0 false 2", "app-1 1 true 2 3"}},
			{"a policy that was there before is a new one", func() { spec.Policy = nil; w.placement.SetGeneration(3) },
				[]string{"app-0 0 false 2", "app-1 1 false 2 3", "app-2 2 true 3"}},
			{"beyond the limit old ones go, but not one in use", func() {
				w.bind("app-0-snapshot")
				spec.RevisionHistoryLimit = ptr.To(int32(1))
			}, []string{"app-0 0 false 2", "app-2 2 true 3"}},
		} {
			step.change()
			got() // the marks and the deletions are seen the next time
			if diff := gocmp.Diff(step.want, got()); diff != "" {
				t.Errorf("%s: policy snapshots (-want +got):\n%s", step.why, diff)
			}
		}
		if policy := w.placement.PlacementSpec().Policy; policy != nil {
			t.Errorf("the placement was changed: %+v", policy)
		}
	})
}

func TestPolicyHashIsStoredAsUpstreamDoes(t *testing.T) {
	forBothScopes(t, func(t *testing.T, w *world) {
		if err := w.source().ensurePolicy(t.Context(), w.placement); err != nil {
			t.Fatal(err)
		}
		got, err := w.source().fleet.PolicySnapshots.Get(w.key("app-0"))
		if err != nil {
			t.Fatal(err)
		}
		if want := "8cc57dee59684ff88766e26936c8fb125f4bde234a2beb5c54aded4569db0d5a"; string(got.PolicySnapshotSpec().PolicyHash) != want {
			t.Errorf("hash %s, want %s", got.PolicySnapshotSpec().PolicyHash, want)
		}
	})
}
