// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package metavalidation

import (
	"context"

	"k8s.io/apimachinery/pkg/api/operation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateCustom_Condition_LastTransitionTime refuses a condition without a transition time.
func ValidateCustom_Condition_LastTransitionTime(ctx context.Context, op operation.Operation, fldPath *field.Path, value, oldValue *metav1.Time) field.ErrorList {
	return metav1validation.ValidateCustom_Condition_LastTransitionTime(ctx, op, fldPath, value, oldValue)
}
