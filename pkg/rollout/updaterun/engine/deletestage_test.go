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
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
)

// newDeletion is a run of which the resources are to be removed from two clusters, after the update of n clusters in each stage.
func newDeletion(t *testing.T, n int, stages ...v1beta1.StageConfig) *fixture {
	t.Helper()
	w := initWorld(n, stages...)
	for _, name := range []string{"z2", "z1"} {
		w.Bindings = append(w.Bindings, &v1beta1.ClusterResourceBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "b-" + name, Generation: 1},
			Spec:       v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateUnscheduled, TargetCluster: name},
		})
	}
	return newFixtureIn(t, w)
}

// deletes are the clusters whose bindings are being deleted.
func (f *fixture) deletes() (clusters []string) {
	for _, b := range f.world.Bindings {
		if b.GetDeletionTimestamp() != nil {
			clusters = append(clusters, b.BindingSpec().TargetCluster)
		}
	}
	slices.Sort(clusters)
	return clusters
}

func (f *fixture) wantDeletes(want ...string) {
	f.Helper()
	if diff := cmp.Diff(want, f.deletes(), cmpopts.EquateEmpty()); diff != "" {
		f.Errorf("bindings being deleted (-want +got):\n%s", diff)
	}
}

func (f *fixture) remove(cluster string) {
	for i, b := range f.world.Bindings {
		if b.BindingSpec().TargetCluster == cluster {
			f.world.Bindings = append(f.world.Bindings[:i:i], f.world.Bindings[i+1:]...)
			return
		}
	}
}

func TestClustersNoLongerPickedAreCleanedUpLast(t *testing.T) {
	f := newDeletion(t, 1, stage("a", concurrency("2")))
	f.steps()
	f.wantClusters("a1 Started", "z1", "z2")
	f.available("a1")
	f.steps()
	f.wantClusters("a1 Succeeded", "z1 Started", "z2 Started")
	if f.binding("z1").DeletionTimestamp == nil || f.binding("z2").DeletionTimestamp == nil {
		t.Error("the bindings are not deleted")
	}
	f.remove("z1")
	f.steps()
	f.wantClusters("a1 Succeeded", "z1 Succeeded", "z2 Started")
	f.pass(5 * time.Minute)
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunStuck: The updateRun is stuck waiting for z2 cluster(s) in stage kubernetes-fleet.io/deleteStage "+
		"to finish updating, please check placement status for potential errors")
	f.remove("z2")
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
}

func TestARemovalThatHangsSaysWhatItWaitsFor(t *testing.T) {
	policy := func(c *v1beta1.StageConfig) {
		c.FailurePolicy = &v1beta1.FailurePolicy{ClusterTimeout: metav1.Duration{Duration: time.Minute}}
	}
	f := newDeletion(t, 0, stage("a", policy))
	f.steps()
	f.wantClusters("z1 Started", "z2")
	const held = "ConfigMap shop/c waits for finalizer example.com/hold"
	said := func() string { return f.run.Status.DeletionStageStatus.Clusters[0].Message }
	remains := func(generation int64) {
		b := f.binding("z1")
		meta.SetStatusCondition(&b.Status.Conditions, metav1.Condition{
			Type: v1beta1.BindingObjectsRemaining, Status: metav1.ConditionTrue, Reason: "WaitingForDeletion", Message: held, ObservedGeneration: generation,
		})
		f.steps()
	}
	remains(f.binding("z1").Generation - 1)
	if got := said(); got != "" {
		t.Errorf("what was said of an earlier generation: %q", got)
	}
	remains(f.binding("z1").Generation)
	if got := said(); got != held {
		t.Errorf("the cluster says %q, want %q", got, held)
	}
	if got := engine.Trouble(f.binding("z1")); got != held {
		t.Errorf("the run is not woken for it: %q", got)
	}
	f.pass(time.Minute)
	f.steps()
	failed := meta.FindStatusCondition(f.run.Status.DeletionStageStatus.Clusters[0].Conditions, v1beta1.ClusterSucceeded)
	if want := "Cluster update failed: resources not removed within 1m0s: " + held; failed == nil || failed.Message != want {
		t.Errorf("failed: %+v, want %q", failed, want)
	}
}

