// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// stuckAfter is how long the update of a cluster may take before the run says that it is stuck.
const stuckAfter = 5 * time.Minute

// Step looks at an initialized run as stored, the world as observed and the time, and says what follows. It changes neither. A run
// that is not initialized is left to Initialize.
func Step(run v1beta1.UpdateRunObject, world World, now time.Time) Decision {
	if !runrules.IsPlanned(run.RunStatus()) {
		return Decision{}
	}
	s := newStep(run, world, now)
	if !runrules.IsOver(&s.status) {
		s.advance()
	} else {
		s.operate()
	}
	s.accept()
	s.link()
	s.trimHistory()
	s.conclude()
	return s.decided()
}

// decided returns the decision with the status to write.
func (s *step) decided() Decision {
	s.decision.Status = s.written()
	return s.decision
}

// step is one look at a run.
type step struct {
	run   v1beta1.UpdateRunObject
	world World
	draft
	decision Decision
	// snapshot is the name of the resource snapshot that the run rolls out.
	snapshot string
	bindings bindings
	// governing are the policies that govern a run which has not started, as it is judged now.
	governing []v1beta1.GoverningPolicy
	// warned are the violations that such a run may have.
	warned []policy.Violation
	// updated has what other runs have updated.
	updated map[bindingrules.Mover]map[string]bool
}

func newStep(run v1beta1.UpdateRunObject, world World, now time.Time) *step {
	return &step{
		run: run, world: world, draft: newDraft(run, now), bindings: bindings{all: world.Bindings},
		snapshot: wellknown.ResourceSnapshotName(run.RunSpec().PlacementName, run.RunStatus().ResourceSnapshotIndexUsed),
	}
}

// advance does what the run's state asks for, where the run can still go on.
func (s *step) advance() {
	if message := s.broken(); message != "" {
		s.fail(message)
		return
	}
	s.observe()
	s.operate()
	if runrules.IsOver(&s.status) {
		return
	}
	if message := s.orphaned(); message != "" {
		s.fail(message)
		return
	}
	switch state := s.run.RunSpec().State; state {
	case v1beta1.StateInitialize:
	case v1beta1.StateRun:
		s.execute()
	case v1beta1.StateStop:
		s.stop()
	default:
		s.fail(runrules.Wrap(runrules.Aborted, runrules.UnexpectedError, fmt.Sprintf("found unsupported updateRun state: %s", state)))
	}
}

// broken returns what in the status is no longer as it was planned, and a run cannot go on with. The server refuses such a write; this is
// for a status that was changed in another way.
func (s *step) broken() string {
	strategy := s.status.UpdateStrategySnapshot
	switch {
	case strategy == nil:
		return runrules.Wrap(runrules.Aborted, runrules.UnexpectedError, "the updateRun has nil updateStrategySnapshot")
	case s.status.DeletionStageStatus == nil:
		return runrules.Wrap(runrules.Aborted, runrules.UnexpectedError, "the updateRun has nil deletionStageStatus")
	case len(s.status.StagesStatus) != len(strategy.Stages):
		return runrules.Wrap(runrules.Aborted, runrules.UnexpectedError, fmt.Sprintf("the number of stages in the updateRun has changed, new: %d, existing: %d",
			len(strategy.Stages), len(s.status.StagesStatus)))
	}
	for i := range strategy.Stages {
		planned, stage := &strategy.Stages[i], &s.status.StagesStatus[i]
		switch {
		case stage.StageName != planned.Name:
			return runrules.Wrap(runrules.Aborted, fmt.Sprintf("index `%d` stage name in the updateRun has changed, new: %s, existing: %s", i, planned.Name, stage.StageName))
		case len(stage.BeforeStageTaskStatus) != len(planned.BeforeStageTasks):
			return runrules.Wrap(runrules.Aborted, runrules.UnexpectedError, fmt.Sprintf("the before-stage tasks of stage %s have changed", stage.StageName))
		case len(stage.AfterStageTaskStatus) != len(planned.AfterStageTasks):
			return runrules.Wrap(runrules.Aborted, runrules.UnexpectedError, fmt.Sprintf("the after-stage tasks of stage %s have changed", stage.StageName))
		}
	}
	return ""
}

