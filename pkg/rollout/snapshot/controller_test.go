// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// running is a world with the controller at work, in time that passes only when nothing is left to do.
type running struct {
	*world
	controller *Controller
	recorder   *record.FakeRecorder
}

// forBothScopesRunning runs the controller, in each scope, from before the placement is looked at for the first time.
func forBothScopesRunning(t *testing.T, mode ExternalMode, prepare func(w *world), test func(t *testing.T, r *running)) {
	for name, namespace := range scopes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, namespace)
				if prepare != nil {
					prepare(w)
				}
				w.running(mode, func(r *running) { test(t, r) })
			})
		})
	}
}

// running runs the controller around a test, which is in a bubble of synctest.
func (w *world) running(mode ExternalMode, test func(r *running)) {
	source := w.source()
	r := &running{world: w, recorder: record.NewFakeRecorder(100)}
	r.controller = New(source.fleet, source, mode, r.recorder, clock.RealClock{})
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- r.controller.Run(ctx) }()
	r.after(time.Second)
	test(r)
	stop()
	if err := <-done; err != nil {
		w.t.Error(err)
	}
}

// after lets time pass.
func (r *running) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// stored is the placement as the API has it.
func (r *running) stored() v1beta1.PlacementObject {
	r.t.Helper()
	p, err := r.controller.fleet.Placements.Client(r.placement.GetNamespace()).Get(r.t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// change writes the placement with a new generation.
func (r *running) change(f func(*v1beta1.PlacementSpec)) {
	r.t.Helper()
	p := fleet.Copy(r.stored())
	f(p.PlacementSpec())
	p.SetGeneration(p.GetGeneration() + 1)
	if _, err := r.controller.fleet.Placements.Client(p.GetNamespace()).Update(r.t.Context(), p, metav1.UpdateOptions{}); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

// failure is "reason: message" of the condition, or empty.
func (r *running) failure() string {
	condition := meta.FindStatusCondition(r.stored().PlacementStatus().Conditions, v1beta1.PlacementConditionType(r.placement.GetNamespace(), "ResourcesSelected"))
	if condition == nil {
		return ""
	}
	if condition.Status != metav1.ConditionFalse || condition.ObservedGeneration != r.stored().GetGeneration() {
		r.t.Errorf("condition %+v", condition)
	}
	return condition.Reason + ": " + condition.Message
}

// events are those recorded since the last call.
func (r *running) events() []string {
	var events []string
	for {
		select {
		case e := <-r.recorder.Events:
			events = append(events, e)
		default:
			// Before the condition has come back to the cache it may be written again, which a server refuses as a conflict.
			return slices.Compact(events)
		}
	}
}

// watching are the queries being watched.
func (r *running) watching() []string {
	r.controller.watches.mu.Lock()
	defer r.controller.watches.mu.Unlock()
	var queries []string
	for q := range r.controller.watches.shared {
		queries = append(queries, q.String())
	}
	slices.Sort(queries)
	return queries
}

func TestANewPlacementGetsSnapshotsAtOnce(t *testing.T) {
	forBothScopesRunning(t, Automatic, nil, func(t *testing.T, r *running) {
		r.after(0)
		r.expect("app-0-snapshot 0 true")
		if _, err := r.controller.fleet.PolicySnapshots.Get(r.key("app-0")); err != nil {
			t.Error(err)
		}
		if !reconcile.HasFinalizer(r.stored(), wellknown.PlacementCleanupFinalizer) {
			t.Error("the placement can be deleted without its snapshots")
		}
		if failure := r.failure(); failure != "" {
			t.Error(failure)
		}
		if events := r.events(); events != nil {
			t.Errorf("events %q", events)
		}
	})
}

func TestWhatChangesTogetherIsOneSnapshot(t *testing.T) {
	forBothScopesRunning(t, Automatic, nil, func(t *testing.T, r *running) {
		for i := range 4 {
			r.hub.put(configMap("a", "test", fmt.Sprintf("changed%d", i)))
			r.hub.put(configMap("a", fmt.Sprintf("new%d", i), "x"))
			r.after(100 * time.Millisecond)
		}
		r.expect("app-0-snapshot 0 true")
		r.after(quiet)
		r.expect("app-0-snapshot 0 false", "app-1-snapshot 1 true")

		r.hub.remove(configMap("a", "new0", ""))
		r.after(quiet)
		r.expect("app-0-snapshot 0 false", "app-1-snapshot 1 false", "app-2-snapshot 2 true")
	})
}

func TestChangesThatGoOnAreSnapshotted(t *testing.T) {
	forBothScopesRunning(t, Automatic, nil, func(t *testing.T, r *running) {
		for i := range 12 {
			r.hub.put(configMap("a", "test", fmt.Sprintf("changed%d", i)))
			r.after(100 * time.Millisecond)
		}
		r.expect("app-0-snapshot 0 false", "app-1-snapshot 1 true")
	})
}

func TestAChangeThatIsTakenBackIsNone(t *testing.T) {
	forBothScopesRunning(t, Automatic, nil, func(t *testing.T, r *running) {
		r.hub.put(configMap("a", "test", "changed"))
		r.hub.put(configMap("a", "test", "value1"))
		r.after(2 * patience)
		r.expect("app-0-snapshot 0 true")
	})
}

func TestNothingIsSnapshottedFromAnIncompleteView(t *testing.T) {
	const inA = " in namespace a"
	for name, tc := range map[string]struct {
		hide, show func(h *hub)
		want       string
	}{
		"a kind may not be read": {
			func(h *hub) { h.refuse("configmaps") },
			func(h *hub) { h.allow("configmaps") },
			"configmaps" + inA + ": configmaps is forbidden: not yours",
		},
		"the hub does not tell its kinds": {
			func(h *hub) { h.set(func() { h.down = errors.New("connection refused") }) },
			func(h *hub) { h.set(func() { h.down = nil }) },
			"the kinds of the hub: connection refused",
		},
		"the group of a kind does not answer": {
			func(h *hub) { h.set(func() { h.failed[schema.GroupVersion{Version: "v1"}] = errors.New("stale") }) },
			func(h *hub) { h.set(func() { clear(h.failed) }) },
			"the kinds of v1: stale",
		},
	} {
		t.Run(name, func(t *testing.T) {
			forBothScopesRunning(t, Automatic, func(w *world) { tc.hide(w.hub) }, func(t *testing.T, r *running) {
				r.after(grace / 2)
				if failure := r.failure(); failure != "" {
					t.Errorf("told before it lasts: %s", failure)
				}
				r.after(grace)
				r.expect()
				want := "ResourcesIncomplete: No new resource snapshot is made: not everything that is selected can be seen: " + tc.want
				if failure := r.failure(); failure != want {
					t.Errorf("condition %q, want %q", failure, want)
				}
				if events := r.events(); len(events) != 1 || !strings.Contains(events[0], tc.want) {
					t.Errorf("events %q", events)
				}
				tc.show(r.hub)
				r.after(5 * time.Minute)
				r.expect("app-0-snapshot 0 true")
				if failure := r.failure(); failure != "" {
					t.Errorf("the condition stays: %s", failure)
				}
			})
		})
	}
}

func TestTheLastSnapshotStaysWhileTheViewIsIncomplete(t *testing.T) {
	apiService := `{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1.rbac.authorization.k8s.io}}`
	forBothScopesRunning(t, Automatic, func(w *world) {
		if w.placement.GetNamespace() != "" {
			p := fleet.Copy(w.placement)
			p.PlacementSpec().ResourceSelectors = append(p.PlacementSpec().ResourceSelectors, named("rbac.authorization.k8s.io", "v1", "Role", ""))
			if _, err := w.api.PlacementV1beta1().ResourcePlacements("a").Update(w.t.Context(), p.(*v1beta1.ResourcePlacement), metav1.UpdateOptions{}); err != nil {
				w.t.Fatal(err)
			}
		}
		w.hub.put(`{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r, namespace: a}}`)
	}, func(t *testing.T, r *running) {
		r.hub.set(func() {
			r.hub.failed[schema.GroupVersion{Group: "rbac.authorization.k8s.io", Version: "v1"}] = errors.New("stale")
		})
		r.hub.put(apiService)
		r.after(time.Second)
		r.hub.put(configMap("a", "test", "value2"))
		r.after(2 * grace)
		r.expect("app-0-snapshot 0 true")
		if failure := r.failure(); !strings.HasPrefix(failure, "ResourcesIncomplete: ") {
			t.Errorf("condition %q", failure)
		}
		r.hub.set(func() { clear(r.hub.failed) })
		r.hub.remove(apiService)
		r.after(time.Second)
		r.expect("app-0-snapshot 0 false", "app-1-snapshot 1 true")
		if failure := r.failure(); failure != "" {
			t.Errorf("the condition stays: %s", failure)
		}
	})
}

func TestSelectorsThatAreWrongAreToldUntilTheyAreRight(t *testing.T) {
	forBothScopesRunning(t, Automatic, nil, func(t *testing.T, r *running) {
		var before []v1beta1.ResourceSelectorTerm
		r.change(func(spec *v1beta1.PlacementSpec) {
			before = spec.ResourceSelectors
			spec.ResourceSelectors = []v1beta1.ResourceSelectorTerm{named("example.com", "v1", "Widget", "")}
		})
		want := "InvalidResourceSelectors: The resource selectors are invalid: invalid placement " + nameOf(r.placement) +
			`, failed to get GVR of the selector: no matches for kind "Widget" in version "example.com/v1"`
		if failure := r.failure(); failure != want {
			t.Errorf("condition %q, want %q", failure, want)
		}
		if events := r.events(); len(events) != 1 {
			t.Errorf("events %q", events)
		}
		r.expect("app-0-snapshot 0 true")
		r.change(func(spec *v1beta1.PlacementSpec) { spec.ResourceSelectors = before })
		if failure := r.failure(); failure != "" {
			t.Errorf("the condition stays: %s", failure)
		}
	})
}

func TestWhatIsPlacedOfAReservedNamespaceStays(t *testing.T) {
	for name, placement := range map[string]v1beta1.PlacementObject{
		"its object":    placementIn("", namespaceTerm("kube-system", v1beta1.NamespaceOnly)),
		"objects in it": placementIn("kube-system", named("", "v1", "ConfigMap", "")),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldOf(t, placement)
				w.hub.put(configMap("kube-system", "settings", "newer"))
				// The version that a server had made before it refused reserved namespaces.
				made := w.source().fleet.Snapshots.New(w.key("app-0-snapshot"))
				made.SetLabels(map[string]string{
					wellknown.ParentPlacementLabel: "app", wellknown.ResourceIndexLabel: "0", wellknown.LatestSnapshotLabel: "true",
				})
				made.SetAnnotations(map[string]string{wellknown.ResourceHashAnnotation: "h", wellknown.NumberOfSnapshotsAnnotation: "1"})
				create(w, w.source().fleet.Snapshots, made)
				w.running(Automatic, func(r *running) {
					r.expect("app-0-snapshot 0 true")
					const want = " is not allowed to propagate"
					if failure := r.failure(); !strings.HasPrefix(failure, "InvalidResourceSelectors: ") || !strings.HasSuffix(failure, "namespace kube-system"+want) {
						t.Errorf("condition %q", failure)
					}
					if events := r.events(); len(events) != 1 || !strings.HasSuffix(events[0], want) {
						t.Errorf("events %q", events)
					}
				})
			})
		})
	}
}

