// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// stored is a run over two clusters, which waits for the approval of its only stage.
func stored() *v1beta1.StagedUpdateRun {
	run := &v1beta1.StagedUpdateRun{}
	run.CreationTimestamp = metav1.NewTime(noon.Add(-time.Hour))
	run.Status = v1beta1.UpdateRunStatus{
		Conditions: []metav1.Condition{condition(v1beta1.RunInitialized, metav1.ConditionTrue, "x")},
		StagesStatus: []v1beta1.StageUpdatingStatus{{
			StageName: "canary", StartTime: &metav1.Time{Time: noon},
			Clusters: []v1beta1.ClusterUpdatingStatus{{ClusterName: "one"}, {ClusterName: "two"}},
			BeforeStageTaskStatus: []v1beta1.StageTaskStatus{{
				Type: v1beta1.StageTaskTypeApproval, Conditions: []metav1.Condition{at(v1beta1.TaskApprovalRequestCreated, metav1.ConditionTrue, "x", noon)},
			}},
			AfterStageTaskStatus: []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeTimedWait}},
		}},
		DeletionStageStatus: &v1beta1.StageUpdatingStatus{StageName: wellknown.DeleteStageName, StartTime: &metav1.Time{Time: noon}},
	}
	return run
}

func at(conditionType string, status metav1.ConditionStatus, reason string, time time.Time) metav1.Condition {
	c := condition(conditionType, status, reason)
	c.LastTransitionTime = metav1.NewTime(time)
	return c
}

// Steps of that run.
func approve(s *v1beta1.UpdateRunStatus) {
	meta.SetStatusCondition(&s.StagesStatus[0].BeforeStageTaskStatus[0].Conditions, condition(v1beta1.TaskApprovalRequestApproved, metav1.ConditionTrue, "x"))
}

func startOne(s *v1beta1.UpdateRunStatus) {
	approve(s)
	s.StagesStatus[0].Clusters[0].Conditions = []metav1.Condition{at(v1beta1.ClusterStarted, metav1.ConditionTrue, "x", noon.Add(time.Minute))}
}

func failOne(s *v1beta1.UpdateRunStatus) {
	startOne(s)
	meta.SetStatusCondition(&s.StagesStatus[0].Clusters[0].Conditions, condition(v1beta1.ClusterSucceeded, metav1.ConditionFalse, wellknown.ReasonClusterFailed))
}

func clustersDone(s *v1beta1.UpdateRunStatus) {
	failOne(s)
	s.StagesStatus[0].Clusters[1].Conditions = []metav1.Condition{condition(v1beta1.ClusterSucceeded, metav1.ConditionTrue, wellknown.ReasonClusterSkipped)}
	s.StagesStatus[0].UpdatedTime = &metav1.MicroTime{Time: noon.Add(time.Hour)}
}

func stageDone(s *v1beta1.UpdateRunStatus) {
	clustersDone(s)
	s.StagesStatus[0].AfterStageTaskStatus[0].Conditions = []metav1.Condition{condition(v1beta1.TaskWaitTimeElapsed, metav1.ConditionTrue, "x")}
	s.StagesStatus[0].Conditions = []metav1.Condition{condition(v1beta1.StageSucceeded, metav1.ConditionTrue, "x")}
}

func runDone(s *v1beta1.UpdateRunStatus) {
	stageDone(s)
	s.DeletionStageStatus.Conditions = []metav1.Condition{condition(v1beta1.StageSucceeded, metav1.ConditionTrue, "x")}
	meta.SetStatusCondition(&s.Conditions, condition(v1beta1.RunSucceeded, metav1.ConditionTrue, "x"))
	s.Outcome = v1beta1.OutcomeSucceeded
}

// endedAs returns what has ended, with the cluster and with the time since noon when it began.
func endedAs(endings []Ending) []string {
	var found []string
	for _, e := range endings {
		what := string(e.Part) + " " + e.Start.Sub(noon).String()
		if e.Cluster != nil {
			what += " " + e.Cluster.ClusterName
		}
		found = append(found, what)
	}
	slices.Sort(found)
	return found
}

