// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package difference

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/secretvalue"
)

func TestDifferences(t *testing.T) {
	member := map[string]any{"same": "x", "changed": int64(1), "list": []any{"a", "b"}, "a/b~c": "", "member": nil, "kind": map[string]any{}}
	hub := map[string]any{"same": "x", "changed": int64(2), "list": []any{"a"}, "a/b~c": "x", "hub": map[string]any{"k": "v"}, "kind": []any{}}
	want := []v1beta1.PatchDetail{
		{Path: "/a~1b~0c", ValueInHub: "x"},
		{Path: "/changed", ValueInMember: "1", ValueInHub: "2"},
		{Path: "/hub", ValueInHub: `{"k":"v"}`},
		{Path: "/kind", ValueInMember: "{}", ValueInHub: "[]"},
		{Path: "/list/1", ValueInMember: "b"},
		{Path: "/member", ValueInMember: "null"},
	}
	if diff := cmp.Diff(want, Between(member, hub, false)); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	for _, d := range Between(member, hub, true) {
		for _, value := range []string{d.ValueInMember, d.ValueInHub} {
			if value != "" && value != secretvalue.Redacted {
				t.Errorf("%s of a Secret shows %q", d.Path, value)
			}
		}
	}
}

func TestADifferenceOfLargeValuesIsSmall(t *testing.T) {
	large := strings.Repeat("v", 300<<10)
	member := map[string]any{"data": map[string]any{"large": large}}
	hub := map[string]any{"data": map[string]any{"large": large + "-more"}}
	value := strings.Repeat("v", 126)
	want := []v1beta1.PatchDetail{{
		Path:          "/data/large",
		ValueInMember: value + "..." + value,
		ValueInHub:    value + "..." + value[:121] + "-more",
	}}
	if diff := cmp.Diff(want, Between(member, hub, false)); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}
