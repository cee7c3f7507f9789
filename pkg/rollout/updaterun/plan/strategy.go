// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// maxStages is how many stages a strategy may have.
const maxStages = 31

// planStrategy copies the strategy. Its rules are checked again, since admission can be off.
func (p *planner) planStrategy() *Obstacle {
	strategy := p.world.Strategy
	if strategy == nil || strategy.GetDeletionTimestamp() != nil {
		return passing(runrules.Invalid, runrules.ClientError, fmt.Sprintf("referenced updateStrategy not found: `%s`", p.strategyKey()))
	}
	spec := strategy.StrategySpec().DeepCopy()
	if n := len(spec.Stages); n > maxStages {
		return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("the updateStrategy `%s` has %d stages, at most %d are allowed", p.strategyKey(), n, maxStages))
	}
	if why := badFailurePolicy(spec.FailurePolicy); why != "" {
		return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("the failurePolicy of the updateStrategy `%s` is invalid: %s", p.strategyKey(), why))
	}
	seen := map[string]bool{}
	for i := range spec.Stages {
		stage := &spec.Stages[i]
		if seen[stage.Name] {
			return p.badStage("the stage name is used more than once", stage, "")
		}
		seen[stage.Name] = true
		if stage.Name == wellknown.DeleteStageName || stage.Name == wellknown.DeleteStageAlias {
			return p.badStage("the stage name is that of the stage in which every run removes resources", stage, "")
		}
		if why := badConcurrency(stage.MaxConcurrency); why != "" {
			return p.badStage("the stage maxConcurrency is invalid", stage, why)
		}
		if why := badFailurePolicy(stage.FailurePolicy); why != "" {
			return p.badStage("the stage failurePolicy is invalid", stage, why)
		}
		if why := badBeforeTasks(stage.BeforeStageTasks); why != "" {
			return p.badStage("the before stage tasks are invalid", stage, why)
		}
		if why := badAfterTasks(stage.AfterStageTasks); why != "" {
			return p.badStage("the after stage tasks are invalid", stage, why)
		}
		for j := range stage.AfterStageTasks {
			if task := &stage.AfterStageTasks[j]; task.Type == v1beta1.StageTaskTypeApproval {
				task.WaitTime = nil
			}
		}
	}
	p.status.UpdateStrategySnapshot = spec
	return nil
}

func (p *planner) strategyKey() string {
	return wording.Key(p.run.GetNamespace(), p.run.RunSpec().StagedUpdateStrategyName)
}

func (p *planner) badStage(what string, stage *v1beta1.StageConfig, err string) *Obstacle {
	message := fmt.Sprintf("%s, updateStrategy: `%s`, stage: %s", what, p.strategyKey(), stage.Name)
	if err != "" {
		message += ", err: " + err
	}
	return final(runrules.Invalid, runrules.ClientError, message)
}

func badConcurrency(limit *intstr.IntOrString) string {
	switch {
	case limit == nil:
	case limit.Type == intstr.Int:
		if limit.IntVal < 1 {
			return fmt.Sprintf("%d is less than 1", limit.IntVal)
		}
	default:
		percent, ok := strings.CutSuffix(limit.StrVal, "%")
		n, err := strconv.Atoi(percent)
		if !ok || err != nil || n < 1 || n > 100 {
			return fmt.Sprintf("%q is no percentage from 1%% to 100%%", limit.StrVal)
		}
	}
	return ""
}

func badFailurePolicy(policy *v1beta1.FailurePolicy) string {
	switch {
	case policy == nil:
		return ""
	case policy.ClusterTimeout.Duration <= 0:
		return "clusterTimeout is not longer than zero"
	case policy.MaxFailures == nil:
		return ""
	}
	if limit, err := intstr.GetScaledValueFromIntOrPercent(policy.MaxFailures, 100, false); err != nil || limit < 0 {
		return fmt.Sprintf("maxFailures %s is neither a number from 0 nor a percentage", policy.MaxFailures)
	}
	return ""
}

func badBeforeTasks(tasks []v1beta1.StageTask) string {
	if len(tasks) > 1 {
		return "beforeStageTasks can have at most one task"
	}
	for i, task := range tasks {
		if task.Type != v1beta1.StageTaskTypeApproval {
			return fmt.Sprintf("task %d of type %s is not allowed in beforeStageTasks, allowed type: Approval", i, task.Type)
		}
		if task.WaitTime != nil {
			return fmt.Sprintf("task %d of type Approval cannot have wait duration set", i)
		}
		if why := badApproval(i, &task); why != "" {
			return why
		}
	}
	return ""
}

func badAfterTasks(tasks []v1beta1.StageTask) string {
	seen := map[v1beta1.StageTaskType]bool{}
	for i, task := range tasks {
		if seen[task.Type] {
			return fmt.Sprintf("afterStageTasks cannot have two tasks of the same type: %s", task.Type)
		}
		seen[task.Type] = true
		switch task.Type {
		case v1beta1.StageTaskTypeApproval:
		case v1beta1.StageTaskTypeTimedWait:
			if task.WaitTime == nil {
				return fmt.Sprintf("task %d of type TimedWait has wait duration set to nil", i)
			}
			if task.WaitTime.Duration <= 0 {
				return fmt.Sprintf("task %d of type TimedWait has wait duration <= 0", i)
			}
		default:
			return fmt.Sprintf("task %d has the unknown type %s", i, task.Type)
		}
		if why := badApproval(i, &task); why != "" {
			return why
		}
	}
	return ""
}

func badApproval(i int, task *v1beta1.StageTask) string {
	policy := task.Approval
	switch {
	case policy == nil:
	case task.Type != v1beta1.StageTaskTypeApproval:
		return fmt.Sprintf("task %d of type %s cannot have an approval policy", i, task.Type)
	case policy.Required < 0 || policy.Required > v1beta1.MaxRequiredApprovals:
		return fmt.Sprintf("task %d requires %d approvals, allowed are 1 to %d", i, policy.Required, v1beta1.MaxRequiredApprovals)
	case policy.ExpiresAfter != nil && policy.ExpiresAfter.Duration <= 0:
		return fmt.Sprintf("task %d has an approval that expires after <= 0", i)
	}
	return ""
}

// stageSelector is what picks the clusters of a stage: without a selector none.
func stageSelector(stage *v1beta1.StageConfig) (matcher, error) {
	return metav1.LabelSelectorAsSelector(stage.LabelSelector)
}
