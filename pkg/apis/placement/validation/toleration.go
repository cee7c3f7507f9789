// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func validateTolerations(tolerations []v1beta1.Toleration, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[v1beta1.Toleration]()
	for i, toleration := range tolerations {
		errs = append(errs, validateToleration(toleration, path.Index(i))...)
		if seen.Has(toleration) {
			errs = append(errs, field.Invalid(path.Index(i), toleration.Key, fmt.Sprintf("toleration %+v already exists, tolerations must be unique", toleration)))
		}
		seen.Insert(toleration)
	}
	return errs
}

func validateToleration(toleration v1beta1.Toleration, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if toleration.Operator == v1beta1.TolerationOpExists {
		if toleration.Value != "" {
			errs = append(errs, field.Invalid(path.Child("value"), toleration.Value, "value must be empty when operator is Exists"))
		}
	} else {
		if toleration.Key == "" {
			errs = append(errs, field.Invalid(path.Child("operator"), toleration.Operator, "operator must be Exists when key is empty"))
		}
		for _, message := range validation.IsValidLabelValue(toleration.Value) {
			errs = append(errs, field.Invalid(path.Child("value"), toleration.Value, fmt.Sprintf("invalid toleration value %+v: %s", toleration, message)))
		}
	}
	if toleration.Key != "" {
		for _, message := range validation.IsQualifiedName(toleration.Key) {
			errs = append(errs, field.Invalid(path.Child("key"), toleration.Key, fmt.Sprintf("invalid toleration key %+v: %s", toleration, message)))
		}
	}
	return errs
}
