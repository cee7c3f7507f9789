// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// MayBind reports whether the policy binds the rollouts of some placement of a namespace with these labels on the hub, or of some
// cluster-scoped placement where the namespace is empty.
func (p *Policy) MayBind(namespace string, namespaceLabels labels.Set) bool {
	if namespace != "" {
		return p.Binds(Subject{Namespace: namespace, NamespaceLabels: namespaceLabels})
	}
	return p.Kind == KindCluster && p.match.clusterScoped
}

// OfStrategy returns the rollout of all these clusters by a strategy, without their removal. It fails for a label selector that cannot be
// read.
func OfStrategy(spec *v1beta1.UpdateStrategySpec, clusters []strategy.Cluster) (Rollout, error) {
	assignment, err := strategy.Assign(spec, clusters)
	if err != nil {
		return Rollout{}, err
	}
	members := make(map[string]labels.Set, len(clusters))
	for _, cluster := range clusters {
		members[cluster.Name] = cluster.Labels
	}
	var rollout Rollout
	for _, assigned := range assignment.Stages {
		stage := Stage{Config: assigned.StageConfig, FailurePolicy: strategy.FailurePolicy(spec, assigned.StageConfig)}
		for _, name := range assigned.Clusters {
			stage.Clusters = append(stage.Clusters, strategy.Cluster{Name: name, Labels: members[name]})
		}
		rollout.Stages = append(rollout.Stages, stage)
	}
	return rollout, nil
}

// JudgeStrategy returns what policies that may bind the runs of a strategy say of one that moves all these clusters. Those that deny are
// left out: which clusters are moved the placement says.
func JudgeStrategy(mayBind []*Policy, spec *v1beta1.UpdateStrategySpec, clusters []strategy.Cluster) (Verdict, error) {
	rollout, err := OfStrategy(spec, clusters)
	if err != nil {
		return Verdict{}, err
	}
	var binding []*Policy
	for _, p := range mayBind {
		if !p.spec.Rules.Deny {
			binding = append(binding, p)
		}
	}
	return Judge(binding, rollout), nil
}

// Reach is the clusters that a placement which is written is about, by how it comes to them.
type Reach struct {
	// Named are those that it names itself.
	Named []strategy.Cluster
	// Matched are the present members that its affinity and tolerations let in.
	Matched []strategy.Cluster
	// Held are those that have a version of it, whether or not it still picks them.
	Held []strategy.Cluster
}

// JudgeWrite returns what policies that bind a placement say of its spec as it is written. A protected cluster that the placement comes to
// in any way must be moved by runs, also away. A denied cluster must not be named; one that happens to match is warned of, since a run or
// the controller that would move it refuses, and one that is held may be left.
func JudgeWrite(binding []*Policy, placement v1beta1.PlacementObject, reach Reach) Verdict {
	isExternal := runrules.IsExternal(placement.PlacementSpec())
	var verdict Verdict
	for _, p := range sorted(binding) {
		named, matched := pick(reach.Named, p.Protects), pick(reach.Matched, p.Protects)
		all := distinct(slices.Concat(named, matched, pick(reach.Held, p.Protects)))
		if len(all) == 0 {
			continue
		}
		if p.Err() != nil {
			verdict.add(p.unreadable(), nil)
			continue
		}
		violation := Violation{Policy: p, Where: wherePlacement(all)}
		if p.spec.Rules.Deny && len(named) > 0 {
			violation.Demands = append(violation.Demands, mustNotPick(named))
		}
		if p.isStaged() && !isExternal {
			violation.Demands = append(violation.Demands, mustBeExternal)
		}
		switch {
		case len(violation.Demands) > 0:
			verdict.add(violation, nil)
		case p.spec.Rules.Deny && len(matched) > 0:
			violation.Demands = []string{"no version may reach " + wording.List(matched) + ": spec.policy of the placement should leave them out"}
			verdict.Warnings = append(verdict.Warnings, violation)
		}
	}
	return verdict
}

// distinct returns names each once, where they come first.
func distinct(names []string) []string {
	seen := make(map[string]bool, len(names))
	return slices.DeleteFunc(names, func(name string) bool {
		again := seen[name]
		seen[name] = true
		return again
	})
}
