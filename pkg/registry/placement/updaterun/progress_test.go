// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/registry/store/storetest"
)

func condition(conditionType string, status metav1.ConditionStatus) metav1.Condition {
	return withReason(conditionType, status, "Tested")
}

func withReason(conditionType string, status metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: status, Reason: reason, LastTransitionTime: metav1.NewTime(testClock.Now())}
}

func cluster(name string, conditions ...metav1.Condition) placement.ClusterUpdatingStatus {
	return placement.ClusterUpdatingStatus{ClusterName: name, Conditions: conditions}
}

// TestWideColumnsFollowTheRun walks a run of two stages: staging with a timed wait and an approval after it, canary with an approval
// before it.
func TestWideColumnsFollowTheRun(t *testing.T) {
	started := condition(placement.ClusterStarted, metav1.ConditionTrue)
	succeeded := condition(placement.ClusterSucceeded, metav1.ConditionTrue)
	failed := condition(placement.ClusterSucceeded, metav1.ConditionFalse)
	active := []metav1.Condition{condition(placement.StageProgressing, metav1.ConditionTrue)}
	waiting := []metav1.Condition{condition(placement.StageProgressing, metav1.ConditionFalse)}
	now := metav1.Now()

	enter := func(s *placement.UpdateRunStatus) {
		s.StagesStatus[0].Conditions = active
		s.StagesStatus[0].Clusters[0].Conditions = []metav1.Condition{started}
	}
	updated := func(s *placement.UpdateRunStatus) {
		s.StagesStatus[0].UpdatedTime = &metav1.MicroTime{Time: now.Add(30 * time.Second)}
		s.StagesStatus[0].Conditions = waiting
		s.StagesStatus[0].Clusters[0].Conditions = []metav1.Condition{started, succeeded}
	}
	leave := func(s *placement.UpdateRunStatus) {
		updated(s)
		s.StagesStatus[0].EndTime = &now
		s.StagesStatus[1].Conditions = waiting
	}
	finish := func(s *placement.UpdateRunStatus) {
		leave(s)
		s.StagesStatus[1].EndTime = &now
		s.StagesStatus[1].Clusters[0].Conditions = []metav1.Condition{started, succeeded}
		s.StagesStatus[1].Clusters[1].Conditions = []metav1.Condition{started, succeeded}
		s.DeletionStageStatus.Conditions = active
	}

	tests := []struct {
		name  string
		state placement.State
		at    func(*placement.UpdateRunStatus)
		// STAGE | PROGRESS | WAITING-FOR
		want string
	}{
		{"initialised", placement.StateInitialize, func(*placement.UpdateRunStatus) {}, " | 0/4 | "},
		{"first stage", placement.StateRun, enter, "staging (1/2) | 0/4 | cluster a"},
		{"tasks after it", placement.StateRun, updated, "staging (1/2) | 1/4 | wait: 60m left, approval: run-after-staging"},
		{"tasks after it, past a failure", placement.StateRun, func(s *placement.UpdateRunStatus) {
			updated(s)
			s.StagesStatus[0].Clusters[0].Conditions = []metav1.Condition{started, failed}
		}, "staging (1/2) | 0/4 | wait: 60m left, approval: run-after-staging"},
		{"wait is over", placement.StateRun, func(s *placement.UpdateRunStatus) {
			updated(s)
			s.StagesStatus[0].AfterStageTaskStatus[0].Conditions = []metav1.Condition{condition(placement.TaskWaitTimeElapsed, metav1.ConditionTrue)}
		}, "staging (1/2) | 1/4 | approval: run-after-staging"},
		{"paused", placement.StateRun, func(s *placement.UpdateRunStatus) {
			leave(s)
			s.Conditions = append(s.Conditions, withReason(placement.RunProgressing, metav1.ConditionFalse, "UpdateRunPaused"))
			s.StagesStatus[1].Clusters[0].Conditions = []metav1.Condition{started, withReason(placement.ClusterSucceeded, metav1.ConditionFalse, "ClusterUpdatingFailed")}
			s.StagesStatus[1].Clusters[1].Conditions = []metav1.Condition{started}
		}, "canary (2/2) | 1/4 | paused: 1 cluster failed: b"},
		{"paused for many", placement.StateRun, func(s *placement.UpdateRunStatus) {
			leave(s)
			s.Conditions = append(s.Conditions, withReason(placement.RunProgressing, metav1.ConditionFalse, "UpdateRunPaused"))
			failed := withReason(placement.ClusterSucceeded, metav1.ConditionFalse, "ClusterUpdatingFailed")
			skipped := withReason(placement.ClusterSucceeded, metav1.ConditionFalse, "ClusterUpdatingFailureSkipped")
			s.StagesStatus[1].Clusters = []placement.ClusterUpdatingStatus{cluster("e", skipped)}
			for _, name := range []string{"f", "g", "h", "i", "j"} {
				s.StagesStatus[1].Clusters = append(s.StagesStatus[1].Clusters, cluster(name, failed))
			}
		}, "canary (2/2) | 1/8 | paused: 5 clusters failed: f, g, h and 2 more"},
		{"stopped", placement.StateStop, updated, "staging (1/2) | 1/4 | "},
		{"stopping", placement.StateStop, func(s *placement.UpdateRunStatus) {
			enter(s)
			s.Conditions = append(s.Conditions, condition(placement.RunProgressing, metav1.ConditionUnknown))
		}, "staging (1/2) | 0/4 | cluster a"},
		{"a turn", placement.StateRun, func(s *placement.UpdateRunStatus) {
			s.StagesStatus[0].Conditions = waiting
			s.Turn = &placement.UpdateRunTurn{State: placement.TurnWaiting, WaitingFor: "other"}
		}, "staging (1/2) | 0/4 | run other"},
		{"a stage that was skipped before anybody approved it", placement.StateRun, func(s *placement.UpdateRunStatus) {
			leave(s)
			s.StagesStatus[1].UpdatedTime = &metav1.MicroTime{Time: now.Time}
			for i := range s.StagesStatus[1].Clusters {
				s.StagesStatus[1].Clusters[i].Conditions = []metav1.Condition{withReason(placement.ClusterSucceeded, metav1.ConditionTrue, "ClusterUpdatingSkipped")}
			}
		}, "canary (2/2) | 3/4 | "},
		{"approval before the next", placement.StateRun, leave, "canary (2/2) | 1/4 | approval: run-before-canary"},
		{"approved", placement.StateRun, func(s *placement.UpdateRunStatus) {
			leave(s)
			s.StagesStatus[1].BeforeStageTaskStatus[0].Conditions = []metav1.Condition{condition(placement.TaskApprovalRequestApproved, metav1.ConditionTrue)}
		}, "canary (2/2) | 1/4 | "},
		{"clusters, one of which has trouble", placement.StateRun, func(s *placement.UpdateRunStatus) {
			leave(s)
			s.StagesStatus[1].BeforeStageTaskStatus = nil
			s.StagesStatus[1].Clusters[0].Conditions = []metav1.Condition{started}
			s.StagesStatus[1].Clusters[1].Conditions = []metav1.Condition{started}
			s.StagesStatus[1].Clusters[1].Message = "Deployment shop/web: 2 of 3 available"
		}, "canary (2/2) | 1/4 | cluster c and 1 more: Deployment shop/web: 2 of 3 available"},
		{"a cluster failed", placement.StateRun, func(s *placement.UpdateRunStatus) {
			leave(s)
			s.StagesStatus[1].EndTime = &now
			s.StagesStatus[1].Clusters[0].Conditions = []metav1.Condition{started, failed}
		}, " | 1/4 | "},
		{"approval before anything is removed", placement.StateRun, func(s *placement.UpdateRunStatus) {
			finish(s)
			s.DeletionStageStatus.Conditions = waiting
			s.DeletionStageStatus.BeforeStageTaskStatus = []placement.StageTaskStatus{{Type: placement.StageTaskTypeApproval, ApprovalRequestName: "run-before-delete-stage"}}
		}, "kubernetes-fleet.io/deleteStage | 3/4 | approval: run-before-delete-stage"},
		{"approval before a stage without clusters", placement.StateRun, func(s *placement.UpdateRunStatus) {
			leave(s)
			s.StagesStatus[1].Clusters = nil
			s.StagesStatus[1].AfterStageTaskStatus = []placement.StageTaskStatus{{Type: placement.StageTaskTypeTimedWait}}
		}, "canary (2/2) | 1/2 | approval: run-before-canary"},
		{"a wait after a stage without clusters", placement.StateRun, func(s *placement.UpdateRunStatus) {
			leave(s)
			s.StagesStatus[1].Clusters = nil
			s.StagesStatus[1].BeforeStageTaskStatus[0].Conditions = []metav1.Condition{condition(placement.TaskApprovalRequestApproved, metav1.ConditionTrue)}
			s.StagesStatus[1].AfterStageTaskStatus = []placement.StageTaskStatus{{Type: placement.StageTaskTypeTimedWait}}
		}, "canary (2/2) | 1/2 | wait"},
		{"deleting", placement.StateRun, finish, "kubernetes-fleet.io/deleteStage | 3/4 | "},
		{"done", placement.StateRun, func(s *placement.UpdateRunStatus) {
			finish(s)
			s.DeletionStageStatus.EndTime = &now
			s.DeletionStageStatus.Clusters[0].Conditions = []metav1.Condition{started, succeeded}
		}, " | 4/4 | "},
		{"not initialised", placement.StateRun, func(s *placement.UpdateRunStatus) {
			*s = placement.UpdateRunStatus{Conditions: []metav1.Condition{condition(placement.RunInitialized, metav1.ConditionFalse)}}
		}, " |  | "},
	}
	for _, r := range Resources(testClock) {
		for _, test := range tests {
			t.Run(r.Plural+"/"+test.name, func(t *testing.T) {
				run := r.New().(placement.UpdateRunObject)
				run.SetName("run")
				run.RunSpec().State = test.state
				run.RunSpec().StagedUpdateStrategyName = "s"
				*run.RunStatus() = planned()
				test.at(run.RunStatus())

				_, row := storetest.Print(t, r, run, true)

				cells := strings.Split(row, " | ")
				if got := strings.Join(cells[8:11], " | "); got != test.want {
					t.Errorf("STAGE | PROGRESS | WAITING-FOR are %q, want %q", got, test.want)
				}
			})
		}
	}
}

