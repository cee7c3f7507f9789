// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

func condition(conditionType string, status metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: status, Reason: reason}
}

func TestARunIsOverOnceItHasEndedOrIsNotTriedAgain(t *testing.T) {
	now := metav1.Now()
	for name, tt := range map[string]struct {
		status       v1beta1.UpdateRunStatus
		over, awaits bool
	}{
		"new":          {v1beta1.UpdateRunStatus{}, false, true},
		"initialized":  {v1beta1.UpdateRunStatus{Conditions: []metav1.Condition{condition(v1beta1.RunInitialized, metav1.ConditionTrue, "x")}}, false, false},
		"tried again":  {v1beta1.UpdateRunStatus{InitializationStartTime: &now, Conditions: []metav1.Condition{condition(v1beta1.RunInitialized, metav1.ConditionFalse, "x")}}, false, true},
		"given up":     {v1beta1.UpdateRunStatus{Conditions: []metav1.Condition{condition(v1beta1.RunInitialized, metav1.ConditionFalse, "x")}}, true, false},
		"not known":    {v1beta1.UpdateRunStatus{Conditions: []metav1.Condition{condition(v1beta1.RunInitialized, metav1.ConditionUnknown, "x")}}, false, true},
		"succeeded":    {v1beta1.UpdateRunStatus{Conditions: []metav1.Condition{condition(v1beta1.RunSucceeded, metav1.ConditionTrue, "x")}}, true, false},
		"failed":       {v1beta1.UpdateRunStatus{Conditions: []metav1.Condition{condition(v1beta1.RunSucceeded, metav1.ConditionFalse, "x")}}, true, false},
		"may yet fail": {v1beta1.UpdateRunStatus{Conditions: []metav1.Condition{condition(v1beta1.RunInitialized, metav1.ConditionTrue, "x"), condition(v1beta1.RunSucceeded, metav1.ConditionUnknown, "x")}}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := IsOver(&tt.status); got != tt.over {
				t.Errorf("over: %v", got)
			}
			if got := AwaitsPlan(&v1beta1.StagedUpdateRun{Status: tt.status}); got != tt.awaits {
				t.Errorf("awaits its plan: %v", got)
			}
		})
	}
	if AwaitsPlan(&v1beta1.StagedUpdateRun{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}}) {
		t.Error("a run that is being deleted awaits its plan")
	}
}

func TestARunIsPausedForFailuresAlone(t *testing.T) {
	for reason, want := range map[string]bool{wellknown.ReasonRunPaused: true, "UpdateRunProgressing": false, "UpdateRunWaiting": false, "": false} {
		status := &v1beta1.UpdateRunStatus{}
		if reason != "" {
			status.Conditions = []metav1.Condition{{Type: v1beta1.RunProgressing, Status: metav1.ConditionFalse, Reason: reason}}
		}
		if got := IsPaused(status); got != want {
			t.Errorf("reason %q: paused %v, want %v", reason, got, want)
		}
	}
}

func TestTheLastRunThatHadTheTurnIsTheLastToMove(t *testing.T) {
	run := func(name string, turn *v1beta1.UpdateRunTurn) v1beta1.UpdateRunObject {
		return &v1beta1.StagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1beta1.UpdateRunStatus{Turn: turn}}
	}
	runs := []v1beta1.UpdateRunObject{
		run("none", nil), run("first", &v1beta1.UpdateRunTurn{Number: 1}), run("third", &v1beta1.UpdateRunTurn{Number: 3}),
		run("second", &v1beta1.UpdateRunTurn{Number: 2}), run("claims", &v1beta1.UpdateRunTurn{Claim: 4}),
		run("waits for approval", &v1beta1.UpdateRunTurn{Number: 5, AwaitsStart: true}),
	}
	if last := LastToMove(runs); last == nil || last.GetName() != "third" {
		t.Errorf("got %v, want third", last)
	}
	if last := LastToMove(runs[:1]); last != nil {
		t.Errorf("got %v, want none", last)
	}
}

