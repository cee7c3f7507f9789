// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestRefusals(t *testing.T) {
	const stop, resume, skip, retry, rollback = "stop", "resume", "skip", "retry", "rollback"
	run, stopped, planned := v1beta1.StateRun, v1beta1.StateStop, v1beta1.StateInitialize
	because := func(change func(*v1beta1.UpdateRunOperationSpec)) v1beta1.UpdateRunOperationSpec {
		spec := v1beta1.UpdateRunOperationSpec{Reason: "INC-7"}
		change(&spec)
		return spec
	}
	plain := because(func(*v1beta1.UpdateRunOperationSpec) {})
	clusters := func(names ...string) v1beta1.UpdateRunOperationSpec {
		return because(func(s *v1beta1.UpdateRunOperationSpec) { s.Clusters = names })
	}
	stage := func(name string, task v1beta1.StageTaskType) v1beta1.UpdateRunOperationSpec {
		return because(func(s *v1beta1.UpdateRunOperationSpec) { s.Stage, s.Task = name, task })
	}
	asis := func(*v1beta1.UpdateRunStatus) {}
	set := func(conditions *[]metav1.Condition, c metav1.Condition) { *conditions = append(*conditions, c) }
	ended := func(s *v1beta1.UpdateRunStatus) {
		set(&s.Conditions, withReason(v1beta1.RunSucceeded, metav1.ConditionFalse, "UpdateRunFailed"))
	}
	uninitialized := func(s *v1beta1.UpdateRunStatus) { *s = v1beta1.UpdateRunStatus{} }
	history := func(operation v1beta1.OperationType) func(*v1beta1.UpdateRunStatus) {
		return func(s *v1beta1.UpdateRunStatus) {
			s.History = []v1beta1.UpdateRunHistoryEntry{entry(1, operation, "bob", ""), entry(2, "", "", "and so on")}
		}
	}
	unmoved := func(previous, given string) func(*v1beta1.UpdateRunStatus) {
		return func(s *v1beta1.UpdateRunStatus) {
			s.StagesStatus[0].Clusters[0].PreviousResourceSnapshotIndex = &previous
			s.StagesStatus[0].Clusters[0].ResourceSnapshotIndex = given
		}
	}

	conflicts := []struct {
		name, subresource string
		state             v1beta1.State
		at                func(*v1beta1.UpdateRunStatus)
		spec              v1beta1.UpdateRunOperationSpec
		want              string
	}{
		{"stop of a run that is over", stop, run, ended, plain, "the run has ended (UpdateRunFailed): create a new run"},
		{"resume of a run that is over", resume, stopped, ended, plain, "the run has ended (UpdateRunFailed): create a new run"},
		{"skip in a run that is over", skip, run, ended, clusters("c"), "the run has ended (UpdateRunFailed): create a new run"},
		{"retry in a run that is over", retry, run, ended, plain, "the run has ended (UpdateRunFailed): create a new run"},
		{"stop of a run that cannot be initialized", stop, run, func(s *v1beta1.UpdateRunStatus) {
			s.Conditions = []metav1.Condition{withReason(v1beta1.RunInitialized, metav1.ConditionFalse, "UpdateRunInitializedFailed")}
		}, plain, "the run has ended (UpdateRunInitializedFailed): create a new run"},

		{"stop of what is not started", stop, planned, asis, plain, "the run is not started"},
		{"stop of what another stopped", stop, stopped, history(v1beta1.OperationStop), plain, "already stopped by bob at 2026-03-01T12:00:00Z"},
		{"stop of what nobody is known to have stopped", stop, stopped, asis, plain, "the run is stopped already"},

		{"resume of what is not started", resume, planned, asis, plain, "the run is not started: set spec.state to Run"},
		{"resume of what runs", resume, run, history(v1beta1.OperationStart), plain, "the run is running"},
		{"resume of what another resumed", resume, run, history(v1beta1.OperationResume), plain, "already resumed by bob at 2026-03-01T12:00:00Z"},
		{"resume of what is paused", resume, run, func(s *v1beta1.UpdateRunStatus) {
			set(&s.Conditions, withReason(v1beta1.RunProgressing, metav1.ConditionFalse, "UpdateRunPaused"))
		}, plain, "the run is not stopped, it is paused: retry or skip the clusters that have failed"},

		{"skip before there are clusters", skip, run, uninitialized, clusters("a"), "the run is not initialized"},
		{"skip of a foreign cluster", skip, run, asis, clusters("c", "paris"), "cluster paris is not a target of the run"},
		{"skip of an updated cluster", skip, run, asis, clusters("a"), "cluster a is updated already"},
		{"skip of a skipped cluster", skip, run, func(s *v1beta1.UpdateRunStatus) {
			set(&s.StagesStatus[1].Clusters[1].Conditions, withReason(v1beta1.ClusterSucceeded, metav1.ConditionTrue, "ClusterUpdatingSkipped"))
		}, clusters("c"), "cluster c is skipped already"},
		{"skip of a failed cluster that is skipped", skip, run, func(s *v1beta1.UpdateRunStatus) {
			set(&s.StagesStatus[1].Clusters[1].Conditions, withReason(v1beta1.ClusterSucceeded, metav1.ConditionFalse, "ClusterUpdatingFailureSkipped"))
		}, clusters("c"), "cluster c is skipped already"},
		{"skip of a cluster in a stage that is over", skip, run, func(s *v1beta1.UpdateRunStatus) {
			set(&s.StagesStatus[1].Conditions, condition(v1beta1.StageSucceeded, metav1.ConditionTrue))
		}, clusters("b"), "stage canary, which cluster b is in, is over"},
		{"skip of a foreign stage", skip, run, asis, stage("prod", ""), "the run has no stage prod"},
		{"skip of a stage that is over", skip, run, asis, stage("staging", ""), "stage staging is over"},
		{"skip of the wait after a stage that is over", skip, run, asis, stage("staging", v1beta1.StageTaskTypeTimedWait), "stage staging is over"},
		{"skip of a wait that is over", skip, run, func(s *v1beta1.UpdateRunStatus) {
			s.StagesStatus[1].AfterStageTaskStatus[0].Conditions = []metav1.Condition{condition(v1beta1.TaskWaitTimeElapsed, metav1.ConditionTrue)}
		}, stage("canary", v1beta1.StageTaskTypeTimedWait), "the timed wait after stage canary is over"},
		{"skip of a wait that is not there", skip, run, func(s *v1beta1.UpdateRunStatus) {
			s.StagesStatus[1].AfterStageTaskStatus[0].Type = v1beta1.StageTaskTypeApproval
		}, stage("canary", v1beta1.StageTaskTypeTimedWait), "there is no timed wait after stage canary"},

		{"retry before there are clusters", retry, run, uninitialized, plain, "the run is not initialized"},
		{"retry of a foreign cluster", retry, run, asis, clusters("b", "paris"), "cluster paris is not a target of the run"},
		{"retry of a cluster that has not failed", retry, run, asis, clusters("b", "c"), "cluster c has not failed"},
		{"retry of a cluster that was skipped since", retry, run, func(s *v1beta1.UpdateRunStatus) {
			s.StagesStatus[1].Clusters[0].Conditions[1].Reason = "ClusterUpdatingFailureSkipped"
		}, clusters("b"), "cluster b has not failed"},
		{"retry of a cluster in a stage that is over", retry, run, func(s *v1beta1.UpdateRunStatus) {
			set(&s.StagesStatus[1].Conditions, condition(v1beta1.StageSucceeded, metav1.ConditionTrue))
		}, clusters("b"), "cluster b has failed in stage canary, which is over: create a new run"},
		{"retry where nothing has failed", retry, run, func(s *v1beta1.UpdateRunStatus) {
			s.StagesStatus[1].Clusters[0].Conditions = nil
		}, plain, "no cluster in stage canary has failed"},
		{"retry after the last stage", retry, run, func(s *v1beta1.UpdateRunStatus) {
			set(&s.StagesStatus[1].Conditions, condition(v1beta1.StageSucceeded, metav1.ConditionTrue))
			set(&s.DeletionStageStatus.Conditions, condition(v1beta1.StageSucceeded, metav1.ConditionTrue))
		}, plain, "all stages are over"},

		{"rollback before there are clusters", rollback, run, uninitialized, plain, "the run is not initialized"},
		{"rollback where nothing has begun", rollback, run, func(s *v1beta1.UpdateRunStatus) {
			s.StagesStatus[0].Clusters[0].PreviousResourceSnapshotIndex = nil
		}, plain, "the run has moved no cluster from another version: there is nothing to roll back"},
		{"rollback of clusters that had nothing", rollback, run, unmoved("", ""), plain, "the run has moved no cluster from another version: there is nothing to roll back"},
		{"rollback of clusters that had the run's version", rollback, run, unmoved("2", ""), plain, "the run has moved no cluster from another version: there is nothing to roll back"},
		{"rollback of clusters that had their own version", rollback, run, unmoved("1", "1"), plain, "the run has moved no cluster from another version: there is nothing to roll back"},
		{"rollback of clusters that had the same overrides", rollback, run, func(s *v1beta1.UpdateRunStatus) {
			unmoved("2", "")(s)
			c := &s.StagesStatus[0].Clusters[0]
			c.ClusterResourceOverrideSnapshots, c.PreviousClusterResourceOverrideSnapshots = []string{"o-0"}, []string{"o-0"}
		}, plain, "the run has moved no cluster from another version: there is nothing to roll back"},
		{"rollback that another asked for", rollback, run, history(v1beta1.OperationRollback), plain, "already asked for by bob at 2026-03-01T12:00:00Z"},
		{"rollback that another was given", rollback, run, func(s *v1beta1.UpdateRunStatus) {
			history(v1beta1.OperationRollback)(s)
			s.ObservedOperation = 1
			s.RolledBackBy = &v1beta1.UpdateRunReference{Name: "run-rollback"}
		}, plain, "already rolled back by run run-rollback, asked for by bob at 2026-03-01T12:00:00Z"},
		{"rollback of what the policy rolled back", rollback, run, func(s *v1beta1.UpdateRunStatus) {
			s.RolledBackBy = &v1beta1.UpdateRunReference{Name: "run-rollback"}
		}, plain, "already rolled back by run run-rollback"},

		{"skip while many wait", skip, run, waiting(20), clusters("c"),
			"the run has not acted on the last 20 operations, the first of 2026-03-01T12:00:00Z: check that the server's controllers run (Lease fleet-system/stagegate-apiserver)"},
	}

	invalid := []struct {
		name, subresource string
		spec              v1beta1.UpdateRunOperationSpec
		want              string
	}{
		{"stop without a reason", stop, v1beta1.UpdateRunOperationSpec{}, "spec.reason: Required value"},
		{"rollback with a long reason", rollback, v1beta1.UpdateRunOperationSpec{Reason: strings.Repeat("x", 1025)}, "spec.reason: Too long: may not be more than 1024 characters"},
		{"stop of clusters", stop, clusters("a"), "spec.clusters: Forbidden: only skip and retry take clusters"},
		{"resume of a stage", resume, stage("canary", ""), "spec.stage: Forbidden: only skip takes a stage"},
		{"retry of a task", retry, stage("", v1beta1.StageTaskTypeTimedWait), "spec.task: Forbidden: only skip takes a task"},
		{"retry of a cluster twice", retry, clusters("b", "b"), `spec.clusters[1]: Duplicate value: "b"`},
		{"skip of nothing", skip, plain, "spec.clusters: Required value: clusters or a stage to skip"},
		{"skip of two things", skip, because(func(s *v1beta1.UpdateRunOperationSpec) { s.Clusters, s.Stage = []string{"b"}, "canary" }),
			"spec.stage: Forbidden: may not be set together with clusters"},
		{"skip of a task without its stage", skip, because(func(s *v1beta1.UpdateRunOperationSpec) {
			s.Clusters, s.Task = []string{"b"}, v1beta1.StageTaskTypeTimedWait
		}), "spec.stage: Required value: the stage that the task is after"},
		{"skip of an approval", skip, stage("canary", v1beta1.StageTaskTypeApproval),
			`spec.task: Invalid value: "Approval": an approval cannot be skipped, only a TimedWait`},
		{"skip of an unknown task", skip, stage("canary", "Party"), `spec.task: Unsupported value: "Party": supported values: "Approval", "TimedWait"`},
	}

	bothScopes(t, func(t *testing.T, s *service) {
		refuse := func(t *testing.T, subresource string, state v1beta1.State, status v1beta1.UpdateRunStatus, spec v1beta1.UpdateRunOperationSpec, code int32, want string) {
			t.Helper()
			before := s.run("run", state, status)
			_, err := s.ask(s.as(alice, subresource), subresource, "run", spec)
			expect(t, subresource, err, want)
			if got := (&apierrors.StatusError{}); errors.As(err, &got) && got.ErrStatus.Code != code {
				t.Errorf("the code is %d, want %d", got.ErrStatus.Code, code)
			}
			if diff := cmp.Diff(before, s.get("run")); diff != "" {
				t.Errorf("run, -before +after:\n%s", diff)
			}
			if _, _, err := s.storage.REST.Delete(s.as(alice, ""), "run", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		for _, tc := range conflicts {
			t.Run(tc.name, func(t *testing.T) {
				status := underWay()
				tc.at(&status)
				refuse(t, tc.subresource, tc.state, status, tc.spec, http.StatusConflict, conflictOn(s, tc.want))
			})
		}
		for _, tc := range invalid {
			t.Run(tc.name, func(t *testing.T) {
				refuse(t, tc.subresource, run, underWay(), tc.spec, http.StatusUnprocessableEntity,
					`UpdateRunOperation.placement.kubernetes-fleet.io "run" is invalid: `+tc.want)
			})
		}
	})
}

func TestARollbackThatCannotBePlannedIsRefusedAndNotUsedUp(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		planner := &fakePlanner{}
		s.paths = Paths(s.storage, planner, authorizer.AuthorizerFunc(s.authorize), testClock)
		before := s.run("run", v1beta1.StateRun, underWay())
		reason := v1beta1.UpdateRunOperationSpec{Reason: "INC-7"}
		for _, tc := range []struct {
			why, want error
		}{
			{errors.New("the placement is another one"), errors.New(conflictOn(s, "the rollback would fail: the placement is another one"))},
			{apierrors.NewServiceUnavailable("not yet"), errors.New("not yet")},
		} {
			planner.noRollback = tc.why
			_, err := s.ask(s.as(alice, "rollback"), "rollback", "run", reason)
			expect(t, "rollback", err, tc.want.Error())
			if diff := cmp.Diff(before, s.get("run")); diff != "" {
				t.Errorf("run, -before +after:\n%s", diff)
			}
		}
		planner.noRollback = nil
		asked := s.mustAsk(alice, "rollback", "run", reason)
		// Who repeats it is told what stands, whatever has become of the placement.
		planner.noRollback = errors.New("the placement is another one")
		if diff := cmp.Diff(asked, s.mustAsk(alice, "rollback", "run", reason)); diff != "" {
			t.Errorf("the second answer, -first +second:\n%s", diff)
		}
	})
}

