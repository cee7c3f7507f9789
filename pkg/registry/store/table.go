// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metatable "k8s.io/apimachinery/pkg/api/meta/table"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

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
