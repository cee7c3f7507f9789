// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// stop starts nothing more and waits for the clusters in flight, but for none longer than an update may take: a stop always ends.
func (s *step) stop() {
	was := reasonOf(s.status.Conditions, v1beta1.RunProgressing)
	if state := s.turn().State; was == reasonRunStopped && (state == "" || state == v1beta1.TurnReleased) {
		return
	}
	stage := s.current()
	s.at = stage.StageName
	var f flight
	if s.holds() {
		// A stop gives no cluster up: it waits for none for long.
		f = s.settle(stage, nil)
	}
	if f.moving > 0 {
		s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionUnknown, reasonStageStopping, messageStageStopping)
		s.setRunCondition(v1beta1.RunProgressing, metav1.ConditionUnknown, reasonRunStopping, messageRunStopping)
		if was != reasonRunStopping {
			s.event(eventStopping, fmt.Sprintf("The update run is stopping and waits for %s in stage %s", wording.Count(f.waiting(), "cluster"), stage.StageName))
		}
		return
	}
	s.stopped(stage, f.stuck)
}

// stopped records that nothing of the run moves any more, or is waited for.
func (s *step) stopped(stage *v1beta1.StageUpdatingStatus, stuck []string) {
	runMessage, stageMessage := messageRunStopped, messageStageStopped
	if len(stuck) > 0 {
		runMessage = fmt.Sprintf("%s; %s cluster(s) in stage %s did not finish updating within %s and are no longer waited for",
			messageRunStopped, wording.FirstNames(stuck), stage.StageName, stuckAfter)
		stageMessage = messageStageAbandoned
	}
	if stage.UpdatedTime == nil && allDone(stage) && !s.isPaused(stage) {
		now := metav1.NewMicroTime(s.now)
		stage.UpdatedTime, s.changed = &now, true
	}
	s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStageStopped, stageMessage)
	s.setRunCondition(v1beta1.RunProgressing, metav1.ConditionFalse, reasonRunStopped, runMessage)
	s.release()
	if len(stuck) > 0 {
		s.warn(eventStopped, runMessage)
	} else {
		s.event(eventStopped, runMessage)
	}
	// Nothing may be written that another run could have to take back.
	s.decision.Bindings, s.decision.Deletions = nil, nil
}

// isPaused reports of a stage whose clusters are all done, one way or the other, that it is not over because too many have failed.
func (s *step) isPaused(stage *v1beta1.StageUpdatingStatus) bool {
	return tooManyFailures(stage, s.failurePolicy(s.configOf(stage))) != ""
}

// configOf is what the run's copy of the strategy has to say of a stage.
func (s *step) configOf(stage *v1beta1.StageUpdatingStatus) *v1beta1.StageConfig {
	strategy := s.status.UpdateStrategySnapshot
	for i := range strategy.Stages {
		if config := &strategy.Stages[i]; config.Name == stage.StageName {
			return config
		}
	}
	return plan.DeletionConfig(strategy)
}

// current is the first stage that is not over, the delete stage included.
func (s *step) current() *v1beta1.StageUpdatingStatus {
	for i := range s.status.StagesStatus {
		if !runrules.IsStageOver(&s.status.StagesStatus[i]) {
			return s.stage(i)
		}
	}
	return s.deletionStage()
}

func allDone(stage *v1beta1.StageUpdatingStatus) bool {
	return len(stage.Clusters) > 0 && runrules.AreClustersDone(stage)
}
