// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

const prunedEvent = "Normal Pruned alice lets go of what clusters with resource snapshot web-1-snapshot have kept since an adoption: INC-7"

// asked has alice ask an hour after testTime that clusters with a version let go; nil takes the request back.
func asked(snapshot string) *v1beta1.PlacementPruneRecord {
	return &v1beta1.PlacementPruneRecord{
		ResourceSnapshotName: snapshot, Reason: "INC-7", User: v1beta1.DecisionUser{Username: "alice"}, Time: metav1.NewTime(testTime.Add(time.Hour)),
	}
}

func (b *bench) prune(record *v1beta1.PlacementPruneRecord) {
	b.t.Helper()
	placements := b.fleet.Placements.Client(b.namespace)
	placement, err := placements.Get(b.t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	placement.PlacementStatus().Prune = record
	if _, err := placements.UpdateStatus(b.t.Context(), placement, metav1.UpdateOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

// condition is one of a Work that is True since a time.
func condition(conditionType string, since time.Time, message string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: metav1.ConditionTrue, Reason: "Tested", Message: message, LastTransitionTime: metav1.NewTime(since)}
}

// applied has the applier say of all Works that they are applied, and that they have kept objects since a time; the zero time means that
// they have kept none.
func (b *bench) applied(since time.Time) {
	b.t.Helper()
	for _, work := range b.works() {
		conditions := []metav1.Condition{condition(v1beta1.WorkApplied, testTime, ""), condition(v1beta1.WorkAvailable, testTime, "")}
		if !since.IsZero() {
			conditions = append(conditions, condition(v1beta1.WorkObjectsKept, since, "Kept: ConfigMap old"))
		}
		b.answer(work.Name, nil, conditions...)
	}
}

// pruned are the prune annotations of the Works.
func (b *bench) pruned() []string {
	b.t.Helper()
	var found []string
	for _, work := range b.works() {
		found = append(found, work.Annotations[wellknown.PruneAnnotation])
	}
	return found
}

// unmanaged are Works without what every write changes.
func unmanaged(works []v1beta1.Work) []v1beta1.Work {
	for i := range works {
		works[i].ManagedFields, works[i].ResourceVersion = nil, ""
	}
	return works
}

// told are the Events so far.
func (b *bench) told() []string {
	var events []string
	for {
		select {
		case event := <-b.events.Events:
			events = append(events, event)
		default:
			return events
		}
	}
}

func TestWorksLetGoOfWhatWasShownWhenSomebodyAsked(t *testing.T) {
	const snapshot = "web-1-snapshot"
	for name, tc := range map[string]struct {
		record *v1beta1.PlacementPruneRecord
		since  time.Time
		want   string
	}{
		"what was kept before":            {asked(snapshot), testTime, snapshot},
		"what was kept at the same time":  {asked(snapshot), testTime.Add(time.Hour), snapshot},
		"not what is kept only since":     {asked(snapshot), testTime.Add(time.Hour + time.Second), ""},
		"not what nobody has named":       {asked(snapshot), time.Time{}, ""},
		"not without a request":           {nil, testTime, ""},
		"not on one for another version":  {asked("web-2-snapshot"), testTime, ""},
		"not on one for no version":       {asked(""), testTime, ""},
		"not on one of another placement": {asked("other-1-snapshot"), testTime, ""},
	} {
		for _, scope := range bothScopes {
			t.Run(name+"/"+scope.name, func(t *testing.T) {
				b := newBench(t, scope.namespace)
				b.snapshot(snapshot, map[string]string{wellknown.NumberOfSnapshotsAnnotation: "2"}, configMapJSON)
				b.snapshot("web-1-0", map[string]string{wellknown.SubindexAnnotation: "0"}, strings.Replace(configMapJSON, "test-cm", "other", 1))
				b.binding(nil)
				b.settle()
				b.applied(tc.since)
				b.settle()
				before, status := unmanaged(b.works()), *b.current().BindingStatus()
				b.told()

				b.prune(tc.record)
				b.settle()
				if diff := cmp.Diff([]string{tc.want, tc.want}, b.pruned()); diff != "" {
					t.Errorf("annotations (-want +got):\n%s", diff)
				}
				var events []string
				if tc.want != "" {
					events = []string{prunedEvent, prunedEvent}
				}
				if diff := cmp.Diff(events, b.told()); diff != "" {
					t.Errorf("Events (-want +got):\n%s", diff)
				}
				// It is no new version, and the binding says what it said.
				after := unmanaged(b.works())
				for i := range after {
					delete(after[i].Annotations, wellknown.PruneAnnotation)
					delete(after[i].Annotations, wellknown.PruneTimeAnnotation)
				}
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("Works, -before +after:\n%s", diff)
				}
				if diff := cmp.Diff(status, *b.current().BindingStatus()); diff != "" {
					t.Errorf("binding status, -before +after:\n%s", diff)
				}
			})
		}
	}
}

// TestARequestToPruneStandsUntilItIsAnswered begins with a Work that has begun to let go.
func TestARequestToPruneStandsUntilItIsAnswered(t *testing.T) {
	const snapshot = "web-1-snapshot"
	for name, tc := range map[string]struct {
		then func(b *bench)
		want string
	}{
		"while the applier tries again": {func(b *bench) { b.applied(time.Time{}) }, snapshot},
		"while the way to apply changes": {func(b *bench) {
			b.edit(func(o v1beta1.BindingObject) {
				o.BindingSpec().ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeServerSideApply}
			})
		}, snapshot},
		"and not for a later adoption": {func(b *bench) { b.applied(testTime.Add(2 * time.Hour)) }, ""},
		"and not for another version": {func(b *bench) {
			b.edit(func(o v1beta1.BindingObject) { o.BindingSpec().ResourceSnapshotName = "web-2-snapshot" })
		}, ""},
		"and not once another version is asked": {func(b *bench) { b.prune(asked("web-2-snapshot")) }, ""},
		"and not once it is gone":               {func(b *bench) { b.prune(nil) }, ""},
		"and not for a Work that is new": {func(b *bench) {
			if err := b.api.PlacementV1beta1().Works("fleet-member-member1").Delete(b.t.Context(), b.works()[0].Name, metav1.DeleteOptions{}); err != nil {
				b.t.Fatal(err)
			}
			b.pass()
		}, ""},
	} {
		for _, scope := range bothScopes {
			t.Run(name+"/"+scope.name, func(t *testing.T) {
				b := newBench(t, scope.namespace)
				for _, index := range []string{"1", "2"} {
					s := b.fleet.Snapshots.New(b.key("web-" + index + "-snapshot"))
					s.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "web", wellknown.ResourceIndexLabel: index})
					create(b, b.fleet.Snapshots, s)
				}
				b.binding(nil)
				b.settle()
				b.applied(testTime)
				b.prune(asked(snapshot))
				b.settle()
				if diff := cmp.Diff([]string{snapshot}, b.pruned()); diff != "" {
					t.Fatalf("annotation at first (-want +got):\n%s", diff)
				}
				b.told()

				tc.then(b)
				b.settle()
				if diff := cmp.Diff([]string{tc.want}, b.pruned()); diff != "" {
					t.Errorf("annotation (-want +got):\n%s", diff)
				}
				if events := b.told(); len(events) > 0 {
					t.Errorf("Events: %v", events)
				}
			})
		}
	}
}