func TestAClusterThatIsPickedAgainKeepsItsResources(t *testing.T) {
	f := newDeletion(t, 1, stage("a", concurrency("2")))
	f.steps()
	f.available("a1")
	f.binding("z1").Spec.State = v1beta1.BindingStateBound
	f.steps()
	f.wantClusters("a1 Succeeded", "z1 Skipped", "z2 Started")
	if f.binding("z1").DeletionTimestamp != nil {
		t.Error("the binding is deleted")
	}
}

func TestAClusterThatIsPickedAgainBeforeItsBindingIsDeletedDoesNotCountAsCleanedUp(t *testing.T) {
	f := newDeletion(t, 0, stage("a"))
	f.steps()
	f.wantClusters("z1 Started", "z2")
	// The deletion met a newer binding.
	f.binding("z1").DeletionTimestamp = nil
	f.binding("z1").Spec.State = v1beta1.BindingStateBound
	f.steps()
	f.wantClusters("z1 Skipped", "z2 Started")
	f.wantDeletes("z2")
}

func TestADeletionThatWasLostIsDoneAgain(t *testing.T) {
	f := newDeletion(t, 1, stage("a", concurrency("2")))
	f.steps()
	f.available("a1")
	f.steps()
	f.binding("z1").DeletionTimestamp = nil
	if d := f.step(); len(d.Deletions) != 1 {
		t.Errorf("deletions: %v", d.Deletions)
	}
}

func TestAStopWaitsForDeletionsToo(t *testing.T) {
	f := newDeletion(t, 1, stage("a", concurrency("2")))
	f.steps()
	f.setState(v1beta1.StateStop)
	f.available("a1")
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunStopped: The update run has been stopped")
	f.setState(v1beta1.StateRun)
	f.steps()
	f.setState(v1beta1.StateStop)
	f.steps()
	f.wantClusters("a1 Succeeded", "z1 Started", "z2 Started")
	f.remove("z1")
	f.remove("z2")
	f.steps()
	f.wantClusters("a1 Succeeded", "z1 Succeeded", "z2 Succeeded")
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunStopped: The update run has been stopped")
}

func TestTheDeleteStageIsAsFastAsTheLastStage(t *testing.T) {
	tests := map[string]struct {
		stages []v1beta1.StageConfig
		want   []string
	}{
		"one at a time":         {[]v1beta1.StageConfig{stage("a", concurrency("2")), stage("b", concurrency("1"))}, []string{"z1"}},
		"two":                   {[]v1beta1.StageConfig{stage("a"), stage("b", concurrency("2"))}, []string{"z1", "z2"}},
		"a share of its own":    {[]v1beta1.StageConfig{stage("a", concurrency("50%"))}, []string{"z1"}},
		"nothing is said of it": {[]v1beta1.StageConfig{stage("a", func(c *v1beta1.StageConfig) { c.MaxConcurrency = nil })}, []string{"z1"}},
		"there are no stages":   {nil, []string{"z1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newDeletion(t, 0, tt.stages...)
			f.steps()
			f.wantDeletes(tt.want...)
			for len(f.deletes()) > 0 {
				f.remove(f.deletes()[0])
				f.steps()
			}
			f.wantClusters("z1 Succeeded", "z2 Succeeded")
			f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
		})
	}
}

func TestARemovalThatSomebodyElseHasBegunCounts(t *testing.T) {
	f := newDeletion(t, 0, stage("a"))
	f.binding("z2").DeletionTimestamp = ptr.To(metav1.NewTime(f.now))
	f.steps()
	f.wantClusters("z1", "z2 Started")
	f.wantDeletes("z2")
}

