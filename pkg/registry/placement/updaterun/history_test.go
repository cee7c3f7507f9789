// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// waiting leaves n skips of a cluster for the run to act on.
func waiting(n int64) func(*v1beta1.UpdateRunStatus) {
	return func(s *v1beta1.UpdateRunStatus) {
		for i := range n {
			skip := entry(i+1, v1beta1.OperationSkip, "bob", "INC-7")
			skip.Clusters = []string{"c"}
			s.History = append(s.History, skip)
		}
	}
}

func TestChangesOfTheStateAreRecorded(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		s.run("run", v1beta1.StateInitialize, v1beta1.UpdateRunStatus{})
		for _, change := range []struct {
			who   user.Info
			state v1beta1.State
		}{{alice, v1beta1.StateRun}, {bob, v1beta1.StateStop}, {bob, v1beta1.StateStop}, {alice, v1beta1.StateRun}} {
			s.update(change.who, "", "run", func(run v1beta1.UpdateRunObject) {
				run.RunSpec().State = change.state
				run.RunStatus().History = []v1beta1.UpdateRunHistoryEntry{entry(9, v1beta1.OperationRollback, "mallory", "")}
			})
		}
		s.update(bob, "", "run", func(run v1beta1.UpdateRunObject) { run.SetLabels(nil) })

		want := []v1beta1.UpdateRunHistoryEntry{
			entry(1, v1beta1.OperationStart, "alice", ""), entry(2, v1beta1.OperationStop, "bob", ""), entry(3, v1beta1.OperationResume, "alice", ""),
		}
		run := s.get("run")
		if diff := cmp.Diff(want, run.RunStatus().History); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
		if got := run.GetGeneration(); got != 4 {
			t.Errorf("generation is %d, want 4", got)
		}
	})
}

func TestAStateAndItsOperationAreOneStory(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		s.run("run", v1beta1.StateRun, underWay())
		s.update(bob, "", "run", func(run v1beta1.UpdateRunObject) { run.RunSpec().State = v1beta1.StateStop })
		_, err := s.ask(s.as(alice, "stop"), "stop", "run", v1beta1.UpdateRunOperationSpec{Reason: "INC-7"})
		expect(t, "stop", err, conflictOn(s, "already stopped by bob at 2026-03-01T12:00:00Z"))
		s.mustAsk(alice, "resume", "run", v1beta1.UpdateRunOperationSpec{Reason: "INC-7"})
		want := []v1beta1.UpdateRunHistoryEntry{entry(1, v1beta1.OperationStop, "bob", ""), entry(2, v1beta1.OperationResume, "alice", "INC-7")}
		if diff := cmp.Diff(want, s.get("run").RunStatus().History); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
	})
}

