// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"

	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

// approval returns what a stage must change to ask for the approval of a rule. Of two tasks that could be it, the one that lacks least
// is spoken of.
func approval(rule *v1alpha1.ApprovalRule, stage *Stage) []string {
	field, tasks := "beforeStageTasks", stage.Config.BeforeStageTasks
	switch rule.Position {
	case v1alpha1.ApprovalAfter:
		field, tasks = "afterStageTasks", stage.Config.AfterStageTasks
	case v1alpha1.ApprovalAny:
		field, tasks = "beforeStageTasks or afterStageTasks", slices.Concat(tasks, stage.Config.AfterStageTasks)
	}
	if stage.Removes {
		// Its only task is before it, whatever the strategy has.
		field, tasks = "a stage of the strategy, whose approval the removal takes", stage.Config.BeforeStageTasks
	}
	var best []string
	found := false
	for _, task := range tasks {
		if task.Type != v1beta1.StageTaskTypeApproval {
			continue
		}
		if lacks := lacking(rule, ptr.Deref(task.Approval, v1beta1.ApprovalPolicy{})); !found || len(lacks) < len(best) {
			found, best = true, lacks
		}
	}
	if !found {
		return []string{fmt.Sprintf("%s must have an Approval%s", field, with(lacking(rule, v1beta1.ApprovalPolicy{})))}
	}
	var demands []string
	for _, lack := range best {
		demands = append(demands, "the Approval must have "+lack)
	}
	return demands
}

func with(lacks []string) string {
	if len(lacks) == 0 {
		return ""
	}
	return " with " + wording.List(lacks)
}

// lacking returns the settings that an approval must have to be as strict as a rule.
func lacking(rule *v1alpha1.ApprovalRule, has v1beta1.ApprovalPolicy) []string {
	var lacks []string
	if required := max(rule.Required, 1); max(has.Required, 1) < required {
		lacks = append(lacks, fmt.Sprintf("required: %d or more", required))
	}
	isOther := func(group string) bool { return !slices.Contains(rule.Groups, group) }
	if len(rule.Groups) > 0 && (len(has.Groups) == 0 || slices.ContainsFunc(has.Groups, isOther)) {
		lacks = append(lacks, fmt.Sprintf("groups out of %q and no others", rule.Groups))
	}
	if !ptr.Deref(rule.AllowRequester, true) && ptr.Deref(has.AllowRequester, true) {
		lacks = append(lacks, "allowRequester: false")
	}
	if limit := rule.MaxExpiresAfter; limit != nil && (has.ExpiresAfter == nil || has.ExpiresAfter.Duration > limit.Duration) {
		lacks = append(lacks, fmt.Sprintf("expiresAfter: %s or less", limit.Duration))
	}
	return lacks
}

// failurePolicy returns what a stage must change to give clusters up as a rule says.
func failurePolicy(rule *v1alpha1.FailurePolicyRule, stage *Stage) []string {
	has := stage.FailurePolicy
	if has == nil {
		return []string{"failurePolicy must be set"}
	}
	var demands []string
	if limit := rule.MaxClusterTimeout; limit != nil && has.ClusterTimeout.Duration > limit.Duration {
		demands = append(demands, fmt.Sprintf("failurePolicy.clusterTimeout must be at most %s", limit.Duration))
	}
	if limit := rule.MaxFailures; limit != nil {
		n := len(stage.Clusters)
		if fails, allowed := strategy.MaxFailures(has.MaxFailures, n), strategy.MaxFailures(limit, n); fails > allowed {
			demands = append(demands, fmt.Sprintf("failurePolicy.maxFailures must be at most %s, which is %d, and not %d", limit, allowed, fails))
		}
	}
	action := has.OnFailure
	if action == "" {
		action = v1beta1.FailureActionFail
	}
	if len(rule.OnFailure) > 0 && !slices.Contains(rule.OnFailure, action) {
		demands = append(demands, fmt.Sprintf("failurePolicy.onFailure must be one of %q", rule.OnFailure))
	}
	return demands
}