func TestANewKindIsNoticed(t *testing.T) {
	forBothScopesRunning(t, Automatic, nil, func(t *testing.T, r *running) {
		namespaced := r.placement.GetNamespace() != ""
		r.change(func(spec *v1beta1.PlacementSpec) {
			if namespaced {
				spec.ResourceSelectors = []v1beta1.ResourceSelectorTerm{named("example.com", "v1", "Widget", "")}
			}
		})
		crd := `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: widgets.example.com}}`
		r.hub.put(crd)
		// The hub tells the kind a second after it stored the definition.
		r.after(time.Second)
		r.hub.set(func() {
			r.hub.lists["example.com/v1"] = []metav1.APIResource{{Name: "widgets", Kind: "Widget", Namespaced: true, Verbs: readable}}
		})
		r.hub.put(`{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, namespace: a}}`)
		r.after(kindsLag + patience)
		r.expect("app-0-snapshot 0 false", "app-1-snapshot 1 true")
		if failure := r.failure(); failure != "" {
			t.Error(failure)
		}
		if !slices.Contains(r.watching(), "widgets.example.com in namespace a") {
			t.Errorf("watches %q", r.watching())
		}
	})
}

// TestSelectorsThatFindNothingAreNamed begins with a placement that selects something.
func TestSelectorsThatFindNothingAreNamed(t *testing.T) {
	forBothScopesRunning(t, Automatic, nil, func(t *testing.T, r *running) {
		good := r.placement.PlacementSpec().ResourceSelectors[0]
		typo, lacks := named("", "v1", "Namespace", "shpo"), `the hub has no Namespace "shpo"`
		if r.placement.GetNamespace() != "" {
			typo, lacks = labeled("rbac.authorization.k8s.io", "v1", "Role", map[string]string{"app": "wbe"}), `the hub has no Role.rbac.authorization.k8s.io with labels app=wbe in namespace a`
		}
		for _, step := range []struct {
			selectors []v1beta1.ResourceSelectorTerm
			want      string
		}{
			{[]v1beta1.ResourceSelectorTerm{good, typo}, "True SelectorsFindNothing: Some resource selectors select nothing: " + lacks},
			{[]v1beta1.ResourceSelectorTerm{good}, ""},
		} {
			r.change(func(spec *v1beta1.PlacementSpec) { spec.ResourceSelectors = step.selectors })
			r.after(patience)
			got := ""
			conditionType := v1beta1.PlacementConditionType(r.placement.GetNamespace(), "ResourcesSelected")
			if c := meta.FindStatusCondition(r.stored().PlacementStatus().Conditions, conditionType); c != nil {
				got = fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
			}
			if got != step.want {
				t.Errorf("condition %q, want %q", got, step.want)
			}
		}
		if events := r.events(); len(events) != 1 || !strings.Contains(events[0], lacks) {
			t.Errorf("events %q", events)
		}
	})
}

