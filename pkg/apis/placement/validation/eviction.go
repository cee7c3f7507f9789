// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// ValidateEviction returns what is wrong with a new eviction beyond what its type says, which is nothing.
func ValidateEviction(*v1beta1.ClusterResourcePlacementEviction) field.ErrorList {
	return nil
}

// ValidateEvictionUpdate refuses to let an eviction ask something else.
func ValidateEvictionUpdate(object, old *v1beta1.ClusterResourcePlacementEviction) field.ErrorList {
	errs := immutableField(object.Spec.PlacementName, old.Spec.PlacementName, specPath.Child("placementName"), "The PlacementName field is immutable")
	return append(errs, immutableField(object.Spec.ClusterName, old.Spec.ClusterName, specPath.Child("clusterName"), "The ClusterName field is immutable")...)
}

// ValidateEvictionStatusUpdate returns what is wrong with an eviction's new status.
func ValidateEvictionStatusUpdate(object, old *v1beta1.ClusterResourcePlacementEviction) field.ErrorList {
	return validateConditions(object.Status.Conditions, old.Status.Conditions, statusPath.Child("conditions"))
}

// ValidateDisruptionBudget returns what is wrong with a new disruption budget.
func ValidateDisruptionBudget(object *v1beta1.ClusterResourcePlacementDisruptionBudget) field.ErrorList {
	spec := &object.Spec
	var errs field.ErrorList
	if spec.MaxUnavailable != nil && spec.MinAvailable != nil {
		errs = append(errs, field.Forbidden(specPath, "Both MaxUnavailable and MinAvailable cannot be specified"))
	}
	errs = append(errs, validateBudget(spec.MaxUnavailable, specPath.Child("maxUnavailable"))...)
	return append(errs, validateBudget(spec.MinAvailable, specPath.Child("minAvailable"))...)
}

// ValidateDisruptionBudgetUpdate returns what is wrong with a changed disruption budget.
func ValidateDisruptionBudgetUpdate(object, old *v1beta1.ClusterResourcePlacementDisruptionBudget) field.ErrorList {
	return ifChanged(&object.Spec, &old.Spec, func() field.ErrorList { return ValidateDisruptionBudget(object) })
}

func validateBudget(value *intstr.IntOrString, path *field.Path) field.ErrorList {
	if value == nil || value.Type == intstr.Int && value.IntVal >= 0 || value.Type == intstr.String && percentage.MatchString(value.StrVal) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value.String(),
		"If supplied value is String should match regex '^(100|[0-9]{1,2})%$' or If supplied value is Integer must be greater than or equal to 0")}
}
