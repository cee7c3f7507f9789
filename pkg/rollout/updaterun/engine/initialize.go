// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
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
	// ResultNone is a run that was planned, or given up, before: nothing was attempted.
	ResultNone Result = iota
	// ResultInitialized is a run that is planned.
	ResultInitialized
	// ResultWaiting is a run that refers to something which may still turn up.
	ResultWaiting
	// ResultFailed is a run that will never be planned.
	ResultFailed
)

// Outcome is what an attempt to plan a run came to.
type Outcome struct {
	Result Result
	// Decision to carry out.
	Decision Decision
	// Message says why the run is not planned, and nothing about trying again.
	Message string
	// Warnings are legal but suspicious: what the user may not have meant.
	Warnings []string
}

// Initialize plans a run: it freezes the strategy, the clusters and their order, and the resource snapshot. What is not there yet
// may turn up within a minute of the first attempt, so that objects can be created in any order; what only the user can mend is
// final at once. A run that is planned, or failed to be, is left as it is.
// An error says that an input could not be read; nothing follows from such an attempt.
func Initialize(run v1beta1.UpdateRunObject, world plan.World, inputs plan.Inputs, now time.Time) (Outcome, error) {
	s := newStep(run, World{}, now)
	if runrules.IsOver(&s.status) || runrules.IsPlanned(&s.status) {
		return Outcome{}, nil
	}
	if message := s.tooLate(); message != "" {
		return s.notInitialized(message), nil
	}
	p, err := plan.New(run, world, inputs)
	var notYet *plan.Pending
	var never *plan.Final
	switch {
	case err == nil:
		return s.initialized(&p), nil
	case errors.As(err, &notYet) && run.RunSpec().PolicyOverride != nil:
		// In the minute in which it is tried again, others could write what it lacks.
		s.showProgress(&p.Status)
		return s.notInitialized(notYet.Message + "; a run that overrides policies is not tried again"), nil
	case errors.As(err, &notYet):
		s.showProgress(&p.Status)
		return s.initializeLater(notYet.Message), nil
	case errors.As(err, &never):
		s.showProgress(&p.Status)
		return s.notInitialized(never.Message), nil
	}
	return Outcome{}, err
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
		s.replace(next)
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
	planned := p.Status
	planned.Conditions, planned.CreatedBy = s.status.Conditions, s.status.CreatedBy
	planned.History, planned.ObservedOperation = s.status.History, s.status.ObservedOperation
	s.replace(planned)
	s.setRunCondition(v1beta1.RunInitialized, metav1.ConditionTrue, reasonInitialized, runrules.RunKind(s.run)+" initialized successfully")
	s.event(eventInitialized, fmt.Sprintf("Planned to %s %s in %s",
		s.purpose(), wording.Count(s.status.PolicyObservedClusterCount, "cluster"), wording.Count(len(s.status.StagesStatus), "stage")))
	s.tellOverridden(s.status.Policies, nil)
	return Outcome{Result: ResultInitialized, Decision: s.decided(), Warnings: p.Warnings}
}

// purpose says what the run does, before the clusters are named that it does it to.
func (s *step) purpose() string {
	if earlier := s.run.RunSpec().RollbackOf; earlier != "" {
		return fmt.Sprintf("roll back %s %s on", runrules.RunKind(s.run), earlier)
	}
	if runrules.RunCompares(&s.status) {
		return fmt.Sprintf("compare resource snapshot %s with", s.status.ResourceSnapshotIndexUsed)
	}
	return fmt.Sprintf("roll out resource snapshot %s to", s.status.ResourceSnapshotIndexUsed)
}

func (s *step) initializeLater(message string) Outcome {
	s.setTime(&s.status.InitializationStartTime)
	deadline := s.status.InitializationStartTime.Add(initializeFor)
	s.setRunCondition(v1beta1.RunInitialized, metav1.ConditionFalse, reasonInitFailed,
		message+tryingAgain+deadline.UTC().Format("15:04:05Z"))
	s.wake(deadline)
	return Outcome{Result: ResultWaiting, Decision: s.decided(), Message: message}
}

func (s *step) notInitialized(message string) Outcome {
	put(&s.draft, &s.status.InitializationStartTime, nil)
	s.setRunCondition(v1beta1.RunInitialized, metav1.ConditionFalse, reasonInitFailed, message)
	s.conclude()
	s.warn(eventInitFailed, message+"; this is final, create a new run once it is mended")
	return Outcome{Result: ResultFailed, Decision: s.decided(), Message: message}
}
