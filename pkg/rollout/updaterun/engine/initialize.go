// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// initializeFor is how long a run waits for what it refers to, from the first attempt.
const initializeFor = time.Minute

// tryingAgain begins the end of the message of a run that still waits.
const tryingAgain = "; trying again until "

// Result is how an attempt to plan a run ended.
type Result int

const (
	// ResultInitialized is a run that is planned.
	ResultInitialized Result = iota
	// ResultWaiting is a run that refers to something which may still turn up.
	ResultWaiting
	// ResultFailed is a run that will never be planned.
	ResultFailed
	// ResultNeedsSnapshot asks for a snapshot of what is selected now; everything before it is in place.
	ResultNeedsSnapshot
	// ResultNeedsOverrides asks for the overrides of what is rolled out; everything else is in place.
	ResultNeedsOverrides
)

// Outcome is what an attempt to plan a run came to.
type Outcome struct {
	Result Result
	// Decision to carry out. It is empty where something is needed first.
	Decision Decision
	// Message says why the run is not planned, and nothing about trying again.
	Message string
	// Warnings are legal but suspicious: what the user may not have meant.
	Warnings []string
}

// Initialize plans a run: it freezes the strategy, the clusters and their order, and the resource snapshot. What is not there yet
// may turn up within a minute of the first attempt, so that objects can be created in any order; what only the user can mend is
// final at once. A run that is planned, or failed to be, is left as it is.
func Initialize(run v1beta1.UpdateRunObject, world plan.World, now time.Time) Outcome {
	s := newStep(run, World{}, now)
	if runrules.IsOver(&s.status) || runrules.IsPlanned(&s.status) {
		return Outcome{}
	}
	if message := s.tooLate(); message != "" {
		return s.notInitialized(message)
	}
	p, obstacle := plan.New(run, world)
	switch {
	case obstacle == nil:
		return s.initialized(&p)
	case obstacle.Needs == plan.NeedsSnapshot:
		return Outcome{Result: ResultNeedsSnapshot}
	case obstacle.Needs == plan.NeedsOverrides:
		return Outcome{Result: ResultNeedsOverrides}
	}
	s.showProgress(&p.Status)
	if obstacle.MayPass {
		return s.initializeLater(obstacle.Message)
	}
	return s.notInitialized(obstacle.Message)
}

// showProgress has a run that is not planned tell what the attempt found before it met its obstacle. Stages are not among it: half a plan
// looks like a plan.
func (s *step) showProgress(found *v1beta1.UpdateRunStatus) {
	next := s.status
	next.ApplyStrategy = found.ApplyStrategy
	next.PolicySnapshotIndexUsed = found.PolicySnapshotIndexUsed
	next.PolicyObservedClusterCount = found.PolicyObservedClusterCount
	next.ResourceSnapshotIndexUsed = found.ResourceSnapshotIndexUsed
	if !equality.Semantic.DeepEqual(s.status, next) {
		s.status, s.changed = next, true
	}
}

// tooLate is the message of a run whose time is over, and nothing before. No attempt is made then: a run never comes to life on its
// own long after it was created.
func (s *step) tooLate() string {
	first := s.status.InitializationStartTime
	if first == nil || s.now.Before(first.Add(initializeFor)) {
		return ""
	}
	for _, c := range s.status.Conditions {
		if c.Type == v1beta1.RunInitialized {
			message, _, _ := strings.Cut(c.Message, tryingAgain)
			return message
		}
	}
	return runrules.Wrap(runrules.Invalid, runrules.UnexpectedError, "the updateRun has no condition Initialized")
}

func (s *step) initialized(p *plan.Plan) Outcome {
	stored := s.status
	s.status = p.Status
	s.status.Conditions, s.status.CreatedBy = stored.Conditions, stored.CreatedBy
	s.status.History, s.status.ObservedOperation = stored.History, stored.ObservedOperation
	s.setRunCondition(v1beta1.RunInitialized, metav1.ConditionTrue, reasonInitialized, runrules.RunKind(s.run)+" initialized successfully")
	s.decision.Status = &s.status
	s.event(eventInitialized, fmt.Sprintf("Planned to %s %s in %s",
		s.purpose(), wording.Count(s.status.PolicyObservedClusterCount, "cluster"), wording.Count(len(s.status.StagesStatus), "stage")))
	return Outcome{Result: ResultInitialized, Decision: s.decision, Warnings: p.Warnings}
}

// purpose says what the run does, before the clusters are named that it does it to.
func (s *step) purpose() string {
	if earlier := s.run.RunSpec().RollbackOf; earlier != "" {
		return fmt.Sprintf("roll back %s %s on", runrules.RunKind(s.run), earlier)
	}
	return fmt.Sprintf("roll out resource snapshot %s to", s.status.ResourceSnapshotIndexUsed)
}

func (s *step) initializeLater(message string) Outcome {
	s.setTime(&s.status.InitializationStartTime)
	deadline := s.status.InitializationStartTime.Add(initializeFor)
	s.setRunCondition(v1beta1.RunInitialized, metav1.ConditionFalse, reasonInitFailed,
		message+tryingAgain+deadline.UTC().Format("15:04:05Z"))
	if s.changed {
		s.decision.Status = &s.status
	}
	s.wake(deadline)
	return Outcome{Result: ResultWaiting, Decision: s.decision, Message: message}
}

func (s *step) notInitialized(message string) Outcome {
	s.status.InitializationStartTime = nil
	s.setRunCondition(v1beta1.RunInitialized, metav1.ConditionFalse, reasonInitFailed, message)
	s.conclude()
	s.decision.Status = &s.status
	s.warn(eventInitFailed, message+"; this is final, create a new run once it is mended")
	return Outcome{Result: ResultFailed, Decision: s.decision, Message: message}
}