func TestAPartOfARunEndsOnce(t *testing.T) {
	nothing := func(*v1beta1.UpdateRunStatus) {}
	for name, tt := range map[string]struct {
		before, after func(*v1beta1.UpdateRunStatus)
		want          []string
	}{
		"the plan":                {func(s *v1beta1.UpdateRunStatus) { *s = v1beta1.UpdateRunStatus{} }, nothing, nil},
		"an approval":             {nothing, approve, []string{"approval 0s"}},
		"the start of a cluster":  {approve, startOne, nil},
		"the failure of one":      {startOne, failOne, []string{"cluster 1m0s one"}},
		"the last cluster":        {failOne, clustersDone, nil},
		"the time after a stage":  {clustersDone, stageDone, []string{"stage 0s", "timer 1h0m0s"}},
		"the run":                 {stageDone, runDone, []string{"run -1h0m0s"}},
		"nothing more":            {runDone, runDone, nil},
		"a rollback of one ended": {runDone, func(s *v1beta1.UpdateRunStatus) { runDone(s); s.Outcome = v1beta1.OutcomeRolledBack }, nil},
		"all at once":             {nothing, runDone, []string{"approval 0s", "cluster 1m0s one", "run -1h0m0s", "stage 0s", "timer 1h0m0s"}},
		// What is under way ends with the run. The approval had ended before.
		"a failure of the run": {startOne, func(s *v1beta1.UpdateRunStatus) {
			startOne(s)
			s.StagesStatus[0].Conditions = []metav1.Condition{condition(v1beta1.StageSucceeded, metav1.ConditionFalse, "x")}
			meta.SetStatusCondition(&s.Conditions, condition(v1beta1.RunSucceeded, metav1.ConditionFalse, "x"))
			s.Outcome = v1beta1.OutcomeFailed
		}, []string{"cluster 1m0s one", "run -1h0m0s", "stage 0s"}},
		// A stage all of whose clusters are skipped goes on without its approval.
		"a stage that nobody approves": {nothing, func(s *v1beta1.UpdateRunStatus) {
			s.StagesStatus[0].Conditions = []metav1.Condition{condition(v1beta1.StageSucceeded, metav1.ConditionTrue, "x")}
		}, []string{"approval 0s", "stage 0s"}},
		"another attempt": {func(s *v1beta1.UpdateRunStatus) { approve(s); again(s) }, func(s *v1beta1.UpdateRunStatus) {
			approve(s)
			again(s)
			meta.SetStatusCondition(&s.StagesStatus[0].Clusters[0].Conditions, condition(v1beta1.ClusterSucceeded, metav1.ConditionTrue, "x"))
		}, []string{"cluster 2m0s one"}},
		"its turn": {func(s *v1beta1.UpdateRunStatus) {
			s.Turn = &v1beta1.UpdateRunTurn{State: v1beta1.TurnWaiting}
			s.History = []v1beta1.UpdateRunHistoryEntry{
				{Reason: wellknown.HistoryWaitingForTurn, Time: metav1.NewTime(noon.Add(-time.Minute))},
				{Reason: wellknown.HistoryWaitingForTurn, Time: metav1.NewTime(noon)},
			}
		}, nothing, []string{"turn 0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := stored(), stored()
			tt.before(&before.Status)
			tt.after(&after.Status)
			if diff := cmp.Diff(tt.want, endedAs(Ended(before, &after.Status))); diff != "" {
				t.Errorf("ended (-want +got):\n%s", diff)
			}
		})
	}
}

// again is the second attempt to update a cluster.
func again(s *v1beta1.UpdateRunStatus) {
	s.StagesStatus[0].Clusters[0].Conditions = []metav1.Condition{at(v1beta1.ClusterStarted, metav1.ConditionTrue, "x", noon.Add(2*time.Minute))}
}

func TestWhatIsUnderWayEndsWithADeletion(t *testing.T) {
	run := stored()
	startOne(&run.Status)
	want := []string{"cluster 1m0s one", "run -1h0m0s", "stage 0s"}
	if diff := cmp.Diff(want, endedAs(Abandoned(run))); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
	runDone(&run.Status)
	if got := endedAs(Abandoned(run)); len(got) > 0 {
		t.Errorf("the deletion of a run that is over ends %v", got)
	}
}
