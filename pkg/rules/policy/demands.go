// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

// approval returns what a stage must have to ask for the approval of a rule, and nothing if it does. Of two approvals that could be it,
// the one that lacks least is spoken of.
func approval(rule *v1alpha1.ApprovalRule, stage *Stage) string {
	var field, nearest string
	var least []string
	consider := func(tasks []v1beta1.StageTask, of string) {
		field = strings.TrimPrefix(field+" or "+of, " or ")
		for _, task := range tasks {
			if task.Type != v1beta1.StageTaskTypeApproval {
				continue
			}
			if lacks := lacking(rule, ptr.Deref(task.Approval, v1beta1.ApprovalPolicy{})); nearest == "" || len(lacks) < len(least) {
				nearest, least = of, lacks
			}
		}
	}
	// The only task of the delete stage is before it, whatever the strategy has.
	if rule.Position != v1alpha1.ApprovalAfter || stage.Removes {
		consider(stage.Config.BeforeStageTasks, "beforeStageTasks")
	}
	if rule.Position == v1alpha1.ApprovalAfter || rule.Position == v1alpha1.ApprovalAny {
		consider(stage.Config.AfterStageTasks, "afterStageTasks")
	}
	switch {
	case nearest == "" && stage.Removes:
		return "a stage of the strategy must have an Approval" + with(lacking(rule, v1beta1.ApprovalPolicy{})) + ", which the removal asks for too"
	case nearest == "":
		return field + " must have an Approval" + with(lacking(rule, v1beta1.ApprovalPolicy{}))
	case len(least) == 0:
		return ""
	case stage.Removes:
		return "the last Approval of the strategy, which the removal asks for too, must have " + wording.List(least)
	}
	return "the Approval in " + nearest + " must have " + wording.List(least)
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
		names := groups(rule.Groups)
		if len(has.Groups) > 0 {
			names += " and no other"
		}
		lacks = append(lacks, names)
	}
	if !ptr.Deref(rule.AllowRequester, true) && ptr.Deref(has.AllowRequester, true) {
		lacks = append(lacks, "allowRequester: false")
	}
	if limit := rule.MaxExpiresAfter; limit != nil && (has.ExpiresAfter == nil || has.ExpiresAfter.Duration > limit.Duration) {
		lacks = append(lacks, fmt.Sprintf("expiresAfter: %s or less", wording.Duration(limit.Duration)))
	}
	return lacks
}

func groups(names []string) string {
	text := fmt.Sprintf("groups: [%s]", strings.Join(names, ", "))
	if len(names) > 1 {
		text += " or some of these"
	}
	return text
}

// failurePolicy returns what a stage must have to give clusters up as a rule says, and nothing if it does. A percentage is of the protected
// clusters: others in the stage must not make room for more of these.
func failurePolicy(rule *v1alpha1.FailurePolicyRule, stage *Stage, protected int) string {
	has := ptr.Deref(stage.FailurePolicy, v1beta1.FailurePolicy{})
	var lacks []string
	if limit := rule.MaxClusterTimeout; limit != nil && (stage.FailurePolicy == nil || has.ClusterTimeout.Duration > limit.Duration) {
		lacks = append(lacks, fmt.Sprintf("clusterTimeout: %s or less", wording.Duration(limit.Duration)))
	}
	if limit := rule.MaxFailures; limit != nil {
		fails, allowed := strategy.MaxFailures(has.MaxFailures, len(stage.Clusters)), strategy.MaxFailures(limit, protected)
		if min(fails, protected) > allowed {
			lacks = append(lacks, fmt.Sprintf("maxFailures: %s or less, not %s", stage.share(limit, allowed, protected), amount(has.MaxFailures, fails)))
		}
	}
	action := has.OnFailure
	if action == "" {
		action = v1beta1.FailureActionFail
	}
	if len(rule.OnFailure) > 0 && !slices.Contains(rule.OnFailure, action) {
		lacks = append(lacks, "onFailure: "+alternatives(rule.OnFailure))
	}
	switch {
	case stage.FailurePolicy == nil && stage.Removes:
		return "the last stage or the whole strategy must have a failurePolicy" + with(lacks)
	case stage.FailurePolicy == nil:
		return "the stage or the whole strategy must have a failurePolicy" + with(lacks)
	case len(lacks) > 0:
		return fmt.Sprintf("failurePolicy%s must have %s", stage.of(), wording.List(lacks))
	}
	return ""
}

