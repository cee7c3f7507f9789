// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollingupdate

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

var now = time.Date(2025, 7, 22, 21, 28, 8, 0, time.UTC)

type option func(*v1beta1.ClusterResourceBinding)

// on makes a binding that holds a snapshot and is available; fresh, broken and the like change that.
func on(cluster, snapshot string, options ...option) v1beta1.BindingObject {
	b := &v1beta1.ClusterResourceBinding{
		ObjectMeta: metav1.ObjectMeta{Name: cluster, Generation: 1},
		Spec:       v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateBound, TargetCluster: cluster, ResourceSnapshotName: snapshot},
	}
	set(b, v1beta1.BindingRolloutStarted, metav1.ConditionTrue, "RolloutStarted", now)
	set(b, v1beta1.BindingAvailable, metav1.ConditionTrue, "AllWorkAreAvailable", now)
	for _, o := range options {
		o(b)
	}
	return b
}

func set(b *v1beta1.ClusterResourceBinding, conditionType string, status metav1.ConditionStatus, reason string, at time.Time) {
	for i := range b.Status.Conditions {
		if b.Status.Conditions[i].Type == conditionType {
			b.Status.Conditions = append(b.Status.Conditions[:i], b.Status.Conditions[i+1:]...)
			break
		}
	}
	b.Status.Conditions = append(b.Status.Conditions, metav1.Condition{Type: conditionType, Status: status, Reason: reason, ObservedGeneration: 1, LastTransitionTime: metav1.NewTime(at)})
}

func fresh(b *v1beta1.ClusterResourceBinding) {
	b.Spec.State, b.Spec.ResourceSnapshotName, b.Status.Conditions = v1beta1.BindingStateScheduled, "", nil
}
func broken(b *v1beta1.ClusterResourceBinding) {
	set(b, v1beta1.BindingAvailable, metav1.ConditionFalse, "NotAllWorkAreAvailable", now)
}
func unannounced(b *v1beta1.ClusterResourceBinding) { b.Status.Conditions = nil }
func silent(b *v1beta1.ClusterResourceBinding) {
	b.Status.Conditions = nil
	set(b, v1beta1.BindingRolloutStarted, metav1.ConditionTrue, "RolloutStarted", now)
}

// rewritten makes a binding one whose spec was written since the cluster told of itself.
func rewritten(b *v1beta1.ClusterResourceBinding) { b.Generation++ }

// unwritten makes a binding one of which nothing can be written to the cluster.
func unwritten(b *v1beta1.ClusterResourceBinding) {
	silent(b)
	set(b, v1beta1.BindingOverridden, metav1.ConditionFalse, "OverriddenFailed", now)
}
func leaving(b *v1beta1.ClusterResourceBinding)  { b.Labels = map[string]string{"leaves": "the fleet"} }
func dropped(b *v1beta1.ClusterResourceBinding)  { b.Spec.State = v1beta1.BindingStateUnscheduled }
func deleting(b *v1beta1.ClusterResourceBinding) { b.DeletionTimestamp = &metav1.Time{Time: now} }
func untrackableSince(d time.Duration) option {
	return func(b *v1beta1.ClusterResourceBinding) {
		set(b, v1beta1.BindingAvailable, metav1.ConditionTrue, reasonNotTrackable, now.Add(-d))
	}
}

