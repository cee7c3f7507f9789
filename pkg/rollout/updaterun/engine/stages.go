// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// runStage brings a stage on and reports whether it is over.
func (s *step) runStage(stage *v1beta1.StageUpdatingStatus, config *v1beta1.StageConfig) bool {
	if len(stage.Clusters) == 0 && !s.keepsTasks(stage) {
		s.skipStage(stage)
		return true
	}
	s.setTime(&stage.StartTime)
	// Nobody has to approve that nothing happens: all clusters may have been skipped.
	if !allDone(stage) && !s.passBefore(stage, config) || !s.moveClusters(stage, config) || !s.passAfter(stage, config) {
		return false
	}
	s.completeStage(stage)
	return true
}

// keepsTasks reports whether the tasks of a stage without clusters are done all the same: where the run removes the resources from
// other clusters, a placement that picks nothing any more would have no gate left.
func (s *step) keepsTasks(stage *v1beta1.StageUpdatingStatus) bool {
	return len(stage.BeforeStageTaskStatus)+len(stage.AfterStageTaskStatus) > 0 && len(s.status.DeletionStageStatus.Clusters) > 0
}

// skipStage passes over a stage without clusters, and its tasks with it.
func (s *step) skipStage(stage *v1beta1.StageUpdatingStatus) {
	s.setTime(&stage.StartTime)
	s.setTime(&stage.EndTime)
	s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStageSkipped, messageStageSkipped)
	s.setStage(stage, v1beta1.StageSucceeded, metav1.ConditionTrue, reasonStageSkipped, messageStageSkipped)
	s.event(eventStageSkipped, fmt.Sprintf("Stage %s is skipped because it has no clusters", stage.StageName))
}

// completeStage records that a stage and the tasks after it are done.
func (s *step) completeStage(stage *v1beta1.StageUpdatingStatus) {
	s.setTime(&stage.EndTime)
	s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStageSucceeded, messageStageDone)
	s.setStage(stage, v1beta1.StageSucceeded, metav1.ConditionTrue, reasonStageSucceeded, messageStageSucceeded)
	if len(stage.Clusters) == 0 && s.removes(stage) {
		return
	}
	skipped := 0
	for i := range stage.Clusters {
		if reasonOf(stage.Clusters[i].Conditions, v1beta1.ClusterSucceeded) == reasonClusterSkipped {
			skipped++
		}
	}
	failed := len(failedClusters(stage))
	done := wording.Count(len(stage.Clusters)-skipped-failed, "cluster") + " updated"
	if s.removes(stage) {
		done = "resources removed from " + wording.Count(len(stage.Clusters)-skipped-failed, "cluster")
	}
	message := fmt.Sprintf("Stage %s is completed: %s", stage.StageName, done)
	if skipped > 0 {
		message += fmt.Sprintf(", %d skipped", skipped)
	}
	if failed > 0 {
		message += fmt.Sprintf(", %d failed", failed)
	}
	s.event(eventStageSucceeded, message)
}

func (s *step) setStage(stage *v1beta1.StageUpdatingStatus, conditionType string, status metav1.ConditionStatus, reason, message string) {
	s.set(&stage.Conditions, conditionType, status, reason, message)
}

// stageMoves records that clusters of a stage are updated.
func (s *step) stageMoves(stage *v1beta1.StageUpdatingStatus) {
	s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionTrue, reasonStageStarted, messageStageStarted)
}

// runMoves records that the run makes progress, or that it is stuck with clusters: they take too long, or what they refuse is no matter of
// time.
func (s *step) runMoves(stage *v1beta1.StageUpdatingStatus, f *flight) {
	was := reasonOf(s.status.Conditions, v1beta1.RunProgressing)
	if len(f.waitedFor) > 0 {
		message := fmt.Sprintf("The updateRun is stuck waiting for %s cluster(s) in stage %s to finish updating, please check placement status for potential errors",
			wording.FirstNames(f.waitedFor), stage.StageName)
		if f.refusal != "" {
			message += "; " + f.refusal
		}
		s.setRunCondition(v1beta1.RunProgressing, metav1.ConditionFalse, reasonRunStuck, message)
		if was != reasonRunStuck {
			s.warn(eventStuck, message)
		}
		return
	}
	s.setRunCondition(v1beta1.RunProgressing, metav1.ConditionTrue, reasonRunProgressing, messageRunProgressing)
	if was == reasonRunStuck {
		s.event(eventRecovered, messageRunProgressing)
	}
}

// runWaits records that the run waits for something else than clusters.
func (s *step) runWaits(message string) {
	s.setRunCondition(v1beta1.RunProgressing, metav1.ConditionFalse, reasonRunWaiting, message)
}

// setStageTurn records that a stage waits for the run's turn.
func (s *step) setStageTurn(stage *v1beta1.StageUpdatingStatus) {
	s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStageWaiting, messageStageTurn)
}
