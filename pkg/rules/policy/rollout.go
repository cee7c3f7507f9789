// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

// Rollout is what a run is to do, as policies look at it.
type Rollout struct {
	// Stages in their order, the delete stage last.
	Stages []Stage
	// Rollback is a run that rolls another one back: its stages have no tasks and no failure policy, and only deny is about it.
	Rollback bool
	// Override of the run, nil where there is none.
	Override *v1beta1.PolicyOverride
}

// Stage is a stage with its clusters.
type Stage struct {
	Config *v1beta1.StageConfig
	// FailurePolicy is that of the stage or of the strategy, nil where no cluster is given up.
	FailurePolicy *v1beta1.FailurePolicy
	Clusters      []strategy.Cluster
	// Removes is the delete stage.
	Removes bool
}

// Of returns the rollout of a run by its plan. A cluster that is no member any more has no labels.
func Of(run v1beta1.UpdateRunObject, planned *v1beta1.UpdateRunStatus, members map[string]labels.Set) Rollout {
	spec := planned.UpdateStrategySnapshot
	rollout := Rollout{Rollback: run.RunSpec().RollbackOf != "", Override: run.RunSpec().PolicyOverride}
	add := func(config *v1beta1.StageConfig, status *v1beta1.StageUpdatingStatus, removes bool) {
		stage := Stage{Config: config, FailurePolicy: strategy.FailurePolicy(spec, config), Removes: removes}
		for i := range status.Clusters {
			name := status.Clusters[i].ClusterName
			stage.Clusters = append(stage.Clusters, strategy.Cluster{Name: name, Labels: members[name]})
		}
		rollout.Stages = append(rollout.Stages, stage)
	}
	for i := range planned.StagesStatus {
		add(&spec.Stages[i], &planned.StagesStatus[i], false)
	}
	if deletion := planned.DeletionStageStatus; deletion != nil && len(deletion.Clusters) > 0 {
		add(strategy.DeleteStage(spec), deletion, true)
	}
	return rollout
}

// Judge returns what policies say of a rollout that they bind.
func Judge(binding []*Policy, rollout Rollout) Verdict {
	var verdict Verdict
	for _, p := range sorted(binding) {
		j := judge{policy: p, rollout: rollout}
		violations := j.violations()
		for _, violation := range violations {
			verdict.add(violation, rollout.Override)
		}
		if len(j.governed) == 0 {
			continue
		}
		governing := v1beta1.GoverningPolicy{Kind: p.Kind, Name: p.Name, UID: p.UID, Generation: p.Generation,
			Overridden: len(violations) > 0 && isOverridden(p, rollout.Override)}
		for _, i := range j.governed {
			governing.Stages = append(governing.Stages, rollout.Stages[i].Config.Name)
		}
		verdict.Governing = append(verdict.Governing, governing)
	}
	if rollout.Override != nil {
		for _, name := range rollout.Override.Policies {
			if !slices.ContainsFunc(binding, func(p *Policy) bool { return p.Kind == KindCluster && p.Name == name }) {
				verdict.Idle = append(verdict.Idle, name)
			}
		}
	}
	return verdict
}

// judge is one policy that looks at one rollout.
type judge struct {
	policy  *Policy
	rollout Rollout
	// governed are the indexes of the governed stages, and protected how many clusters of each the policy protects.
	governed  []int
	protected map[int]int
}

func (j *judge) violations() []Violation {
	j.protected = map[int]int{}
	for i, stage := range j.rollout.Stages {
		for _, cluster := range stage.Clusters {
			if j.policy.Protects(cluster.Labels) {
				j.protected[i]++
			}
		}
		if j.protected[i] > 0 {
			j.governed = append(j.governed, i)
		}
	}
	if len(j.governed) == 0 {
		return nil
	}
	if err := j.policy.Err(); err != nil {
		return []Violation{{Policy: j.policy, Where: "the policy cannot be read", Demands: []string{fmt.Sprintf("whoever may write the policy must mend it: %v", err)}}}
	}
	var violations []Violation
	for _, i := range j.governed {
		if demands := j.stage(i); len(demands) > 0 {
			violations = append(violations, Violation{Policy: j.policy, Where: j.where(i), Demands: demands})
		}
	}
	return append(violations, j.soak()...)
}