// orphaned says why there is no placement any more whose clusters the run may move. Deleting the placement ends its runs, also when
// one of the same name follows at once.
func (s *step) orphaned() string {
	placement := s.world.Placement
	if placement != nil && s.status.PlacementUID != "" && placement.GetUID() != s.status.PlacementUID {
		placement = nil
	}
	if err := plan.CheckPlacement(placement); err != nil {
		return err.Error()
	}
	return ""
}

// execute goes through the stages until something must be waited for.
func (s *step) execute() {
	if !s.mayStart() {
		return
	}
	if s.resuming() && !s.takeTurn(nil) {
		return
	}
	if progressReason(s.status.Conditions) == reasonRunStopping {
		s.restartClocks()
	}
	stages := s.status.StagesStatus
	for i := range stages {
		s.at = stages[i].StageName
		if !runrules.IsStageOver(&stages[i]) && !s.runStage(s.stage(i), &s.status.UpdateStrategySnapshot.Stages[i]) {
			return
		}
	}
	s.at = s.status.DeletionStageStatus.StageName
	if s.runDeletion() {
		s.at = ""
		s.succeed()
	}
}

// wake asks for another look at a time, at the latest.
func (s *step) wake(at time.Time) {
	if s.decision.WakeAt.IsZero() || at.Before(s.decision.WakeAt) {
		s.decision.WakeAt = at
	}
}

// stop starts nothing more and waits for the clusters in flight, but for none longer than an update may take: a stop always ends.
func (s *step) stop() {
	was := progressReason(s.status.Conditions)
	if state := s.turn().State; was == reasonRunStopped && (state == "" || state == v1beta1.TurnReleased) {
		return
	}
	stage := s.current()
	s.at = stage.StageName
	var f flight
	if s.holds() && runrules.HasStarted(&s.status) {
		// A stop gives no cluster up: it waits for none for long. Before the start nothing is in flight, and nobody has said what holds the run.
		f = s.settle(stage, nil)
	}
	if f.moving > 0 {
		s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionUnknown, reasonStageStopping, s.ofStage(stage).stageStopping)
		s.setRunCondition(v1beta1.RunProgressing, metav1.ConditionUnknown, reasonRunStopping, s.ofRun().runStopping)
		if was != reasonRunStopping {
			s.event(eventStopping, fmt.Sprintf("The update run is stopping and waits for %s in stage %s", wording.Count(f.waiting(), "cluster"), stage.StageName))
		}
		return
	}
	s.stopped(stage, f.stuck)
}

// stopped records that nothing of the run moves any more, or is waited for.
func (s *step) stopped(stage *v1beta1.StageUpdatingStatus, stuck []string) {
	phrases := s.ofStage(stage)
	runMessage, stageMessage := messageRunStopped, phrases.stageStopped
	if len(stuck) > 0 {
		runMessage = fmt.Sprintf("%s; %s cluster(s) in stage %s %s within %s and are no longer waited for",
			messageRunStopped, wording.FirstNames(stuck), stage.StageName, phrases.unfinished, stuckAfter)
		stageMessage = phrases.stageAbandoned
	}
	if stage.UpdatedTime == nil && allDone(stage) && !isPaused(&s.status, stage) {
		s.clustersDone(stage)
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
func isPaused(status *v1beta1.UpdateRunStatus, stage *v1beta1.StageUpdatingStatus) bool {
	return tooManyFailures(phrasesOf(runrules.StageCompares(status, stage)), stage, strategy.FailurePolicy(status.UpdateStrategySnapshot, configOf(status, stage))) != ""
}

// configOf is what the run's copy of the strategy has to say of a stage.
func configOf(status *v1beta1.UpdateRunStatus, stage *v1beta1.StageUpdatingStatus) *v1beta1.StageConfig {
	stages := status.UpdateStrategySnapshot.Stages
	for i := range stages {
		if config := &stages[i]; config.Name == stage.StageName {
			return config
		}
	}
	return strategy.DeleteStage(status.UpdateStrategySnapshot)
}

func allDone(stage *v1beta1.StageUpdatingStatus) bool {
	return len(stage.Clusters) > 0 && runrules.AreClustersDone(stage)
}
