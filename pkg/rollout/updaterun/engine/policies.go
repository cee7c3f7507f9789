// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"

	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// A run is held to the rollout policies twice: when it is planned, and until it starts, since a plan can be weeks old. It has started once
// it has had its turn, with which its first cluster is recorded and which it never loses again: a run that waits for its first approval, or
// that was stopped before it, has not. A run that has started is not judged again, whatever becomes of the policies or of what they select
// by.

// mayStart reports whether a run has started or may do so, and ends one that policies refuse by now.
func (s *step) mayStart() bool {
	if runrules.HasHadTurn(&s.status) || len(s.world.Policies) == 0 {
		return true
	}
	governance := s.world.For(s.run, s.rolledBackRun())
	verdict, err := governance.Judge(s.run, s.world.Placement, &s.status)
	if err != nil {
		s.runWaits("The updateRun is waiting to be started: " + runrules.Plainly(err.Error()))
		return false
	}
	if refusal := verdict.Refusal(); refusal != "" {
		message := runrules.Wrap(runrules.Aborted, runrules.ClientError,
			fmt.Sprintf("the rollout policies of now refuse the plan: %s; create a new run that meets them", refusal))
		s.end(reasonRunPolicyChanged, messageRunFailed, message)
		s.warn(eventPolicyChanged, message)
		return false
	}
	s.governing, s.warned = verdict.Governing, verdict.Warnings
	return true
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