func TestAResumeOfARunThatOthersHaveOvertakenIsRefused(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		planner := &fakePlanner{noResume: errors.New("fix has moved cluster a1"), noRollback: errors.New("another operation")}
		s.paths = Paths(s.storage, planner, authorizer.AuthorizerFunc(s.authorize), testClock)
		before := s.run("run", v1beta1.StateStop, underWay())
		_, err := s.ask(s.as(alice, "resume"), "resume", "run", v1beta1.UpdateRunOperationSpec{Reason: "INC-7"})
		expect(t, "resume", err, conflictOn(s, "fix has moved cluster a1"))
		if diff := cmp.Diff(before, s.get("run")); diff != "" {
			t.Errorf("run, -before +after:\n%s", diff)
		}
		planner.noResume = nil
		s.mustAsk(alice, "resume", "run", v1beta1.UpdateRunOperationSpec{Reason: "INC-7"})
		if got := s.get("run").RunSpec().State; got != v1beta1.StateRun {
			t.Errorf("the run is to %s", got)
		}
	})
}

func TestARunThatIsDeletedIsAskedNothing(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		s.run("run", v1beta1.StateRun, underWay())
		s.update(alice, "", "run", func(run v1beta1.UpdateRunObject) { run.SetFinalizers([]string{"kubernetes-fleet.io/test"}) })
		if _, _, err := s.storage.REST.Delete(s.as(alice, ""), "run", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, tc := range sound {
			_, err := s.ask(s.as(alice, subresourceOf(tc.operation)), subresourceOf(tc.operation), "run", tc.spec)
			expect(t, string(tc.operation), err, conflictOn(s, "the run is being deleted"))
		}
	})
}

