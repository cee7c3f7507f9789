// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// ValidatePlacement returns what is wrong with a new placement.
func ValidatePlacement(object v1beta1.PlacementObject) field.ErrorList {
	spec := object.PlacementSpec()
	errs := validateResourceSelectors(spec.ResourceSelectors, specPath.Child("resourceSelectors"))
	if object.GetNamespace() == "" {
		errs = append(errs, validateStatusReportingScope(spec)...)
	}
	if spec.Policy != nil {
		errs = append(errs, validatePolicy(spec.Policy, specPath.Child("policy"))...)
	}
	return append(errs, validateRolloutStrategy(&spec.Strategy, specPath.Child("strategy"))...)
}

// ValidatePlacementUpdate returns what is wrong with a changed placement.
func ValidatePlacementUpdate(object, old v1beta1.PlacementObject) field.ErrorList {
	return ifChanged(object.PlacementSpec(), old.PlacementSpec(), func() field.ErrorList {
		errs := ValidatePlacement(object)
		spec, oldSpec := object.PlacementSpec(), old.PlacementSpec()
		if object.GetNamespace() == "" && oldSpec.StatusReportingScope != "" {
			errs = append(errs, immutableField(spec.StatusReportingScope, oldSpec.StatusReportingScope, specPath.Child("statusReportingScope"), "statusReportingScope is immutable")...)
		}
		if object.GetNamespace() == "" && spec.StatusReportingScope == v1beta1.NamespaceAccessible {
			errs = append(errs, validateMirroredNamespaceUpdate(spec, oldSpec)...)
		}
		errs = append(errs, validatePolicyUpdate(spec.Policy, oldSpec.Policy, specPath.Child("policy"))...)
		if oldSpec.Strategy.Type == v1beta1.ExternalRolloutStrategyType && spec.Strategy.Type != v1beta1.ExternalRolloutStrategyType {
			errs = append(errs, field.Invalid(specPath.Child("strategy", "type"), spec.Strategy.Type, "cannot change rollout strategy type from 'External' to other types"))
		}
		return errs
	})
}

// ValidatePlacementStatusUpdate returns what is wrong with a placement's new status.
func ValidatePlacementStatusUpdate(object, old v1beta1.PlacementObject) field.ErrorList {
	return validatePlacementStatus(object.PlacementStatus(), old.PlacementStatus(), statusPath)
}

// ValidatePlacementStatusMirror returns what is wrong with a new ClusterResourcePlacementStatus.
func ValidatePlacementStatusMirror(object *v1beta1.ClusterResourcePlacementStatus) field.ErrorList {
	return validatePlacementStatus(&object.SourceStatus, &v1beta1.PlacementStatus{}, field.NewPath("sourceStatus"))
}

// ValidatePlacementStatusMirrorUpdate returns what is wrong with a changed ClusterResourcePlacementStatus.
func ValidatePlacementStatusMirrorUpdate(object, old *v1beta1.ClusterResourcePlacementStatus) field.ErrorList {
	return validatePlacementStatus(&object.SourceStatus, &old.SourceStatus, field.NewPath("sourceStatus"))
}

// validateStatusReportingScope wants one namespace to mirror the status into, by its name.
func validateStatusReportingScope(spec *v1beta1.PlacementSpec) field.ErrorList {
	if spec.StatusReportingScope != v1beta1.NamespaceAccessible {
		return nil
	}
	namespaces := namespaceSelectors(spec)
	if len(namespaces) == 1 {
		i := namespaces[0]
		if spec.ResourceSelectors[i].Name != "" {
			return nil
		}
		return field.ErrorList{field.Required(specPath.Child("resourceSelectors").Index(i).Child("name"),
			"when statusReportingScope is NamespaceAccessible, the namespace must be selected by its name")}
	}
	return field.ErrorList{field.Invalid(specPath.Child("statusReportingScope"), spec.StatusReportingScope,
		"when statusReportingScope is NamespaceAccessible, exactly one resourceSelector with kind 'Namespace' is required")}
}

// validateMirroredNamespaceUpdate keeps the namespace in which people have learned to read the status.
func validateMirroredNamespaceUpdate(spec, old *v1beta1.PlacementSpec) field.ErrorList {
	now, before := namespaceSelectors(spec), namespaceSelectors(old)
	if len(now) != 1 || len(before) != 1 {
		return nil
	}
	name, was := spec.ResourceSelectors[now[0]].Name, old.ResourceSelectors[before[0]].Name
	if was == "" || name == was {
		return nil
	}
	return field.ErrorList{field.Invalid(specPath.Child("resourceSelectors").Index(now[0]).Child("name"), name, fmt.Sprintf(
		"namespace resource selector is choosing a different namespace '%s' from what was originally picked '%s'. "+
			"This is not allowed for NamespaceAccessible ClusterResourcePlacement", name, was))}
}

// namespaceSelectors are the indexes of the selectors of kind Namespace.
func namespaceSelectors(spec *v1beta1.PlacementSpec) (indexes []int) {
	for i, selector := range spec.ResourceSelectors {
		if selector.Kind == "Namespace" {
			indexes = append(indexes, i)
		}
	}
	return indexes
}
