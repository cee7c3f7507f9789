// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
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
	if s.changed {
		s.decision.Status = &s.status
	}
	return s.decision
}

// step is one look at a run.
type step struct {
	run   v1beta1.UpdateRunObject
	world World
	now   time.Time

	// status is the next status. It shares with the stored one what is not changed: stages are copied by stage and
	// deletionStage, lists of conditions by setCondition.
	status  v1beta1.UpdateRunStatus
	copied  []bool
	changed bool

	decision Decision
	// snapshot is the name of the resource snapshot that the run rolls out.
	snapshot string
	// byName has the bindings of clusters that the placement picks, leaving those of clusters that it does not pick any more.
	byName, leaving map[string]v1beta1.BindingObject
	// updated has what other runs have updated, by their names.
	updated map[string]map[string]bool
	// at is the stage that is looked at, empty for none, and before how long the history was.
	at     string
	before int
}

func newStep(run v1beta1.UpdateRunObject, world World, now time.Time) *step {
	s := &step{run: run, world: world, now: now, status: *run.RunStatus()}
	s.status.StagesStatus = slices.Clone(s.status.StagesStatus)
	s.copied = make([]bool, len(s.status.StagesStatus)+1)
	s.snapshot = snapshotName(run, s.status.ResourceSnapshotIndexUsed)
	s.before = len(s.status.History)
	return s
}

// stage makes a stage one that may be changed.
func (s *step) stage(i int) *v1beta1.StageUpdatingStatus {
	stage := &s.status.StagesStatus[i]
	if !s.copied[i] {
		s.copied[i] = true
		own(stage)
	}
	return stage
}

// deletionStage makes the delete stage one that may be changed.
func (s *step) deletionStage() *v1beta1.StageUpdatingStatus {
	if last := len(s.copied) - 1; !s.copied[last] {
		s.copied[last] = true
		stage := *s.status.DeletionStageStatus
		own(&stage)
		s.status.DeletionStageStatus = &stage
	}
	return s.status.DeletionStageStatus
}

func own(stage *v1beta1.StageUpdatingStatus) {
	stage.Clusters = slices.Clone(stage.Clusters)
	stage.BeforeStageTaskStatus = slices.Clone(stage.BeforeStageTaskStatus)
	stage.AfterStageTaskStatus = slices.Clone(stage.AfterStageTaskStatus)
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
		s.fail(wrap(aborted, unexpectedError, fmt.Sprintf("found unsupported updateRun state: %s", state)))
	}
}

// broken returns what in the status is no longer as it was planned, and a run cannot go on with. The server refuses such a write; this is
// for a status that was changed in another way.
func (s *step) broken() string {
	strategy := s.status.UpdateStrategySnapshot
	switch {
	case strategy == nil:
		return wrap(aborted, unexpectedError, "the updateRun has nil updateStrategySnapshot")
	case s.status.DeletionStageStatus == nil:
		return wrap(aborted, unexpectedError, "the updateRun has nil deletionStageStatus")
	case len(s.status.StagesStatus) != len(strategy.Stages):
		return wrap(aborted, unexpectedError, fmt.Sprintf("the number of stages in the updateRun has changed, new: %d, existing: %d",
			len(strategy.Stages), len(s.status.StagesStatus)))
	}
	for i := range strategy.Stages {
		planned, stage := &strategy.Stages[i], &s.status.StagesStatus[i]
		switch {
		case stage.StageName != planned.Name:
			return wrap(aborted, fmt.Sprintf("index `%d` stage name in the updateRun has changed, new: %s, existing: %s", i, planned.Name, stage.StageName))
		case len(stage.BeforeStageTaskStatus) != len(planned.BeforeStageTasks):
			return wrap(aborted, unexpectedError, fmt.Sprintf("the before-stage tasks of stage %s have changed", stage.StageName))
		case len(stage.AfterStageTaskStatus) != len(planned.AfterStageTasks):
			return wrap(aborted, unexpectedError, fmt.Sprintf("the after-stage tasks of stage %s have changed", stage.StageName))
		}
	}
	return ""
}

// orphaned says why there is no placement any more whose clusters the run may move. Deleting the placement ends its runs, also when
// one of the same name follows at once.
func (s *step) orphaned() string {
	placement := s.world.Placement
	switch {
	case missing(placement) || s.status.PlacementUID != "" && placement.GetUID() != s.status.PlacementUID:
		return wrap(invalid, clientError, messageNoPlacement)
	case !isExternal(placement):
		return wrap(invalid, clientError, messageNotExternal(placement))
	}
	return ""
}

// execute goes through the stages until something has to be waited for.
func (s *step) execute() {
	if s.resuming() && !s.takeTurn(nil) {
		return
	}
	if reasonOf(s.status.Conditions, v1beta1.RunProgressing) == reasonRunStopping {
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

// setTime sets a time once.
func (s *step) setTime(t **metav1.Time) {
	if *t == nil {
		now := metav1.NewTime(s.now)
		*t, s.changed = &now, true
	}
}
