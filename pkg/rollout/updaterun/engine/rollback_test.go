// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// had gives clusters a version from before the run.
func (f *fixture) had(index string, clusters ...string) {
	for _, cluster := range clusters {
		b := f.binding(cluster)
		b.Spec.State, b.Spec.ResourceSnapshotName = v1beta1.BindingStateBound, "p-"+index+"-snapshot"
		b.Spec.ApplyStrategy = f.run.Status.ApplyStrategy
		f.bindingCondition(cluster, v1beta1.BindingRolloutStarted, metav1.ConditionTrue, "RolloutStarted")
		f.available(cluster)
	}
}

const rollbackName = "run-rollback-96e2d"

// rollback is the world of the run that is to roll the fixture's run back.
func (f *fixture) rollback() (*v1beta1.ClusterStagedUpdateRun, known) {
	w := initWorld(0)
	w.Bindings, w.RolledBack, w.Strategy = f.world.Bindings, f.run, nil
	for i := range 3 {
		w.Snapshots = append(w.Snapshots, &v1beta1.ClusterResourceSnapshot{ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{wellknown.ResourceIndexLabel: fmt.Sprint(i)}, Annotations: map[string]string{wellknown.ResourceHashAnnotation: "x"},
		}})
	}
	return &v1beta1.ClusterStagedUpdateRun{
		ObjectMeta: metav1.ObjectMeta{Name: rollbackName, UID: "rollback-uid", Generation: 1, CreationTimestamp: metav1.NewTime(f.now)},
		Spec: v1beta1.UpdateRunSpec{
			PlacementName: "p", StagedUpdateStrategyName: "s", State: v1beta1.StateRun, RollbackOf: "run",
		},
		Status: v1beta1.UpdateRunStatus{CreatedBy: &v1beta1.DecisionUser{Username: "ann"}},
	}, w
}

func TestARunIsRolledBackAsAsked(t *testing.T) {
	tests := map[string]struct {
		before func(f *fixture)
		// want is what the run says of itself afterwards.
		want string
	}{
		"while it runs": {want: `False UpdateRunRolledBack: The updateRun is rolled back by ann: "INC-7"; ClusterStagedUpdateRun ` + rollbackName + ` brings the clusters back`},
		"while it is stopped": {before: func(f *fixture) {
			f.setState(v1beta1.StateStop)
			f.available("a1")
			f.steps()
		}, want: `False UpdateRunRolledBack: The updateRun is rolled back by ann: "INC-7"; ClusterStagedUpdateRun ` + rollbackName + ` brings the clusters back`},
		"after it": {before: func(f *fixture) {
			f.available("a1")
			f.steps()
			f.available("b1")
			f.steps()
		}, want: "True UpdateRunSucceeded: All stages are completed successfully"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a"), stage("b"))
			f.had("0", "a1", "b1")
			f.steps()
			if tt.before != nil {
				tt.before(f)
			}
			f.ask(v1beta1.OperationRollback, nil)
			d := f.step()
			f.wantEvent(`RollbackRequested: ann asked to roll back the run: "INC-7"`)
			f.wantCondition(v1beta1.RunSucceeded, tt.want)
			want := &engine.Rollback{Name: rollbackName, CreatedBy: &v1beta1.DecisionUser{Username: "ann"}}
			if diff := cmp.Diff(want, d.Rollback); diff != "" {
				t.Errorf("the run to create (-want +got):\n%s", diff)
			}
			// A crash before it was created is mended.
			if again := f.step(); again.Rollback == nil || again.Status != nil {
				t.Errorf("the next look decides %+v, want the same run again", again)
			}
			run, _ := f.rollback()
			f.world.Others = []v1beta1.UpdateRunObject{run}
			f.steps()
			if f.last.Rollback != nil {
				t.Error("the run is created again once it is there")
			}
			link := &v1beta1.UpdateRunReference{Name: rollbackName, UID: "rollback-uid"}
			if diff := cmp.Diff(link, f.run.Status.RolledBackBy); diff != "" {
				t.Errorf("the link (-want +got):\n%s", diff)
			}
			// Whoever deletes it does not want it again.
			f.world.Others = nil
			if d := f.step(); d.Rollback != nil {
				t.Error("the run is created again after somebody has deleted it")
			}
		})
	}
}

