// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// Part is a part of a run that takes time.
type Part string

const (
	// PartRun is the run as a whole, from its creation on.
	PartRun Part = "run"
	// PartTurn is a wait for another run of the placement.
	PartTurn Part = "turn"
	// PartStage is a stage, from when the run came to it.
	PartStage Part = "stage"
	// PartCluster is one attempt to update a cluster.
	PartCluster Part = "cluster"
	// PartApproval is a wait for an approval, from the creation of its request on.
	PartApproval Part = "approval"
	// PartTimer is a timed wait after a stage.
	PartTimer Part = "timer"
)

// Ending is the end of a part of a run.
type Ending struct {
	Part Part
	// Start is when the part began, as far as the status tells: in whole seconds but for a timer.
	Start time.Time
	// Stage is nil for the run and its turn.
	Stage *v1beta1.StageUpdatingStatus
	// Cluster is nil for all but a cluster. It is not done where the run or the stage ended before.
	Cluster *v1beta1.ClusterUpdatingStatus
	// Task is nil for all but an approval and a timer. It is not done where the run or the stage ended before.
	Task *v1beta1.StageTaskStatus
	// TaskType is wellknown.BeforeStageTask or wellknown.AfterStageTask for an approval and a timer.
	TaskType string
}

// Ended returns what ended between the stored status of a run and the one that is written over it, in no order. Whoever writes a status learns of
// each end once. All that is under way ends with its stage, and with the run. Pointers are into the new status.
func Ended(run v1beta1.UpdateRunObject, after *v1beta1.UpdateRunStatus) []Ending {
	before := run.RunStatus()
	return ended(run, after, after.Outcome != "" && before.Outcome == "" && !IsOver(before))
}

// Abandoned returns what ends with the deletion of a run: nothing if the run is over.
func Abandoned(run v1beta1.UpdateRunObject) []Ending {
	if IsOver(run.RunStatus()) {
		return nil
	}
	return ended(run, run.RunStatus(), true)
}

func ended(run v1beta1.UpdateRunObject, after *v1beta1.UpdateRunStatus, runEnds bool) []Ending {
	before := run.RunStatus()
	var endings []Ending
	EachStage(before, after, func(was, is *v1beta1.StageUpdatingStatus) {
		closes := !IsStageOver(was) && (IsStageOver(is) || runEnds)
		endings = append(endings, endedClusters(was, is, closes)...)
		endings = append(endings, endedTasks(wellknown.BeforeStageTask, is, was.BeforeStageTaskStatus, is.BeforeStageTaskStatus, closes)...)
		endings = append(endings, endedTasks(wellknown.AfterStageTask, is, was.AfterStageTaskStatus, is.AfterStageTaskStatus, closes)...)
		// Every run has a stage that removes resources, most often from no cluster.
		isIdle := is == after.DeletionStageStatus && len(is.Clusters) == 0
		if closes && is.StartTime != nil && !isIdle {
			endings = append(endings, Ending{Part: PartStage, Start: is.StartTime.Time, Stage: is})
		}
	})
	if isWaitingForTurn(before) && (!isWaitingForTurn(after) || runEnds) {
		// A history so long that its beginning is dropped does not tell since when.
		for _, entry := range slices.Backward(before.History) {
			if entry.Reason == wellknown.HistoryWaitingForTurn {
				endings = append(endings, Ending{Part: PartTurn, Start: entry.Time.Time})
				break
			}
		}
	}
	if runEnds {
		endings = append(endings, Ending{Part: PartRun, Start: run.GetCreationTimestamp().Time})
	}
	return endings
}

func isWaitingForTurn(status *v1beta1.UpdateRunStatus) bool {
	return status.Turn != nil && status.Turn.State == v1beta1.TurnWaiting
}

func endedClusters(was, is *v1beta1.StageUpdatingStatus, closes bool) []Ending {
	var endings []Ending
	for i := range is.Clusters {
		c := &is.Clusters[i]
		wasDone := i < len(was.Clusters) && IsClusterDone(&was.Clusters[i])
		if wasDone || !IsClusterDone(c) && !closes {
			continue
		}
		// One that was left out before its update began took no time.
		if started := meta.FindStatusCondition(c.Conditions, v1beta1.ClusterStarted); started != nil {
			endings = append(endings, Ending{Part: PartCluster, Start: started.LastTransitionTime.Time, Stage: is, Cluster: c})
		}
	}
	return endings
}

func endedTasks(taskType string, stage *v1beta1.StageUpdatingStatus, was, is []v1beta1.StageTaskStatus, closes bool) []Ending {
	var endings []Ending
	for i := range is {
		task := &is[i]
		wasDone := i < len(was) && IsTaskDone(&was[i])
		if wasDone || !IsTaskDone(task) && !closes {
			continue
		}
		ending := Ending{Part: PartTimer, Stage: stage, Task: task, TaskType: taskType}
		switch created := meta.FindStatusCondition(task.Conditions, v1beta1.TaskApprovalRequestCreated); {
		case task.Type == v1beta1.StageTaskTypeApproval && created != nil:
			ending.Part, ending.Start = PartApproval, created.LastTransitionTime.Time
		case task.Type == v1beta1.StageTaskTypeTimedWait && stage.UpdatedTime != nil:
			ending.Start = stage.UpdatedTime.Time
		default:
			// It has not begun.
			continue
		}
		endings = append(endings, ending)
	}
	return endings
}

// EachStage calls f with each stage of a run as it was and as it is. One that was not planned before was empty.
func EachStage(before, after *v1beta1.UpdateRunStatus, f func(was, is *v1beta1.StageUpdatingStatus)) {
	had := Stages(before)
	for i, is := range Stages(after) {
		was := &v1beta1.StageUpdatingStatus{}
		if i < len(had) {
			was = had[i]
		}
		f(was, is)
	}
}
