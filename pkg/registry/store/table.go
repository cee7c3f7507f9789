// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metatable "k8s.io/apimachinery/pkg/api/meta/table"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// None is printed where there is no value and a blank would look like a mistake.
const None = "<none>"

// Column is a column of what kubectl get prints.
type Column[O any] struct {
	// Name is the header; kubectl prints it in capitals.
	Name string
	// Description is one sentence for clients that show it.
	Description string
	// Wide columns are printed with -o wide only.
	Wide bool
	// Date is true if the text is an age, such as 5m.
	Date bool
	// Text returns what is printed, empty for nothing.
	Text func(obj O) string
}

// Age returns the column with the time since the object was created.
func Age[O Object]() Column[O] {
	return Column[O]{
		Name:        "Age",
		Description: "Time since the object was created.",
		Date:        true,
		Text:        func(obj O) string { return Since(obj.GetCreationTimestamp()) },
	}
}

// Generation returns the column with the generation of the spec.
func Generation[O Object]() Column[O] {
	return Column[O]{
		Name:        "Gen",
		Description: "Generation of the spec.",
		Text:        func(obj O) string { return strconv.FormatInt(obj.GetGeneration(), 10) },
	}
}

// Condition returns a column with the status of a condition.
func Condition[O any](name, conditionType string, conditions func(obj O) []metav1.Condition) Column[O] {
	return Column[O]{
		Name:        name,
		Description: "Status of the condition " + conditionType + ".",
		Text:        func(obj O) string { return ConditionStatus(conditions(obj), conditionType) },
	}
}

// OnlyWide returns the column, printed with -o wide only.
func (c Column[O]) OnlyWide() Column[O] {
	c.Wide = true
	return c
}

// When returns t in UTC, in the format of the API, and None if t is not set.
func When(t *metav1.Time) string {
	if t.IsZero() {
		return None
	}
	return t.UTC().Format(time.RFC3339)
}

// Since returns the time since t in short form, such as 5m, and an empty string if t is not set.
func Since(t metav1.Time) string {
	if t.IsZero() {
		return ""
	}
	return metatable.ConvertToHumanReadableDateType(t)
}

// ConditionStatus returns the status of the condition of a type, empty if there is none.
func ConditionStatus(conditions []metav1.Condition, conditionType string) string {
	if c := meta.FindStatusCondition(conditions, conditionType); c != nil {
		return string(c.Status)
	}
	return ""
}

// ConditionGeneration returns the generation that the condition of a type was observed at, empty if there is none.
func ConditionGeneration(conditions []metav1.Condition, conditionType string) string {
	if c := meta.FindStatusCondition(conditions, conditionType); c != nil && c.ObservedGeneration != 0 {
		return strconv.FormatInt(c.ObservedGeneration, 10)
	}
	return ""
}

// tableConvertor prints objects as rows: the name, then the columns.
type tableConvertor[O Object] struct {
	columns []Column[O]
}

// ConvertToTable implements rest.TableConvertor for one object or a list of them.
func (c tableConvertor[O]) ConvertToTable(_ context.Context, object, options runtime.Object) (*metav1.Table, error) {
	table := &metav1.Table{}
	if list, err := meta.ListAccessor(object); err == nil {
		table.ResourceVersion = list.GetResourceVersion()
		table.Continue = list.GetContinue()
		table.RemainingItemCount = list.GetRemainingItemCount()
	} else if one, err := meta.CommonAccessor(object); err == nil {
		table.ResourceVersion = one.GetResourceVersion()
	}
	if o, ok := options.(*metav1.TableOptions); !ok || !o.NoHeaders {
		table.ColumnDefinitions = c.definitions()
	}

	var err error
	table.Rows, err = metatable.MetaToTableRow(object, c.cells)
	return table, err
}

func (c tableConvertor[O]) definitions() []metav1.TableColumnDefinition {
	definitions := []metav1.TableColumnDefinition{{
		Name:        "Name",
		Type:        "string",
		Format:      "name",
		Description: "Name of the object.",
	}}
	for _, column := range c.columns {
		d := metav1.TableColumnDefinition{Name: column.Name, Type: "string", Description: column.Description}
		if column.Date {
			d.Type = "date"
		}
		if column.Wide {
			d.Priority = 1
		}
		definitions = append(definitions, d)
	}
	return definitions
}

func (c tableConvertor[O]) cells(obj runtime.Object, _ metav1.Object, name, _ string) ([]any, error) {
	o, ok := obj.(O)
	if !ok {
		return nil, fmt.Errorf("cannot print %T %s as a row", obj, name)
	}
	cells := []any{name}
	for _, column := range c.columns {
		cells = append(cells, column.Text(o))
	}
	return cells, nil
}