// planned is the status of a run that is initialised and has not started.
func planned() placement.UpdateRunStatus {
	return placement.UpdateRunStatus{
		Conditions: []metav1.Condition{condition(placement.RunInitialized, metav1.ConditionTrue)},
		UpdateStrategySnapshot: &placement.UpdateStrategySpec{Stages: []placement.StageConfig{
			{Name: "staging", AfterStageTasks: []placement.StageTask{
				{Type: placement.StageTaskTypeTimedWait, WaitTime: &metav1.Duration{Duration: time.Hour}}, {Type: placement.StageTaskTypeApproval},
			}},
			{Name: "canary", BeforeStageTasks: []placement.StageTask{{Type: placement.StageTaskTypeApproval}}},
		}},
		StagesStatus: []placement.StageUpdatingStatus{
			{
				StageName: "staging",
				Clusters:  []placement.ClusterUpdatingStatus{cluster("a")},
				AfterStageTaskStatus: []placement.StageTaskStatus{
					{Type: placement.StageTaskTypeTimedWait},
					{Type: placement.StageTaskTypeApproval, ApprovalRequestName: "run-after-staging"},
				},
			},
			{
				StageName:             "canary",
				Clusters:              []placement.ClusterUpdatingStatus{cluster("b"), cluster("c")},
				BeforeStageTaskStatus: []placement.StageTaskStatus{{Type: placement.StageTaskTypeApproval, ApprovalRequestName: "run-before-canary"}},
			},
		},
		DeletionStageStatus: &placement.StageUpdatingStatus{
			StageName: "kubernetes-fleet.io/deleteStage",
			Clusters:  []placement.ClusterUpdatingStatus{cluster("d")},
		},
	}
}

func TestResourceSnapshotIndexIsTheOneUsed(t *testing.T) {
	for _, test := range []struct{ asked, used, want string }{
		{"", "", ""},
		{"1", "", "1"},
		{"", "2", "2"},
		{"1", "2", "2"},
	} {
		for _, r := range Resources(testClock) {
			run := r.New().(placement.UpdateRunObject)
			run.RunSpec().ResourceSnapshotIndex = test.asked
			run.RunStatus().ResourceSnapshotIndexUsed = test.used
			if got := resourceSnapshotIndex(run); got != test.want {
				t.Errorf("%s: asked for %q, used %q: shows %q, want %q", r.Plural, test.asked, test.used, got, test.want)
			}
		}
	}
}
