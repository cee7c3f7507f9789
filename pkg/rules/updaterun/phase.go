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

// Phase is what a run that is not over does, in one word.
type Phase string

const (
	// PhaseInitializing is a run that is not planned yet.
	PhaseInitializing Phase = "Initializing"
	// PhasePlanned is a run that is planned and that nobody has started.
	PhasePlanned Phase = "Planned"
	// PhaseProgressing is a run that moves clusters, or is about to.
	PhaseProgressing Phase = "Progressing"
	// PhaseWaitingForApproval is a run that waits for an approval, be it for a timer as well.
	PhaseWaitingForApproval Phase = "WaitingForApproval"
	// PhaseWaitingForTimer is a run that waits until the time after a stage is over.
	PhaseWaitingForTimer Phase = "WaitingForTimer"
	// PhaseWaitingForTurn is a run that waits for another run of its placement.
	PhaseWaitingForTurn Phase = "WaitingForTurn"
	// PhaseWaiting is a run that waits for something else, which its condition Progressing names.
	PhaseWaiting Phase = "Waiting"
	// PhasePaused is a run that waits for somebody to look after clusters that have failed.
	PhasePaused Phase = "Paused"
	// PhaseStuck is a run that waits for clusters that take too long.
	PhaseStuck Phase = "Stuck"
	// PhaseStopping is a run that is to stop and waits for the clusters in flight.
	PhaseStopping Phase = "Stopping"
	// PhaseStopped is a run that is stopped, and can be resumed.
	PhaseStopped Phase = "Stopped"
)

// Phases are all that there are.
var Phases = []Phase{
	PhaseInitializing, PhasePlanned, PhaseProgressing, PhaseWaitingForApproval, PhaseWaitingForTimer, PhaseWaitingForTurn, PhaseWaiting,
	PhasePaused, PhaseStuck, PhaseStopping, PhaseStopped,
}

// NeedsPerson reports whether a run goes on only once somebody does something about it: starts or resumes it, approves, or looks after clusters.
func (p Phase) NeedsPerson() bool {
	switch p {
	case PhasePlanned, PhaseWaitingForApproval, PhasePaused, PhaseStuck, PhaseStopped:
		return true
	}
	return false
}

// PhaseOf returns what a run does, empty for one that is over.
func PhaseOf(run v1beta1.UpdateRunObject) Phase {
	status := run.RunStatus()
	switch {
	case IsOver(status):
		return ""
	case !IsPlanned(status):
		return PhaseInitializing
	case run.RunSpec().State == v1beta1.StateInitialize:
		return PhasePlanned
	}
	progressing := meta.FindStatusCondition(status.Conditions, v1beta1.RunProgressing)
	if progressing == nil {
		return PhaseProgressing
	}
	switch progressing.Reason {
	case wellknown.ReasonRunWaiting:
		return waitsFor(status)
	case wellknown.ReasonRunPaused:
		return PhasePaused
	case wellknown.ReasonRunStuck:
		return PhaseStuck
	case wellknown.ReasonRunStopping:
		return PhaseStopping
	case wellknown.ReasonRunStopped:
		return PhaseStopped
	}
	return PhaseProgressing
}

func waitsFor(status *v1beta1.UpdateRunStatus) Phase {
	if status.Turn != nil && status.Turn.State == v1beta1.TurnWaiting {
		return PhaseWaitingForTurn
	}
	stage := CurrentStage(status)
	if stage == nil {
		return PhaseWaiting
	}
	open := OpenTasks(stage)
	is := func(taskType v1beta1.StageTaskType) func(*v1beta1.StageTaskStatus) bool {
		return func(task *v1beta1.StageTaskStatus) bool { return task.Type == taskType }
	}
	switch {
	case slices.ContainsFunc(open, is(v1beta1.StageTaskTypeApproval)):
		return PhaseWaitingForApproval
	case slices.ContainsFunc(open, is(v1beta1.StageTaskTypeTimedWait)):
		return PhaseWaitingForTimer
	}
	return PhaseWaiting
}

// OpenTasks returns the tasks that a stage waits for as it stands: those before it, or those after it once its clusters are done. A task before
// a stage no longer matters when all of its clusters are done or skipped. They point into the stage.
func OpenTasks(stage *v1beta1.StageUpdatingStatus) []*v1beta1.StageTaskStatus {
	open := openOf(stage.BeforeStageTaskStatus)
	if AreClustersDone(stage) && (len(stage.Clusters) > 0 || len(open) == 0) {
		return openOf(stage.AfterStageTaskStatus)
	}
	return open
}

func openOf(tasks []v1beta1.StageTaskStatus) []*v1beta1.StageTaskStatus {
	var open []*v1beta1.StageTaskStatus
	for i := range tasks {
		if !IsTaskDone(&tasks[i]) {
			open = append(open, &tasks[i])
		}
	}
	return open
}

// IsTaskDone reports whether a run waits for a task no more: it is approved, or its time has elapsed or was skipped.
func IsTaskDone(task *v1beta1.StageTaskStatus) bool {
	conditionType := v1beta1.TaskApprovalRequestApproved
	if task.Type == v1beta1.StageTaskTypeTimedWait {
		conditionType = v1beta1.TaskWaitTimeElapsed
	}
	return meta.IsStatusConditionTrue(task.Conditions, conditionType)
}

// WaitEnd returns when the timed wait after a stage is over. It is not known before the last cluster of the stage is done.
func WaitEnd(status *v1beta1.UpdateRunStatus, stage *v1beta1.StageUpdatingStatus) (end time.Time, known bool) {
	if status.UpdateStrategySnapshot == nil || stage.UpdatedTime == nil {
		return time.Time{}, false
	}
	for i := range status.UpdateStrategySnapshot.Stages {
		config := &status.UpdateStrategySnapshot.Stages[i]
		for j := range config.AfterStageTasks {
			// A stage has at most one.
			if task := &config.AfterStageTasks[j]; config.Name == stage.StageName && task.WaitTime != nil {
				return stage.UpdatedTime.Add(task.WaitTime.Duration), true
			}
		}
	}
	return time.Time{}, false
}