func TestTheDeleteStageWaitsForAnApprovalIfAnyStageHasOne(t *testing.T) {
	for name, stages := range map[string][]v1beta1.StageConfig{
		"before the first": {stage("a", approvedBefore), stage("b")},
		"after the first":  {stage("a", approvedAfter), stage("b")},
		"before the last":  {stage("a"), stage("b", approvedBefore)},
		"after the last":   {stage("a"), stage("b", waitAfter(time.Second), approvedAfter)},
	} {
		t.Run(name, func(t *testing.T) {
			f := newDeletion(t, 1, stages...)
			f.untilDeleteStage()
			f.wantClusters("a1 Succeeded", "b1 Succeeded", "z1", "z2")
			f.wantDeletes()
			f.wantCondition(v1beta1.RunProgressing,
				"False UpdateRunWaiting: The updateRun is waiting for before-stage tasks in stage kubernetes-fleet.io/deleteStage to complete")
			if got, want := conditionText(f.run.Status.DeletionStageStatus.Conditions, v1beta1.StageProgressing),
				"False StageUpdatingWaiting: Not all before-stage tasks are completed, waiting for approval"; got != want {
				t.Errorf("the stage is %q, want %q", got, want)
			}
			f.wantHistory("WaitingForApproval: Stage kubernetes-fleet.io/deleteStage waits for approval of ClusterApprovalRequest run-before-delete-stage: " +
				"all resources of the placement are then removed from 2 clusters: z1, z2")
			f.decide("run-before-delete-stage", v1beta1.DecisionApproved)
			f.steps()
			f.wantDeletes("z1")
			if !isAccepted(f.world.Approvals["run-before-delete-stage"]) {
				t.Error("the request is not marked as acted on")
			}
			f.remove("z1")
			f.steps()
			f.remove("z2")
			f.steps()
			f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
		})
	}
}

// wantHistory holds that something happened.
func (f *fixture) wantHistory(want string) {
	f.Helper()
	var got []string
	for _, e := range f.run.Status.History {
		if e.Reason+": "+e.Message == want {
			return
		}
		got = append(got, e.Reason+": "+e.Message)
	}
	f.Errorf("the history is %q, want %q", got, want)
}

func isAccepted(request v1beta1.ApprovalRequestObject) bool {
	return meta.IsStatusConditionTrue(request.RequestStatus().Conditions, v1beta1.RequestApprovalAccepted)
}

// untilDeleteStage has the run do all that comes before the delete stage.
func (f *fixture) untilDeleteStage() {
	f.Helper()
	for range 10 {
		f.steps()
		for name := range f.world.Approvals {
			if name != "run-before-delete-stage" {
				f.decide(name, v1beta1.DecisionApproved)
			}
		}
		for _, s := range f.run.Status.StagesStatus {
			for _, c := range s.Clusters {
				if startedOf(&c) {
					f.available(c.ClusterName)
				}
			}
		}
		f.pass(time.Second)
	}
}

func TestTheGateOfTheDeleteStageEndsARunLikeOthers(t *testing.T) {
	f := newDeletion(t, 1, stage("a", approvedBy(v1beta1.ApprovalPolicy{ExpiresAfter: &metav1.Duration{Duration: time.Hour}})))
	f.untilDeleteStage()
	f.decide("run-before-delete-stage", v1beta1.DecisionRejected)
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, `False UpdateRunRejected: The updateRun was rejected by ann before stage kubernetes-fleet.io/deleteStage: "CHG-1"`)
	f.wantDeletes()

	f = newDeletion(t, 1, stage("a", approvedBy(v1beta1.ApprovalPolicy{ExpiresAfter: &metav1.Duration{Duration: time.Hour}})))
	f.untilDeleteStage()
	f.pass(2 * time.Hour)
	f.steps()
	f.wantDeletes()
	if got := f.condition(v1beta1.RunSucceeded); !strings.HasPrefix(got, "False UpdateRunApprovalExpired: The updateRun was not approved before stage kubernetes-fleet.io/deleteStage until") {
		t.Errorf("Succeeded is %q", got)
	}
}