func TestAVersionIsPrunedOnceItHasSaidWhatIsKept(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMapJSON)
	b.binding(nil)
	b.settle()
	b.applied(testTime)
	s := b.fleet.Snapshots.New(b.key("web-2-snapshot"))
	s.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "web", wellknown.ResourceIndexLabel: "2"})
	create(b, b.fleet.Snapshots, s)
	b.prune(asked("web-2-snapshot"))
	b.edit(func(o v1beta1.BindingObject) { o.BindingSpec().ResourceSnapshotName = "web-2-snapshot" })
	b.settle()
	if diff := cmp.Diff([]string{""}, b.pruned()); diff != "" {
		t.Errorf("before it is applied (-want +got):\n%s", diff)
	}
	b.applied(testTime)
	b.settle()
	if diff := cmp.Diff([]string{"web-2-snapshot"}, b.pruned()); diff != "" {
		t.Errorf("once it is applied (-want +got):\n%s", diff)
	}
}

func TestARequestToPruneWakesTheBindings(t *testing.T) {
	for _, scope := range bothScopes {
		t.Run(scope.name, func(t *testing.T) {
			b := newBench(t, scope.namespace)
			b.binding(nil)
			b.cacheUp()
			placement := func(record *v1beta1.PlacementPruneRecord, index string) v1beta1.PlacementObject {
				o := b.fleet.Placements.New(b.key("web"))
				o.PlacementStatus().Prune, o.PlacementStatus().ObservedResourceIndex = record, index
				return o
			}
			for name, tc := range map[string]struct {
				old, new v1beta1.PlacementObject
				want     []reconcile.Key
			}{
				"first":      {placement(nil, "1"), placement(asked("web-1-snapshot"), "1"), []reconcile.Key{b.key("web-member1")}},
				"another":    {placement(asked("web-1-snapshot"), "1"), placement(asked("web-2-snapshot"), "1"), []reconcile.Key{b.key("web-member1")}},
				"same":       {placement(asked("web-1-snapshot"), "1"), placement(asked("web-1-snapshot"), "1"), nil},
				"other news": {placement(nil, "1"), placement(nil, "2"), nil},
			} {
				if diff := cmp.Diff(tc.want, b.bindingsOfPlacement(tc.old, tc.new)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

func TestABindingSaysWhatItsClusterKeeps(t *testing.T) {
	work := func(name string, generation int64, conditions ...metav1.Condition) *v1beta1.Work {
		for i := range conditions {
			conditions[i].ObservedGeneration = 2
		}
		return &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: generation}, Status: v1beta1.WorkStatus{Conditions: conditions}}
	}
	applied := condition(v1beta1.WorkApplied, testTime, "")
	failed := metav1.Condition{Type: v1beta1.WorkApplied, Status: metav1.ConditionFalse}
	kept := func(since time.Time, message string) metav1.Condition {
		return condition(v1beta1.WorkObjectsKept, since, message)
	}
	later := testTime.Add(time.Hour)
	long := strings.Repeat("x", 1000)
	var many []*v1beta1.Work
	for i := range 9 {
		many = append(many, work(fmt.Sprintf("w%d", i), 2, applied, kept(testTime, long)))
	}
	for name, tc := range map[string]struct {
		works []*v1beta1.Work
		err   error
		want  *metav1.Condition
	}{
		"nothing":                      {works: []*v1beta1.Work{work("a", 2, applied)}},
		"of an older generation":       {works: []*v1beta1.Work{work("a", 3, applied, kept(testTime, "Kept: x"))}},
		"while the Works are not made": {works: []*v1beta1.Work{work("a", 2, applied, kept(testTime, "Kept: x"))}, err: reconcile.Terminalf("no")},
		"one Work":                     {works: []*v1beta1.Work{work("a", 2, applied, kept(testTime, "Kept: x"))}, want: &metav1.Condition{Message: "Kept: x", LastTransitionTime: metav1.NewTime(testTime)}},
		"where a manifest has failed":  {works: []*v1beta1.Work{work("a", 2, failed, kept(testTime, "Kept: x"))}, want: &metav1.Condition{Message: "Kept: x", LastTransitionTime: metav1.NewTime(testTime)}},
		"two Works, since the later": {
			works: []*v1beta1.Work{work("a", 2, applied, kept(later, "Kept: x")), work("b", 2, applied), work("c", 2, applied, kept(testTime, "Kept: y"))},
			want:  &metav1.Condition{Message: "Kept: x. Kept: y", LastTransitionTime: metav1.NewTime(later)},
		},
		"more than fits": {
			works: many,
			want: &metav1.Condition{
				Message: strings.Repeat(long+". ", 7) + long + ". Work object w8 has kept more", LastTransitionTime: metav1.NewTime(testTime),
			},
		},
		"longer than it is said": {
			works: []*v1beta1.Work{work("a", 2, applied, kept(testTime, strings.Repeat("x", 32<<10)))},
			want:  &metav1.Condition{Message: wording.Shorten(strings.Repeat("x", 32<<10), 1<<10), LastTransitionTime: metav1.NewTime(testTime)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			binding := &v1beta1.ClusterResourceBinding{ObjectMeta: metav1.ObjectMeta{Generation: 7}}
			binding.Status.Conditions = []metav1.Condition{condition(v1beta1.BindingObjectsKept, testTime.Add(-time.Hour), "old")}
			status := statusOf(binding, outcome{works: tc.works, err: tc.err}, metav1.NewTime(testTime))
			if tc.want != nil {
				tc.want.Type, tc.want.Status, tc.want.Reason, tc.want.ObservedGeneration = v1beta1.BindingObjectsKept, metav1.ConditionTrue, "Tested", 7
			}
			if diff := cmp.Diff(tc.want, meta.FindStatusCondition(status.Conditions, v1beta1.BindingObjectsKept)); diff != "" {
				t.Errorf("condition (-want +got):\n%s", diff)
			}
			if c := meta.FindStatusCondition(status.Conditions, v1beta1.BindingApplied); tc.want != nil && c.Status == metav1.ConditionTrue {
				if want := fmt.Sprintf("All corresponding work objects are applied. %s", tc.want.Message); c.Message != want {
					t.Errorf("the message of Applied is %q, want %q", c.Message, want)
				}
			}
		})
	}
}
