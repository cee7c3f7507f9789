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
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// Rollout is what a run is to do, as policies look at it.
type Rollout struct {
	// Stages in their order, the delete stage last.
	Stages []Stage
	// Rollback is a run that rolls another one back: its stages have no tasks and no failure policy, so that only deny is about it.
	Rollback bool
	// Forward is a Rollback of a run that was one itself: it gives clusters a later version, without the gates of that.
	Forward bool
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

// OfRollback returns the rollout that rolls a run back. A cluster that is no member any more has no labels.
func OfRollback(run v1beta1.UpdateRunObject, members map[string]labels.Set) Rollout {
	rollout := Rollout{Rollback: true, Forward: run.RunSpec().RollbackOf != ""}
	for _, back := range runrules.TakenBack(run.RunStatus()) {
		stage := Stage{Config: &v1beta1.StageConfig{Name: run.RunStatus().StagesStatus[back.Index].StageName}}
		for i := range back.Clusters {
			name := back.Clusters[i].ClusterName
			stage.Clusters = append(stage.Clusters, strategy.Cluster{Name: name, Labels: members[name]})
		}
		rollout.Stages = append(rollout.Stages, stage)
	}
	return rollout
}

// Judge returns what policies say of a rollout that they bind.
func Judge(binding []*Policy, rollout Rollout) Verdict {
	var verdict Verdict
	var held []*judge
	for _, p := range sorted(binding) {
		j := &judge{policy: p, rollout: rollout}
		violations := j.violations()
		if p.MayContradict() && p.IsEnforced() && !isOverridden(p, rollout.Override) {
			held = append(held, j)
		}
		for _, violation := range violations {
			verdict.add(violation, rollout.Override)
		}
		if len(j.governed) == 0 {
			continue
		}
		governing := v1beta1.GoverningPolicy{Kind: p.Kind, Name: p.Name, UID: p.UID, Generation: p.Generation,
			Overridden: len(violations) > 0 && isOverridden(p, rollout.Override), Violated: len(violations) > 0, Warns: !p.IsEnforced()}
		for _, i := range j.governed {
			governing.Stages = append(governing.Stages, rollout.Stages[i].Config.Name)
		}
		verdict.Governing = append(verdict.Governing, governing)
	}
	verdict.Contradictions = contradictions(held, rollout)
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

// govern finds the governed stages.
func (j *judge) govern() {
	j.protected = map[int]int{}
	for i, stage := range j.rollout.Stages {
		if n := count(stage.Clusters, j.policy.Protects); n > 0 {
			j.governed = append(j.governed, i)
			j.protected[i] = n
		}
	}
}

func (j *judge) violations() []Violation {
	if j.govern(); len(j.governed) == 0 {
		return nil
	}
	if j.policy.Err() != nil {
		return []Violation{j.policy.unreadable()}
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
	rules, stage := &j.policy.spec.Rules, &j.rollout.Stages[i]
	// What is denied is to get a version. A placement must be able to leave clusters that it should not be on.
	switch denied := pick(stage.Clusters, j.policy.Protects); {
	case rules.Deny && j.rollout.Rollback:
		return []string{fmt.Sprintf("no version may reach %s, nor an earlier one: a user who may override the policy can create a run with rollbackOf and policyOverride", wording.List(denied))}
	case rules.Deny && !stage.Removes:
		return []string{mustNotPick(denied)}
	}
	if j.rollout.Forward && (rules.Approval != nil || rules.Soak != nil || rules.FailurePolicy != nil) {
		return []string{"must not get the later version back without its gates, by the rollback of a rollback: create a run with the resourceSnapshotIndex of that version instead of rollbackOf"}
	}
	if j.rollout.Rollback {
		return nil
	}
	var demands []string
	add := func(demand string) {
		if demand != "" {
			demands = append(demands, demand)
		}
	}
	if rules.Approval != nil {
		add(approval(rules.Approval, stage))
	}
	if rules.MaxConcurrency != nil {
		add(j.maxConcurrency(rules.MaxConcurrency, i))
	}
	if limit := rules.MaxStageClusters; limit != nil && j.protected[i] > int(*limit) {
		add(tooMany(int(*limit), j.protected[i], stage))
	}
	if rules.FailurePolicy != nil {
		add(failurePolicy(rules.FailurePolicy, stage, j.protected[i]))
	}
	return demands
}

// soak returns what the stages before the first one with a cluster to guard must change. A protected cluster that is a soak cluster
// itself is not guarded: it is to have the version first.
func (j *judge) soak() []Violation {
	rule := j.policy.spec.Rules.Soak
	if rule == nil || j.policy.spec.Rules.Deny || j.rollout.Rollback {
		return nil
	}
	soaks := j.policy.soaks.Matches
	guards := func(cluster labels.Labels) bool { return j.policy.Protects(cluster) && !soaks(cluster) }
	first := slices.IndexFunc(j.rollout.Stages, func(stage Stage) bool { return !stage.Removes && count(stage.Clusters, guards) > 0 })
	if first < 0 {
		return nil
	}
	var violations []Violation
	violate := func(where, format string, args ...any) {
		violations = append(violations, Violation{Policy: j.policy, Where: where, Demands: []string{fmt.Sprintf(format, args...)}})
	}
	whereSoaks := func(stage *Stage, soaking int) string {
		return fmt.Sprintf("stage %q (%s, %d to soak)", stage.Config.Name, wording.Count(len(stage.Clusters), "cluster"), soaking)
	}
	wait := wording.Duration(rule.Duration.Duration)
	last, lastWhere := -1, ""
	var late []string
	for i := range j.rollout.Stages {
		stage := &j.rollout.Stages[i]
		soaking := pick(stage.Clusters, soaks)
		if stage.Removes || len(soaking) == 0 {
			continue
		}
		if i >= first {
			late = append(late, soaking...)
			continue
		}
		last, lastWhere = i, whereSoaks(stage, len(soaking))
		// A run that goes on past failed clusters has not tried the version on them.
		if policy := stage.FailurePolicy; policy != nil && strategy.MaxFailures(policy.MaxFailures, len(stage.Clusters)) > 0 {
			violate(lastWhere, "failurePolicy must have maxFailures: 0, since protected clusters come after it")
		}
	}
	switch {
	case len(late) > 0:
		violate(j.where(first), "%s must be in a stage before it, with a TimedWait of %s or more (soak: %s)", wording.List(late), wait, j.policy.soaks)
	case last < 0:
		violate(j.where(first), "a stage before it must have clusters with %s, with a TimedWait of %s or more; the placement must pick such clusters", j.policy.soaks, wait)
	case longestWait(j.rollout.Stages[last:first]) < rule.Duration.Duration:
		violate(lastWhere, "afterStageTasks must have a TimedWait with waitTime: %s or more", wait)
	}
	return violations
}

// longestWait returns the longest wait after a stage. A stage without clusters is skipped with its tasks.
func longestWait(stages []Stage) time.Duration {
	var longest time.Duration
	for _, stage := range stages {
		if len(stage.Clusters) == 0 {
			continue
		}
		for _, task := range stage.Config.AfterStageTasks {
			if task.Type == v1beta1.StageTaskTypeTimedWait && task.WaitTime != nil {
				longest = max(longest, task.WaitTime.Duration)
			}
		}
	}
	return longest
}

// pick returns the names of the clusters that are picked.
func pick(clusters []strategy.Cluster, picked func(labels.Labels) bool) []string {
	var names []string
	for _, cluster := range clusters {
		if picked(cluster.Labels) {
			names = append(names, cluster.Name)
		}
	}
	return names
}

// count returns how many clusters are picked.
func count(clusters []strategy.Cluster, picked func(labels.Labels) bool) int {
	n := 0
	for _, cluster := range clusters {
		if picked(cluster.Labels) {
			n++
		}
	}
	return n
}
