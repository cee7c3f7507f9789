// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/registry/store/storetest"
)

func condition(conditionType string, status metav1.ConditionStatus) metav1.Condition {
	return withReason(conditionType, status, "Tested")
}

func withReason(conditionType string, status metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: status, Reason: reason, LastTransitionTime: metav1.NewTime(testClock.Now())}
}

func cluster(name string, conditions ...metav1.Condition) v1beta1.ClusterUpdatingStatus {
	return v1beta1.ClusterUpdatingStatus{ClusterName: name, Conditions: conditions}
}

// TestWideColumnsFollowTheRun walks a run of two stages: staging with a timed wait and an approval after it, canary with an approval
// before it.
func TestWideColumnsFollowTheRun(t *testing.T) {
	started := condition(v1beta1.ClusterStarted, metav1.ConditionTrue)
	succeeded := condition(v1beta1.ClusterSucceeded, metav1.ConditionTrue)
	failed := condition(v1beta1.ClusterSucceeded, metav1.ConditionFalse)
	active := []metav1.Condition{condition(v1beta1.StageProgressing, metav1.ConditionTrue)}
	waiting := []metav1.Condition{condition(v1beta1.StageProgressing, metav1.ConditionFalse)}
	now := metav1.Now()

	enter := func(s *v1beta1.UpdateRunStatus) {
		s.StagesStatus[0].Conditions = active
		s.StagesStatus[0].Clusters[0].Conditions = []metav1.Condition{started}
	}
	updated := func(s *v1beta1.UpdateRunStatus) {
		s.StagesStatus[0].UpdatedTime = &metav1.MicroTime{Time: now.Add(30 * time.Second)}
		s.StagesStatus[0].Conditions = waiting
		s.StagesStatus[0].Clusters[0].Conditions = []metav1.Condition{started, succeeded}
	}
	end := func(stage *v1beta1.StageUpdatingStatus) {
		stage.EndTime = &now
		stage.Conditions = append(slices.Clone(stage.Conditions), condition(v1beta1.StageSucceeded, metav1.ConditionTrue))
	}
	leave := func(s *v1beta1.UpdateRunStatus) {
		updated(s)
		end(&s.StagesStatus[0])
		s.StagesStatus[1].Conditions = waiting
	}
	finish := func(s *v1beta1.UpdateRunStatus) {
		leave(s)
		end(&s.StagesStatus[1])
		s.StagesStatus[1].Clusters[0].Conditions = []metav1.Condition{started, succeeded}
		s.StagesStatus[1].Clusters[1].Conditions = []metav1.Condition{started, succeeded}
		s.DeletionStageStatus.Conditions = active
	}

	tests := []struct {
		name  string
		state v1beta1.State
		at    func(*v1beta1.UpdateRunStatus)
		// STAGE | PROGRESS | WAITING-FOR
		want string
	}{
		{"initialized", v1beta1.StateInitialize, func(*v1beta1.UpdateRunStatus) {}, " | 0/4 | "},
		{"first stage", v1beta1.StateRun, enter, "staging (1/2) | 0/4 | cluster a"},
		{"tasks after it", v1beta1.StateRun, updated, "staging (1/2) | 1/4 | wait: 60m left, approval: run-after-staging"},
		{"tasks after it, past a failure", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			updated(s)
			s.StagesStatus[0].Clusters[0].Conditions = []metav1.Condition{started, failed}
		}, "staging (1/2) | 0/4 | wait: 60m left, approval: run-after-staging"},
		{"wait is over", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			updated(s)
			s.StagesStatus[0].AfterStageTaskStatus[0].Conditions = []metav1.Condition{condition(v1beta1.TaskWaitTimeElapsed, metav1.ConditionTrue)}
		}, "staging (1/2) | 1/4 | approval: run-after-staging"},
		{"paused", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			leave(s)
			s.Conditions = append(s.Conditions, withReason(v1beta1.RunProgressing, metav1.ConditionFalse, "UpdateRunPaused"))
			s.StagesStatus[1].Clusters[0].Conditions = []metav1.Condition{started, withReason(v1beta1.ClusterSucceeded, metav1.ConditionFalse, "ClusterUpdatingFailed")}
			s.StagesStatus[1].Clusters[1].Conditions = []metav1.Condition{started}
		}, "canary (2/2) | 1/4 | paused: 1 cluster failed: b"},
		{"paused for many", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			leave(s)
			s.Conditions = append(s.Conditions, withReason(v1beta1.RunProgressing, metav1.ConditionFalse, "UpdateRunPaused"))
			failed := withReason(v1beta1.ClusterSucceeded, metav1.ConditionFalse, "ClusterUpdatingFailed")
			skipped := withReason(v1beta1.ClusterSucceeded, metav1.ConditionFalse, "ClusterUpdatingFailureSkipped")
			s.StagesStatus[1].Clusters = []v1beta1.ClusterUpdatingStatus{cluster("e", skipped)}
			for _, name := range []string{"f", "g", "h", "i", "j"} {
				s.StagesStatus[1].Clusters = append(s.StagesStatus[1].Clusters, cluster(name, failed))
			}
		}, "canary (2/2) | 1/8 | paused: 5 clusters failed: f, g, h and 2 more"},
		{"stopped", v1beta1.StateStop, updated, "staging (1/2) | 1/4 | "},
		{"stopping", v1beta1.StateStop, func(s *v1beta1.UpdateRunStatus) {
			enter(s)
			s.Conditions = append(s.Conditions, condition(v1beta1.RunProgressing, metav1.ConditionUnknown))
		}, "staging (1/2) | 0/4 | cluster a"},
		{"a turn", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			s.StagesStatus[0].Conditions = waiting
			s.Turn = &v1beta1.UpdateRunTurn{State: v1beta1.TurnWaiting, WaitingFor: "other"}
		}, "staging (1/2) | 0/4 | run other"},
		{"a stage that was skipped before anybody approved it", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			leave(s)
			s.StagesStatus[1].UpdatedTime = &metav1.MicroTime{Time: now.Time}
			for i := range s.StagesStatus[1].Clusters {
				s.StagesStatus[1].Clusters[i].Conditions = []metav1.Condition{withReason(v1beta1.ClusterSucceeded, metav1.ConditionTrue, "ClusterUpdatingSkipped")}
			}
		}, "canary (2/2) | 3/4 | "},
		{"approval before the next", v1beta1.StateRun, leave, "canary (2/2) | 1/4 | approval: run-before-canary"},
		{"approved", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			leave(s)
			s.StagesStatus[1].BeforeStageTaskStatus[0].Conditions = []metav1.Condition{condition(v1beta1.TaskApprovalRequestApproved, metav1.ConditionTrue)}
		}, "canary (2/2) | 1/4 | "},
		{"clusters, one of which has trouble", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			leave(s)
			s.StagesStatus[1].BeforeStageTaskStatus = nil
			s.StagesStatus[1].Clusters[0].Conditions = []metav1.Condition{started}
			s.StagesStatus[1].Clusters[1].Conditions = []metav1.Condition{started}
			s.StagesStatus[1].Clusters[1].Message = "Deployment shop/web: 2 of 3 available"
		}, "canary (2/2) | 1/4 | cluster c and 1 more: Deployment shop/web: 2 of 3 available"},
		{"a cluster that is not started, since it is not picked", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			leave(s)
			s.StagesStatus[1].BeforeStageTaskStatus = nil
			s.StagesStatus[1].Clusters[1].Message = "the placement does not pick the cluster any more: pick it again, or skip it"
		}, "canary (2/2) | 1/4 | cluster c: the placement does not pick the cluster any more: pick it again, or skip it"},
		{"clusters that are none of the run's", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			leave(s)
			s.StagesStatus[1].BeforeStageTaskStatus = nil
			waits := withReason(v1beta1.RunProgressing, metav1.ConditionFalse, "UpdateRunWaiting")
			waits.Message = "The updateRun is waiting for cluster(s) x, which it does not update: they count. Mend them"
			s.Conditions = append(s.Conditions, waits)
		}, "canary (2/2) | 1/4 | cluster(s) x, which it does not update"},
		{"a cluster failed", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			leave(s)
			end(&s.StagesStatus[1])
			s.StagesStatus[1].Clusters[0].Conditions = []metav1.Condition{started, failed}
		}, " | 1/4 | "},
		{"approval before anything is removed", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			finish(s)
			s.DeletionStageStatus.Conditions = waiting
			s.DeletionStageStatus.BeforeStageTaskStatus = []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeApproval, ApprovalRequestName: "run-before-delete-stage"}}
		}, "kubernetes-fleet.io/deleteStage | 3/4 | approval: run-before-delete-stage"},
		{"approval before a stage without clusters", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			leave(s)
			s.StagesStatus[1].Clusters = nil
			s.StagesStatus[1].AfterStageTaskStatus = []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeTimedWait}}
		}, "canary (2/2) | 1/2 | approval: run-before-canary"},
		{"a wait after a stage without clusters", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			leave(s)
			s.StagesStatus[1].Clusters = nil
			s.StagesStatus[1].BeforeStageTaskStatus[0].Conditions = []metav1.Condition{condition(v1beta1.TaskApprovalRequestApproved, metav1.ConditionTrue)}
			s.StagesStatus[1].AfterStageTaskStatus = []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeTimedWait}}
		}, "canary (2/2) | 1/2 | wait"},
		{"deleting", v1beta1.StateRun, finish, "kubernetes-fleet.io/deleteStage | 3/4 | "},
		{"done", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			finish(s)
			end(s.DeletionStageStatus)
			s.DeletionStageStatus.Clusters[0].Conditions = []metav1.Condition{started, succeeded}
		}, " | 4/4 | "},
		{"not initialized", v1beta1.StateRun, func(s *v1beta1.UpdateRunStatus) {
			*s = v1beta1.UpdateRunStatus{Conditions: []metav1.Condition{condition(v1beta1.RunInitialized, metav1.ConditionFalse)}}
		}, " |  | "},
	}
	for _, r := range Resources(testClock) {
		for _, test := range tests {
			t.Run(r.Plural+"/"+test.name, func(t *testing.T) {
				run := r.New().(v1beta1.UpdateRunObject)
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

func TestDifferingCountsTheClustersThatWereCompared(t *testing.T) {
	for name, tc := range map[string]struct {
		objects []*int32
		want    string
	}{
		"none compared, or all applied": {[]*int32{nil, nil}, ""},
		"one compared":                  {[]*int32{new(int32), nil}, "0/1"},
		"all compared":                  {[]*int32{new(int32), ptr.To[int32](7)}, "1/2"},
	} {
		for _, r := range Resources(testClock) {
			t.Run(r.Plural+"/"+name, func(t *testing.T) {
				run := r.New().(v1beta1.UpdateRunObject)
				run.SetName("run")
				*run.RunStatus() = planned()
				for i, n := range tc.objects {
					run.RunStatus().StagesStatus[1].Clusters[i].DiffedObjects = n
				}
				header, row := storetest.Print(t, r, run, true)
				if got := row[strings.LastIndex(row, "| ")+2:]; !strings.HasSuffix(header, "DIFFERING") || got != tc.want {
					t.Errorf("%s is %q, want %q", header, got, tc.want)
				}
			})
		}
	}
}

// planned is the status of a run that is initialized and has not started.
func planned() v1beta1.UpdateRunStatus {
	return v1beta1.UpdateRunStatus{
		Conditions: []metav1.Condition{condition(v1beta1.RunInitialized, metav1.ConditionTrue)},
		UpdateStrategySnapshot: &v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{
			{Name: "staging", AfterStageTasks: []v1beta1.StageTask{
				{Type: v1beta1.StageTaskTypeTimedWait, WaitTime: &metav1.Duration{Duration: time.Hour}}, {Type: v1beta1.StageTaskTypeApproval},
			}},
			{Name: "canary", BeforeStageTasks: []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval}}},
		}},
		StagesStatus: []v1beta1.StageUpdatingStatus{
			{
				StageName: "staging",
				Clusters:  []v1beta1.ClusterUpdatingStatus{cluster("a")},
				AfterStageTaskStatus: []v1beta1.StageTaskStatus{
					{Type: v1beta1.StageTaskTypeTimedWait},
					{Type: v1beta1.StageTaskTypeApproval, ApprovalRequestName: "run-after-staging"},
				},
			},
			{
				StageName:             "canary",
				Clusters:              []v1beta1.ClusterUpdatingStatus{cluster("b"), cluster("c")},
				BeforeStageTaskStatus: []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeApproval, ApprovalRequestName: "run-before-canary"}},
			},
		},
		DeletionStageStatus: &v1beta1.StageUpdatingStatus{
			StageName: "kubernetes-fleet.io/deleteStage",
			Clusters:  []v1beta1.ClusterUpdatingStatus{cluster("d")},
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
			run := r.New().(v1beta1.UpdateRunObject)
			run.RunSpec().ResourceSnapshotIndex = test.asked
			run.RunStatus().ResourceSnapshotIndexUsed = test.used
			if got := resourceSnapshotIndex(run); got != test.want {
				t.Errorf("%s: asked for %q, used %q: shows %q, want %q", r.Plural, test.asked, test.used, got, test.want)
			}
		}
	}
}