func TestPreconditionsOfAnOperation(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		stored := s.run("run", v1beta1.StateRun, underWay())
		for _, tc := range []struct {
			metadata metav1.ObjectMeta
			want     string
		}{
			{metav1.ObjectMeta{Name: "other"}, "the name of the object (other) does not match the name on the URL (run)"},
			{metav1.ObjectMeta{UID: "other"}, conflictOn(s, "the uid in the precondition (other) does not match the uid in record ("+string(stored.GetUID())+")")},
			{metav1.ObjectMeta{ResourceVersion: "1"}, conflictOn(s, "the resourceVersion in the precondition (1) does not match the resourceVersion in record ("+stored.GetResourceVersion()+")")},
		} {
			_, err := s.paths["stop"].(rest.NamedCreater).Create(s.as(alice, "stop"), "run",
				&v1beta1.UpdateRunOperation{ObjectMeta: tc.metadata, Spec: v1beta1.UpdateRunOperationSpec{Reason: "INC-7"}}, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
			expect(t, "stop", err, tc.want)
		}
		if _, err := s.ask(s.as(alice, "stop"), "stop", "gone", v1beta1.UpdateRunOperationSpec{Reason: "INC-7"}); !apierrors.IsNotFound(err) {
			t.Errorf("stop of a run that is not there: %v", err)
		}
	})
}
