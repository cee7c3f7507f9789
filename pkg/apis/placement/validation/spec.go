// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const specImmutable = "The spec field is immutable"

var specPath = field.NewPath("spec")

// ifChanged validates a spec only where it differs from the stored one, so that an object which an older rule let in can still be
// labeled, and its finalizers removed.
func ifChanged(spec, oldSpec any, validate func() field.ErrorList) field.ErrorList {
	if apiequality.Semantic.DeepEqual(spec, oldSpec) {
		return nil
	}
	return validate()
}

// immutable refuses any change of a spec.
func immutable(spec, oldSpec any) field.ErrorList {
	return ifChanged(spec, oldSpec, func() field.ErrorList {
		return field.ErrorList{field.Forbidden(specPath, specImmutable)}
	})
}

// immutableField refuses a change of one value; the message says which.
func immutableField[T comparable](value, oldValue T, path *field.Path, message string) field.ErrorList {
	if value == oldValue {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value, message)}
}

// ValidateLabelSelector returns what is wrong with a selector that no label could be matched with. The prefix says whose selector it is.
// Nil is legal.
func ValidateLabelSelector(selector *metav1.LabelSelector, path *field.Path, prefix string) field.ErrorList {
	errs := metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, path)
	for _, err := range errs {
		err.Detail = prefix + ": " + err.Detail
	}
	return errs
}
