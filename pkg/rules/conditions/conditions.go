// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conditions reads conditions of a status as they stand for one generation of the spec. It knows no kinds.
package conditions

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Find returns a condition, nil where it is absent or of another generation. It points into the list.
func Find(conditions []metav1.Condition, conditionType string, generation int64) *metav1.Condition {
	if c := meta.FindStatusCondition(conditions, conditionType); c != nil && c.ObservedGeneration == generation {
		return c
	}
	return nil
}

// Status returns the status of a condition, "" where it is absent or of another generation.
func Status(conditions []metav1.Condition, conditionType string, generation int64) metav1.ConditionStatus {
	if c := Find(conditions, conditionType, generation); c != nil {
		return c.Status
	}
	return ""
}

// IsTrue reports whether a condition is True at the generation.
func IsTrue(conditions []metav1.Condition, conditionType string, generation int64) bool {
	return Status(conditions, conditionType, generation) == metav1.ConditionTrue
}

// IsFalse reports whether a condition is False at the generation.
func IsFalse(conditions []metav1.Condition, conditionType string, generation int64) bool {
	return Status(conditions, conditionType, generation) == metav1.ConditionFalse
}

// Remove removes the conditions of the given types.
func Remove(conditions *[]metav1.Condition, types ...string) {
	for _, t := range types {
		// The library makes a new list even where there is nothing to remove.
		if meta.FindStatusCondition(*conditions, t) != nil {
			meta.RemoveStatusCondition(conditions, t)
		}
	}
}
