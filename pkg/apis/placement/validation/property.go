// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

var propertyOperators = []v1beta1.PropertySelectorOperator{
	v1beta1.PropertySelectorGreaterThan,
	v1beta1.PropertySelectorGreaterThanOrEqualTo,
	v1beta1.PropertySelectorEqualTo,
	v1beta1.PropertySelectorNotEqualTo,
	v1beta1.PropertySelectorLessThan,
	v1beta1.PropertySelectorLessThanOrEqualTo,
}

// validatePropertySelector checks the requirements one by one and, where all are well formed, whether any value can meet those on
// the same property together.
func validatePropertySelector(selector *v1beta1.PropertySelector, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	var order []string
	ranges := map[string]*propertyRange{}
	for i, requirement := range selector.MatchExpressions {
		errs = append(errs, validatePropertyName(requirement.Name, path.Index(i).Child("name"))...)
		value, why := parseRequirement(requirement)
		if why != "" {
			errs = append(errs, field.Invalid(path.Index(i), string(requirement.Operator), fmt.Sprintf("invalid requirement on property %s: %s", requirement.Name, why)))
			continue
		}
		if ranges[requirement.Name] == nil {
			ranges[requirement.Name] = &propertyRange{}
			order = append(order, requirement.Name)
		}
		ranges[requirement.Name].add(requirement.Operator, value)
	}
	if len(errs) > 0 {
		return errs
	}
	for _, name := range order {
		if why := ranges[name].contradiction(); why != "" {
			errs = append(errs, field.Invalid(path, name, fmt.Sprintf("inconsistent requirements on property %s: %s", name, why)))
		}
	}
	return errs
}

// parseRequirement returns the value to compare with, or what is wrong with the requirement.
func parseRequirement(requirement v1beta1.PropertySelectorRequirement) (resource.Quantity, string) {
	if !slices.Contains(propertyOperators, requirement.Operator) {
		return resource.Quantity{}, fmt.Sprintf("unsupported operator %s", requirement.Operator)
	}
	if len(requirement.Values) != 1 {
		return resource.Quantity{}, fmt.Sprintf("operator %s requires exactly one value, got %d", requirement.Operator, len(requirement.Values))
	}
	value, err := ParseQuantity(requirement.Values[0])
	if err != nil {
		return resource.Quantity{}, fmt.Sprintf("value %q is not a valid resource.Quantity: %v", requirement.Values[0], err)
	}
	return value, ""
}

// maxQuantity is how long a quantity may be, and maxExponent how many digits its decimal exponent may have: the largest quantity that Kubernetes
// knows has 19 digits.
const (
	maxQuantity = 64
	maxExponent = 2
)

// ParseQuantity reads a quantity that somebody else has written, a user or a cluster. One of more than 64 bytes, or with an exponent of more than two digits,
// is an error: to compare 1e999999999 takes all memory.
func ParseQuantity(text string) (resource.Quantity, error) {
	if len(text) > maxQuantity {
		return resource.Quantity{}, fmt.Errorf("a quantity has at most %d bytes", maxQuantity)
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		if digits := strings.TrimLeft(text[i+1:], "+-0"); len(digits) > maxExponent {
			return resource.Quantity{}, fmt.Errorf("the exponent of a quantity has at most %d digits", maxExponent)
		}
	}
	return resource.ParseQuantity(text)
}

// propertyRange is what all requirements on one property leave of it.
type propertyRange struct {
	equal, notEqual []resource.Quantity
	lower, upper    *propertyBound
}

type propertyBound struct {
	value     resource.Quantity
	inclusive bool
}

func (r *propertyRange) add(operator v1beta1.PropertySelectorOperator, value resource.Quantity) {
	switch operator {
	case v1beta1.PropertySelectorEqualTo:
		r.equal = append(r.equal, value)
	case v1beta1.PropertySelectorNotEqualTo:
		r.notEqual = append(r.notEqual, value)
	case v1beta1.PropertySelectorGreaterThan, v1beta1.PropertySelectorGreaterThanOrEqualTo:
		bound := &propertyBound{value: value, inclusive: operator == v1beta1.PropertySelectorGreaterThanOrEqualTo}
		if r.lower == nil || value.Cmp(r.lower.value) > 0 || value.Cmp(r.lower.value) == 0 && !bound.inclusive {
			r.lower = bound
		}
	case v1beta1.PropertySelectorLessThan, v1beta1.PropertySelectorLessThanOrEqualTo:
		bound := &propertyBound{value: value, inclusive: operator == v1beta1.PropertySelectorLessThanOrEqualTo}
		if r.upper == nil || value.Cmp(r.upper.value) < 0 || value.Cmp(r.upper.value) == 0 && !bound.inclusive {
			r.upper = bound
		}
	}
}

// contradiction says why no value can meet the requirements, or nothing.
func (r *propertyRange) contradiction() string {
	if r.lower != nil && r.upper != nil {
		order := r.lower.value.Cmp(r.upper.value)
		if order > 0 || order == 0 && !(r.lower.inclusive && r.upper.inclusive) {
			return fmt.Sprintf("lower bound (%s) and upper bound (%s) exclude all values", &r.lower.value, &r.upper.value)
		}
	}
	for i := range r.equal {
		equal := &r.equal[i]
		if equal.Cmp(r.equal[0]) != 0 {
			return fmt.Sprintf("conflicting Eq values %s and %s", &r.equal[0], equal)
		}
		if slices.ContainsFunc(r.notEqual, func(other resource.Quantity) bool { return equal.Cmp(other) == 0 }) {
			return fmt.Sprintf("conflicting Eq and Ne on same value %s", equal)
		}
		if r.lower != nil && !r.lower.admits(equal.Cmp(r.lower.value)) {
			return fmt.Sprintf("eq value %s violates lower bound %s", equal, &r.lower.value)
		}
		if r.upper != nil && !r.upper.admits(-equal.Cmp(r.upper.value)) {
			return fmt.Sprintf("eq value %s violates upper bound %s", equal, &r.upper.value)
		}
	}
	return ""
}

// admits takes how far inside the bound a value is: 1 inside, 0 on it, -1 outside.
func (b *propertyBound) admits(inside int) bool {
	return inside > 0 || inside == 0 && b.inclusive
}
