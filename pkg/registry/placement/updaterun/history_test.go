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

	"github.com/stagegate/stagegate/pkg/apis/placement"
)

// waiting leaves n skips of a cluster for the run to act on.
func waiting(n int64) func(*placement.UpdateRunStatus) {
	return func(s *placement.UpdateRunStatus) {
		for i := range n {
			skip := entry(i+1, placement.OperationSkip, "bob", "INC-7")
			skip.Clusters = []string{"c"}
			s.History = append(s.History, skip)
		}
	}
}

func TestChangesOfTheStateAreRecorded(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		s.run("run", placement.StateInitialize, placement.UpdateRunStatus{})
		for _, change := range []struct {
			who   user.Info
			state placement.State
		}{{alice, placement.StateRun}, {bob, placement.StateStop}, {bob, placement.StateStop}, {alice, placement.StateRun}} {
			s.update(change.who, "", "run", func(run placement.UpdateRunObject) {
				run.RunSpec().State = change.state
				run.RunStatus().History = []placement.UpdateRunHistoryEntry{entry(9, placement.OperationRollback, "mallory", "")}
			})
		}
		s.update(bob, "", "run", func(run placement.UpdateRunObject) { run.SetLabels(nil) })

		want := []placement.UpdateRunHistoryEntry{
			entry(1, placement.OperationStart, "alice", ""), entry(2, placement.OperationStop, "bob", ""), entry(3, placement.OperationResume, "alice", ""),
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
		s.run("run", placement.StateRun, underWay())
		s.update(bob, "", "run", func(run placement.UpdateRunObject) { run.RunSpec().State = placement.StateStop })
		_, err := s.ask(s.as(alice, "stop"), "stop", "run", placement.UpdateRunOperationSpec{Reason: "INC-7"})
		expect(t, "stop", err, conflictOn(s, "already stopped by bob at 2026-03-01T12:00:00Z"))
		s.mustAsk(alice, "resume", "run", placement.UpdateRunOperationSpec{Reason: "INC-7"})
		want := []placement.UpdateRunHistoryEntry{entry(1, placement.OperationStop, "bob", ""), entry(2, placement.OperationResume, "alice", "INC-7")}
		if diff := cmp.Diff(want, s.get("run").RunStatus().History); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
	})
}

