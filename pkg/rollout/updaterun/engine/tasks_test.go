// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
)

func TestAGateOpensOnTheServersRecordOnly(t *testing.T) {
	tests := map[string]struct {
		change func(r *v1beta1.ClusterApprovalRequest)
		open   bool
		// obstacle is what the run's message ends in.
		obstacle string
	}{
		"no decision": {change: func(*v1beta1.ClusterApprovalRequest) {}},
		"a condition without a decision": {change: func(r *v1beta1.ClusterApprovalRequest) {
			r.Status.Conditions = []metav1.Condition{{Type: v1beta1.RequestApproved, Status: metav1.ConditionTrue, ObservedGeneration: 1}}
		}},
		"a decision on another request": {change: func(r *v1beta1.ClusterApprovalRequest) {
			r.Status.Decisions = []v1beta1.ApprovalDecision{{Decision: v1beta1.DecisionApproved, RequestUID: "another"}}
		}},
		"a decision on a request that goes away": {change: func(r *v1beta1.ClusterApprovalRequest) {
			r.Status.Decisions = []v1beta1.ApprovalDecision{{Decision: v1beta1.DecisionApproved, RequestUID: r.UID}}
			r.DeletionTimestamp = &metav1.Time{Time: simStart}
		}},
		"a request of another owner": {
			change: func(r *v1beta1.ClusterApprovalRequest) {
				r.Status.Decisions = []v1beta1.ApprovalDecision{{Decision: v1beta1.DecisionApproved, RequestUID: r.UID}}
				r.OwnerReferences[0].UID = "old"
			},
			obstacle: ": ClusterApprovalRequest run-before-a belongs to ClusterStagedUpdateRun run (uid old) and not to this run; delete it",
		},
		"a request of nobody": {
			change: func(r *v1beta1.ClusterApprovalRequest) {
				r.Status.Decisions = []v1beta1.ApprovalDecision{{Decision: v1beta1.DecisionApproved, RequestUID: r.UID}}
				r.OwnerReferences = nil
			},
			obstacle: ": ClusterApprovalRequest run-before-a belongs to nobody and not to this run; delete it",
		},
		"a request about another stage": {
			change: func(r *v1beta1.ClusterApprovalRequest) {
				r.Status.Decisions = []v1beta1.ApprovalDecision{{Decision: v1beta1.DecisionApproved, RequestUID: r.UID}}
				r.Spec.TargetStage = "b"
			},
			obstacle: ": ClusterApprovalRequest run-before-a is about stage b of run run and not about this one; delete it",
		},
		"the server's decision": {
			change: func(r *v1beta1.ClusterApprovalRequest) {
				r.Status.Decisions = []v1beta1.ApprovalDecision{{Decision: v1beta1.DecisionApproved, RequestUID: r.UID}}
			},
			open: true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a", approvedBefore))
			f.steps()
			tt.change(f.world.Approvals["run-before-a"].(*v1beta1.ClusterApprovalRequest))
			f.steps()
			if tt.open {
				f.wantClusters("a1 Started")
				return
			}
			f.wantClusters("a1")
			f.wantCondition(v1beta1.RunProgressing, "False UpdateRunWaiting: The updateRun is waiting for before-stage tasks in stage a to complete"+tt.obstacle)
			if len(f.last.Accepts) > 0 {
				t.Error("the request is accepted")
			}
		})
	}
}