func alternatives(actions []v1beta1.FailureAction) string {
	var names []string
	for _, action := range actions {
		names = append(names, string(action))
	}
	return strings.Join(names, " or ")
}

// maxConcurrency returns what a governed stage must change for no more protected clusters to be out of service at once than a rule allows, and
// nothing if it does so already. A percentage is of the protected clusters. A cluster that has failed makes room for the next one, and for the
// next stage, whether or not it is back.
func (j *judge) maxConcurrency(limit *intstr.IntOrString, i int) string {
	stage, protected := &j.rollout.Stages[i], j.protected[i]
	fails := func(i int) int {
		stage := &j.rollout.Stages[i]
		if stage.FailurePolicy == nil {
			return 0
		}
		return strategy.MaxFailures(stage.FailurePolicy.MaxFailures, len(stage.Clusters))
	}
	has, allowed := strategy.Concurrency(stage.Config.MaxConcurrency, len(stage.Clusters)), strategy.Concurrency(limit, protected)
	if min(has, protected) > allowed {
		return fmt.Sprintf("maxConcurrency%s must be at most %s, not %s", stage.of(), stage.share(limit, allowed, protected), amount(stage.Config.MaxConcurrency, has))
	}
	earlier, all := 0, 0
	for _, before := range j.governed {
		if before <= i {
			all += j.protected[before]
		}
		if before < i {
			earlier += min(fails(before), j.protected[before])
		}
	}
	// Of this stage, and of all that come so far.
	for _, of := range []struct{ out, protected int }{
		{min(has+fails(i), protected), protected},
		{earlier + min(has+fails(i), protected), all},
	} {
		allowed := strategy.Concurrency(limit, of.protected)
		if of.out <= allowed {
			continue
		}
		most := "0"
		if allowed > has {
			most = fmt.Sprintf("%d or less", allowed-has)
		}
		reason := fmt.Sprintf("since a failed cluster makes room for another one: with maxConcurrency it must be at most %s", stage.share(limit, allowed, of.protected))
		if of.protected > protected && earlier > 0 {
			return fmt.Sprintf("the failurePolicies of the stages up to this one must have maxFailures: %s in all, not %d, %s", most, earlier+fails(i), reason)
		}
		return fmt.Sprintf("failurePolicy%s must have maxFailures: %s, not %s, %s", stage.of(), most, amount(stage.FailurePolicy.MaxFailures, fails(i)), reason)
	}
	return ""
}

// tooMany is what a stage must change that has more protected clusters than a rule allows.
func tooMany(limit, has int, stage *Stage) string {
	if stage.Removes {
		return fmt.Sprintf("spec.policy of the placement must pick all but %d of the %d protected clusters until a later run", limit, has)
	}
	return fmt.Sprintf("labelSelector must pick at most %s, not %d: divide the stage", wording.Count(limit, "protected cluster"), has)
}

// amount is a number as it is written, and how many clusters a percentage comes to.
func amount(value *intstr.IntOrString, n int) string {
	if value.Type == intstr.String {
		return fmt.Sprintf("%s (%s)", value, wording.Count(n, "cluster"))
	}
	return value.String()
}

// share is an amount of the protected clusters of a stage, as it can be written there.
func (s *Stage) share(value *intstr.IntOrString, n, protected int) string {
	if value.Type == intstr.String && protected < len(s.Clusters) {
		return fmt.Sprintf("%d (%s of %s)", n, value, wording.Count(protected, "protected cluster"))
	}
	return amount(value, n)
}

// of names the stage whose settings a stage has where that is another one.
func (s *Stage) of() string {
	if s.Removes {
		return " of the last stage, which is that of the removal too,"
	}
	return ""
}
