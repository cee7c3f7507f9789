// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"

	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// A run is held to the rollout policies twice: when it is planned, and until it starts, since a plan can be weeks old. It has started once
// the gates of a stage are open and it has its turn to move the clusters: a run that waits for its first approval, or that was stopped before
// it, has not. A run that has started is not judged again, whatever becomes of the policies or of what they select by.

// mayStart reports whether a run has started or may do so, and ends one that policies refuse by now.
func (s *step) mayStart() bool {
	if runrules.HasStarted(&s.status) || len(s.world.Policies) == 0 {
		return true
	}
	governance := s.world.For(s.run, s.rolledBackRun())
	verdict, err := governance.Judge(s.run, s.world.Placement, &s.status)
	if err != nil {
		s.runWaits("The updateRun is waiting to be started: " + runrules.Plainly(err.Error()))
		return false
	}
	if refusal := verdict.Refusal(); refusal != "" {
		s.policiesChanged(fmt.Sprintf("the rollout policies of now refuse the plan: %s; create a new run that meets them", refusal))
		return false
	}
	s.governing, s.warned = verdict.Governing, verdict.Warnings
	if message := s.askedEarly(); message != "" {
		s.policiesChanged(message)
		return false
	}
	return true
}

// policiesChanged ends a run because of the policies of now.
func (s *step) policiesChanged(message string) {
	message = refused(message)
	s.end(reasonRunPolicyChanged, messageRunFailed, message)
	s.warn(eventPolicyChanged, message)
}

// asksInTurn reports whether the run takes its turn before it asks for approvals. Where policies hold it, nobody else moves clusters between
// an approval and what follows from it. A run that is in line stays there, whatever becomes of the policies: it keeps others waiting.
func (s *step) asksInTurn() bool {
	state := s.turn().State
	return s.isHeld() || state == v1beta1.TurnWaiting || state == v1beta1.TurnClaimed
}

// askedEarly refuses to go on with a run that no policy held when it asked for an approval, before its turn, and that one holds by now. That
// nobody has decided so far does not help: who has decided may be seen only once the run has its turn, and no clock tells which came first.
func (s *step) askedEarly() string {
	if !s.isHeld() || runrules.HasHadTurn(&s.status) {
		return ""
	}
	asked := func(task v1beta1.StageTaskStatus) bool {
		return isTrue(task.Conditions, v1beta1.TaskApprovalRequestCreated)
	}
	for _, stage := range runrules.Stages(&s.status) {
		taskType := wellknown.BeforeStageTask
		if !slices.ContainsFunc(stage.BeforeStageTaskStatus, asked) {
			if taskType = wellknown.AfterStageTask; !slices.ContainsFunc(stage.AfterStageTaskStatus, asked) {
				continue
			}
		}
		return fmt.Sprintf("%s, and the run asked for its approval %s stage %s before it had its turn: other runs may have moved clusters since; create a new run",
			s.whatHolds(), side(taskType), stage.StageName)
	}
	return ""
}

// whatHolds names the policies of now that hold a run which has not started.
func (s *step) whatHolds() string {
	var names []string
	for _, g := range s.governing {
		if !g.Overridden && !g.Warns {
			names = append(names, g.Kind+" "+g.Name)
		}
	}
	verb := "governs"
	if len(names) > 1 {
		verb = "govern"
	}
	return fmt.Sprintf("%s %s the run by now", wording.FirstNames(names), verb)
}

// tellViolated tells of the policies that only warn and that a run violates as it starts, and did not when it was planned: the warnings of a
// plan have told of the others.
func (s *step) tellViolated() {
	since := policy.Verdict{Warnings: slices.DeleteFunc(slices.Clone(s.warned), func(v policy.Violation) bool {
		return v.Policy.IsEnforced() || slices.ContainsFunc(s.status.Policies, func(k v1beta1.GoverningPolicy) bool { return k.Violated && k.UID == v.Policy.UID })
	})}
	if warning := since.Warning(); warning != "" {
		s.warn(eventPolicyViolated, "The update run starts, and violates rollout policies of now that only warn: "+warning)
	}
}

// tellOverridden records who has the run violate policies, and why. What is in known was told before.
func (s *step) tellOverridden(governing, known []v1beta1.GoverningPolicy) {
	by := ptr.Deref(s.status.CreatedBy, v1beta1.DecisionUser{}).Username
	for _, g := range governing {
		isSame := func(k v1beta1.GoverningPolicy) bool { return k.Overridden && k.UID == g.UID }
		if g.Overridden && !slices.ContainsFunc(known, isSame) {
			message := fmt.Sprintf("%s overrides %s %s, which the run violates%s", by, g.Kind, g.Name, quoted(s.run.RunSpec().PolicyOverride.Reason))
			s.warn(eventPolicyOverridden, message).User = by
		}
	}
}