// mallory is a user as the server records who creates a run.
func mallory() *v1beta1.DecisionUser {
	return &v1beta1.DecisionUser{Username: "mallory", Groups: []string{"system:authenticated"}}
}

func TestOnlyARunThatAControllerHasCreatedIsTheRollback(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(rollback *v1beta1.ClusterStagedUpdateRun)
		want   bool
	}{
		"of the name":            {func(*v1beta1.ClusterStagedUpdateRun) {}, true},
		"of another name":        {func(r *v1beta1.ClusterStagedUpdateRun) { r.Name = "run-rollback-00000" }, true},
		"planned already":        {func(r *v1beta1.ClusterStagedUpdateRun) { r.Status.RollbackOfUID = "run-uid" }, true},
		"of a user":              {func(r *v1beta1.ClusterStagedUpdateRun) { r.Status.CreatedBy = mallory() }, false},
		"of a user called so":    {func(r *v1beta1.ClusterStagedUpdateRun) { r.Status.CreatedBy.Groups = []string{"system:authenticated"} }, false},
		"of nobody":              {func(r *v1beta1.ClusterStagedUpdateRun) { r.Status.CreatedBy = nil }, false},
		"of another run":         {func(r *v1beta1.ClusterStagedUpdateRun) { r.Spec.RollbackOf = "other" }, false},
		"of none":                {func(r *v1beta1.ClusterStagedUpdateRun) { r.Spec.RollbackOf = "" }, false},
		"of an earlier namesake": {func(r *v1beta1.ClusterStagedUpdateRun) { r.Status.RollbackOfUID = "earlier" }, false},
		"from before the run": {func(r *v1beta1.ClusterStagedUpdateRun) {
			r.CreationTimestamp = metav1.NewTime(simStart.Add(-24 * time.Hour))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a"))
			f.had("0", "a1")
			f.run.CreationTimestamp = metav1.NewTime(simStart)
			f.steps()
			rollback, _ := f.rollback()
			tt.change(rollback)
			f.world.Others = []v1beta1.UpdateRunObject{rollback}
			f.ask(v1beta1.OperationRollback, nil)
			f.step()
			f.steps()
			if by := f.run.Status.RolledBackBy; by == nil || (by.UID == rollback.UID) != tt.want {
				t.Errorf("the run is rolled back by %+v, want %v", by, tt.want)
			}
			if wants := f.last.Rollback != nil; wants == tt.want {
				t.Errorf("a rollback is still to be created: %v", wants)
			}
		})
	}
}

func TestWhoTakesTheNameOfARollbackDoesNotTakeItsTurn(t *testing.T) {
	f := newFixture(t, 1, stage("a"))
	f.had("0", "a1")
	f.steps()
	f.ask(v1beta1.OperationRollback, nil)
	f.step()
	back := f.planned()
	back.steps()
	if turn := back.run.Status.Turn; turn != nil && turn.State != v1beta1.TurnWaiting {
		t.Errorf("the turn is %+v", turn)
	}
	back.run.Status.CreatedBy = &v1beta1.DecisionUser{Username: "ann"}
	back.steps()
	back.wantClusters("a1 Started")
}

func TestOneFailureTooManyRollsTheRunBack(t *testing.T) {
	f := newFixture(t, 2, stage("a", concurrency("2"), onFailure(v1beta1.FailureActionRollback)))
	f.had("0", "a1", "a2")
	f.steps()
	f.available("a1")
	f.pass(10 * time.Minute)
	d := f.step()
	f.wantCondition(v1beta1.RunSucceeded, "False UpdateRunFailed: 1 cluster in stage a failed to update, at most 0 may: a2; a2: Cluster update failed: "+
		"not available within 10m0s; ClusterStagedUpdateRun "+rollbackName+" brings the clusters back")
	if d.Rollback == nil || d.Rollback.Name != rollbackName || d.Rollback.CreatedBy != nil {
		t.Errorf("the run to create is %+v", d.Rollback)
	}
	if len(d.Bindings) > 0 {
		t.Errorf("bindings are written: %+v", d.Bindings)
	}
}

