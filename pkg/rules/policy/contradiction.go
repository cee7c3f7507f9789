// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

// Contradiction returns what two policies demand that no stage can have at once, and nothing where a stage can meet both, as far as their
// rules alone tell: a stage has one Approval on each side, and one failurePolicy. The removal of resources has the Approval before it alone.
func Contradiction(a, b *Policy, removal bool) string {
	if a.Err() != nil || b.Err() != nil || a.spec.Rules.Deny || b.spec.Rules.Deny {
		return ""
	}
	if x, y := a.spec.Rules.Approval, b.spec.Rules.Approval; x != nil && y != nil && areDisjoint(x.Groups, y.Groups) {
		position := func(rule *v1alpha1.ApprovalRule) v1alpha1.ApprovalPosition {
			return cmp.Or(rule.Position, v1alpha1.ApprovalBefore)
		}
		if removal || position(x) == position(y) && position(x) != v1alpha1.ApprovalAny {
			return fmt.Sprintf("one Approval with %s and with %s", groups(x.Groups), groups(y.Groups))
		}
	}
	if x, y := a.spec.Rules.FailurePolicy, b.spec.Rules.FailurePolicy; x != nil && y != nil && areDisjoint(x.OnFailure, y.OnFailure) {
		return fmt.Sprintf("a failurePolicy with onFailure: %s and with onFailure: %s", alternatives(x.OnFailure), alternatives(y.OnFailure))
	}
	return ""
}

// MayMeet reports whether two policies may bind the rollouts of one placement. namespaceLabels returns the labels that a Namespace has on the
// hub. Two ClusterRolloutPolicies that select namespaces may meet: nobody knows which namespaces there will be.
func MayMeet(a, b *Policy, namespaceLabels func(namespace string) labels.Set) bool {
	switch {
	case a.Kind == KindNamespace && b.Kind == KindNamespace:
		return a.Namespace == b.Namespace
	case a.Kind == KindNamespace:
		return b.MayBind(a.Namespace, namespaceLabels(a.Namespace))
	case b.Kind == KindNamespace:
		return a.MayBind(b.Namespace, namespaceLabels(b.Namespace))
	}
	return a.MayBind("", nil) && b.MayBind("", nil) || !isNone(a.match.namespaces) && !isNone(b.match.namespaces)
}

// isNone reports whether a selector picks nothing.
func isNone(selector labels.Selector) bool {
	_, selectable := selector.Requirements()
	return !selectable
}

// areDisjoint reports whether what is one of some is never one of others. An empty list names all.
func areDisjoint[T comparable](some, others []T) bool {
	return len(some) > 0 && len(others) > 0 && !slices.ContainsFunc(some, func(one T) bool { return slices.Contains(others, one) })
}

// MayContradict reports whether a policy has a rule that another one could contradict.
func (p *Policy) MayContradict() bool {
	approval, failure := p.spec.Rules.Approval, p.spec.Rules.FailurePolicy
	return approval != nil && len(approval.Groups) > 0 || failure != nil && len(failure.OnFailure) > 0
}

// contradictions returns for each stage the first two policies that govern it and that nobody can meet together, at most one pair for a
// stage. One of them at least refuses the stage.
func contradictions(judges []*judge, rollout Rollout) []Contradictory {
	if rollout.Rollback {
		return nil
	}
	var found []Contradictory
	for i := range rollout.Stages {
		if c, ok := contradictionAt(judges, i, &rollout.Stages[i]); ok {
			found = append(found, c)
		}
	}
	return found
}

func contradictionAt(judges []*judge, i int, stage *Stage) (Contradictory, bool) {
	for n, a := range judges {
		for _, b := range judges[n+1:] {
			if a.protected[i] == 0 || b.protected[i] == 0 {
				continue
			}
			what := Contradiction(a.policy, b.policy, stage.Removes)
			if what == "" {
				continue
			}
			isShared := slices.ContainsFunc(stage.Clusters, func(c strategy.Cluster) bool { return a.policy.Protects(c.Labels) && b.policy.Protects(c.Labels) })
			return Contradictory{A: a.policy, B: b.policy, Where: a.where(i), What: what, Shared: isShared}, true
		}
	}
	return Contradictory{}, false
}

// Contradictory is two policies that a stage cannot meet together.
type Contradictory struct {
	A, B *Policy
	// Where is the stage, as in a Violation.
	Where string
	// What the stage cannot have at once.
	What string
	// Shared reports that a cluster of the stage is protected by both. Otherwise two stages can meet them.
	Shared bool
}

// String is the contradiction in a sentence, with what can be done.
func (c Contradictory) String() string {
	names := fmt.Sprintf("%s %s and %s %s", c.A.Kind, c.A.Name, c.B.Kind, c.B.Name)
	if c.Shared {
		return fmt.Sprintf("%s: %s contradict each other: no strategy can have %s, the owner of one of them must change it", c.Where, names, c.What)
	}
	if strings.HasPrefix(c.Where, "stage ") {
		return fmt.Sprintf("%s: %s cannot be met in one stage, which cannot have %s: put the clusters that they protect into different stages", c.Where, names, c.What)
	}
	return fmt.Sprintf("%s: %s cannot be met at once, since it cannot have %s: let the placement pick the clusters of one of them until a later run", c.Where, names, c.What)
}
