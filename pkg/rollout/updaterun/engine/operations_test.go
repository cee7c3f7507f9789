// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// ask records an operation of a user as the server does.
func (f *fixture) ask(operation v1beta1.OperationType, change func(*v1beta1.UpdateRunHistoryEntry)) {
	history := f.run.Status.History
	entry := v1beta1.UpdateRunHistoryEntry{
		Number: history[len(history)-1].Number + 1, Time: metav1.NewTime(f.now), Reason: string(operation) + "Requested",
		Operation: operation, User: "ann", Message: "INC-7",
	}
	if change != nil {
		change(&entry)
	}
	f.run.Status.History = append(history, entry)
}

func about(clusters ...string) func(*v1beta1.UpdateRunHistoryEntry) {
	return func(e *v1beta1.UpdateRunHistoryEntry) { e.Clusters = clusters }
}

func aboutStage(name string, task v1beta1.StageTaskType) func(*v1beta1.UpdateRunHistoryEntry) {
	return func(e *v1beta1.UpdateRunHistoryEntry) { e.Stage, e.Task = name, task }
}

func (f *fixture) wantCluster(name, want string) {
	f.Helper()
	for _, s := range f.run.Status.StagesStatus {
		for _, c := range s.Clusters {
			if c.ClusterName == name {
				if got := conditionText(c.Conditions, v1beta1.ClusterSucceeded); got != want {
					f.Errorf("cluster %s is %q, want %q", name, got, want)
				}
			}
		}
	}
}

// wantEvent holds that the last look told of something.
func (f *fixture) wantEvent(want string) {
	f.Helper()
	var got []string
	for _, e := range f.last.Events {
		if e.Reason+": "+e.Message == want {
			return
		}
		got = append(got, e.Reason+": "+e.Message)
	}
	f.Errorf("Events are %q, want %q", got, want)
}

func TestASkippedClusterIsLeftOut(t *testing.T) {
	for name, before := range map[string]func(f *fixture){
		"before it is started": func(*fixture) {},
		"while it is updated":  func(f *fixture) { f.available("a1"); f.steps() },
		"while the run is stopped": func(f *fixture) {
			f.setState(v1beta1.StateStop)
			f.available("a1")
			f.steps()
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 3, stage("a"))
			f.steps()
			before(f)
			f.ask(v1beta1.OperationSkip, about("a2"))
			f.step()
			f.wantEvent(`SkipRequested: ann asked to skip cluster a2: "INC-7"`)
			f.wantCluster("a2", `True ClusterUpdatingSkipped: Cluster update skipped by ann: "INC-7"`)
			f.setState(v1beta1.StateRun)
			f.steps()
			f.available("a1")
			f.steps()
			f.available("a3")
			f.steps()
			f.wantClusters("a1 Succeeded", "a2 Skipped", "a3 Succeeded")
			f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceededWithFailures: All stages are completed, 1 cluster skipped as asked: a2")
		})
	}
}

func TestASkippedStageNeedsNobodysApprovalBeforeIt(t *testing.T) {
	f := newFixture(t, 2, stage("a"), stage("b", approvedBefore), stage("c", concurrency("2")))
	f.steps()
	f.ask(v1beta1.OperationSkip, aboutStage("b", ""))
	f.steps()
	f.available("a1")
	f.steps()
	f.available("a2")
	f.steps()
	f.wantClusters("a1 Succeeded", "a2 Succeeded", "b1 Skipped", "b2 Skipped", "c1 Started", "c2 Started")
	if len(f.world.Approvals) > 0 {
		t.Errorf("an approval is asked for: %v", f.world.Approvals)
	}
}

func TestASkippedStageIsNotApprovedByIt(t *testing.T) {
	f := newFixture(t, 1, stage("a", waitAfter(time.Hour), approvedAfter), stage("b"))
	f.steps()
	f.ask(v1beta1.OperationSkip, aboutStage("a", ""))
	f.steps()
	f.wantClusters("a1 Skipped", "b1")
	tasks := f.run.Status.StagesStatus[0].AfterStageTaskStatus
	if got, want := conditionText(tasks[0].Conditions, v1beta1.TaskWaitTimeElapsed), `True StageTaskWaitSkipped: Wait time skipped by ann: "INC-7"`; got != want {
		t.Errorf("the wait is %q, want %q", got, want)
	}
	f.decide("run-after-a", v1beta1.DecisionApproved)
	f.steps()
	f.wantClusters("a1 Skipped", "b1 Started")
}

func TestASkippedWaitIsAllThatIsSkipped(t *testing.T) {
	f := newFixture(t, 1, stage("a", waitAfter(time.Hour)), stage("b", waitAfter(time.Hour)))
	f.steps()
	f.ask(v1beta1.OperationSkip, aboutStage("a", v1beta1.StageTaskTypeTimedWait))
	f.step()
	f.wantEvent(`SkipRequested: ann asked to skip the TimedWait after stage a: "INC-7"`)
	f.steps()
	f.wantClusters("a1 Started", "b1")
	f.available("a1")
	f.steps()
	f.wantClusters("a1 Succeeded", "b1 Started")
	f.available("b1")
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, "")
}