func TestWithNothingToGoBackToAFailureOnlyFailsTheRun(t *testing.T) {
	f := newFixture(t, 1, stage("a", onFailure(v1beta1.FailureActionRollback)))
	f.steps()
	f.pass(10 * time.Minute)
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, "False UpdateRunFailed: 1 cluster in stage a failed to update, at most 0 may: a1; a1: Cluster update failed: "+
		"not available within 10m0s; there is no version to roll back to")
	f.ask(v1beta1.OperationRollback, nil)
	if d := f.step(); d.Rollback != nil || f.run.Status.RolledBackBy != nil {
		t.Errorf("a run is created all the same: %+v", d.Rollback)
	}
}

func TestARollbackGoesBackwardsToWhatEachClusterHad(t *testing.T) {
	f := newFixture(t, 3, stage("a", concurrency("3"), waitAfter(time.Hour)), stage("b", concurrency("2"), approvedBefore))
	f.had("0", "a1", "b1")
	f.had("2", "a2")
	f.had("1", "b2")
	f.steps()
	f.available("a1", "a2", "a3")
	f.steps()
	f.pass(time.Hour)
	f.steps()
	f.decide("run-before-b", v1beta1.DecisionApproved)
	f.steps()
	f.wantClusters("a1 Succeeded", "a2 Succeeded", "a3 Succeeded", "b1 Started", "b2 Succeeded", "b3 Started")
	f.ask(v1beta1.OperationRollback, nil)
	f.step()
	run, w := f.rollback()
	o := initialize(run, w, f.now)
	if o.Result != engine.ResultInitialized {
		t.Fatalf("not planned: %s", o.Message)
	}
	status := o.Decision.Status
	var got []string
	for i, s := range status.StagesStatus {
		config := status.UpdateStrategySnapshot.Stages[i]
		for _, c := range s.Clusters {
			got = append(got, fmt.Sprintf("%s %s %s", config.Name, c.ClusterName, c.ResourceSnapshotIndex))
		}
		if len(s.BeforeStageTaskStatus)+len(s.AfterStageTaskStatus)+len(config.BeforeStageTasks)+len(config.AfterStageTasks) > 0 || config.FailurePolicy != nil {
			t.Errorf("stage %s has tasks or a policy: %+v", config.Name, config)
		}
	}
	// b2 had the version already, a3 and b3 had none.
	if diff := cmp.Diff([]string{"b b1 0", "a a2 2", "a a1 0"}, got); diff != "" {
		t.Errorf("the plan (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"2 clusters had no version before run and stay as they are: a3, b3"}, o.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if status.RollbackOfUID != "run-uid" || status.ResourceSnapshotIndexUsed != "" || status.PolicyObservedClusterCount != 3 {
		t.Errorf("status is %+v", status)
	}

	// The plan is carried out like any other.
	back := *f
	back.run = run
	back.run.Status = *roundTrip(status)
	back.world.Others = []v1beta1.UpdateRunObject{f.run}
	back.steps()
	back.available("b1")
	back.steps()
	back.available("a1", "a2")
	back.steps()
	back.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
	for cluster, want := range map[string]string{"a1": "p-0-snapshot", "a2": "p-2-snapshot", "a3": "p-1-snapshot", "b1": "p-0-snapshot", "b2": "p-1-snapshot"} {
		if got := back.binding(cluster).Spec.ResourceSnapshotName; got != want {
			t.Errorf("cluster %s has %s, want %s", cluster, got, want)
		}
	}
}

func TestARollbackToOneVersionIsARunToThatVersion(t *testing.T) {
	f := newFixture(t, 1, stage("a"))
	f.had("0", "a1")
	f.steps()
	f.ask(v1beta1.OperationRollback, nil)
	f.step()
	run, w := f.rollback()
	status := initialize(run, w, f.now).Decision.Status
	if status.ResourceSnapshotIndexUsed != "0" || status.StagesStatus[0].Clusters[0].ResourceSnapshotIndex != "" {
		t.Errorf("the plan is %+v", status)
	}
}

func TestWhatKeepsARollbackFromBeingPlanned(t *testing.T) {
	const user = "cannot continue the updateRun: failed to validate the updateRun: failed to process the request due to a client error: "
	tests := map[string]struct {
		change  func(f *fixture, run *v1beta1.ClusterStagedUpdateRun, w *known)
		result  engine.Result
		message string
	}{
		"no such run": {func(_ *fixture, _ *v1beta1.ClusterStagedUpdateRun, w *known) { w.RolledBack = nil },
			engine.ResultWaiting, user + "ClusterStagedUpdateRun run, which is to be rolled back, not found"},
		"another placement": {func(f *fixture, _ *v1beta1.ClusterStagedUpdateRun, _ *known) {
			f.run.Spec.PlacementName = "other"
		},
			engine.ResultFailed, user + "ClusterStagedUpdateRun run moves placement other and not p"},
		"another strategy": {func(_ *fixture, run *v1beta1.ClusterStagedUpdateRun, _ *known) {
			run.Spec.StagedUpdateStrategyName = "other"
		},
			engine.ResultFailed, user + "stagedRolloutStrategyName must be s, as in ClusterStagedUpdateRun run"},
		"another placement of the name": {func(f *fixture, _ *v1beta1.ClusterStagedUpdateRun, _ *known) {
			f.run.Status.PlacementUID = "old"
		},
			engine.ResultFailed, user + "ClusterStagedUpdateRun run has moved clusters of another placement of that name"},
		"still moving": {func(f *fixture, _ *v1beta1.ClusterStagedUpdateRun, _ *known) {
			f.run.Status.Turn.State = v1beta1.TurnHeld
		}, engine.ResultWaiting, user + "ClusterStagedUpdateRun run is still moving clusters; stop it first, or use its subresource rollback"},
		"nothing touched": {func(f *fixture, _ *v1beta1.ClusterStagedUpdateRun, _ *known) {
			f.run.Status.StagesStatus[0].Clusters[0].PreviousResourceSnapshotIndex = nil
		}, engine.ResultFailed, user + "ClusterStagedUpdateRun run has changed no cluster that had another version before"},
		"a version that a cluster was only compared with": {func(f *fixture, _ *v1beta1.ClusterStagedUpdateRun, _ *known) {
			f.run.Status.StagesStatus[0].Clusters[0].PreviousApplyType = v1beta1.ApplyStrategyTypeReportDiff
		}, engine.ResultFailed, user + "cluster a1 was only compared with resource snapshot 0, by the applyStrategy ReportDiff, and did not have it: create a run for the version that it is to have"},
		"a version that is gone": {func(_ *fixture, _ *v1beta1.ClusterStagedUpdateRun, w *known) { w.Snapshots = nil },
			engine.ResultFailed, user + "cluster a1 had resource snapshot 0, which is not kept any more"},
		"moved since": {func(f *fixture, _ *v1beta1.ClusterStagedUpdateRun, _ *known) {
			f.binding("a1").Annotations = map[string]string{wellknown.UpdateRunAnnotation: "other", wellknown.UpdateRunTurnAnnotation: "2"}
		}, engine.ResultFailed, user + "ClusterStagedUpdateRun other has moved cluster a1 since run did; create a run with the resourceSnapshotIndex that the clusters are to have"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a"))
			f.had("0", "a1")
			f.steps()
			f.setState(v1beta1.StateStop)
			f.available("a1")
			f.steps()
			run, w := f.rollback()
			tt.change(f, run, &w)
			o := initialize(run, w, f.now)
			if o.Result != tt.result || o.Message != tt.message {
				t.Errorf("result %d: %s\nwant   %d: %s", o.Result, o.Message, tt.result, tt.message)
			}
		})
	}
}