// TestWhatWaitsIsBounded stops and resumes a run on which no loop acts: each is taken, and the last is kept.
func TestWhatWaitsIsBounded(t *testing.T) {
	patch := func(s *service, state placement.State) {
		s.update(alice, "", "run", func(run placement.UpdateRunObject) { run.RunSpec().State = state })
	}
	ask := func(s *service, state placement.State) {
		subresource := map[placement.State]string{placement.StateStop: "stop", placement.StateRun: "resume"}[state]
		s.mustAsk(alice, subresource, "run", placement.UpdateRunOperationSpec{Reason: "INC-7"})
	}
	for way, change := range map[string]func(*service, placement.State){"by state": patch, "by operation": ask} {
		t.Run(way, func(t *testing.T) {
			bothScopes(t, func(t *testing.T, s *service) {
				status := underWay()
				waiting(15)(&status)
				status.History[0].Operation = placement.OperationStop
				status.ObservedOperation = 1
				s.run("run", placement.StateRun, status)
				for range 10 {
					change(s, placement.StateStop)
					change(s, placement.StateRun)
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
	var stored placement.UpdateRunStatus
	waiting(20)(&stored)
	stored.History[3].Operation = placement.OperationStop
	before := stored.DeepCopy()
	status := stored

	recorder{clock: testClock}.record(t.Context(), &status, placement.UpdateRunHistoryEntry{Operation: placement.OperationResume})

	if diff := cmp.Diff(before, &stored); diff != "" {
		t.Errorf("stored, -before +after:\n%s", diff)
	}
	if n := len(status.History); n != 20 || status.History[n-1].Operation != placement.OperationResume {
		t.Errorf("the history is %v", status.History)
	}
}

func TestAStopIsTakenHoweverManyWait(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		status := underWay()
		waiting(20)(&status)
		s.run("run", placement.StateRun, status)
		s.mustAsk(alice, "stop", "run", placement.UpdateRunOperationSpec{Reason: "INC-7"})
		run := s.get("run")
		if run.RunSpec().State != placement.StateStop || len(run.RunStatus().History) != 21 {
			t.Errorf("state %s, %d in the history", run.RunSpec().State, len(run.RunStatus().History))
		}
	})
}

func TestNumbersGoOnFromWhatWasActedOn(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		status := underWay()
		status.ObservedOperation = 7
		s.run("run", placement.StateRun, status)
		if got := s.mustAsk(alice, "stop", "run", placement.UpdateRunOperationSpec{Reason: "INC-7"}).Status.Number; got != 8 {
			t.Errorf("number %d, want 8", got)
		}
	})
}

func TestOnlyLoopsWriteWhatIsTheServersOwn(t *testing.T) {
	forge := func(run placement.UpdateRunObject) {
		s := run.RunStatus()
		s.CreatedBy = &placement.DecisionUser{Username: "mallory"}
		s.History = []placement.UpdateRunHistoryEntry{entry(1, placement.OperationStop, "bob", "")}
		s.ObservedOperation = 9
		s.RolledBackBy = &placement.UpdateRunReference{Name: "other"}
		s.Outcome = placement.OutcomeFailed
	}
	bothScopes(t, func(t *testing.T, s *service) {
		for _, who := range []user.Info{alice, admin, loop} {
			status := underWay()
			status.History = []placement.UpdateRunHistoryEntry{entry(1, placement.OperationStart, "alice", "")}
			status.RolledBackBy = &placement.UpdateRunReference{Name: "run-rollback"}
			stored := s.run(who.GetName()[:4]+"-run", placement.StateRun, status)

			want := stored.DeepCopyObject().(placement.UpdateRunObject).RunStatus()
			if who == user.Info(loop) {
				forge(stored)
				creator := want.CreatedBy
				want = stored.DeepCopyObject().(placement.UpdateRunObject).RunStatus()
				want.CreatedBy = creator
			}
			want.Outcome = placement.OutcomeFailed
			got := s.update(who, "status", stored.GetName(), forge)
			if diff := cmp.Diff(want, got.RunStatus()); diff != "" {
				t.Errorf("%s: status (-want +got):\n%s", who.GetName(), diff)
			}
		}
	})
}

func TestALoopSaysForWhomItCreatesARun(t *testing.T) {
	carol := &placement.DecisionUser{Username: "carol"}
	bothScopes(t, func(t *testing.T, s *service) {
		for _, tc := range []struct {
			who  user.Info
			sent *placement.DecisionUser
			want string
		}{
			{loop, carol, "carol"},
			{loop, nil, "system:apiserver"},
			{admin, carol, "kubernetes-admin"},
			{alice, carol, "alice"},
		} {
			run := newRun(s.resource)
			run.RunStatus().CreatedBy = tc.sent
			out, err := s.storage.REST.Create(s.as(tc.who, ""), run, rest.ValidateAllObjectFunc, &metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if err != nil {
				t.Fatal(err)
			}
			if got := out.(placement.UpdateRunObject).RunStatus().CreatedBy.Username; got != tc.want {
				t.Errorf("%s hands in %v: created by %s, want %s", tc.who.GetName(), tc.sent, got, tc.want)
			}
		}
	})
}

func TestTheStateOfARunThatIsOverHasNoEffect(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		over := underWay()
		over.Conditions = append(over.Conditions, withReason(placement.RunSucceeded, metav1.ConditionTrue, "UpdateRunSucceeded"))
		s.run("over", placement.StateRun, over)
		s.run("under-way", placement.StateRun, underWay())
		for _, tc := range []struct {
			run    string
			change func(placement.UpdateRunObject)
			want   warnings
			// recorded is whether the history has an entry of it.
			recorded bool
		}{
			{
				"over", func(run placement.UpdateRunObject) { run.RunSpec().State = placement.StateStop },
				warnings{"spec.state: Stop has no effect, since the run has ended (UpdateRunSucceeded): create a new run"}, false,
			},
			{"over", func(run placement.UpdateRunObject) { run.SetLabels(nil) }, nil, false},
			{"under-way", func(run placement.UpdateRunObject) { run.RunSpec().State = placement.StateStop }, nil, true},
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
			if history := written.(placement.UpdateRunObject).RunStatus().History; (len(history) > 0) != tc.recorded {
				t.Errorf("%s: the history is %v", tc.run, history)
			}
		}
	})
}