// where names a stage as the user knows it.
func (j *judge) where(i int) string {
	stage := j.rollout.Stages[i]
	name := fmt.Sprintf("stage %q", stage.Config.Name)
	if stage.Removes {
		name = "the removal of resources"
	}
	return fmt.Sprintf("%s (%s, %d protected)", name, wording.Count(len(stage.Clusters), "cluster"), j.protected[i])
}

// stage returns what a governed stage must change.
func (j *judge) stage(i int) []string {
	rules, stage := &j.policy.spec.Rules, j.rollout.Stages[i]
	if rules.Deny {
		return []string{"the clusters must be left out: " + names(stage.Clusters, j.policy.Protects)}
	}
	if j.rollout.Rollback {
		return nil
	}
	var demands []string
	demand := func(violated bool, format string, args ...any) {
		if violated {
			demands = append(demands, fmt.Sprintf(format, args...))
		}
	}
	if rules.Approval != nil {
		demands = append(demands, approval(rules.Approval, &stage)...)
	}
	if limit := rules.MaxConcurrency; limit != nil {
		n := len(stage.Clusters)
		has, allowed := strategy.Concurrency(stage.Config.MaxConcurrency, n), strategy.Concurrency(limit, n)
		demand(has > allowed, "maxConcurrency must be at most %s, which is %d, and not %d", limit, allowed, has)
	}
	if limit := rules.MaxStageClusters; limit != nil {
		demand(j.protected[i] > int(*limit), "at most %d protected clusters may be in one stage", *limit)
	}
	if rules.FailurePolicy != nil {
		demands = append(demands, failurePolicy(rules.FailurePolicy, &stage)...)
	}
	return demands
}

func names(clusters []strategy.Cluster, picked func(labels.Labels) bool) string {
	var all []string
	for _, cluster := range clusters {
		if picked(cluster.Labels) {
			all = append(all, cluster.Name)
		}
	}
	return wording.List(all)
}

// soak returns what the stages before the first governed one must change. A cluster that the policy protects itself is no soak cluster.
func (j *judge) soak() []Violation {
	rule := j.policy.spec.Rules.Soak
	if rule == nil || j.policy.spec.Rules.Deny || j.rollout.Rollback {
		return nil
	}
	first := j.governed[0]
	if j.rollout.Stages[first].Removes {
		return nil
	}
	soaks := func(cluster labels.Labels) bool { return j.policy.soaks.Matches(cluster) && !j.policy.Protects(cluster) }
	last, late := -1, []strategy.Cluster(nil)
	var violations []Violation
	violate := func(where, format string, args ...any) {
		violations = append(violations, Violation{Policy: j.policy, Where: where, Demands: []string{fmt.Sprintf(format, args...)}})
	}
	for i, stage := range j.rollout.Stages {
		if stage.Removes || !slices.ContainsFunc(stage.Clusters, func(c strategy.Cluster) bool { return soaks(c.Labels) }) {
			continue
		}
		if i >= first {
			late = append(late, stage.Clusters...)
			continue
		}
		last = i
		// A run that goes on past failed clusters has not tried the version on them.
		if policy := stage.FailurePolicy; policy != nil && strategy.MaxFailures(policy.MaxFailures, len(stage.Clusters)) > 0 {
			violate(fmt.Sprintf("stage %q", stage.Config.Name), "maxFailures must be 0, since the stage tries the version before protected clusters get it")
		}
	}
	switch {
	case len(late) > 0:
		violate(j.where(first), "the stage must come after those of %s", names(late, soaks))
	case last < 0:
		violate(j.where(first), "a stage before it must have clusters with %s", j.policy.soaks)
	case longestWait(j.rollout.Stages[last:first]) < rule.Duration.Duration:
		violate(fmt.Sprintf("stage %q", j.rollout.Stages[last].Config.Name), "afterStageTasks must have a TimedWait of at least %s", rule.Duration.Duration)
	}
	return violations
}

func longestWait(stages []Stage) time.Duration {
	var longest time.Duration
	for _, stage := range stages {
		for _, task := range stage.Config.AfterStageTasks {
			if task.Type == v1beta1.StageTaskTypeTimedWait && task.WaitTime != nil {
				longest = max(longest, task.WaitTime.Duration)
			}
		}
	}
	return longest
}
