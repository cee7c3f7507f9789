// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/registry/placement/updatestrategy"
)

func TestTableOfAListCarriesWhatPagingNeeds(t *testing.T) {
	remaining := int64(5)
	list := &v1beta1.StagedUpdateStrategyList{
		ListMeta: metav1.ListMeta{ResourceVersion: "42", Continue: "next", RemainingItemCount: &remaining},
		Items: []v1beta1.StagedUpdateStrategy{
			{ObjectMeta: metav1.ObjectMeta{Name: "a"}},
			{ObjectMeta: metav1.ObjectMeta{Name: "b"}},
		},
	}

	table, err := updatestrategy.Resources()[1].TableConvertor.ConvertToTable(t.Context(), list, nil)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(list.ListMeta, table.ListMeta); diff != "" {
		t.Errorf("list metadata (-want +got):\n%s", diff)
	}
	var names []any
	for _, row := range table.Rows {
		names = append(names, row.Cells[0])
	}
	if diff := cmp.Diff([]any{"a", "b"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestTableOfOneObjectCarriesItsResourceVersion(t *testing.T) {
	object := &v1beta1.StagedUpdateStrategy{ObjectMeta: metav1.ObjectMeta{Name: "a", ResourceVersion: "42"}}
	table, err := updatestrategy.Resources()[1].TableConvertor.ConvertToTable(t.Context(), object, nil)
	if err != nil {
		t.Fatal(err)
	}
	if table.ResourceVersion != "42" {
		t.Errorf("resourceVersion is %q, want 42", table.ResourceVersion)
	}
	if len(table.Rows) != 1 || table.Rows[0].Object.Object != object {
		t.Errorf("rows are %v, want one with the object", table.Rows)
	}
}

func TestTableWithoutHeaders(t *testing.T) {
	object := &v1beta1.StagedUpdateStrategy{}
	table, err := updatestrategy.Resources()[1].TableConvertor.ConvertToTable(t.Context(), object, &metav1.TableOptions{NoHeaders: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(table.ColumnDefinitions) != 0 {
		t.Errorf("headers in a table without: %v", table.ColumnDefinitions)
	}
}

func TestTableRefusesForeignObjects(t *testing.T) {
	if _, err := updatestrategy.Resources()[1].TableConvertor.ConvertToTable(t.Context(), &v1beta1.Work{}, nil); err == nil {
		t.Error("a Work was printed as a strategy")
	}
}
