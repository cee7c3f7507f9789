// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// ValidateUpdateRunOperation returns what is wrong with what a user asks by an operation, whatever the run.
func ValidateUpdateRunOperation(object *v1beta1.UpdateRunOperation, operation v1beta1.OperationType) field.ErrorList {
	spec := &object.Spec
	clusters, stage, task := specPath.Child("clusters"), specPath.Child("stage"), specPath.Child("task")
	var errs field.ErrorList
	for i, name := range spec.Clusters {
		if slices.Contains(spec.Clusters[:i], name) {
			errs = append(errs, field.Duplicate(clusters.Index(i), name))
		}
	}
	if operation == v1beta1.OperationSkip {
		return append(errs, validateSkip(spec, clusters, stage, task)...)
	}
	if len(spec.Clusters) > 0 && operation != v1beta1.OperationRetry {
		errs = append(errs, field.Forbidden(clusters, "only skip and retry take clusters"))
	}
	if spec.Stage != "" {
		errs = append(errs, field.Forbidden(stage, "only skip takes a stage"))
	}
	if spec.Task != "" {
		errs = append(errs, field.Forbidden(task, "only skip takes a task"))
	}
	return errs
}

// validateSkip wants one thing to skip.
func validateSkip(spec *v1beta1.UpdateRunOperationSpec, clusters, stage, task *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case len(spec.Clusters) > 0 && spec.Stage != "":
		errs = append(errs, field.Forbidden(stage, "may not be set together with clusters"))
	case spec.Stage == "" && spec.Task != "":
		errs = append(errs, field.Required(stage, "the stage that the task is after"))
	case spec.Stage == "" && len(spec.Clusters) == 0:
		errs = append(errs, field.Required(clusters, "clusters or a stage to skip"))
	}
	if spec.Task == v1beta1.StageTaskTypeApproval {
		errs = append(errs, field.Invalid(task, spec.Task, "an approval cannot be skipped, only a TimedWait"))
	}
	return errs
}
