// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conditions reads and writes metav1.Conditions the way the loops do. It knows no kinds.
package conditions

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Status is the status of a condition, or "" where it is absent or older than the generation.
func Status(conditions []metav1.Condition, conditionType string, generation int64) metav1.ConditionStatus {
	c := meta.FindStatusCondition(conditions, conditionType)
	if c == nil || c.ObservedGeneration != generation {
		return ""
	}
	return c.Status
}

// IsTrue says whether a condition is True at the generation.
func IsTrue(conditions []metav1.Condition, conditionType string, generation int64) bool {
	return Status(conditions, conditionType, generation) == metav1.ConditionTrue
}

// IsFalse says whether a condition is False at the generation.
func IsFalse(conditions []metav1.Condition, conditionType string, generation int64) bool {
	return Status(conditions, conditionType, generation) == metav1.ConditionFalse
}

// Remove takes conditions of the given types away.
func Remove(conditions *[]metav1.Condition, types ...string) {
	for _, t := range types {
		meta.RemoveStatusCondition(conditions, t)
	}
}
