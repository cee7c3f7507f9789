// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagegate/stagegate/pkg/view"
)

func TestLinesOfDifferences(t *testing.T) {
	got := lines([]view.Difference{
		{Object: "ConfigMap shop/changed", Fields: []view.FieldDifference{{Path: "/data/a", Before: "1", After: "2"}, {Path: "/data/b", Before: "x"}}},
		{Object: "Deployment shop/new", Added: true},
		{Object: "Service shop/gone", Removed: true},
	})
	want := []string{"~ ConfigMap shop/changed", "    /data/a: 1 -> 2", "    /data/b: x -> <none>", "+ Deployment shop/new", "- Service shop/gone"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