func TestARollbackTakesBackWhatHadAnotherVersion(t *testing.T) {
	for name, tt := range map[string]struct {
		cluster v1beta1.ClusterUpdatingStatus
		want    bool
	}{
		"not begun":              {v1beta1.ClusterUpdatingStatus{}, false},
		"had nothing":            {v1beta1.ClusterUpdatingStatus{PreviousResourceSnapshotIndex: ptr.To("")}, false},
		"had the same":           {v1beta1.ClusterUpdatingStatus{PreviousResourceSnapshotIndex: ptr.To("3")}, false},
		"had an earlier one":     {v1beta1.ClusterUpdatingStatus{PreviousResourceSnapshotIndex: ptr.To("2")}, true},
		"gets one of its own":    {v1beta1.ClusterUpdatingStatus{PreviousResourceSnapshotIndex: ptr.To("3"), ResourceSnapshotIndex: "1"}, true},
		"had its own":            {v1beta1.ClusterUpdatingStatus{PreviousResourceSnapshotIndex: ptr.To("1"), ResourceSnapshotIndex: "1"}, false},
		"had an override":        {v1beta1.ClusterUpdatingStatus{PreviousResourceSnapshotIndex: ptr.To("3"), PreviousClusterResourceOverrideSnapshots: []string{"o-1"}}, true},
		"had the same overrides": {v1beta1.ClusterUpdatingStatus{PreviousResourceSnapshotIndex: ptr.To("3"), PreviousClusterResourceOverrideSnapshots: []string{"o-1"}, ClusterResourceOverrideSnapshots: []string{"o-1"}}, false},
		"had an override of its namespace": {v1beta1.ClusterUpdatingStatus{PreviousResourceSnapshotIndex: ptr.To("3"),
			PreviousResourceOverrideSnapshots: []v1beta1.NamespacedName{{Namespace: "n", Name: "o-1"}}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			status := &v1beta1.UpdateRunStatus{
				ResourceSnapshotIndexUsed: "3",
				StagesStatus:              []v1beta1.StageUpdatingStatus{{Clusters: []v1beta1.ClusterUpdatingStatus{tt.cluster}}},
			}
			if got := TakesBack(status); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestAClusterHasFailedUntilSomebodySkipsIt(t *testing.T) {
	for name, tt := range map[string]struct {
		condition              metav1.Condition
		done, failed, inFlight bool
	}{
		"in flight":             {condition(v1beta1.ClusterStarted, metav1.ConditionTrue, "x"), false, false, true},
		"updated":               {condition(v1beta1.ClusterSucceeded, metav1.ConditionTrue, "x"), true, false, false},
		"given up":              {condition(v1beta1.ClusterSucceeded, metav1.ConditionFalse, wellknown.ReasonClusterFailed), true, true, false},
		"given up by KubeFleet": {condition(v1beta1.ClusterSucceeded, metav1.ConditionFalse, "UpdateRunClusterFailed"), true, true, false},
		"skipped":               {condition(v1beta1.ClusterSucceeded, metav1.ConditionTrue, wellknown.ReasonClusterSkipped), true, false, false},
		"skipped afterwards":    {condition(v1beta1.ClusterSucceeded, metav1.ConditionFalse, wellknown.ReasonClusterFailureSkipped), true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := &v1beta1.ClusterUpdatingStatus{Conditions: []metav1.Condition{tt.condition}}
			if IsClusterDone(c) != tt.done || HasFailed(c) != tt.failed || IsInFlight(c) != tt.inFlight {
				t.Errorf("done %v, failed %v, in flight %v", IsClusterDone(c), HasFailed(c), IsInFlight(c))
			}
		})
	}
}

func TestAClusterIsLeftOutOrGivenUp(t *testing.T) {
	said := func(c metav1.Condition, message string) metav1.Condition {
		c.Message = message
		return c
	}
	for name, tt := range map[string]struct {
		condition                          metav1.Condition
		leftOut, asAsked, skipped, givenUp bool
	}{
		"in flight":              {condition(v1beta1.ClusterStarted, metav1.ConditionTrue, "x"), false, false, false, false},
		"updated":                {condition(v1beta1.ClusterSucceeded, metav1.ConditionTrue, "x"), false, false, false, false},
		"left out as asked":      {said(condition(v1beta1.ClusterSucceeded, metav1.ConditionTrue, wellknown.ReasonClusterSkipped), MessageLeftOutAsAsked+"by ann"), true, true, true, false},
		"has left the fleet":     {said(condition(v1beta1.ClusterSucceeded, metav1.ConditionTrue, wellknown.ReasonClusterSkipped), "Cluster update skipped: it has left"), true, false, true, false},
		"given up":               {condition(v1beta1.ClusterSucceeded, metav1.ConditionFalse, wellknown.ReasonClusterFailed), false, false, false, true},
		"given up, then skipped": {condition(v1beta1.ClusterSucceeded, metav1.ConditionFalse, wellknown.ReasonClusterFailureSkipped), false, false, true, true},
	} {
		c := &v1beta1.ClusterUpdatingStatus{Conditions: []metav1.Condition{tt.condition}}
		if IsLeftOut(c) != tt.leftOut || IsLeftOutAsAsked(c) != tt.asAsked || IsSkipped(c) != tt.skipped || WasGivenUp(c) != tt.givenUp {
			t.Errorf("%s: left out %v, as asked %v, skipped %v, given up %v", name, IsLeftOut(c), IsLeftOutAsAsked(c), IsSkipped(c), WasGivenUp(c))
		}
	}
}

func TestTheCurrentStageIsTheFirstThatIsNotOver(t *testing.T) {
	over := []metav1.Condition{condition(v1beta1.StageSucceeded, metav1.ConditionTrue, "x")}
	status := &v1beta1.UpdateRunStatus{StagesStatus: []v1beta1.StageUpdatingStatus{{StageName: "a", Conditions: over}, {StageName: "b"}}}
	if stage := CurrentStage(status); stage == nil || stage.StageName != "b" || IsEntered(stage) {
		t.Errorf("got %+v, want b, which the run has not come to", stage)
	}
	status.StagesStatus[1].Conditions = over
	if stage := CurrentStage(status); stage != nil {
		t.Errorf("got %+v, want none", stage)
	}
	status.DeletionStageStatus = &v1beta1.StageUpdatingStatus{StageName: "delete", Conditions: []metav1.Condition{condition(v1beta1.StageProgressing, metav1.ConditionTrue, "x")}}
	if stage := CurrentStage(status); stage != status.DeletionStageStatus || !IsEntered(stage) {
		t.Errorf("got %+v, want the delete stage", stage)
	}
}

func TestARunMovesAPlacementThatLeavesItsClustersToRuns(t *testing.T) {
	for strategy, want := range map[v1beta1.RolloutStrategyType]string{
		v1beta1.ExternalRolloutStrategyType:      "",
		v1beta1.RollingUpdateRolloutStrategyType: "parent placement does not have an external rollout strategy, current strategy: RollingUpdate; set its spec.strategy.type to External",
		"":                                       "parent placement does not have an external rollout strategy, current strategy: RollingUpdate; set its spec.strategy.type to External",
	} {
		var got string
		if err := CheckExternal(&v1beta1.ResourcePlacement{Spec: v1beta1.PlacementSpec{Strategy: v1beta1.RolloutStrategy{Type: strategy}}}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("strategy %q: got %q, want %q", strategy, got, want)
		}
	}
}

func TestAPlannedRollbackIsKnownWhateverTheClockSays(t *testing.T) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	earlier := &v1beta1.ClusterStagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: "run", UID: "run-uid", CreationTimestamp: metav1.NewTime(start)}}
	named := wellknown.RollbackName("run", "run-uid", "")
	for name, tt := range map[string]struct {
		name      string
		planned   types.UID
		createdBy v1beta1.DecisionUser
		after     time.Duration
		want      bool
	}{
		"created later":   {name: named, after: time.Minute, want: true},
		"by another name": {name: "salted", after: time.Minute, want: true},
		"planned":         {name: named, planned: "run-uid", after: time.Minute, want: true},
		"the clock was set back, and it is planned":       {name: "salted", planned: "run-uid", after: -time.Minute, want: true},
		"of an earlier run of the name":                   {name: "other", after: -time.Minute},
		"of an earlier run of the name, and planned":      {name: "other", planned: "gone", after: time.Minute},
		"created by a user":                               {name: named, createdBy: v1beta1.DecisionUser{Groups: []string{"system:authenticated"}}, after: time.Minute},
		"created by a user under a clock that was set so": {name: named, createdBy: v1beta1.DecisionUser{UID: "1"}, after: -time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			run := &v1beta1.ClusterStagedUpdateRun{
				ObjectMeta: metav1.ObjectMeta{Name: tt.name, CreationTimestamp: metav1.NewTime(start.Add(tt.after))},
				Spec:       v1beta1.UpdateRunSpec{RollbackOf: "run"},
				Status:     v1beta1.UpdateRunStatus{CreatedBy: &tt.createdBy, RollbackOfUID: tt.planned},
			}
			if got := IsRollback(run, earlier); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestARunIsGovernedByPoliciesThatItMustMeet(t *testing.T) {
	for name, tt := range map[string]struct {
		policies []v1beta1.GoverningPolicy
		want     bool
	}{
		"none":                        {nil, false},
		"one":                         {[]v1beta1.GoverningPolicy{{Name: "a"}}, true},
		"one that it overrides":       {[]v1beta1.GoverningPolicy{{Name: "a", Overridden: true, Violated: true}}, false},
		"one that warns":              {[]v1beta1.GoverningPolicy{{Name: "a", Warns: true}}, false},
		"one that warns, and another": {[]v1beta1.GoverningPolicy{{Name: "a", Warns: true}, {Name: "b"}}, true},
	} {
		if got := IsGoverned(&v1beta1.UpdateRunStatus{Policies: tt.policies}); got != tt.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
