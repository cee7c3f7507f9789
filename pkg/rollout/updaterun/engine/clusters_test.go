// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
)

func (f *fixture) wantClusters(want ...string) {
	f.Helper()
	if diff := cmp.Diff(want, f.clusters()); diff != "" {
		f.Errorf("clusters (-want +got):\n%s", diff)
	}
}

func TestNoMoreThanMaxConcurrencyAreUpdatedAtOnce(t *testing.T) {
	for limit, want := range map[string]int{"1": 1, "2": 2, "7": 5, "1%": 1, "39%": 1, "40%": 2, "100%": 5} {
		t.Run(limit, func(t *testing.T) {
			f := newFixture(t, 5, stage("a", concurrency(limit)))
			f.steps()
			started := 0
			for i := range f.run.Status.StagesStatus[0].Clusters {
				if startedOf(&f.run.Status.StagesStatus[0].Clusters[i]) {
					started++
				}
			}
			if started != want {
				t.Errorf("%d clusters are started, want %d", started, want)
			}
		})
	}
}

func TestClustersAreUpdatedInTheirOrder(t *testing.T) {
	byOrder := func(c *v1beta1.StageConfig) { key := "order"; c.SortingLabelKey = &key }
	f := newFixture(t, 3, stage("a", byOrder), stage("b"))
	f.steps()
	f.wantClusters("a3 Started", "a2", "a1", "b1", "b2", "b3")
	f.available("a3")
	f.steps()
	f.wantClusters("a3 Succeeded", "a2 Started", "a1", "b1", "b2", "b3")
	f.available("a2")
	f.steps()
	f.available("a1")
	f.steps()
	f.wantClusters("a3 Succeeded", "a2 Succeeded", "a1 Succeeded", "b1 Started", "b2", "b3")
}

func TestAClusterThatHasEverythingIsDoneAtOnce(t *testing.T) {
	f := newFixture(t, 3, stage("a"), stage("b"))
	for _, b := range f.world.Bindings {
		spec := b.BindingSpec()
		spec.State, spec.ResourceSnapshotName, spec.ApplyStrategy = v1beta1.BindingStateBound, "p-1-snapshot", f.run.Status.ApplyStrategy
		f.bindingCondition(spec.TargetCluster, v1beta1.BindingRolloutStarted, metav1.ConditionTrue, "RolloutStarted")
		f.available(spec.TargetCluster)
	}
	f.step()
	d := f.step()
	if len(d.Bindings) > 0 {
		t.Errorf("%d bindings are written", len(d.Bindings))
	}
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
}

func TestAStartedClusterIsWrittenAgain(t *testing.T) {
	tests := map[string]func(f *fixture, b *v1beta1.ClusterResourceBinding){
		"the write was lost":       func(_ *fixture, b *v1beta1.ClusterResourceBinding) { b.Spec.State = v1beta1.BindingStateScheduled },
		"another version is there": func(_ *fixture, b *v1beta1.ClusterResourceBinding) { b.Spec.ResourceSnapshotName = "p-0-snapshot" },
		"other overrides are there": func(_ *fixture, b *v1beta1.ClusterResourceBinding) {
			b.Spec.ClusterResourceOverrideSnapshots = []string{"x"}
		},
		"it is applied otherwise":    func(_ *fixture, b *v1beta1.ClusterResourceBinding) { b.Spec.ApplyStrategy = nil },
		"only the condition is lost": func(_ *fixture, b *v1beta1.ClusterResourceBinding) { b.Status.Conditions = nil },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 2, stage("a"))
			f.steps()
			change(f, f.binding("a1"))
			f.binding("a1").Generation++
			d := f.step()
			if len(d.Bindings) != 1 || d.Bindings[0].Binding.GetName() != "b-a1" {
				t.Fatalf("bindings written: %+v", d.Bindings)
			}
			if wantSpec := name != "only the condition is lost"; wantSpec != (d.Bindings[0].Spec != nil) {
				t.Errorf("spec written is %v", d.Bindings[0].Spec)
			}
			f.available("a1")
			f.steps()
			f.wantClusters("a1 Succeeded", "a2 Started")
		})
	}
}

func TestALaterTurnIsNeverOverwritten(t *testing.T) {
	f := newFixture(t, 1, stage("a"))
	f.steps()
	f.binding("a1").Spec.ResourceSnapshotName = "p-0-snapshot"
	f.binding("a1").Annotations = map[string]string{wellknown.UpdateRunAnnotation: "later", wellknown.UpdateRunTurnAnnotation: "2"}
	if d := f.step(); len(d.Bindings) > 0 {
		t.Errorf("bindings written: %+v", d.Bindings)
	}
}