// TestWhatWaitsIsBounded stops and resumes a run on which no controller acts: each is taken, and the last is kept.
func TestWhatWaitsIsBounded(t *testing.T) {
	patch := func(s *service, state v1beta1.State) {
		s.update(alice, "", "run", func(run v1beta1.UpdateRunObject) { run.RunSpec().State = state })
	}
	ask := func(s *service, state v1beta1.State) {
		subresource := map[v1beta1.State]string{v1beta1.StateStop: "stop", v1beta1.StateRun: "resume"}[state]
		s.mustAsk(alice, subresource, "run", v1beta1.UpdateRunOperationSpec{Reason: "INC-7"})
	}
	for way, change := range map[string]func(*service, v1beta1.State){"by state": patch, "by operation": ask} {
		t.Run(way, func(t *testing.T) {
			bothScopes(t, func(t *testing.T, s *service) {
				status := underWay()
				waiting(15)(&status)
				status.History[0].Operation = v1beta1.OperationStop
				status.ObservedOperation = 1
				s.run("run", v1beta1.StateRun, status)
				for range 10 {
					change(s, v1beta1.StateStop)
					change(s, v1beta1.StateRun)
				}

				var numbers []int64
				for _, e := range s.get("run").RunStatus().History {
					numbers = append(numbers, e.Number)
				}
				want := []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 30, 31, 32, 33, 34, 35}
				if diff := cmp.Diff(want, numbers); diff != "" {
					t.Errorf("numbers of what waits, after one that does not (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestRecordingLeavesTheStoredHistoryAlone has a status that shares its history with the stored run, as a write of a run begins with.
func TestRecordingLeavesTheStoredHistoryAlone(t *testing.T) {
	var stored v1beta1.UpdateRunStatus
	waiting(20)(&stored)
	stored.History[3].Operation = v1beta1.OperationStop
	before := stored.DeepCopy()
	status := stored

	recorder{clock: testClock}.record(t.Context(), &status, v1beta1.UpdateRunHistoryEntry{Operation: v1beta1.OperationResume})

	if diff := cmp.Diff(before, &stored); diff != "" {
		t.Errorf("stored, -before +after:\n%s", diff)
	}
	if n := len(status.History); n != 20 || status.History[n-1].Operation != v1beta1.OperationResume {
		t.Errorf("the history is %v", status.History)
	}
}

func TestAStopIsTakenHoweverManyWait(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		status := underWay()
		waiting(20)(&status)
		s.run("run", v1beta1.StateRun, status)
		s.mustAsk(alice, "stop", "run", v1beta1.UpdateRunOperationSpec{Reason: "INC-7"})
		run := s.get("run")
		if run.RunSpec().State != v1beta1.StateStop || len(run.RunStatus().History) != 21 {
			t.Errorf("state %s, %d in the history", run.RunSpec().State, len(run.RunStatus().History))
		}
	})
}

func TestNumbersGoOnFromWhatWasActedOn(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		status := underWay()
		status.ObservedOperation = 7
		s.run("run", v1beta1.StateRun, status)
		if got := s.mustAsk(alice, "stop", "run", v1beta1.UpdateRunOperationSpec{Reason: "INC-7"}).Status.Number; got != 8 {
			t.Errorf("number %d, want 8", got)
		}
	})
}

func TestOnlyLoopsWriteWhatIsTheServersOwn(t *testing.T) {
	forge := func(run v1beta1.UpdateRunObject) {
		s := run.RunStatus()
		s.CreatedBy = &v1beta1.DecisionUser{Username: "mallory"}
		s.History = []v1beta1.UpdateRunHistoryEntry{entry(1, v1beta1.OperationStop, "bob", "")}
		s.ObservedOperation = 9
		s.RolledBackBy = &v1beta1.UpdateRunReference{Name: "other"}
		s.Outcome = v1beta1.OutcomeFailed
	}
	bothScopes(t, func(t *testing.T, s *service) {
		for _, who := range []user.Info{alice, admin, controllers} {
			status := underWay()
			status.History = []v1beta1.UpdateRunHistoryEntry{entry(1, v1beta1.OperationStart, "alice", "")}
			status.RolledBackBy = &v1beta1.UpdateRunReference{Name: "run-rollback"}
			stored := s.run(who.GetName()[:4]+"-run", v1beta1.StateRun, status)

			want := stored.DeepCopyObject().(v1beta1.UpdateRunObject).RunStatus()
			if who == user.Info(controllers) {
				forge(stored)
				creator := want.CreatedBy
				want = stored.DeepCopyObject().(v1beta1.UpdateRunObject).RunStatus()
				want.CreatedBy = creator
			}
			want.Outcome = v1beta1.OutcomeFailed
			got := s.update(who, "status", stored.GetName(), forge)
			if diff := cmp.Diff(want, got.RunStatus()); diff != "" {
				t.Errorf("%s: status (-want +got):\n%s", who.GetName(), diff)
			}
		}
	})
}

func TestALoopSaysForWhomItCreatesARun(t *testing.T) {
	carol := &v1beta1.DecisionUser{Username: "carol"}
	bothScopes(t, func(t *testing.T, s *service) {
		for _, tc := range []struct {
			who  user.Info
			sent *v1beta1.DecisionUser
			want string
		}{
			{controllers, carol, "carol"},
			{controllers, nil, "system:apiserver"},
			{admin, carol, "kubernetes-admin"},
			{alice, carol, "alice"},
		} {
			run := newRun(s.resource)
			run.RunStatus().CreatedBy = tc.sent
			out, err := s.storage.REST.Create(s.as(tc.who, ""), run, rest.ValidateAllObjectFunc, &metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if err != nil {
				t.Fatal(err)
			}
			if got := out.(v1beta1.UpdateRunObject).RunStatus().CreatedBy.Username; got != tc.want {
				t.Errorf("%s hands in %v: created by %s, want %s", tc.who.GetName(), tc.sent, got, tc.want)
			}
		}
	})
}

func TestTheStateOfARunThatIsOverHasNoEffect(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		over := underWay()
		over.Conditions = append(over.Conditions, withReason(v1beta1.RunSucceeded, metav1.ConditionTrue, "UpdateRunSucceeded"))
		s.run("over", v1beta1.StateRun, over)
		s.run("under-way", v1beta1.StateRun, underWay())
		for _, tc := range []struct {
			run    string
			change func(v1beta1.UpdateRunObject)
			want   warnings
			// recorded is whether the history has an entry of it.
			recorded bool
		}{
			{
				"over", func(run v1beta1.UpdateRunObject) { run.RunSpec().State = v1beta1.StateStop },
				warnings{"spec.state: Stop has no effect, since the run has ended (UpdateRunSucceeded): create a new run"}, false,
			},
			{"over", func(run v1beta1.UpdateRunObject) { run.SetLabels(nil) }, nil, false},
			{"under-way", func(run v1beta1.UpdateRunObject) { run.RunSpec().State = v1beta1.StateStop }, nil, true},
		} {
			var warned warnings
			ctx := warning.WithWarningRecorder(s.as(alice, ""), &warned)
			written, _, err := s.paths[""].(rest.Updater).Update(ctx, tc.run, changed(tc.change), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, warned); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.run, diff)
			}
			if history := written.(v1beta1.UpdateRunObject).RunStatus().History; (len(history) > 0) != tc.recorded {
				t.Errorf("%s: the history is %v", tc.run, history)
			}
		}
	})
}
