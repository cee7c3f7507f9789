// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement"
)

var bindingStates = []placement.BindingState{placement.BindingStateBound, placement.BindingStateScheduled, placement.BindingStateUnscheduled}

// ValidateBinding returns what is wrong with a new binding.
func ValidateBinding(object placement.BindingObject) field.ErrorList {
	var errs field.ErrorList
	spec := object.BindingSpec()
	if spec.State != "" && !slices.Contains(bindingStates, spec.State) {
		errs = append(errs, field.NotSupported(specPath.Child("state"), spec.State, bindingStates))
	}
	return append(errs, validateApplyStrategy(spec.ApplyStrategy, specPath.Child("applyStrategy"))...)
}

// ValidateBindingUpdate returns what is wrong with a changed binding.
func ValidateBindingUpdate(object, old placement.BindingObject) field.ErrorList {
	return ifChanged(object.BindingSpec(), old.BindingSpec(), func() field.ErrorList { return ValidateBinding(object) })
}

// ValidateBindingStatusUpdate returns what is wrong with a binding's new status.
func ValidateBindingStatusUpdate(object, old placement.BindingObject) field.ErrorList {
	status, oldStatus := object.BindingStatus(), old.BindingStatus()
	errs := validateConditions(status.Conditions, oldStatus.Conditions, statusPath.Child("conditions"))
	return append(errs, validateFailedPlacements(status.FailedPlacements, oldStatus.FailedPlacements, statusPath.Child("failedPlacements"))...)
}