func TestWhatIsOverIsNotSkipped(t *testing.T) {
	f := newFixture(t, 1, stage("a"), stage("b"))
	f.steps()
	f.available("a1")
	f.steps()
	f.ask(v1beta1.OperationSkip, about("a1", "b1", "nobody"))
	f.steps()
	f.wantClusters("a1 Succeeded", "b1 Skipped")
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceededWithFailures: All stages are completed, 1 cluster skipped as asked: b1")
	before := f.run.Status.DeepCopy()
	f.ask(v1beta1.OperationSkip, aboutStage("a", ""))
	f.steps()
	before.History, before.ObservedOperation = f.run.Status.History, f.run.Status.ObservedOperation
	if diff := cmp.Diff(before, &f.run.Status); diff != "" {
		t.Errorf("skipping changed a run that is over (-want +got):\n%s", diff)
	}
}

// onFailure is a policy of ten minutes without a failure.
func onFailure(action v1beta1.FailureAction) func(*v1beta1.StageConfig) {
	return func(c *v1beta1.StageConfig) {
		givesUp("")(c)
		c.FailurePolicy.OnFailure = action
	}
}

// paused is a run over four clusters of which the first two have failed and the third is in flight.
func paused(t *testing.T) *fixture {
	f := newFixture(t, 4, stage("a", concurrency("2"), onFailure(v1beta1.FailureActionPause), waitAfter(time.Hour)))
	f.steps()
	f.available("a1")
	f.pass(9 * time.Minute)
	f.steps()
	f.pass(time.Minute)
	f.steps()
	return f
}

const pausedBecause = "False UpdateRunPaused: The updateRun is paused: 1 cluster in stage a failed to update, at most 0 may: a2; " +
	"a2: Cluster update failed: not available within 10m0s; retry or skip what has failed, or stop the run"

func TestOneFailureTooManyPausesTheRun(t *testing.T) {
	f := paused(t)
	f.wantClusters("a1 Succeeded", "a2 Failed", "a3 Started", "a4")
	f.wantCluster("a2", "False ClusterUpdatingFailed: Cluster update failed: not available within 10m0s")
	f.wantCondition(v1beta1.RunProgressing, pausedBecause)
	f.wantCondition(v1beta1.RunSucceeded, "")
	if got := conditionText(f.run.Status.StagesStatus[0].Conditions, v1beta1.StageProgressing); !strings.HasPrefix(got, "False StageUpdatingPaused: ") {
		t.Errorf("the stage is %q", got)
	}
	if f.run.Status.Turn.State != v1beta1.TurnHeld {
		t.Errorf("a paused run gives its turn away: %+v", f.run.Status.Turn)
	}
	f.available("a3")
	f.steps()
	f.wantClusters("a1 Succeeded", "a2 Failed", "a3 Succeeded", "a4")
	f.wantCondition(v1beta1.RunProgressing, pausedBecause)
}

func TestAPausedRunGoesOnOnceWhatFailedIsRetried(t *testing.T) {
	for name, clusters := range map[string][]string{"all": nil, "by name": {"a2"}} {
		t.Run(name, func(t *testing.T) {
			f := paused(t)
			f.available("a3")
			f.steps()
			f.ask(v1beta1.OperationRetry, about(clusters...))
			f.steps()
			f.wantClusters("a1 Succeeded", "a2 Started", "a3 Succeeded", "a4 Started")
			f.wantCondition(v1beta1.RunProgressing, "True UpdateRunProgressing: The update run is making progress")
			f.available("a2", "a4")
			f.pass(10 * time.Minute)
			f.steps()
			f.wantClusters("a1 Succeeded", "a2 Succeeded", "a3 Succeeded", "a4 Succeeded")
			f.wantCluster("a2", "True ClusterUpdatingSucceeded: Cluster update completed successfully")
			// The wait counts from the last cluster.
			f.pass(time.Hour - time.Second)
			f.steps()
			f.wantCondition(v1beta1.RunSucceeded, "")
			f.pass(time.Second)
			f.steps()
			f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
		})
	}
}

func TestARetryHasItsWholeTime(t *testing.T) {
	f := paused(t)
	f.available("a3")
	f.steps()
	f.ask(v1beta1.OperationRetry, nil)
	f.steps()
	f.available("a4")
	f.pass(10*time.Minute - time.Second)
	f.steps()
	f.wantClusters("a1 Succeeded", "a2 Started", "a3 Succeeded", "a4 Succeeded")
	f.pass(time.Second)
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, pausedBecause)
}

func TestAPausedRunGoesOnWithoutWhatIsSkippedAndDoesNotHideIt(t *testing.T) {
	f := paused(t)
	f.available("a3")
	f.steps()
	f.ask(v1beta1.OperationSkip, about("a2"))
	f.steps()
	f.wantCluster("a2", `False ClusterUpdatingFailureSkipped: Cluster update failed: not available within 10m0s; skipped by ann: "INC-7"`)
	f.available("a4")
	f.steps()
	f.pass(time.Hour)
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceededWithFailures: All stages are completed, 1 cluster failed to update: a2")
}

