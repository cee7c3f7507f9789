// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Print is what kubectl get shows of an object: the line with the headers and the line with the object, cells separated by " | ".
// wide is -o wide.
func Print(t testing.TB, r store.Resource, obj runtime.Object, wide bool) (headers, row string) {
	t.Helper()
	table, err := r.TableConvertor.ConvertToTable(t.Context(), obj, &metav1.TableOptions{})
	if err != nil {
		t.Fatalf("printing %s: %v", r.Plural, err)
	}
	if len(table.Rows) != 1 {
		t.Fatalf("one of %s prints %d rows", r.Plural, len(table.Rows))
	}

	var names, cells []string
	for i, column := range table.ColumnDefinitions {
		if column.Priority > 0 && !wide {
			continue
		}
		names = append(names, strings.ToUpper(column.Name))
		cells = append(cells, fmt.Sprint(table.Rows[0].Cells[i]))
	}
	return strings.Join(names, " | "), strings.Join(cells, " | ")
}
