// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metatable "k8s.io/apimachinery/pkg/api/meta/table"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// None stands in a column for what there is nothing of, where a blank would read like a mistake.
const None = "<none>"

// Column is a column of what kubectl get prints.
type Column[O any] struct {
	// Name is the header; kubectl prints it in capitals.
	Name string
	// Description says what the column tells.
	Description string
	// Wide columns are printed with -o wide only.
	Wide bool
	// Date says that the text is a time that has passed.
	Date bool
	// Text is what is printed; empty where there is nothing to say.
	Text func(obj O) string
}

// Age is the column that tells for how long an object has existed.
func Age[O Object]() Column[O] {
	return Column[O]{
		Name:        "Age",
		Description: "Time since the object was created.",
		Date:        true,
		Text:        func(obj O) string { return Since(obj.GetCreationTimestamp()) },
	}
}

// Generation is the column that tells how often the spec was changed, from 1.
func Generation[O Object]() Column[O] {
	return Column[O]{
		Name:        "Gen",
		Description: "Generation of the spec.",
		Text:        func(obj O) string { return strconv.FormatInt(obj.GetGeneration(), 10) },
	}
}

// Condition is a column with the status of the condition of a type.
func Condition[O any](name, conditionType string, conditions func(obj O) []metav1.Condition) Column[O] {
	return Column[O]{
		Name:        name,
		Description: "Status of the condition " + conditionType + ".",
		Text:        func(obj O) string { return ConditionStatus(conditions(obj), conditionType) },
	}
}

// OnlyWide is the column printed with -o wide only.
func (c Column[O]) OnlyWide() Column[O] {
	c.Wide = true
	return c
}

// When is t in UTC the way objects have it, and None where t is not set.
func When(t *metav1.Time) string {
	if t.IsZero() {
		return None
	}
	return t.UTC().Format(time.RFC3339)
}

// Since is the time since t the way people write it, such as 5m; empty where t is not set.
func Since(t metav1.Time) string {
	if t.IsZero() {
		return ""
	}
	return metatable.ConvertToHumanReadableDateType(t)
}

// ConditionStatus is the status of the condition of a type, empty where there is none.
func ConditionStatus(conditions []metav1.Condition, conditionType string) string {
	if c := meta.FindStatusCondition(conditions, conditionType); c != nil {
		return string(c.Status)
	}
	return ""
}

// ConditionGeneration is the generation that the condition of a type was observed at, empty where there is none.
func ConditionGeneration(conditions []metav1.Condition, conditionType string) string {
	if c := meta.FindStatusCondition(conditions, conditionType); c != nil && c.ObservedGeneration != 0 {
		return strconv.FormatInt(c.ObservedGeneration, 10)
	}
	return ""
}