func TestProgressIsNeverMistakenForFailure(t *testing.T) {
	for _, c := range []struct{ conditionType, reason string }{
		{v1beta1.BindingApplied, "ApplyInProgress"}, {v1beta1.BindingApplied, "NotAllWorkHaveBeenApplied"},
		{v1beta1.BindingAvailable, "NotAllWorkAreAvailable"}, {v1beta1.BindingWorkSynchronized, "SyncWorkFailed"},
		{v1beta1.BindingOverridden, "OverriddenFailed"}, {v1beta1.BindingDiffReported, "NotAllWorkHaveDiffReported"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			f := newFixture(t, 1, stage("a"))
			f.steps()
			f.bindingCondition("a1", c.conditionType, metav1.ConditionFalse, c.reason)
			f.steps()
			f.wantCondition(v1beta1.RunProgressing, "True UpdateRunProgressing: The update run is making progress")
			if want := simStart.Add(5 * time.Minute); !f.last.WakeAt.Equal(want) {
				t.Errorf("wakes at %s, want %s", f.last.WakeAt, want)
			}
			f.available("a1")
			f.steps()
			f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
		})
	}
}

func TestAvailabilityOfAnOlderGenerationDoesNotCount(t *testing.T) {
	f := newFixture(t, 1, stage("a"))
	f.steps()
	f.available("a1")
	f.binding("a1").Generation++
	f.bindingCondition("a1", v1beta1.BindingRolloutStarted, metav1.ConditionTrue, "RolloutStarted")
	f.steps()
	f.wantClusters("a1 Started")
}

func TestARunIsStuckAfterFiveMinutesAndRecovers(t *testing.T) {
	f := newFixture(t, 5, stage("a", concurrency("4")))
	f.steps()
	f.pass(5 * time.Minute)
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunStuck: The updateRun is stuck waiting for a1, a2, a3... cluster(s) in stage a to finish updating, "+
		"please check placement status for potential errors")
	f.available("a1", "a2", "a3")
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunStuck: The updateRun is stuck waiting for a4 cluster(s) in stage a to finish updating, "+
		"please check placement status for potential errors")
	f.available("a4")
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "True UpdateRunProgressing: The update run is making progress")
}

func TestTargetsAreFrozen(t *testing.T) {
	f := newFixture(t, 1, stage("a"), stage("b"))
	joined := f.binding("a1").DeepCopy()
	joined.Name, joined.Spec.TargetCluster = "b-new", "new"
	f.world.Bindings = append(f.world.Bindings, joined)
	f.steps()
	f.available("a1")
	f.steps()
	f.available("b1")
	f.steps()
	f.wantClusters("a1 Succeeded", "b1 Succeeded")
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
}

func TestAClusterThatLeavesIsSkipped(t *testing.T) {
	tests := map[string]struct {
		leave func(f *fixture, cluster string)
		want  string
	}{
		"the member is gone": {
			func(f *fixture, cluster string) { f.world.Left[cluster] = true }, "the cluster has left the fleet",
		},
		"the binding is gone": {
			func(f *fixture, cluster string) { f.binding(cluster).Spec.TargetCluster = "other" }, "the placement does not pick the cluster any more",
		},
		"the binding is unscheduled": {
			func(f *fixture, cluster string) { f.binding(cluster).Spec.State = v1beta1.BindingStateUnscheduled }, "the placement does not pick the cluster any more",
		},
	}
	for name, tt := range tests {
		for _, cluster := range []string{"a1", "a2"} {
			t.Run(fmt.Sprintf("%s: %s", name, cluster), func(t *testing.T) {
				f := newFixture(t, 2, stage("a"), stage("b"))
				f.steps()
				tt.leave(f, cluster)
				f.step()
				for i := range f.run.Status.StagesStatus[0].Clusters {
					c := f.run.Status.StagesStatus[0].Clusters[i]
					if want := "True ClusterUpdatingSkipped: Cluster update skipped: " + tt.want; c.ClusterName == cluster && conditionText(c.Conditions, "Succeeded") != want {
						t.Errorf("Succeeded is %q, want %q", conditionText(c.Conditions, "Succeeded"), want)
					}
				}
				if len(f.last.Events) == 0 || f.last.Events[0].Reason != "ClusterSkipped" || !f.last.Events[0].Warning {
					t.Errorf("Events: %+v", f.last.Events)
				}
			})
		}
	}
}