// TestAPlacementThatNeverSelectedAnythingSaysSo holds of one with a strategy of its own as of one that a run rolls out.
func TestAPlacementThatNeverSelectedAnythingSaysSo(t *testing.T) {
	for _, strategy := range []v1beta1.RolloutStrategyType{v1beta1.RollingUpdateRolloutStrategyType, v1beta1.ExternalRolloutStrategyType} {
		t.Run(string(strategy), func(t *testing.T) {
			prepare := func(w *world) {
				spec := w.placement.PlacementSpec()
				spec.Strategy.Type = strategy
				spec.ResourceSelectors = []v1beta1.ResourceSelectorTerm{named("", "v1", "Namespace", "shpo"), named("", "v1", "Node", "n")}
				if w.placement.GetNamespace() != "" {
					spec.ResourceSelectors[0] = named("", "v1", "Secret", "nope")
				}
				w.api = fake.NewSimpleClientset(fleet.Copy(w.placement))
			}
			forBothScopesRunning(t, Automatic, prepare, func(t *testing.T, r *running) {
				r.expect("app-0-snapshot 0 true")
				want := `NothingSelected: The resource selectors select nothing: the hub has no Namespace "shpo", Node "n", of a kind that is never placed`
				if r.placement.GetNamespace() != "" {
					want = `NothingSelected: The resource selectors select nothing: the hub has no Secret "nope" in namespace a, Node "n" in namespace a, of a kind that is never placed`
				}
				if failure := r.failure(); failure != want {
					t.Errorf("condition %q, want %q", failure, want)
				}
			})
		})
	}
}

func TestASelectionThatBecomesNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		strategy v1beta1.RolloutStrategyType
		want     []string
		failure  string
	}{
		"is not rolled out by itself": {
			v1beta1.RollingUpdateRolloutStrategyType, []string{"app-0-snapshot 0 true"},
			"NothingSelected: The resource selectors select nothing any more: LACKS. The clusters keep what they have: delete the placement to remove it from them",
		},
		"waits for a run": {
			v1beta1.ExternalRolloutStrategyType, []string{"app-0-snapshot 0 false", "app-1-snapshot 1 true"},
			"NothingSelected: The resource selectors select nothing: LACKS",
		},
	} {
		t.Run(name, func(t *testing.T) {
			forBothScopesRunning(t, Automatic, nil, func(t *testing.T, r *running) {
				r.change(func(spec *v1beta1.PlacementSpec) { spec.Strategy.Type = tc.strategy })
				r.hub.remove(configMap("a", "test", ""))
				r.hub.remove(namespace("a"))
				r.after(patience)
				r.expect(tc.want...)
				lacks := `the hub has no Namespace "a"`
				if r.placement.GetNamespace() != "" {
					lacks = "the hub has no ConfigMap in namespace a"
				}
				if failure, want := r.failure(), strings.ReplaceAll(tc.failure, "LACKS", lacks); failure != want {
					t.Errorf("condition %q, want %q", failure, want)
				}
				if events := r.events(); len(events) == 0 {
					t.Error("no event tells of it")
				}
				r.hub.put(namespace("a"))
				r.hub.put(configMap("a", "test", "value1"))
				r.after(patience)
				if failure := r.failure(); failure != "" {
					t.Errorf("the condition stays: %s", failure)
				}
			})
		})
	}
}

