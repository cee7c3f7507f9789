// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func validateClusterAffinity(affinity *v1beta1.ClusterAffinity, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if required := affinity.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
		for i := range required.ClusterSelectorTerms {
			errs = append(errs, validateRequiredTerm(&required.ClusterSelectorTerms[i],
				path.Child("requiredDuringSchedulingIgnoredDuringExecution", "clusterSelectorTerms").Index(i))...)
		}
	}
	for i := range affinity.PreferredDuringSchedulingIgnoredDuringExecution {
		errs = append(errs, validatePreferredTerm(&affinity.PreferredDuringSchedulingIgnoredDuringExecution[i].Preference,
			path.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i).Child("preference"))...)
	}
	return errs
}

func validateRequiredTerm(term *v1beta1.ClusterSelectorTerm, path *field.Path) field.ErrorList {
	errs := ValidateLabelSelector(term.LabelSelector, path.Child("labelSelector"), "the labelSelector in cluster selector is invalid")
	if term.PropertySorter != nil {
		errs = append(errs, field.Forbidden(path.Child("propertySorter"), "PropertySorter is not allowed for RequiredDuringSchedulingIgnoredDuringExecution affinity"))
	}
	if term.PropertySelector != nil {
		errs = append(errs, validatePropertySelector(term.PropertySelector, path.Child("propertySelector", "matchExpressions"))...)
	}
	return errs
}

func validatePreferredTerm(term *v1beta1.ClusterSelectorTerm, path *field.Path) field.ErrorList {
	errs := ValidateLabelSelector(term.LabelSelector, path.Child("labelSelector"), "the labelSelector in preferred cluster selector is invalid")
	if term.PropertySelector != nil {
		errs = append(errs, field.Forbidden(path.Child("propertySelector"), "PropertySelector is not allowed for PreferredDuringSchedulingIgnoredDuringExecution affinity"))
	}
	if term.PropertySorter != nil {
		errs = append(errs, validatePropertyName(term.PropertySorter.Name, path.Child("propertySorter", "name"))...)
	}
	return errs
}

// resourcePropertyPrefix begins the names of properties that are computed from a cluster's resource usage.
const resourcePropertyPrefix = "resources.kubernetes-fleet.io/"

// capacityTypes are the parts of a cluster's resource usage that a property can name.
var capacityTypes = []string{"total", "allocatable", "available"}

func validatePropertyName(name string, path *field.Path) field.ErrorList {
	invalid := func(why string) field.ErrorList {
		return field.ErrorList{field.Invalid(path, name, fmt.Sprintf("invalid property name %s: %s", name, why))}
	}
	if resource, ok := strings.CutPrefix(name, resourcePropertyPrefix); ok {
		capacity, of, found := strings.Cut(resource, "-")
		if !found || of == "" {
			return invalid(fmt.Sprintf("invalid resource property name %s, expected format is [PREFIX]/[CAPACITY_TYPE]-[RESOURCE_NAME]", name))
		}
		if !slices.Contains(capacityTypes, capacity) {
			return invalid(fmt.Sprintf("invalid capacity type in resource property name %s, supported values are %v", name, capacityTypes))
		}
	}
	if messages := validation.IsQualifiedName(name); len(messages) > 0 {
		return invalid(fmt.Sprintf("property name %s is not valid: %s", name, strings.Join(messages, "; ")))
	}
	return nil
}