func TestAStageIsEnteredWhenItsApprovalIsAskedFor(t *testing.T) {
	f := newFixture(t, 1, stage("a", approvedBefore))
	d := f.step()
	want := []engine.Request{{Name: "run-before-a", Stage: "a", TaskType: "beforeStage", Done: "updated", Rollout: v1beta1.StageRollout{
		PlacementName: "p", ResourceSnapshotIndex: "1", Clusters: []string{"a1"}, ClusterCount: 1, RunClusterCount: 1,
	}}}
	if diff := cmp.Diff(want, d.Requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	got := f.run.Status.StagesStatus[0]
	if got.StartTime == nil {
		t.Error("the stage has no startTime")
	}
	if text, want := conditionText(got.Conditions, v1beta1.StageProgressing), "False StageUpdatingWaiting: Not all before-stage tasks are completed, waiting for approval"; text != want {
		t.Errorf("stage is %q, want %q", text, want)
	}
	if f.run.Status.Turn != nil {
		t.Errorf("a run that does not move yet has asked for the turn: %+v", f.run.Status.Turn)
	}
}

func TestAMissingRequestIsMadeAgainUntilItIsApproved(t *testing.T) {
	f := newFixture(t, 1, stage("a", approvedBefore))
	f.steps()
	delete(f.world.Approvals, "run-before-a")
	if d := f.step(); len(d.Requests) != 1 || d.Status != nil {
		t.Errorf("requests %+v, status %v", d.Requests, d.Status)
	}
	f.decide("run-before-a", v1beta1.DecisionApproved)
	f.steps()
	delete(f.world.Approvals, "run-before-a")
	f.steps()
	f.wantClusters("a1 Started")
	if len(f.world.Approvals) > 0 {
		t.Error("an approved request is made again")
	}
}

func TestAnApprovalIsAcceptedAlsoAfterACrash(t *testing.T) {
	f := newFixture(t, 1, stage("a", approvedBefore))
	f.steps()
	f.decide("run-before-a", v1beta1.DecisionApproved)
	d := engine.Step(f.run, f.world, f.now)
	if len(d.Accepts) != 1 {
		t.Fatalf("accepts %+v", d.Accepts)
	}
	// The status was written and the request was not.
	f.run.Status = *roundTrip(d.Status)
	for _, state := range []v1beta1.State{v1beta1.StateRun, v1beta1.StateStop} {
		f.run.Spec.State = state
		if d := engine.Step(f.run, f.world, f.now); len(d.Accepts) != 1 {
			t.Errorf("%s: accepts %+v", state, d.Accepts)
		}
	}
}

func TestRejectionEndsARun(t *testing.T) {
	for when, tt := range map[string]struct {
		stage    v1beta1.StageConfig
		clusters string
	}{
		"before": {stage("a", approvedBefore), "a1"},
		"after":  {stage("a", approvedAfter), "a1 Succeeded"},
	} {
		t.Run(when, func(t *testing.T) {
			f := newFixture(t, 1, tt.stage, stage("b"))
			f.steps()
			if when == "after" {
				f.available("a1")
				f.steps()
			}
			f.decide("run-"+when+"-a", v1beta1.DecisionRejected)
			f.steps()
			message := `The updateRun was rejected by ann ` + when + ` stage a: "CHG-1"`
			f.wantCondition(v1beta1.RunProgressing, "False UpdateRunRejected: "+message)
			f.wantCondition(v1beta1.RunSucceeded, "False UpdateRunRejected: "+message)
			if got, want := conditionText(f.run.Status.StagesStatus[0].Conditions, "Succeeded"), "False StageUpdatingFailed: "+message; got != want {
				t.Errorf("stage is %q, want %q", got, want)
			}
			f.wantClusters(tt.clusters, "b1")
		})
	}
}

func TestATimedWaitIsExact(t *testing.T) {
	f := newFixture(t, 1, stage("a", waitAfter(time.Minute)))
	f.steps()
	f.pass(7500 * time.Millisecond)
	updated := f.now
	f.available("a1")
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunWaiting: The updateRun is waiting for after-stage tasks in stage a to complete")
	if want := updated.Add(time.Minute); !f.last.WakeAt.Equal(want) {
		t.Errorf("wakes at %s, want %s", f.last.WakeAt, want)
	}
	f.pass(time.Minute - time.Microsecond)
	f.steps()
	if has := f.condition(v1beta1.RunSucceeded); has != "" {
		t.Fatalf("the run is over too early: %s", has)
	}
	f.pass(time.Microsecond)
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
}

func TestATimedWaitKeepsItsClockOverStopAndResume(t *testing.T) {
	f := newFixture(t, 1, stage("a", waitAfter(time.Hour)))
	f.steps()
	// The last cluster is done while the run stops: the clock starts.
	f.setState(v1beta1.StateStop)
	f.steps()
	f.available("a1")
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunStopped: The update run has been stopped")
	f.pass(59 * time.Minute)
	f.setState(v1beta1.StateRun)
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunWaiting: The updateRun is waiting for after-stage tasks in stage a to complete")
	f.pass(time.Minute)
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
}

func TestTasksAfterAStageAreWorkedOnAtOnce(t *testing.T) {
	f := newFixture(t, 1, stage("a", waitAfter(time.Minute), approvedAfter), stage("b"))
	f.steps()
	f.available("a1")
	f.steps()
	f.decide("run-after-a", v1beta1.DecisionApproved)
	f.steps()
	f.wantClusters("a1 Succeeded", "b1")
	f.pass(time.Minute)
	f.steps()
	f.wantClusters("a1 Succeeded", "b1 Started")
}