// What clusters have is not taken from them since somebody is deleting the snapshot of it.
func TestASelectionThatBecomesNothingIsHeldBackByASnapshotThatIsBeingDeleted(t *testing.T) {
	forBothScopesRunning(t, Automatic, nil, func(t *testing.T, r *running) {
		r.change(func(spec *v1beta1.PlacementSpec) { spec.Strategy.Type = v1beta1.RollingUpdateRolloutStrategyType })
		r.hub.remove(configMap("a", "test", ""))
		r.hub.remove(namespace("a"))
		goes(r.world, r.source().fleet.Snapshots, "app-0-snapshot")
		r.after(patience)
		for _, s := range r.source().fleet.Snapshots.ByIndex(fleet.ByPlacement, reconcile.KeyOf(r.placement)) {
			if len(s.SnapshotSpec().SelectedResources) == 0 {
				t.Errorf("there is %s, which has nothing", s.GetName())
			}
		}
	})
}

func TestOnRunNothingIsWatchedForExternal(t *testing.T) {
	forBothScopesRunning(t, OnRun, nil, func(t *testing.T, r *running) {
		r.after(time.Minute)
		r.expect()
		if watching := r.watching(); watching != nil {
			t.Errorf("watches %q", watching)
		}
		if _, err := r.controller.fleet.PolicySnapshots.Get(r.key("app-0")); err != nil {
			t.Error(err)
		}
		r.change(func(spec *v1beta1.PlacementSpec) { spec.Strategy.Type = v1beta1.RollingUpdateRolloutStrategyType })
		r.expect("app-0-snapshot 0 true")
		r.change(func(spec *v1beta1.PlacementSpec) { spec.Strategy.Type = v1beta1.ExternalRolloutStrategyType })
		if watching := r.watching(); watching != nil {
			t.Errorf("watches %q", watching)
		}
		r.expect("app-0-snapshot 0 true")
	})
}

