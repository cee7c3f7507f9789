// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// JudgePlacement returns what policies that bind a placement say of it as a whole: rollouts are staged, and reach no denied cluster. It
// is asked with the clusters that the placement picks. An override is for runs only.
func JudgePlacement(binding []*Policy, placement v1beta1.PlacementObject, clusters []strategy.Cluster) Verdict {
	isExternal := runrules.IsExternal(placement.PlacementSpec())
	return judgeWhole(binding, clusters, func(p *Policy, protected []string) string {
		switch {
		case p.spec.Rules.Deny:
			return mustNotPick(protected)
		case p.isStaged() && !isExternal:
			return mustBeExternal
		}
		return ""
	})
}

// IsViolatedBy reports whether a placement that the policy binds and that is on a protected cluster violates it by that: picks tells whether
// it picks the cluster, or only has a version there still.
func (p *Policy) IsViolatedBy(placement v1beta1.PlacementObject, picks bool) bool {
	return p.spec.Rules.Deny && picks || p.isStaged() && !runrules.IsExternal(placement.PlacementSpec())
}

// JudgeRemoval returns what policies that bind a placement say of its deletion, which takes its resources off these clusters at once:
// where rollouts must be staged, so must their end.
func JudgeRemoval(binding []*Policy, placement v1beta1.PlacementObject, clusters []strategy.Cluster) Verdict {
	change := "change spec.policy"
	if !runrules.IsExternal(placement.PlacementSpec()) {
		change = "set spec.strategy.type to External, change spec.policy"
	}
	return judgeWhole(binding, clusters, func(p *Policy, protected []string) string {
		if !p.isStaged() {
			return ""
		}
		return fmt.Sprintf("a run must remove its resources from %s first: %s so that it does not pick them, and create a run", wording.List(protected), change)
	})
}

// JudgeRemovalDuring returns what policies that bind a placement say of its deletion while runs that have started are about to bring it to these
// clusters: it would be taken off them at once.
func JudgeRemovalDuring(binding []*Policy, runs []string, clusters []strategy.Cluster) Verdict {
	return judgeWhole(binding, clusters, func(p *Policy, protected []string) string {
		if !p.isStaged() {
			return ""
		}
		return fmt.Sprintf("%s is about to bring it to %s: stop or delete that run first", wording.List(runs), wording.List(protected))
	})
}

// judgeWhole asks each policy that protects some of the clusters what a placement must change.
func judgeWhole(binding []*Policy, clusters []strategy.Cluster, demandOf func(p *Policy, protected []string) string) Verdict {
	var verdict Verdict
	for _, p := range sorted(binding) {
		protected := pick(clusters, p.Protects)
		if len(protected) == 0 {
			continue
		}
		if p.Err() != nil {
			verdict.add(p.unreadable(), nil)
			continue
		}
		if demand := demandOf(p, protected); demand != "" {
			verdict.add(Violation{Policy: p, Where: wherePlacement(protected), Demands: []string{demand}}, nil)
		}
	}
	return verdict
}

// wherePlacement names a placement by what of it is protected.
func wherePlacement(protected []string) string {
	return fmt.Sprintf("the placement (protected: %s)", wording.List(protected))
}

// mustBeExternal is what a placement must change that runs alone may move.
const mustBeExternal = "spec.strategy.type must be External"

func mustNotPick(names []string) string {
	return "spec.policy of the placement must not pick " + wording.List(names)
}
