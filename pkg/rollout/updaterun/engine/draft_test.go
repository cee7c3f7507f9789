// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// TestADraftLeavesTheStoredStatusAlone holds for every way to change a draft that it is noted, that doing the same again changes nothing more
// where that is so for the field, and that the run as stored, which others read, stays as it is.
func TestADraftLeavesTheStoredStatusAlone(t *testing.T) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	conditions := func(conditionType string) []metav1.Condition {
		return []metav1.Condition{{Type: conditionType, Status: metav1.ConditionTrue, Reason: reasonWaitElapsed, ObservedGeneration: 1, LastTransitionTime: metav1.NewTime(start)}}
	}
	stage := func(name string) v1beta1.StageUpdatingStatus {
		return v1beta1.StageUpdatingStatus{
			StageName: name, Conditions: conditions(v1beta1.StageProgressing), UpdatedTime: &metav1.MicroTime{Time: start},
			Clusters:              []v1beta1.ClusterUpdatingStatus{{ClusterName: name + "1", Conditions: conditions(v1beta1.ClusterStarted)}},
			AfterStageTaskStatus:  []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeTimedWait, Conditions: conditions(v1beta1.TaskWaitTimeElapsed)}},
			BeforeStageTaskStatus: []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeApproval}},
		}
	}
	deletion := stage("delete")
	run := &v1beta1.ClusterStagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: "run", Generation: 2}, Status: v1beta1.UpdateRunStatus{
		Conditions: conditions(v1beta1.RunInitialized), StagesStatus: []v1beta1.StageUpdatingStatus{stage("a"), stage("b")}, DeletionStageStatus: &deletion,
		History: append(make([]v1beta1.UpdateRunHistoryEntry, 0, 8), v1beta1.UpdateRunHistoryEntry{Number: 1}),
	}}
	for range maxHistory {
		run.Status.History = append(run.Status.History, v1beta1.UpdateRunHistoryEntry{Number: run.Status.History[len(run.Status.History)-1].Number + 1})
	}
	for name, tt := range map[string]struct {
		change func(*draft)
		// again reports that the same change is another one.
		again bool
	}{
		"a condition of the run": {func(d *draft) { d.setRunCondition(v1beta1.RunProgressing, metav1.ConditionTrue, "R", "m") }, false},
		"a condition of a stage": {func(d *draft) { d.setStage(d.stage(1), v1beta1.StageSucceeded, metav1.ConditionTrue, "R", "m") }, false},
		"a condition of the delete stage": {func(d *draft) {
			d.setStage(d.deletionStage(), v1beta1.StageProgressing, metav1.ConditionFalse, "R", "m")
		}, false},
		"a condition of a cluster": {func(d *draft) {
			d.set(&d.current().Clusters[0].Conditions, v1beta1.ClusterStarted, metav1.ConditionFalse, "R", "m")
		}, false},
		"the generation of all conditions":      {func(d *draft) { d.observe() }, false},
		"a field":                               {func(d *draft) { put(d, &d.status.ObservedOperation, 7) }, false},
		"a field that is a pointer":             {func(d *draft) { putAt(d, &d.status.Turn, v1beta1.UpdateRunTurn{Number: 3}) }, false},
		"a time":                                {func(d *draft) { d.setTime(&d.stage(0).EndTime) }, false},
		"a message of a cluster":                {func(d *draft) { put(d, &d.stage(0).Clusters[0].Message, "late") }, false},
		"that all clusters of a stage are done": {func(d *draft) { d.clustersDone(d.stage(0)) }, true},
		"the tasks before a stage":              {func(d *draft) { d.planBefore(d.stage(0), nil) }, true},
		"when a cluster was started":            {func(d *draft) { d.restart(&d.stage(0).Clusters[0]) }, true},
		"that a cluster was started":            {func(d *draft) { s := d.stage(0); d.reset(s, &s.Clusters[0]) }, true},
		"every open stage": {func(d *draft) {
			d.eachOpenStage(func(s *v1beta1.StageUpdatingStatus) { put(d, &s.Clusters[0].Message, "late") })
		}, false},
		"an entry of the history":                {func(d *draft) { d.record("Reason", "message").User = "ann" }, true},
		"the length of the history":              {func(d *draft) { d.trimHistory() }, false},
		"the whole":                              {func(d *draft) { d.replace(v1beta1.UpdateRunStatus{}) }, true},
		"nothing that is copied and not changed": {func(d *draft) { d.stage(0); d.deletionStage() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			stored := run.DeepCopy()
			d := newDraft(stored, start.Add(time.Minute))
			if d.written() != nil {
				t.Fatal("a draft is to be written before anything is changed")
			}
			tt.change(&d)
			if diff := cmp.Diff(run, stored); diff != "" {
				t.Errorf("the stored run is changed (-was +is):\n%s", diff)
			}
			is := cmp.Equal(run.Status, d.status)
			if is != (d.written() == nil) {
				t.Errorf("the status is as stored: %v, and is to be written: %v", is, d.written() != nil)
			}
			if d.changed = false; !tt.again {
				if tt.change(&d); d.written() != nil {
					t.Error("the same change again is to be written")
				}
			}
		})
	}
}
