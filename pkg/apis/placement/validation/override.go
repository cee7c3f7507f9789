// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

var policyPath = specPath.Child("policy")

// ValidateClusterResourceOverride returns what is wrong with a new ClusterResourceOverride.
func ValidateClusterResourceOverride(object *v1beta1.ClusterResourceOverride) field.ErrorList {
	return append(validateClusterResourceOverrideSpec(&object.Spec, specPath), validateOverrideChange(object.Spec.Policy, nil, policyPath)...)
}

// ValidateClusterResourceOverrideUpdate returns what is wrong with a changed ClusterResourceOverride.
func ValidateClusterResourceOverrideUpdate(object, old *v1beta1.ClusterResourceOverride) field.ErrorList {
	return ifChanged(&object.Spec, &old.Spec, func() field.ErrorList {
		return slices.Concat(
			validateClusterResourceOverrideSpec(&object.Spec, specPath),
			validateOverrideChange(object.Spec.Policy, old.Spec.Policy, policyPath),
			immutablePlacement(object.Spec.Placement, old.Spec.Placement),
		)
	})
}

// ValidateResourceOverride returns what is wrong with a new ResourceOverride.
func ValidateResourceOverride(object *v1beta1.ResourceOverride) field.ErrorList {
	return append(validateResourceOverrideSpec(&object.Spec, specPath), validateOverrideChange(object.Spec.Policy, nil, policyPath)...)
}

// ValidateResourceOverrideUpdate returns what is wrong with a changed ResourceOverride.
func ValidateResourceOverrideUpdate(object, old *v1beta1.ResourceOverride) field.ErrorList {
	return ifChanged(&object.Spec, &old.Spec, func() field.ErrorList {
		return slices.Concat(
			validateResourceOverrideSpec(&object.Spec, specPath),
			validateOverrideChange(object.Spec.Policy, old.Spec.Policy, policyPath),
			immutablePlacement(object.Spec.Placement, old.Spec.Placement),
		)
	})
}

// ValidateClusterResourceOverrideSnapshot returns what is wrong with a new ClusterResourceOverrideSnapshot.
func ValidateClusterResourceOverrideSnapshot(object *v1beta1.ClusterResourceOverrideSnapshot) field.ErrorList {
	return validateClusterResourceOverrideSpec(&object.Spec.OverrideSpec, specPath.Child("overrideSpec"))
}

// ValidateClusterResourceOverrideSnapshotUpdate refuses to rewrite history.
func ValidateClusterResourceOverrideSnapshotUpdate(object, old *v1beta1.ClusterResourceOverrideSnapshot) field.ErrorList {
	return immutable(&object.Spec, &old.Spec)
}

// ValidateResourceOverrideSnapshot returns what is wrong with a new ResourceOverrideSnapshot.
func ValidateResourceOverrideSnapshot(object *v1beta1.ResourceOverrideSnapshot) field.ErrorList {
	return validateResourceOverrideSpec(&object.Spec.OverrideSpec, specPath.Child("overrideSpec"))
}

// ValidateResourceOverrideSnapshotUpdate refuses to rewrite history.
func ValidateResourceOverrideSnapshotUpdate(object, old *v1beta1.ResourceOverrideSnapshot) field.ErrorList {
	return immutable(&object.Spec, &old.Spec)
}

func immutablePlacement(ref, oldRef *v1beta1.PlacementRef) field.ErrorList {
	if apiequality.Semantic.DeepEqual(ref, oldRef) {
		return nil
	}
	return field.ErrorList{field.Forbidden(specPath.Child("placement"), "The placement field is immutable")}
}

func validateClusterResourceOverrideSpec(spec *v1beta1.ClusterResourceOverrideSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if spec.Placement != nil && spec.Placement.Scope == v1beta1.NamespaceScoped {
		errs = append(errs, field.Invalid(path.Child("placement", "scope"), spec.Placement.Scope, "clusterResourceOverride placement reference cannot be Namespaced scope"))
	}
	seen := sets.New[v1beta1.ResourceSelectorTerm]()
	for i, selector := range spec.ClusterResourceSelectors {
		selectorPath := path.Child("clusterResourceSelectors").Index(i)
		if selector.LabelSelector != nil {
			errs = append(errs, field.Forbidden(selectorPath.Child("labelSelector"), fmt.Sprintf("label selector is not supported for resource selection %+v", selector)))
			continue
		}
		if selector.Name == "" {
			errs = append(errs, field.Required(selectorPath.Child("name"), fmt.Sprintf("resource name is required for resource selection %+v", selector)))
			continue
		}
		errs = append(errs, validateUniqueSelector(seen, selector, selectorPath)...)
	}
	return append(errs, validateOverridePolicy(spec.Policy, path.Child("policy"))...)
}

func validateResourceOverrideSpec(spec *v1beta1.ResourceOverrideSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[v1beta1.ResourceSelector]()
	for i, selector := range spec.ResourceSelectors {
		errs = append(errs, validateUniqueSelector(seen, selector, path.Child("resourceSelectors").Index(i))...)
	}
	return append(errs, validateOverridePolicy(spec.Policy, path.Child("policy"))...)
}

func validateUniqueSelector[S comparable](seen sets.Set[S], selector S, path *field.Path) field.ErrorList {
	if seen.Has(selector) {
		return field.ErrorList{field.Invalid(path, "", fmt.Sprintf("resource selector %+v already exists, and must be unique", selector))}
	}
	seen.Insert(selector)
	return nil
}
