// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func replace(format, s string) string { return strings.ReplaceAll(format, "%s", s) }

func TestAStopStartsNothingAndWaitsForWhatIsInFlight(t *testing.T) {
	f := newFixture(t, 4, stage("a", concurrency("2")))
	f.steps()
	f.setState(v1beta1.StateStop)
	f.available("a1")
	f.steps()
	f.wantClusters("a1 Succeeded", "a2 Started", "a3", "a4")
	f.wantCondition(v1beta1.RunProgressing, "Unknown UpdateRunStopping: The update run is in the process of stopping, waiting for all the "+
		"updating/deleting clusters to finish updating before completing the stop process")
	if text := conditionText(f.run.Status.StagesStatus[0].Conditions, "Progressing"); text != "Unknown StageUpdatingStopping: "+
		"Waiting for all the updating clusters to finish updating before completing the stop process" {
		t.Errorf("stage is %q", text)
	}
	f.available("a2")
	f.steps()
	f.wantClusters("a1 Succeeded", "a2 Succeeded", "a3", "a4")
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunStopped: The update run has been stopped")
	if text := conditionText(f.run.Status.StagesStatus[0].Conditions, "Progressing"); text != "False StageUpdatingStopped: "+
		"All the updating clusters have finished updating, the stage is now stopped, waiting to be resumed" {
		t.Errorf("stage is %q", text)
	}
	if f.run.Status.Turn.State != v1beta1.TurnReleased {
		t.Errorf("a stopped run keeps its turn: %+v", f.run.Status.Turn)
	}
}

func TestAStopAlwaysEnds(t *testing.T) {
	f := newFixture(t, 3, stage("a", concurrency("2")))
	f.steps()
	f.pass(time.Minute)
	f.setState(v1beta1.StateStop)
	f.steps()
	if want := simStart.Add(5 * time.Minute); !f.last.WakeAt.Equal(want) {
		t.Errorf("wakes at %s, want %s", f.last.WakeAt, want)
	}
	f.now = f.last.WakeAt
	// A write that was lost is not made any more once nobody waits for it.
	f.binding("a2").Spec.State = v1beta1.BindingStateScheduled
	d := f.step()
	f.wantCondition(v1beta1.RunProgressing,
		"False UpdateRunStopped: The update run has been stopped; a1, a2 cluster(s) in stage a did not finish updating within 5m0s and are no longer waited for")
	if len(d.Bindings) > 0 {
		t.Errorf("bindings written after the stop: %+v", d.Bindings)
	}
	f.steps()
	f.wantCondition(v1beta1.RunProgressing,
		"False UpdateRunStopped: The update run has been stopped; a1, a2 cluster(s) in stage a did not finish updating within 5m0s and are no longer waited for")
	f.setState(v1beta1.StateRun)
	f.steps()
	f.available("a1", "a2")
	f.steps()
	f.wantClusters("a1 Succeeded", "a2 Succeeded", "a3 Started")
}

func TestARunThatOnlyWaitsIsStoppedAtOnce(t *testing.T) {
	for name, prepare := range map[string]func(f *fixture){
		"nothing was started":   func(*fixture) {},
		"it waits for approval": func(f *fixture) { f.steps() },
		"it waits for its turn": func(f *fixture) {
			f.other("other", -time.Hour, v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld})
			f.steps()
		},
		"it was stopped, resumed": func(f *fixture) { f.setState(v1beta1.StateStop); f.steps(); f.setState(v1beta1.StateRun); f.step() },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a", approvedBefore))
			prepare(f)
			f.setState(v1beta1.StateStop)
			f.step()
			f.wantCondition(v1beta1.RunProgressing, "False UpdateRunStopped: The update run has been stopped")
			if f.run.Status.Turn != nil && f.run.Status.Turn.State != v1beta1.TurnReleased {
				t.Errorf("turn is %+v", f.run.Status.Turn)
			}
		})
	}
}

func TestConditionsFollowTheRunsGeneration(t *testing.T) {
	f := newFixture(t, 1, stage("a", approvedBefore))
	f.steps()
	f.setState(v1beta1.StateStop)
	f.step()
	check := func(what string, conditions []metav1.Condition) {
		for _, c := range conditions {
			if c.ObservedGeneration != 2 {
				t.Errorf("%s: %s is of generation %d", what, c.Type, c.ObservedGeneration)
			}
		}
	}
	check("run", f.run.Status.Conditions)
	check("stage", f.run.Status.StagesStatus[0].Conditions)
	check("task", f.run.Status.StagesStatus[0].BeforeStageTaskStatus[0].Conditions)
}