func TestBudget(t *testing.T) {
	const old, newest = "p-0-snapshot", "p-1-snapshot"
	tests := map[string]struct {
		maxUnavailable, maxSurge string
		bindings                 []v1beta1.BindingObject
		start, remove, held      string
		again                    time.Duration
	}{
		"the first version goes to all clusters at once": {
			bindings: []v1beta1.BindingObject{on("b", "", fresh), on("a", "", fresh), on("c", "", fresh)}, start: "a b c",
		},
		"a quarter of four clusters is one": {
			bindings: []v1beta1.BindingObject{on("a", old), on("b", old), on("c", old), on("d", old)}, start: "a", held: "b c d",
		},
		"a percentage is rounded up": {
			maxUnavailable: "26%", bindings: []v1beta1.BindingObject{on("a", old), on("b", old), on("c", old), on("d", old)}, start: "a b", held: "c d",
		},
		"a cluster in flight uses the budget up": {
			bindings: []v1beta1.BindingObject{on("a", newest, broken), on("b", old), on("c", old), on("d", old)}, held: "b c d",
		},
		"a cluster that is done gives it back": {
			bindings: []v1beta1.BindingObject{on("a", newest), on("b", old), on("c", old), on("d", old)}, start: "b", held: "c d",
		},
		"a cluster that is broken anyway needs no budget": {
			bindings: []v1beta1.BindingObject{on("a", old, broken), on("b", old), on("c", old), on("d", old)}, start: "a", held: "b c d",
		},
		"clusters whose bindings were written and that have not told since may be available": {
			bindings: []v1beta1.BindingObject{
				on("a", newest, broken), on("b", old, rewritten), on("c", old, rewritten), on("d", old, rewritten), on("z", old, rewritten, dropped),
			},
			held: "b c d",
		},
		"one that tells that it is not needs no budget": {
			bindings: []v1beta1.BindingObject{on("a", old, broken), on("b", old, rewritten)}, start: "a", held: "b",
		},
		"one that has not told goes where enough others are available": {
			bindings: []v1beta1.BindingObject{on("a", old, rewritten), on("b", old), on("c", old), on("d", old)}, start: "a", held: "b c d",
		},
		"those that nothing could be written to go one at a time": {
			bindings: []v1beta1.BindingObject{on("a", old, unwritten), on("b", old, unwritten), on("c", old, unwritten), on("d", old, unwritten)}, start: "a", held: "b c d",
		},
		"also where none may be unavailable": {
			maxUnavailable: "0", maxSurge: "1", bindings: []v1beta1.BindingObject{on("a", old, unwritten), on("b", old, unwritten)}, start: "a", held: "b",
		},
		"and wait for the one in flight": {
			bindings: []v1beta1.BindingObject{on("a", newest, silent), on("b", old, unwritten), on("c", old, unwritten), on("d", old, unwritten)}, held: "b c d",
		},
		"but not for one that cannot be written to either": {
			bindings: []v1beta1.BindingObject{on("a", newest, unwritten), on("b", old, unwritten), on("c", old, unwritten), on("d", old, unwritten)}, start: "b", held: "c d",
		},
		"a cluster that leaves the fleet is let go whatever is known of it": {
			bindings: []v1beta1.BindingObject{on("a", newest, broken), on("b", newest, broken), on("y", newest, dropped, rewritten), on("z", newest, dropped, leaving)}, remove: "z",
		},
		"what cannot be observed for a while may be available": {
			maxUnavailable: "1",
			bindings:       []v1beta1.BindingObject{on("a", old, untrackableSince(20*time.Second)), on("b", old, untrackableSince(30*time.Second)), on("c", newest, broken)},
			held:           "a b", again: 30 * time.Second,
		},
		"one that was started and has not told yet needs none": {
			bindings: []v1beta1.BindingObject{on("a", old, silent), on("b", old)}, start: "a", held: "b",
		},
		"everything new, nothing to do": {bindings: []v1beta1.BindingObject{on("a", newest), on("b", newest)}},
		"an announcement that was lost is made up for": {
			bindings: []v1beta1.BindingObject{on("a", newest, unannounced), on("b", newest)}, start: "a",
		},
		"a cluster no longer wanted is removed within the budget": {
			maxUnavailable: "1", bindings: []v1beta1.BindingObject{on("a", newest), on("b", newest), on("z", newest, dropped)}, remove: "z",
		},
		"removal goes before updates": {
			maxUnavailable: "0", maxSurge: "1", bindings: []v1beta1.BindingObject{on("a", old), on("b", old), on("z", old, dropped)}, remove: "z", held: "a b",
		},
		"new clusters wait where they would exceed the surge": {
			maxUnavailable: "1", maxSurge: "0",
			bindings: []v1beta1.BindingObject{on("a", "", fresh), on("c", old), on("x", old, dropped), on("y", old, dropped)}, held: "c a", remove: "x y",
		},
		"a binding on its way out is not counted": {
			bindings: []v1beta1.BindingObject{on("a", old), on("z", old, deleting)}, start: "a",
		},
		"those behind it are": {
			bindings: []v1beta1.BindingObject{on("a", old, deleting), on("b", old)}, start: "b",
		},
		"nothing allowed still moves one by one": {
			maxUnavailable: "0", maxSurge: "0", bindings: []v1beta1.BindingObject{on("a", old), on("b", old)}, start: "a", held: "b",
		},
		"what cannot be observed counts after its time": {
			maxUnavailable: "1", bindings: []v1beta1.BindingObject{on("a", newest, untrackableSince(20*time.Second)), on("b", old)}, held: "b", again: 40 * time.Second,
		},
		"and then moves on": {
			maxUnavailable: "1", bindings: []v1beta1.BindingObject{on("a", newest, untrackableSince(60*time.Second)), on("b", old)}, start: "b",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			pace := (*v1beta1.RollingUpdateConfig)(nil).WithDefaults()
			if test.maxUnavailable != "" {
				*pace.MaxUnavailable = intstr.Parse(test.maxUnavailable)
			}
			if test.maxSurge != "" {
				*pace.MaxSurge = intstr.Parse(test.maxSurge)
			}
			m, err := budget(test.bindings, pace, func(string) bindingrules.Version { return bindingrules.Version{ResourceSnapshot: newest} },
				func(cluster string) bool {
					return slices.ContainsFunc(test.bindings, func(b v1beta1.BindingObject) bool { return b.GetName() == cluster && b.GetLabels()["leaves"] != "" })
				}, now)
			if err != nil {
				t.Fatal(err)
			}
			for what, check := range map[string]struct {
				got  []v1beta1.BindingObject
				want string
			}{"start": {m.start, test.start}, "remove": {m.remove, test.remove}, "held": {m.held, test.held}} {
				var names []string
				for _, b := range check.got {
					names = append(names, b.GetName())
				}
				if got := strings.Join(names, " "); got != check.want {
					t.Errorf("%s %q, want %q", what, got, check.want)
				}
			}
			if m.again != test.again {
				t.Errorf("looks again in %v, want %v", m.again, test.again)
			}
		})
	}
}