func TestAPausedRunThatIsStoppedIsPausedWhenItIsResumed(t *testing.T) {
	f := paused(t)
	f.setState(v1beta1.StateStop)
	f.ask(v1beta1.OperationStop, nil)
	f.available("a3")
	f.step()
	f.wantEvent(`StopRequested: ann asked to stop the run: "INC-7"`)
	f.steps()
	f.ask(v1beta1.OperationSkip, about("a4"))
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunStopped: The update run has been stopped")
	if f.run.Status.Turn.State != v1beta1.TurnReleased {
		t.Errorf("a stopped run keeps its turn: %+v", f.run.Status.Turn)
	}
	f.setState(v1beta1.StateRun)
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, pausedBecause)
}

func TestHistoryTellsWhatHappenedAndWhoDidIt(t *testing.T) {
	f := newFixture(t, 1, stage("a", approvedBefore), stage("b"))
	f.steps()
	f.decide("run-before-a", v1beta1.DecisionApproved)
	f.steps()
	f.setState(v1beta1.StateStop)
	f.ask(v1beta1.OperationStop, nil)
	f.available("a1")
	f.steps()
	f.world.Left["b1"] = true
	f.setState(v1beta1.StateRun)
	f.ask(v1beta1.OperationResume, nil)
	f.steps()
	var got []string
	for i, e := range f.run.Status.History {
		if e.Number != int64(i+1) {
			t.Errorf("entry %d has number %d", i+1, e.Number)
		}
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", e.Reason, e.Stage, e.User, strings.Join(e.Clusters, ","))))
	}
	want := []string{
		"Initialized", "WaitingForApproval a", "Approved a ann", "Started a", "StageStarted a",
		"StopRequested  ann", "Stopped a", "ResumeRequested  ann", "Resumed", "StageSucceeded a", "ClusterSkipped b  b1", "StageSucceeded b", "Succeeded",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if got, want := f.run.Status.ObservedOperation, int64(8); got != want {
		t.Errorf("operations up to %d are observed, want %d", got, want)
	}
}

func TestHistoryIsBoundedAndKeepsWhatPeopleDid(t *testing.T) {
	f := newFixture(t, 1, stage("a"))
	f.ask(v1beta1.OperationSkip, about("a1"))
	for range 150 {
		history := f.run.Status.History
		f.run.Status.History = append(history, v1beta1.UpdateRunHistoryEntry{Number: history[len(history)-1].Number + 1, Reason: "Stuck"})
	}
	f.ask(v1beta1.OperationStop, nil)
	f.steps()
	history := f.run.Status.History
	if len(history) != 100 {
		t.Errorf("the history has %d entries, want 100", len(history))
	}
	if history[0].Operation != v1beta1.OperationSkip || history[0].Number != 2 {
		t.Errorf("the oldest entry is %+v, want what the user asked", history[0])
	}
	for i := range history[1:] {
		if history[i].Number >= history[i+1].Number {
			t.Fatalf("entry %d has number %d, the next one %d", i, history[i].Number, history[i+1].Number)
		}
	}
}

func TestWhatHappensToVeryManyClustersAtOnceIsTenEntries(t *testing.T) {
	f := newFixture(t, 120, stage("a", concurrency("100%")))
	f.steps()
	before := len(f.run.Status.History)
	for i := range 120 {
		f.world.Left[fmt.Sprintf("a%d", i+1)] = true
	}
	d := f.step()
	entries := slices.DeleteFunc(slices.Clone(f.run.Status.History[before:]), func(e v1beta1.UpdateRunHistoryEntry) bool { return e.Reason != "ClusterSkipped" })
	for i, entry := range entries {
		want := 1
		if i == 9 {
			want = 100
		}
		if len(entry.Clusters) != want {
			t.Errorf("entry %d is %+v, want one of %d clusters", i, entry, want)
		}
	}
	if len(entries) != 10 {
		t.Errorf("there are %d entries, want 10", len(entries))
	}
	events := 0
	for _, e := range d.Events {
		if e.Reason == "ClusterSkipped" {
			events++
		}
	}
	if events != 120 {
		t.Errorf("there are %d Events, want 120", events)
	}
}

func TestTheWaitAfterAStageStartsAnewWithARetry(t *testing.T) {
	f := newFixture(t, 2, stage("a", concurrency("2"), givesUp("1"), waitAfter(time.Hour), approvedAfter))
	f.steps()
	f.available("a1")
	f.pass(10 * time.Minute)
	f.steps()
	f.pass(time.Hour)
	f.steps()
	f.ask(v1beta1.OperationRetry, about("a2"))
	f.steps()
	f.available("a2")
	f.steps()
	f.decide("run-after-a", v1beta1.DecisionApproved)
	f.steps()
	f.pass(time.Hour - time.Second)
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, "")
	f.pass(time.Second)
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
}