func TestWhatEndsARun(t *testing.T) {
	const invalid = "cannot continue the updateRun: failed to validate the updateRun: failed to process the request due to a client error: "
	const unexpected = "cannot continue the updateRun: unexpected behavior which cannot be handled by the controller: "
	tests := map[string]struct {
		change func(f *fixture)
		want   string
	}{
		"the placement is deleted": {
			func(f *fixture) { f.world.Placement = nil }, invalid + "parent placement not found",
		},
		"the placement is being deleted": {
			func(f *fixture) { f.world.Placement.SetDeletionTimestamp(&metav1.Time{Time: simStart}) }, invalid + "parent placement not found",
		},
		"the placement was deleted and made again": {
			func(f *fixture) { f.world.Placement.SetUID("another") }, invalid + "parent placement not found",
		},
		"the placement rolls out by itself": {
			func(f *fixture) {
				f.world.Placement.PlacementSpec().Strategy.Type = v1beta1.RollingUpdateRolloutStrategyType
			},
			invalid + "parent placement does not have an external rollout strategy, current strategy: RollingUpdate; set its spec.strategy.type to External",
		},
		"the state is unknown": {
			func(f *fixture) { f.run.Spec.State = "Fly" }, unexpected + "found unsupported updateRun state: Fly",
		},
		"the strategy is wiped": {
			func(f *fixture) { f.run.Status.UpdateStrategySnapshot = nil }, unexpected + "the updateRun has nil updateStrategySnapshot",
		},
		"the stages are wiped": {
			func(f *fixture) { f.run.Status.StagesStatus = nil },
			unexpected + "the number of stages in the updateRun has changed, new: 1, existing: 0",
		},
		"the last stage is wiped": {
			func(f *fixture) { f.run.Status.DeletionStageStatus = nil }, unexpected + "the updateRun has nil deletionStageStatus",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 2, stage("a"))
			f.steps()
			tt.change(f)
			f.steps()
			f.wantCondition(v1beta1.RunProgressing, "False UpdateRunFailed: The stages are aborted due to a non-recoverable error")
			f.wantCondition(v1beta1.RunSucceeded, "False UpdateRunFailed: "+tt.want)
			if f.run.Status.Turn.State != v1beta1.TurnReleased {
				t.Errorf("a run that is over keeps its turn: %+v", f.run.Status.Turn)
			}
			f.setState(v1beta1.StateRun)
			if d := f.step(); d.Status != nil || len(d.Bindings) > 0 {
				t.Error("a run that is over goes on")
			}
		})
	}
}

// TestWhatIsNoLongerAsPlannedEndsARunAtOnce has somebody change the plan in the status of a run that waits, whatever it waits for.
func TestWhatIsNoLongerAsPlannedEndsARunAtOnce(t *testing.T) {
	const aborted = "cannot continue the updateRun: "
	const unexpected = aborted + "unexpected behavior which cannot be handled by the controller: "
	waiting := map[string]func(f *fixture){
		"for its start":          func(f *fixture) { f.setState(v1beta1.StateInitialize); f.steps() },
		"for an approval before": func(f *fixture) { f.steps() },
		"for clusters":           func(f *fixture) { f.steps(); f.decide("run-before-a", v1beta1.DecisionApproved); f.steps() },
		"for time and an approval after": func(f *fixture) {
			f.steps()
			f.decide("run-before-a", v1beta1.DecisionApproved)
			f.steps()
			f.available("a1")
			f.steps()
		},
		"to be resumed": func(f *fixture) { f.setState(v1beta1.StateStop); f.steps() },
	}
	changes := map[string]struct {
		change func(stage *v1beta1.StageUpdatingStatus)
		want   string
	}{
		"the stage is renamed": {
			func(stage *v1beta1.StageUpdatingStatus) { stage.StageName = "b" },
			aborted + "index `0` stage name in the updateRun has changed, new: a, existing: b",
		},
		"the approval before it is wiped": {
			func(stage *v1beta1.StageUpdatingStatus) { stage.BeforeStageTaskStatus = nil },
			unexpected + "the before-stage tasks of stage a have changed",
		},
		"the tasks after it are wiped": {
			func(stage *v1beta1.StageUpdatingStatus) { stage.AfterStageTaskStatus = nil },
			unexpected + "the after-stage tasks of stage a have changed",
		},
	}
	for what, wait := range waiting {
		for name, tt := range changes {
			t.Run(name+" while the run waits "+what, func(t *testing.T) {
				f := newFixture(t, 1, stage("a", approvedBefore, waitAfter(time.Hour), approvedAfter))
				wait(f)
				tt.change(&f.run.Status.StagesStatus[0])
				d := f.step()
				f.wantCondition(v1beta1.RunSucceeded, "False UpdateRunFailed: "+tt.want)
				if len(d.Bindings)+len(d.Requests)+len(d.Deletions) > 0 {
					t.Errorf("the run goes on: %+v", d)
				}
			})
		}
	}
}
