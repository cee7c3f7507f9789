// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// passBefore reports whether the tasks before a stage are done.
func (s *step) passBefore(stage *v1beta1.StageUpdatingStatus, config *v1beta1.StageConfig) bool {
	message := fmt.Sprintf("The updateRun is waiting for before-stage tasks in stage %s to complete", stage.StageName)
	open := true
	for i := range stage.BeforeStageTaskStatus {
		g := s.askApproval(stage, &stage.BeforeStageTaskStatus[i], wellknown.BeforeStageTask, policyOf(config.BeforeStageTasks, i))
		if g.ended {
			return false
		}
		open = open && g.open
		message += g.obstacle
	}
	if !open {
		s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStageWaiting, messageStageBefore)
		s.runWaits(message)
	}
	return open
}

// passAfter reports whether the tasks after a stage are done. All of them are worked on at once.
func (s *step) passAfter(stage *v1beta1.StageUpdatingStatus, config *v1beta1.StageConfig) bool {
	message := fmt.Sprintf("The updateRun is waiting for after-stage tasks in stage %s to complete", stage.StageName)
	open := true
	for i := range stage.AfterStageTaskStatus {
		task := &stage.AfterStageTaskStatus[i]
		if task.Type == v1beta1.StageTaskTypeTimedWait {
			open = s.wait(stage, task, config.AfterStageTasks[i].WaitTime) && open
			continue
		}
		g := s.askApproval(stage, task, wellknown.AfterStageTask, policyOf(config.AfterStageTasks, i))
		if g.ended {
			return false
		}
		open = open && g.open
		message += g.obstacle
	}
	if !open {
		s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStageWaiting, messageStageAfter)
		s.runWaits(message)
	}
	return open
}

// wait reports whether a timed wait is over. It counts from the moment when the last cluster of the stage was done, whatever was
// stopped and resumed since; in a stage without clusters from the moment when it was come to.
func (s *step) wait(stage *v1beta1.StageUpdatingStatus, task *v1beta1.StageTaskStatus, duration *metav1.Duration) bool {
	if isTrue(task.Conditions, v1beta1.TaskWaitTimeElapsed) {
		return true
	}
	end := stage.UpdatedTime.Time
	if duration != nil {
		end = end.Add(duration.Duration)
	}
	if s.now.Before(end) {
		s.wake(end)
		return false
	}
	s.set(&task.Conditions, v1beta1.TaskWaitTimeElapsed, metav1.ConditionTrue, reasonWaitElapsed, messageWaitElapsed)
	s.event(eventWaitElapsed, fmt.Sprintf("The wait time after stage %s has elapsed", stage.StageName))
	return true
}
