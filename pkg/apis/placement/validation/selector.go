// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func validateResourceSelectors(selectors []v1beta1.ResourceSelectorTerm, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range selectors {
		selector, selectorPath := &selectors[i], path.Index(i)
		if selector.Name != "" && selector.LabelSelector != nil {
			errs = append(errs, field.Invalid(selectorPath, selector.Name, "name and labelSelector are mutually exclusive in a resource selector"))
		}
		errs = append(errs, ValidateLabelSelector(selector.LabelSelector, selectorPath.Child("labelSelector"), "the labelSelector in resource selector is invalid")...)
	}
	return append(errs, validateNamespaceSelectors(selectors, path)...)
}

// validateNamespaceSelectors holds that a namespace whose resources the other selectors choose is the only one, chosen by name.
func validateNamespaceSelectors(selectors []v1beta1.ResourceSelectorTerm, path *field.Path) field.ErrorList {
	namespaces, withSelectors, byName := 0, 0, 0
	for _, selector := range selectors {
		if selector.Group != "" || selector.Version != "v1" || selector.Kind != "Namespace" {
			continue
		}
		namespaces++
		if selector.SelectionScope != v1beta1.NamespaceWithResourceSelectors {
			continue
		}
		withSelectors++
		if selector.Name != "" && selector.LabelSelector == nil {
			byName++
		}
	}
	if withSelectors == 0 {
		return nil
	}
	var errs field.ErrorList
	refuse := func(message string) { errs = append(errs, field.Forbidden(path, message)) }
	if withSelectors > 1 {
		refuse("only one namespace selector with NamespaceWithResourceSelectors mode is allowed")
	}
	if byName != 1 {
		refuse("namespace selector with NamespaceWithResourceSelectors mode must select by name (not by label)")
	}
	if namespaces != 1 {
		refuse("when using NamespaceWithResourceSelectors mode, only one namespace selector is allowed (cannot mix with other namespace selectors)")
	}
	return errs
}