func TestClustersLeftInFlightCount(t *testing.T) {
	// Another run left a3 and a4 behind with a version that does not become available.
	behind := func(f *fixture) {
		for _, cluster := range []string{"a3", "a4"} {
			b := f.binding(cluster)
			b.Spec.State, b.Spec.ResourceSnapshotName = v1beta1.BindingStateBound, "p-9-snapshot"
			b.Annotations = map[string]string{wellknown.UpdateRunAnnotation: "other", wellknown.UpdateRunTurnAnnotation: "1"}
		}
	}
	tests := map[string]struct {
		limit string
		other v1beta1.TurnState
		// done is the reason for which the other run was done with a3 and a4, empty where it was not.
		done string
		want []string
	}{
		"they come first and fill the room":         {"2", v1beta1.TurnReleased, "", []string{"a1", "a2", "a3 Started", "a4 Started"}},
		"no more than maxConcurrency of them":       {"1", v1beta1.TurnReleased, "", []string{"a1", "a2", "a3 Started", "a4"}},
		"others follow where there is room":         {"3", v1beta1.TurnReleased, "", []string{"a1 Started", "a2", "a3 Started", "a4 Started"}},
		"what was updated and went away is no harm": {"2", v1beta1.TurnReleased, "ClusterUpdatingSucceeded", []string{"a1 Started", "a2 Started", "a3", "a4"}},
		"what a run passed over counts":             {"2", v1beta1.TurnReleased, "ClusterUpdatingFailed", []string{"a1", "a2", "a3 Started", "a4 Started"}},
		"what somebody skipped counts":              {"2", v1beta1.TurnReleased, "ClusterUpdatingSkipped", []string{"a1", "a2", "a3 Started", "a4 Started"}},
		"what a deleted run left counts":            {"2", "", "", []string{"a1", "a2", "a3 Started", "a4 Started"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 4, stage("a", concurrency(tt.limit)))
			behind(f)
			if tt.other != "" {
				other := f.other("other", 0, v1beta1.UpdateRunTurn{State: tt.other, Number: 1})
				if tt.done != "" {
					done := []metav1.Condition{{Type: v1beta1.ClusterSucceeded, Status: metav1.ConditionTrue, Reason: tt.done}}
					other.Status.Conditions = append(other.Status.Conditions, metav1.Condition{Type: v1beta1.RunSucceeded, Status: metav1.ConditionTrue})
					other.Status.StagesStatus = []v1beta1.StageUpdatingStatus{{Clusters: []v1beta1.ClusterUpdatingStatus{
						{ClusterName: "a3", Conditions: done}, {ClusterName: "a4", Conditions: done},
					}}}
				}
			}
			f.steps()
			f.wantClusters(tt.want...)
		})
	}
}

func TestAStageWithoutClustersIsSkippedWithItsTasks(t *testing.T) {
	empty := stage("empty", approvedBefore, waitAfter(time.Hour))
	w := initWorld(1, stage("a"))
	w.Strategy.StrategySpec().Stages = []v1beta1.StageConfig{empty, stage("a")}
	f := newFixture(t, 1, stage("a"))
	f.run.Status = v1beta1.UpdateRunStatus{}
	f.run.Status = *initialize(f.run, w, f.now).Decision.Status
	f.steps()
	f.wantClusters("a1 Started")
	got := f.run.Status.StagesStatus[0]
	for conditionType, want := range map[string]string{
		v1beta1.StageProgressing: "False StageUpdatingSkippedNoClusters: Stage skipped because it has no clusters",
		v1beta1.StageSucceeded:   "True StageUpdatingSkippedNoClusters: Stage skipped because it has no clusters",
	} {
		if text := conditionText(got.Conditions, conditionType); text != want {
			t.Errorf("%s is %q, want %q", conditionType, text, want)
		}
	}
	if got.StartTime == nil || got.EndTime == nil || len(f.world.Approvals) > 0 {
		t.Errorf("stage is %+v, requests %v", got, f.world.Approvals)
	}
}

func TestStepChangesNothingItLooksAt(t *testing.T) {
	f := newFixture(t, 3, stage("a", concurrency("2"), approvedBefore))
	for range 10 {
		run, bindings := f.run.DeepCopy(), fmt.Sprintf("%+v", f.world.Bindings)
		engine.Step(f.run, f.world, f.now)
		if diff := cmp.Diff(run, f.run); diff != "" {
			t.Fatalf("Step changed the run:\n%s", diff)
		}
		if got := fmt.Sprintf("%+v", f.world.Bindings); got != bindings {
			t.Fatal("Step changed the bindings")
		}
		f.step()
		if len(f.world.Approvals) > 0 {
			f.decide("run-before-a", v1beta1.DecisionApproved)
		}
	}
	f.wantClusters("a1 Started", "a2 Started", "a3")
}

// BenchmarkStep is one look at a run over 10,000 clusters that are all in flight.
func BenchmarkStep(b *testing.B) {
	t := &testing.T{}
	f := newFixture(t, 10_000, stage("a", concurrency("100%")))
	f.step()
	f.step()
	b.ReportAllocs()
	for b.Loop() {
		engine.Step(f.run, f.world, f.now)
	}
}
