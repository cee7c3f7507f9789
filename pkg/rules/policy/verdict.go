// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// Violation is what a rollout must change to meet a policy.
type Violation struct {
	Policy *Policy
	// Where is the part of the rollout that violates the policy, such as `stage "prod" (40 clusters, 38 protected)`.
	Where string
	// Demands say what must be written there, one for each rule that is violated.
	Demands []string
}

// String is the violation in a sentence, with the policy.
func (v Violation) String() string {
	return fmt.Sprintf("%s: %s (%s)", v.Where, strings.Join(v.Demands, "; "), v.Policy)
}

// Verdict is what the policies that bind a rollout say of it.
type Verdict struct {
	// Governing are the policies that have a governed stage, with what a run records of them, ordered by kind and name.
	Governing []v1beta1.GoverningPolicy
	// Violations refuse the rollout.
	Violations []Violation
	// Contradictions are why no change of the rollout alone meets all that refuse it, at most one for a stage. There are none without
	// Violations.
	Contradictions []Contradictory
	// Warnings are the violations of policies that only warn, and of those that the rollout overrides.
	Warnings []Violation
	// Overridden are the names of the policies that the rollout violates by its override.
	Overridden []string
	// Idle are the names in the override of policies that do not bind the rollout.
	Idle []string
}

// shownViolations is how many violations a refusal has at most.
const shownViolations = 10

// Refusal returns the contradictions and all violations in one text, at most ten of each and the number of the others, and nothing where
// there are none.
func (v *Verdict) Refusal() string {
	if len(v.Contradictions) == 0 {
		return join(v.Violations)
	}
	return join(v.Contradictions) + "; " + join(v.Violations)
}

// Warning returns all warnings in one text, as Refusal does.
func (v *Verdict) Warning() string { return join(v.Warnings) }

func join[T fmt.Stringer](all []T) string {
	var texts []string
	for _, one := range all[:min(len(all), shownViolations)] {
		texts = append(texts, one.String())
	}
	if more := len(all) - shownViolations; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

// add files a violation under what comes of it.
func (v *Verdict) add(violation Violation, override *v1beta1.PolicyOverride) {
	switch p := violation.Policy; {
	case isOverridden(p, override):
		v.Warnings = append(v.Warnings, violation)
		if !slices.Contains(v.Overridden, p.Name) {
			v.Overridden = append(v.Overridden, p.Name)
		}
	case p.IsEnforced():
		v.Violations = append(v.Violations, violation)
	default:
		v.Warnings = append(v.Warnings, violation)
	}
}

// isOverridden reports whether an override names a policy. A RolloutPolicy cannot be overridden: its namespace can change it.
func isOverridden(p *Policy, override *v1beta1.PolicyOverride) bool {
	return override != nil && p.Kind == KindCluster && slices.Contains(override.Policies, p.Name)
}

// sorted returns the policies in the order in which messages name them, so that the order of a list changes nothing.
func sorted(policies []*Policy) []*Policy {
	return slices.SortedFunc(slices.Values(policies), func(a, b *Policy) int {
		if c := strings.Compare(a.Kind, b.Kind); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
}