// Whoever writes the placement must not turn off the rollback of a run under way, which a policy may demand.
func TestARollbackIsByWhatTheRunDidAndNotByWhatThePlacementSays(t *testing.T) {
	compare := &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
	const leaves = "left as they are, since they were only compared with a version before run, by the applyStrategy ReportDiff: "
	for name, tt := range map[string]struct {
		change   func(f *fixture, w *known)
		want     []string
		warnings []string
	}{
		"a placement that only compares by now": {func(_ *fixture, w *known) { w.Placement.PlacementSpec().Strategy.ApplyStrategy = compare }, []string{"a2", "a1"}, nil},
		"a cluster that was only compared before": {func(f *fixture, _ *known) {
			f.run.Status.StagesStatus[0].Clusters[0].PreviousApplyType = v1beta1.ApplyStrategyTypeReportDiff
		}, []string{"a2"}, []string{leaves + "a1"}},
		"both": {func(f *fixture, w *known) {
			f.run.Status.StagesStatus[0].Clusters[1].PreviousApplyType = v1beta1.ApplyStrategyTypeReportDiff
			w.Placement.PlacementSpec().Strategy.ApplyStrategy = compare
		}, []string{"a1"}, []string{leaves + "a2"}},
		"a run that compares, as its clusters were before": {func(f *fixture, _ *known) {
			f.run.Status.ApplyStrategy = compare
			for i := range f.run.Status.StagesStatus[0].Clusters {
				f.run.Status.StagesStatus[0].Clusters[i].PreviousApplyType = v1beta1.ApplyStrategyTypeReportDiff
			}
		}, []string{"a2", "a1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 2, stage("a", concurrency("2")))
			f.had("0", "a1", "a2")
			f.steps()
			f.available("a1", "a2")
			f.steps()
			run, w := f.rollback()
			tt.change(f, &w)
			o := initialize(run, w, f.now)
			if o.Result != engine.ResultInitialized {
				t.Fatal(o.Message)
			}
			status := o.Decision.Status
			var got []string
			for _, c := range status.StagesStatus[0].Clusters {
				got = append(got, c.ClusterName)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("clusters (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.warnings, o.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if compares := bindingrules.Compares(f.run.Status.ApplyStrategy); bindingrules.Compares(status.ApplyStrategy) != compares {
				t.Errorf("the rollback applies by %v", status.ApplyStrategy)
			}
		})
	}
}

func TestARunWhoseClustersWereOnlyComparedDoesNotSayThatTheyAreBroughtBack(t *testing.T) {
	f := newFixture(t, 1, stage("a", onFailure(v1beta1.FailureActionRollback)))
	f.had("0", "a1")
	f.binding("a1").Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
	f.steps()
	f.pass(time.Hour)
	f.steps()
	if got := f.condition(v1beta1.RunSucceeded); !strings.HasSuffix(got, "; there is no version to roll back to") || f.run.Status.RolledBackBy != nil {
		t.Errorf("Succeeded is %q, rolled back by %v", got, f.run.Status.RolledBackBy)
	}
}

func TestARollbackComesBeforeRunsThatWait(t *testing.T) {
	f := newFixture(t, 1, stage("a"))
	rollback := f.other("back", time.Hour, v1beta1.UpdateRunTurn{})
	rollback.Spec.RollbackOf, rollback.Status = "gone", v1beta1.UpdateRunStatus{}
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunWaiting: The updateRun is waiting for its turn: ClusterStagedUpdateRun back comes first")
	f.world.Others = nil

	// Nor does it start before the rollback is there.
	failed := f.other("failed", time.Hour, v1beta1.UpdateRunTurn{State: v1beta1.TurnReleased, Number: 1})
	failed.Status.Conditions = append(failed.Status.Conditions, metav1.Condition{Type: v1beta1.RunSucceeded, Status: metav1.ConditionFalse})
	failed.Status.RolledBackBy = &v1beta1.UpdateRunReference{Name: "failed-rollback"}
	f.steps()
	if f.run.Status.Turn.State != v1beta1.TurnWaiting {
		t.Errorf("the turn is %+v", f.run.Status.Turn)
	}
	failed.Status.RolledBackBy.UID = "seen"
	f.steps()
	f.wantClusters("a1 Started")
}

func TestARollbackTakesNothingBackThatCameAfterItsPlan(t *testing.T) {
	f := newFixture(t, 1, stage("a"))
	f.had("0", "a1")
	f.steps()
	f.setState(v1beta1.StateStop)
	f.available("a1")
	f.steps()
	run, w := f.rollback()
	back := *f
	back.run = run
	back.run.Status = *roundTrip(initialize(run, w, f.now).Decision.Status)
	back.world.Others = []v1beta1.UpdateRunObject{f.run}
	f.binding("a1").Annotations = map[string]string{wellknown.UpdateRunAnnotation: "other", wellknown.UpdateRunTurnAnnotation: "2"}
	back.steps()
	if got := back.condition(v1beta1.RunSucceeded); !strings.HasSuffix(got, "ClusterStagedUpdateRun other has moved cluster a1 since run did; "+
		"create a run with the resourceSnapshotIndex that the clusters are to have") {
		t.Errorf("the rollback is %q", got)
	}
}

// planned is a rollback of the fixture's run as somebody makes it by hand, beside the run.
func (f *fixture) planned() *fixture {
	f.Helper()
	run, w := f.rollback()
	run.Status.CreatedBy = mallory()
	o := initialize(run, w, f.now)
	if o.Result != engine.ResultInitialized {
		f.Fatalf("not planned: %s", o.Message)
	}
	back := *f
	back.run = run
	back.run.Status = *roundTrip(o.Decision.Status)
	back.world.Others = []v1beta1.UpdateRunObject{f.run}
	f.world.Others = []v1beta1.UpdateRunObject{back.run}
	return &back
}

func TestARollbackThatIsOnlyPlannedTakesNothingBack(t *testing.T) {
	f := newFixture(t, 1, stage("a"), stage("b"))
	f.had("0", "a1", "b1")
	f.steps()
	f.setState(v1beta1.StateStop)
	f.available("a1")
	f.steps()
	back := f.planned()
	f.steps()
	if by := f.run.Status.RolledBackBy; by != nil {
		t.Errorf("the run is rolled back by %+v, which has not begun", by)
	}
	back.steps()
	back.wantClusters("a1 Started")
	f.steps()
	if by := f.run.Status.RolledBackBy; by == nil || by.UID != "rollback-uid" {
		t.Errorf("the run is rolled back by %+v", by)
	}
}

func TestARollbackIsPlannedAnewOnceItsRunHasMovedOn(t *testing.T) {
	f := newFixture(t, 1, stage("a"), stage("b"))
	f.had("0", "a1", "b1")
	f.steps()
	f.setState(v1beta1.StateStop)
	f.available("a1")
	f.steps()
	back := f.planned()
	back.setState(v1beta1.StateInitialize)
	f.setState(v1beta1.StateRun)
	f.steps()
	f.wantClusters("a1 Succeeded", "b1 Started")
	f.setState(v1beta1.StateStop)
	f.available("b1")
	f.steps()

	back.setState(v1beta1.StateRun)
	back.steps()
	if got := back.condition(v1beta1.RunSucceeded); !strings.HasSuffix(got, "ClusterStagedUpdateRun run has moved cluster b1 since this run was planned; create a new run to roll it back") {
		t.Errorf("the rollback is %q", got)
	}
	back.wantClusters("a1")
	f.steps()
	if by := f.run.Status.RolledBackBy; by != nil {
		t.Errorf("the run is rolled back by %+v, which did nothing", by)
	}
}
