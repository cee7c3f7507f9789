// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/stagegate/stagegate/pkg/apis/placement"
)

// currentStage is the first stage that was entered and not left, nil before and after a run.
func currentStage(status *placement.UpdateRunStatus) *placement.StageUpdatingStatus {
	for _, stage := range stages(status) {
		entered := meta.FindStatusCondition(stage.Conditions, placement.StageProgressing) != nil
		if entered && stage.EndTime == nil {
			return stage
		}
	}
	return nil
}

// stages are all stages of a run in order, the one that deletes included.
func stages(status *placement.UpdateRunStatus) []*placement.StageUpdatingStatus {
	var all []*placement.StageUpdatingStatus
	for i := range status.StagesStatus {
		all = append(all, &status.StagesStatus[i])
	}
	if status.DeletionStageStatus != nil {
		all = append(all, status.DeletionStageStatus)
	}
	return all
}

func currentStageName(o placement.UpdateRunObject) string {
	if stage := currentStage(o.RunStatus()); stage != nil {
		return stage.StageName
	}
	return ""
}

// progress is the clusters done out of all, such as 2/3, and empty as long as they are not known.
func progress(o placement.UpdateRunObject) string {
	if !meta.IsStatusConditionTrue(o.RunStatus().Conditions, placement.RunInitialized) {
		return ""
	}
	done, total := 0, 0
	for _, stage := range stages(o.RunStatus()) {
		for i := range stage.Clusters {
			total++
			if meta.IsStatusConditionTrue(stage.Clusters[i].Conditions, placement.ClusterSucceeded) {
				done++
			}
		}
	}
	return fmt.Sprintf("%d/%d", done, total)
}

// waitingFor names what keeps the current stage from going on: an approval request by its name, a wait by its type. A run that is
// told to stop waits for nothing.
func waitingFor(o placement.UpdateRunObject) string {
	stage := currentStage(o.RunStatus())
	if stage == nil || o.RunSpec().State != placement.StateRun {
		return ""
	}
	tasks := open(stage.BeforeStageTaskStatus)
	if len(tasks) == 0 && clustersDone(stage) {
		tasks = open(stage.AfterStageTaskStatus)
	}
	return strings.Join(tasks, ",")
}

func clustersDone(stage *placement.StageUpdatingStatus) bool {
	for i := range stage.Clusters {
		if !meta.IsStatusConditionTrue(stage.Clusters[i].Conditions, placement.ClusterSucceeded) {
			return false
		}
	}
	return true
}

// open are the tasks that are not done.
func open(tasks []placement.StageTaskStatus) []string {
	var names []string
	for i := range tasks {
		task := &tasks[i]
		switch task.Type {
		case placement.StageTaskTypeApproval:
			if !meta.IsStatusConditionTrue(task.Conditions, placement.TaskApprovalRequestApproved) {
				names = append(names, task.ApprovalRequestName)
			}
		case placement.StageTaskTypeTimedWait:
			if !meta.IsStatusConditionTrue(task.Conditions, placement.TaskWaitTimeElapsed) {
				names = append(names, string(task.Type))
			}
		}
	}
	return names
}
