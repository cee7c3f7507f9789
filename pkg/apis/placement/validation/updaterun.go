// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"strconv"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// ValidateUpdateRun returns what is wrong with a new run.
func ValidateUpdateRun(object v1beta1.UpdateRunObject) field.ErrorList {
	spec := object.RunSpec()
	errs := validateSnapshotIndex(spec.ResourceSnapshotIndex, specPath.Child("resourceSnapshotIndex"))
	errs = append(errs, validateRollbackOf(spec, object.GetName())...)
	return append(errs, validatePolicyOverride(spec.PolicyOverride, specPath.Child("policyOverride"))...)
}

// ValidateUpdateRunUpdate returns what is wrong with a changed run: only its state may change, and not in every direction.
func ValidateUpdateRunUpdate(object, old v1beta1.UpdateRunObject) field.ErrorList {
	spec, oldSpec := object.RunSpec(), old.RunSpec()
	errs := immutableField(spec.PlacementName, oldSpec.PlacementName, specPath.Child("placementName"), "placementName is immutable")
	errs = append(errs, immutableField(spec.ResourceSnapshotIndex, oldSpec.ResourceSnapshotIndex, specPath.Child("resourceSnapshotIndex"), "resourceSnapshotIndex is immutable")...)
	errs = append(errs, immutableField(spec.RollbackOf, oldSpec.RollbackOf, specPath.Child("rollbackOf"), "rollbackOf is immutable")...)
	if spec.PolicyOverride == nil && oldSpec.PolicyOverride != nil {
		errs = append(errs, field.Forbidden(specPath.Child("policyOverride"), "policyOverride is immutable and cannot be removed: delete the run"))
	} else if !apiequality.Semantic.DeepEqual(spec.PolicyOverride, oldSpec.PolicyOverride) {
		errs = append(errs, field.Forbidden(specPath.Child("policyOverride"), "policyOverride is immutable: create a new run"))
	}
	errs = append(errs, immutableField(spec.StagedUpdateStrategyName, oldSpec.StagedUpdateStrategyName, specPath.Child("stagedRolloutStrategyName"), "stagedRolloutStrategyName is immutable")...)
	return append(errs, validateStateTransition(spec.State, oldSpec.State, specPath.Child("state"))...)
}

// ValidateUpdateRunStatusUpdate returns what is wrong with a run's new status. What an initialized run goes by stays as it was planned.
func ValidateUpdateRunStatusUpdate(object, old v1beta1.UpdateRunObject) field.ErrorList {
	status, oldStatus := object.RunStatus(), old.RunStatus()
	errs := validateConditions(status.Conditions, oldStatus.Conditions, statusPath.Child("conditions"))
	for i := range status.StagesStatus {
		stage, oldStage := status.StagesStatus[i], at(oldStatus.StagesStatus, i)
		errs = append(errs, validateStageStatus(&stage, &oldStage, statusPath.Child("stagesStatus").Index(i))...)
	}
	if stage := status.DeletionStageStatus; stage != nil {
		oldStage := oldStatus.DeletionStageStatus
		if oldStage == nil {
			oldStage = &v1beta1.StageUpdatingStatus{}
		}
		errs = append(errs, validateStageStatus(stage, oldStage, statusPath.Child("deletionStageStatus"))...)
	}
	return append(errs, immutablePlan(status, oldStatus)...)
}

func validateSnapshotIndex(index string, path *field.Path) field.ErrorList {
	if index == "" {
		return nil
	}
	if _, err := strconv.Atoi(index); err == nil && snapshotIndex.MatchString(index) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, index, fmt.Sprintf("invalid resource snapshot index `%s` provided, expected an integer >= 0", index))}
}

// validateRollbackOf knows that each cluster goes back to a version of its own.
func validateRollbackOf(spec *v1beta1.UpdateRunSpec, name string) field.ErrorList {
	if spec.RollbackOf == "" {
		return nil
	}
	path := specPath.Child("rollbackOf")
	var errs field.ErrorList
	for _, message := range validation.NameIsDNSSubdomain(spec.RollbackOf, false) {
		errs = append(errs, field.Invalid(path, spec.RollbackOf, message))
	}
	if spec.RollbackOf == name {
		errs = append(errs, field.Invalid(path, spec.RollbackOf, "a run cannot roll back itself"))
	}
	if spec.ResourceSnapshotIndex != "" {
		errs = append(errs, field.Forbidden(specPath.Child("resourceSnapshotIndex"), "must be empty with rollbackOf: each cluster goes back to what it had"))
	}
	return errs
}

// validatePolicyOverride knows what the markers of the type do not say.
func validatePolicyOverride(override *v1beta1.PolicyOverride, path *field.Path) field.ErrorList {
	if override == nil {
		return nil
	}
	var errs field.ErrorList
	for i, name := range override.Policies {
		for _, message := range validation.NameIsDNSSubdomain(name, false) {
			errs = append(errs, field.Invalid(path.Child("policies").Index(i), name, message))
		}
	}
	if override.Reason != "" && strings.TrimSpace(override.Reason) == "" {
		errs = append(errs, field.Invalid(path.Child("reason"), override.Reason, "must say why the policies may be violated"))
	}
	return errs
}

// validateStateTransition knows that nothing goes back to Initialize, and that what was never started cannot be stopped.
func validateStateTransition(state, oldState v1beta1.State, path *field.Path) field.ErrorList {
	back := state == v1beta1.StateInitialize && (oldState == v1beta1.StateRun || oldState == v1beta1.StateStop)
	unstarted := state == v1beta1.StateStop && oldState == v1beta1.StateInitialize
	if !back && !unstarted {
		return nil
	}
	return field.ErrorList{field.Invalid(path, state, fmt.Sprintf("invalid state transition: cannot transition from %s to %s", oldState, state))}
}

func validateStageStatus(stage, oldStage *v1beta1.StageUpdatingStatus, path *field.Path) field.ErrorList {
	errs := validateConditions(stage.Conditions, oldStage.Conditions, path.Child("conditions"))
	for i := range stage.Clusters {
		errs = append(errs, validateConditions(stage.Clusters[i].Conditions, at(oldStage.Clusters, i).Conditions, path.Child("clusters").Index(i).Child("conditions"))...)
	}
	errs = append(errs, validateTaskStatuses(stage.BeforeStageTaskStatus, oldStage.BeforeStageTaskStatus, path.Child("beforeStageTaskStatus"))...)
	return append(errs, validateTaskStatuses(stage.AfterStageTaskStatus, oldStage.AfterStageTaskStatus, path.Child("afterStageTaskStatus"))...)
}

func validateTaskStatuses(tasks, oldTasks []v1beta1.StageTaskStatus, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range tasks {
		errs = append(errs, validateConditions(tasks[i].Conditions, at(oldTasks, i).Conditions, path.Index(i).Child("conditions"))...)
	}
	return errs
}
