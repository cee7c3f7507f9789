// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// runStage brings a stage on and reports whether it is over.
func (s *step) runStage(stage *v1beta1.StageUpdatingStatus, config *v1beta1.StageConfig) bool {
	if len(stage.Clusters) == 0 && !keepsTasks(&s.status, stage) {
		s.skipStage(stage)
		return true
	}
	s.setTime(&stage.StartTime)
	if s.asksInTurn() && !s.takeTurn(stage) {
		return false
	}
	// Nobody has to approve that nothing happens: all clusters may have been skipped.
	if !allDone(stage) && !s.passBefore(stage, config) || !s.moveClusters(stage, config) || !s.passAfter(stage, config) {
		return false
	}
	s.completeStage(stage)
	return true
}

// keepsTasks reports whether the tasks of a stage without clusters are done all the same: where the run removes the resources from
// other clusters, a placement that picks nothing any more would have no gate left.
func keepsTasks(status *v1beta1.UpdateRunStatus, stage *v1beta1.StageUpdatingStatus) bool {
	return len(stage.BeforeStageTaskStatus)+len(stage.AfterStageTaskStatus) > 0 && len(status.DeletionStageStatus.Clusters) > 0
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
	s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStageSucceeded, s.ofStage(stage).stageDone+" and after-stage tasks are completed")
	succeeded := s.ofStage(stage).stageSucceeded
	if runrules.StageCompares(&s.status, stage) {
		succeeded += ": " + compared(runrules.Clusters(stage, runrules.HasSucceeded))
	}
	s.setStage(stage, v1beta1.StageSucceeded, metav1.ConditionTrue, reasonStageSucceeded, succeeded)
	if len(stage.Clusters) == 0 && s.removes(stage) {
		return
	}
	skipped := len(runrules.Clusters(stage, runrules.IsLeftOut))
	failed := len(runrules.Clusters(stage, runrules.WasGivenUp))
	done := wording.Count(len(stage.Clusters)-skipped-failed, "cluster") + " " + s.ofStage(stage).done
	switch {
	case s.removes(stage):
		done = "resources removed from " + wording.Count(len(stage.Clusters)-skipped-failed, "cluster")
	case runrules.StageCompares(&s.status, stage):
		done = compared(runrules.Clusters(stage, runrules.HasSucceeded))
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

// awaitsAfter says that a stage waits for the tasks after it. Whoever approves is told how many of the clusters differ, where they were compared.
func (s *step) awaitsAfter(stage *v1beta1.StageUpdatingStatus) string {
	message := s.ofStage(stage).stageDone + ", waiting for after-stage tasks to complete"
	if found := differences(runrules.Clusters(stage, runrules.HasSucceeded)); found != "" {
		message += "; " + found
	}
	return message
}

// stageMoves records that clusters of a stage are moved.
func (s *step) stageMoves(stage *v1beta1.StageUpdatingStatus) {
	s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionTrue, reasonStageStarted, s.ofStage(stage).stageStarted)
}

// runMoves records that the run makes progress, or that it is stuck with clusters: they take too long, or what they refuse is no matter of
// time.
func (s *step) runMoves(stage *v1beta1.StageUpdatingStatus, f *flight) {
	was := progressReason(s.status.Conditions)
	if len(f.waitedFor) > 0 {
		message := fmt.Sprintf("The updateRun is stuck waiting for %s cluster(s) in stage %s %s, please check placement status for potential errors",
			wording.FirstNames(f.waitedFor), stage.StageName, s.ofStage(stage).toFinish)
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

// The delete stage takes the resources off clusters that the placement no longer picked when the run was planned. It is a stage like
// any other, but for what is done to its clusters.

// removes reports whether a stage is the delete stage.
func (s *step) removes(stage *v1beta1.StageUpdatingStatus) bool {
	return stage == s.status.DeletionStageStatus
}

// stageStarted tells that clusters of a stage are moved now.
func (s *step) stageStarted(stage *v1beta1.StageUpdatingStatus) string {
	if s.removes(stage) {
		return fmt.Sprintf("The resources are removed from %s", wording.Count(len(stage.Clusters), "cluster"))
	}
	return fmt.Sprintf("Stage %s is started: %s", stage.StageName, wording.Count(len(stage.Clusters), "cluster"))
}

// atStake is what an approver of the delete stage decides about, and nothing for other stages.
func (s *step) atStake(stage *v1beta1.StageUpdatingStatus) string {
	if !s.removes(stage) {
		return ""
	}
	open := slices.DeleteFunc(slices.Clone(stage.Clusters), wasDone)
	return fmt.Sprintf(": all resources of the placement are then removed from %s: %s", wording.Count(len(open), "cluster"), wording.List(namesOf(open)))
}

// runDeletion brings the delete stage on and reports whether it is over.
func (s *step) runDeletion() bool {
	stage, config := s.deletionStage(), strategy.DeleteStage(s.status.UpdateStrategySnapshot)
	if len(stage.Clusters) == 0 {
		s.setTime(&stage.StartTime)
		s.completeStage(stage)
		return true
	}
	// An earlier version of the server planned no gate. What it has begun goes on.
	if len(stage.BeforeStageTaskStatus) < len(config.BeforeStageTasks) && !slices.ContainsFunc(stage.Clusters, wasStarted) {
		s.planBefore(stage, plan.BeforeTasks(s.run, config))
	}
	s.passOverRemoved(stage)
	return s.runStage(stage, config)
}

func wasStarted(c v1beta1.ClusterUpdatingStatus) bool { return runrules.IsStarted(&c) }

func wasDone(c v1beta1.ClusterUpdatingStatus) bool { return runrules.IsClusterDone(&c) }

// passOverRemoved is done with clusters that nothing is to be removed from any more, before anybody is asked to approve it.
func (s *step) passOverRemoved(stage *v1beta1.StageUpdatingStatus) {
	for i := range stage.Clusters {
		if c := &stage.Clusters[i]; !runrules.IsClusterDone(c) && !runrules.IsStarted(c) && s.bindings.leaving(c.ClusterName) == nil {
			s.removed(stage, c)
		}
	}
}

// removed is done with a cluster from which nothing is to be removed any more. One that was picked again keeps its resources.
func (s *step) removed(stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus) {
	if s.bindings.of(c.ClusterName) != nil {
		s.skipCluster(c, "the placement picks the cluster again")
		return
	}
	s.clusterStarted(stage, c)
	s.clusterDone(stage, c, nil)
}

// settleRemovals is settle for the delete stage.
func (s *step) settleRemovals(stage *v1beta1.StageUpdatingStatus, policy *v1beta1.FailurePolicy) flight {
	var f flight
	for i := range stage.Clusters {
		c := &stage.Clusters[i]
		if runrules.IsClusterDone(c) || !runrules.IsStarted(c) {
			continue
		}
		b := s.bindings.leaving(c.ClusterName)
		switch {
		case b == nil:
			s.removed(stage, c)
			continue
		case s.timedOut(c, policy):
			s.clusterFailed(stage, c, b, policy)
			continue
		}
		s.remove(b)
		s.say(c, remaining(b))
		s.inFlight(&f, c, "")
	}
	return f
}

func (s *step) remove(b v1beta1.BindingObject) {
	if b.GetDeletionTimestamp() == nil {
		s.decision.Deletions = append(s.decision.Deletions, b)
	}
}
