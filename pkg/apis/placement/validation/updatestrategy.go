// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"

	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// ValidateUpdateStrategy returns what is wrong with a new strategy.
func ValidateUpdateStrategy(object v1beta1.UpdateStrategyObject) field.ErrorList {
	return ValidateUpdateStrategySpec(object.StrategySpec(), specPath)
}

// ValidateUpdateStrategyUpdate returns what is wrong with a changed strategy.
func ValidateUpdateStrategyUpdate(object, old v1beta1.UpdateStrategyObject) field.ErrorList {
	return ifChanged(object.StrategySpec(), old.StrategySpec(), func() field.ErrorList {
		return ValidateUpdateStrategy(object)
	})
}

// ValidateUpdateStrategySpec returns what is wrong with the stages of a strategy, which a run keeps a copy of. No stages are legal: they can
// serve a placement that has no clusters.
func ValidateUpdateStrategySpec(spec *v1beta1.UpdateStrategySpec, path *field.Path) field.ErrorList {
	errs := validateFailurePolicy(spec.FailurePolicy, path.Child("failurePolicy"))
	for i := range spec.Stages {
		errs = append(errs, validateStage(&spec.Stages[i], path.Child("stages").Index(i))...)
	}
	return errs
}

func validateStage(stage *v1beta1.StageConfig, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if stage.Name != "" && !stageName.MatchString(stage.Name) {
		errs = append(errs, notMatching(path.Child("name"), stage.Name, stageName, "write small letters and digits only, such as useast1"))
	}
	errs = append(errs, ValidateLabelSelector(stage.LabelSelector, path.Child("labelSelector"), "the stage label selector is invalid")...)
	if stage.SortingLabelKey != nil {
		errs = append(errs, metav1validation.ValidateLabelName(*stage.SortingLabelKey, path.Child("sortingLabelKey"))...)
	}
	errs = append(errs, ValidateMaxConcurrency(stage.MaxConcurrency, path.Child("maxConcurrency"))...)
	errs = append(errs, validateFailurePolicy(stage.FailurePolicy, path.Child("failurePolicy"))...)
	errs = append(errs, validateBeforeStageTasks(stage.BeforeStageTasks, path.Child("beforeStageTasks"))...)
	return append(errs, validateAfterStageTasks(stage.AfterStageTasks, path.Child("afterStageTasks"))...)
}

// ValidateMaxConcurrency returns what is wrong with a number of clusters that are updated at once, or a share of a stage. Nil is legal.
func ValidateMaxConcurrency(value *intstr.IntOrString, path *field.Path) field.ErrorList {
	switch {
	case value == nil:
		return nil
	case value.Type == intstr.Int && value.IntVal < 1:
		return field.ErrorList{field.Invalid(path, value.IntVal, "maxConcurrency must be at least 1")}
	case value.Type == intstr.String && !positivePercentage.MatchString(value.StrVal):
		return field.ErrorList{notMatching(path, value.StrVal, positivePercentage, `write a number such as 2, or a percentage from "1%" to "100%"`)}
	}
	return nil
}

func validateFailurePolicy(policy *v1beta1.FailurePolicy, path *field.Path) field.ErrorList {
	if policy == nil {
		return nil
	}
	var errs field.ErrorList
	switch timeout := policy.ClusterTimeout.Duration; {
	case timeout == 0:
		errs = append(errs, field.Required(path.Child("clusterTimeout"), "say how long the update of a cluster may take, such as 15m"))
	case timeout < 0:
		errs = append(errs, field.Invalid(path.Child("clusterTimeout"), timeout.String(), "clusterTimeout must be longer than zero"))
	}
	return append(errs, ValidateShareOfClusters(policy.MaxFailures, path, "maxFailures")...)
}

// validateBeforeStageTasks leaves a task of an unknown type to the enumeration of types.
func validateBeforeStageTasks(tasks []v1beta1.StageTask, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, task := range tasks {
		switch {
		case task.Type == v1beta1.StageTaskTypeTimedWait:
			errs = append(errs, field.Invalid(path.Index(i).Child("type"), task.Type, "BeforeStageTaskType cannot be TimedWait"))
		case task.Type == v1beta1.StageTaskTypeApproval && task.WaitTime != nil:
			errs = append(errs, waitTimeForApproval(path.Index(i)))
		}
		errs = append(errs, validateTaskApproval(&task, path.Index(i).Child("approval"))...)
	}
	return errs
}

func validateAfterStageTasks(tasks []v1beta1.StageTask, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[v1beta1.StageTaskType]bool{}
	for i, task := range tasks {
		if seen[task.Type] {
			errs = append(errs, field.Invalid(path.Index(i).Child("type"), task.Type, fmt.Sprintf("afterStageTasks cannot have two tasks of the same type: %s", task.Type)))
		}
		seen[task.Type] = true
		waitTime := path.Index(i).Child("waitTime")
		switch {
		case task.Type == v1beta1.StageTaskTypeApproval && task.WaitTime != nil:
			errs = append(errs, waitTimeForApproval(path.Index(i)))
		case task.Type == v1beta1.StageTaskTypeTimedWait && task.WaitTime == nil:
			errs = append(errs, field.Required(waitTime, "AfterStageTaskType is TimedWait, waitTime is required"))
		case task.Type == v1beta1.StageTaskTypeTimedWait && task.WaitTime.Duration <= 0:
			errs = append(errs, field.Invalid(waitTime, task.WaitTime.Duration.String(), "waitTime must be longer than zero"))
		}
		errs = append(errs, validateTaskApproval(&task, path.Index(i).Child("approval"))...)
	}
	return errs
}

func validateTaskApproval(task *v1beta1.StageTask, path *field.Path) field.ErrorList {
	if task.Approval != nil && task.Type != v1beta1.StageTaskTypeApproval {
		return field.ErrorList{field.Forbidden(path, fmt.Sprintf("the task is of type %s, approval is only allowed for Approval", task.Type))}
	}
	return validateApprovalPolicy(task.Approval, path)
}

func validateApprovalPolicy(policy *v1beta1.ApprovalPolicy, path *field.Path) field.ErrorList {
	if policy == nil {
		return nil
	}
	var errs field.ErrorList
	if policy.Required < 0 || policy.Required > v1beta1.MaxRequiredApprovals {
		errs = append(errs, field.Invalid(path.Child("required"), policy.Required, fmt.Sprintf("required must be from 1 to %d", v1beta1.MaxRequiredApprovals)))
	}
	seen := map[string]bool{}
	for i, group := range policy.Groups {
		at := path.Child("groups").Index(i)
		errs = append(errs, ValidateGroupName(group, at)...)
		if group != "" && seen[group] {
			errs = append(errs, field.Duplicate(at, group))
		}
		seen[group] = true
	}
	if d := policy.ExpiresAfter; d != nil && d.Duration <= 0 {
		errs = append(errs, field.Invalid(path.Child("expiresAfter"), d.Duration.String(), "expiresAfter must be longer than zero"))
	}
	return errs
}

// ValidateGroupName returns what is wrong with the name of a group of users.
func ValidateGroupName(group string, path *field.Path) field.ErrorList {
	if group == "" {
		return field.ErrorList{field.Required(path, "a group needs a name")}
	}
	return nil
}

func waitTimeForApproval(path *field.Path) *field.Error {
	return field.Forbidden(path.Child("waitTime"), "AfterStageTaskType is Approval, waitTime is not allowed")
}