func TestADeletedPlacementTakesItsSnapshotsAlong(t *testing.T) {
	forBothScopesRunning(t, Automatic, nil, func(t *testing.T, r *running) {
		r.expect("app-0-snapshot 0 true")
		r.after(time.Minute)
		p := fleet.Copy(r.stored())
		p.SetDeletionTimestamp(new(metav1.Now()))
		p.SetFinalizers(append(p.GetFinalizers(), "example.com/other"))
		if _, err := r.controller.fleet.Placements.Client(p.GetNamespace()).Update(t.Context(), p, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.expect()
		if policies := r.controller.fleet.PolicySnapshots.ByIndex(fleet.ByPlacement, reconcile.KeyOf(p)); len(policies) != 0 {
			t.Errorf("policy snapshots are left: %v", policies)
		}
		if diff := gocmp.Diff([]string{"example.com/other"}, r.stored().GetFinalizers()); diff != "" {
			t.Errorf("finalizers (-want +got):\n%s", diff)
		}
		if watching := r.watching(); watching != nil {
			t.Errorf("watches %q", watching)
		}
		if events := r.events(); len(events) == 0 || events[len(events)-1] != "Normal PlacementCleanupFinalizerRemoved Deleted the snapshots and removed the placement cleanup finalizer; the placement goes once its clusters are left" {
			t.Errorf("Events %q", events)
		}
	})
}

func TestWatchesAreSharedAndEndWithTheLastSelector(t *testing.T) {
	forBothScopesRunning(t, Automatic, nil, func(t *testing.T, r *running) {
		inA := []string{"configmaps in namespace a"}
		if r.placement.GetNamespace() == "" {
			inA = []string{
				"configmaps in namespace a", "endpoints in namespace a", "horizontalpodautoscalers.autoscaling in namespace a", "namespaces a",
				"resourceenvelopes.placement.kubernetes-fleet.io in namespace a", "roles.rbac.authorization.k8s.io in namespace a",
				"secrets in namespace a", "services in namespace a",
			}
		}
		expect := func(want []string) {
			t.Helper()
			if diff := gocmp.Diff(want, r.watching()); diff != "" {
				t.Errorf("watches (-want +got):\n%s", diff)
			}
		}
		expect(inA)
		second := fleet.Copy(r.stored())
		second.SetName("second")
		second.SetUID("second-uid")
		second.SetResourceVersion("")
		create(r.world, r.controller.fleet.Placements, second)
		synctest.Wait()
		expect(inA)
		r.change(func(spec *v1beta1.PlacementSpec) {
			if r.placement.GetNamespace() == "" {
				spec.ResourceSelectors = []v1beta1.ResourceSelectorTerm{named("rbac.authorization.k8s.io", "v1", "ClusterRole", "reader")}
			} else {
				spec.ResourceSelectors = []v1beta1.ResourceSelectorTerm{labeled("", "v1", "Secret", map[string]string{"x": "y"})}
			}
		})
		own := "clusterroles.rbac.authorization.k8s.io reader"
		if r.placement.GetNamespace() != "" {
			own = "secrets with x=y in namespace a"
		}
		both := append(slices.Clone(inA), own)
		slices.Sort(both)
		expect(both)
		if err := r.controller.fleet.Placements.Client(second.GetNamespace()).Delete(t.Context(), "second", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		expect([]string{own})
	})
}

func TestOnlyWhatChangedIsRead(t *testing.T) {
	forBothScopesRunning(t, Automatic, func(w *world) {
		for i := range 20 {
			w.hub.put(configMap("a", fmt.Sprintf("other-%d", i), "x"))
		}
	}, func(t *testing.T, r *running) {
		r.hub.dynamic.ClearActions()
		r.hub.put(configMap("a", "test", "value2"))
		r.after(patience)
		if got := r.snapshots(); !slices.Contains(got, "app-1-snapshot 1 true") {
			t.Errorf("snapshots %q", got)
		}
		var reads []string
		for _, action := range r.hub.dynamic.Actions() {
			reads = append(reads, action.GetVerb()+" "+action.GetResource().Resource)
		}
		// The namespace identifies the hub.
		if diff := gocmp.Diff([]string{"get configmaps", "get namespaces"}, reads); diff != "" {
			t.Errorf("reads of the hub (-want +got):\n%s", diff)
		}
	})
}

func TestASnapshotThatSomebodyDeletesIsMadeAgain(t *testing.T) {
	forBothScopesRunning(t, Automatic, nil, func(t *testing.T, r *running) {
		if err := r.controller.fleet.Snapshots.Client(r.placement.GetNamespace()).Delete(t.Context(), "app-0-snapshot", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.expect("app-0-snapshot 0 true")
	})
}