func TestTheDeleteStageTakesThePolicyOfTheLastApproval(t *testing.T) {
	one, two, three := &v1beta1.ApprovalPolicy{Required: 1}, &v1beta1.ApprovalPolicy{Required: 2}, &v1beta1.ApprovalPolicy{Required: 3}
	before := func(p *v1beta1.ApprovalPolicy) func(*v1beta1.StageConfig) {
		return func(c *v1beta1.StageConfig) {
			c.BeforeStageTasks = []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval, Approval: p}}
		}
	}
	after := func(p *v1beta1.ApprovalPolicy) func(*v1beta1.StageConfig) {
		return func(c *v1beta1.StageConfig) {
			c.AfterStageTasks = append(c.AfterStageTasks, v1beta1.StageTask{Type: v1beta1.StageTaskTypeApproval, Approval: p})
		}
	}
	tests := map[string]struct {
		stages []v1beta1.StageConfig
		want   *v1beta1.ApprovalPolicy
	}{
		"of the later stage":                     {[]v1beta1.StageConfig{stage("a", before(one)), stage("b", before(two))}, two},
		"of the one stage that has any":          {[]v1beta1.StageConfig{stage("a", after(two)), stage("b", waitAfter(time.Second))}, two},
		"in a stage the one before it":           {[]v1beta1.StageConfig{stage("a", before(one)), stage("b", after(two), before(three))}, three},
		"anybody, where the last one takes that": {[]v1beta1.StageConfig{stage("a", before(two)), stage("b", before(nil))}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newDeletion(t, 0, tt.stages...)
			for i := range f.run.Status.StagesStatus {
				// What comes before is over.
				f.run.Status.StagesStatus[i].Conditions = []metav1.Condition{{Type: v1beta1.StageSucceeded, Status: metav1.ConditionTrue}}
			}
			f.steps()
			request := f.world.Approvals["run-before-delete-stage"]
			if request == nil {
				t.Fatal("nobody is asked")
			}
			if diff := cmp.Diff(tt.want, request.RequestSpec().Policy); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAStageWithoutClustersKeepsItsTasksWhereTheRunRemovesResources(t *testing.T) {
	gated := stage("a", approvedBefore, waitAfter(time.Hour), approvedAfter)
	f := newDeletion(t, 0, gated, stage("b"))
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunWaiting: The updateRun is waiting for before-stage tasks in stage a to complete")
	f.decide("run-before-a", v1beta1.DecisionApproved)
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunWaiting: The updateRun is waiting for after-stage tasks in stage a to complete")
	f.decide("run-after-a", v1beta1.DecisionApproved)
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunWaiting: The updateRun is waiting for after-stage tasks in stage a to complete")
	f.pass(time.Hour)
	f.steps()
	for i, want := range []string{
		"True StageUpdatingSucceeded: Stage update completed successfully",
		// Without tasks there is nothing to do in a stage.
		"True StageUpdatingSkippedNoClusters: Stage skipped because it has no clusters",
	} {
		if got := conditionText(f.run.Status.StagesStatus[i].Conditions, v1beta1.StageSucceeded); got != want {
			t.Errorf("stage %d is %q, want %q", i, got, want)
		}
	}
	f.wantDeletes()
	f.decide("run-before-delete-stage", v1beta1.DecisionApproved)
	f.steps()
	f.wantDeletes("z1")

	f = newFixture(t, 1, stage("b"), gated)
	f.run.Status.StagesStatus[1].Clusters = nil
	f.steps()
	f.available("b1")
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
}

func TestNobodyApprovesThatNothingIsRemoved(t *testing.T) {
	f := newDeletion(t, 1, stage("a", approvedBefore))
	f.untilDeleteStage()
	f.binding("z1").Spec.State = v1beta1.BindingStateBound
	f.steps()
	f.wantClusters("a1 Succeeded", "z1 Skipped", "z2")
	f.remove("z2")
	f.steps()
	f.wantClusters("a1 Succeeded", "z1 Skipped", "z2 Succeeded")
	f.wantDeletes()
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
}

func TestARunThatWasPlannedWithoutTheGateHasIt(t *testing.T) {
	f := newDeletion(t, 1, stage("a", approvedBefore))
	f.run.Status.DeletionStageStatus.BeforeStageTaskStatus = nil
	f.untilDeleteStage()
	f.wantDeletes()
	f.decide("run-before-delete-stage", v1beta1.DecisionApproved)
	f.steps()
	f.wantDeletes("z1")

	// What is being removed already is.
	f = newDeletion(t, 1, stage("a", approvedBefore, concurrency("2")))
	f.run.Status.DeletionStageStatus.BeforeStageTaskStatus = nil
	f.run.Status.DeletionStageStatus.Clusters[0].Conditions = []metav1.Condition{
		{Type: v1beta1.ClusterStarted, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(f.now)},
	}
	f.untilDeleteStage()
	f.wantDeletes("z1", "z2")
}

func TestARemovalThatTakesTooLongFails(t *testing.T) {
	const failed = "1 cluster in stage kubernetes-fleet.io/deleteStage failed to update, at most 0 may: z1; " +
		"z1: Cluster update failed: resources not removed within 10m0s"
	does := func(action v1beta1.FailureAction) func(*v1beta1.StageConfig) {
		return func(c *v1beta1.StageConfig) {
			givesUp("0")(c)
			c.FailurePolicy.OnFailure = action
		}
	}
	tests := map[string]struct {
		last        func(*v1beta1.StageConfig)
		conditionOf string
		want        string
	}{
		"one may":  {givesUp("1"), v1beta1.RunProgressing, "True UpdateRunProgressing: The update run is making progress"},
		"none may": {does(v1beta1.FailureActionFail), v1beta1.RunSucceeded, "False UpdateRunFailed: " + failed},
		"pause": {does(v1beta1.FailureActionPause), v1beta1.RunProgressing,
			"False UpdateRunPaused: The updateRun is paused: " + failed + "; retry or skip what has failed, or stop the run"},
		"roll back": {does(v1beta1.FailureActionRollback), v1beta1.RunSucceeded,
			"False UpdateRunFailed: " + failed + "; the run is not rolled back, which would bring back nothing that was removed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newDeletion(t, 1, stage("a"), stage("b", tt.last))
			f.had("0", "a1", "b1")
			f.untilDeleteStage()
			f.pass(10*time.Minute - time.Minute)
			f.steps()
			f.wantDeletes("z1")
			f.pass(time.Minute)
			f.steps()
			f.wantCondition(tt.conditionOf, tt.want)
			if f.run.Status.RolledBackBy != nil {
				t.Error("the run is rolled back")
			}
			next := "z2"
			if tt.conditionOf == v1beta1.RunProgressing && name == "one may" {
				next = "z2 Started"
			}
			f.wantClusters("a1 Succeeded", "b1 Succeeded", "z1 Failed", next)
		})
	}
}

func TestARemovalThatHasFailedIsRetriedOrSkipped(t *testing.T) {
	for _, operation := range []v1beta1.OperationType{v1beta1.OperationRetry, v1beta1.OperationSkip} {
		t.Run(string(operation), func(t *testing.T) {
			f := newDeletion(t, 0, stage("a", func(c *v1beta1.StageConfig) {
				givesUp("0")(c)
				c.FailurePolicy.OnFailure = v1beta1.FailureActionPause
			}))
			f.steps()
			f.pass(10 * time.Minute)
			f.steps()
			f.ask(operation, func(e *v1beta1.UpdateRunHistoryEntry) { e.Clusters = []string{"z1"} })
			if operation == v1beta1.OperationRetry {
				f.steps()
				f.wantClusters("z1 Started", "z2")
				f.remove("z1")
			}
			f.steps()
			f.remove("z2")
			f.steps()
			if got := f.condition(v1beta1.RunSucceeded); !strings.HasPrefix(got, "True ") {
				t.Errorf("Succeeded is %q", got)
			}
		})
	}
}

func TestAResumedRemovalHasItsWholeTime(t *testing.T) {
	f := newDeletion(t, 0, stage("a", givesUp("")))
	f.steps()
	f.setState(v1beta1.StateStop)
	f.pass(20 * time.Minute)
	f.steps()
	f.setState(v1beta1.StateRun)
	f.steps()
	f.pass(9 * time.Minute)
	f.steps()
	f.wantClusters("z1 Started", "z2")
}

func TestNoStageIsCalledLikeTheDeleteStage(t *testing.T) {
	for _, name := range []string{wellknown.DeleteStageName, wellknown.DeleteStageAlias} {
		w := initWorld(1, stage(name))
		o := initialize(newRun(), w, simStart)
		if want := fmt.Sprintf("the stage name is invalid, updateStrategy: `s`, stage: %s, err: ", name); o.Result != engine.ResultFailed || !strings.Contains(o.Message, want) {
			t.Errorf("%s: %v %q", name, o.Result, o.Message)
		}
	}
}
