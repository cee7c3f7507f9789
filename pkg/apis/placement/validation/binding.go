// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

var bindingStates = []v1beta1.BindingState{v1beta1.BindingStateBound, v1beta1.BindingStateScheduled, v1beta1.BindingStateUnscheduled}

// ValidateBinding returns what is wrong with a new binding.
func ValidateBinding(object v1beta1.BindingObject) field.ErrorList {
	var errs field.ErrorList
	spec := object.BindingSpec()
	if spec.State != "" && !slices.Contains(bindingStates, spec.State) {
		errs = append(errs, field.NotSupported(specPath.Child("state"), spec.State, bindingStates))
	}
	return append(errs, validateApplyStrategy(spec.ApplyStrategy, specPath.Child("applyStrategy"))...)
}

// ValidateBindingUpdate returns what is wrong with a changed binding. A new one may name no cluster and have no state, as clients write it
// that leave fields empty; what is placed on a cluster must not lose the binding that it came by.
func ValidateBindingUpdate(object, old v1beta1.BindingObject) field.ErrorList {
	spec, oldSpec := object.BindingSpec(), old.BindingSpec()
	return ifChanged(spec, oldSpec, func() field.ErrorList {
		errs := ValidateBinding(object)
		if oldSpec.TargetCluster != "" {
			errs = append(errs, immutableField(spec.TargetCluster, oldSpec.TargetCluster, specPath.Child("targetCluster"), "targetCluster is immutable")...)
		}
		if oldSpec.State != "" && spec.State == "" {
			errs = append(errs, field.Required(specPath.Child("state"), "a binding that has a state keeps one"))
		}
		return errs
	})
}

// ValidateBindingStatusUpdate returns what is wrong with a binding's new status.
func ValidateBindingStatusUpdate(object, old v1beta1.BindingObject) field.ErrorList {
	status, oldStatus := object.BindingStatus(), old.BindingStatus()
	errs := validateConditions(status.Conditions, oldStatus.Conditions, statusPath.Child("conditions"))
	return append(errs, validateFailedPlacements(status.FailedPlacements, oldStatus.FailedPlacements, statusPath.Child("failedPlacements"))...)
}
