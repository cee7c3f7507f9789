// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestOfVeryManyGroupsThoseThatCountAreRecorded(t *testing.T) {
	many := numbered(300)
	for name, tt := range map[string]struct {
		groups, keep, want []string
	}{
		"none":                     {nil, nil, nil},
		"few stay as they are":     {[]string{"b", "a"}, []string{"a"}, []string{"b", "a"}},
		"as many as are recorded":  {many[:32], []string{"group-7"}, many[:32]},
		"more":                     {many, nil, many[:32]},
		"the last ones count":      {many, []string{"group-299", "other", "group-200"}, append([]string{"group-200", "group-299"}, many[:30]...)},
		"the first one counts":     {many, []string{"group-3"}, append([]string{"group-3", "group-0", "group-1", "group-2"}, many[4:32]...)},
		"none of those that count": {many, []string{"other"}, many[:32]},
	} {
		t.Run(name, func(t *testing.T) {
			got := RecordedUser(&user.DefaultInfo{Name: "ann", UID: "1", Groups: tt.groups}, tt.keep...)
			want := v1beta1.DecisionUser{Username: "ann", UID: "1", Groups: tt.want}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
		})
	}
	if many[299] != "group-299" || many[3] != "group-3" {
		t.Error("the groups of the user were changed")
	}
}

func TestServiceAccountsCountAsAllOfTheirNamespace(t *testing.T) {
	for name, want := range map[string]string{
		"ann":                              "ann",
		"":                                 "",
		"system:serviceaccount:team-a:ci":  "system:serviceaccounts:team-a",
		"system:serviceaccount:team-a:ci2": "system:serviceaccounts:team-a",
		"system:serviceaccount:team-b:ci":  "system:serviceaccounts:team-b",
		"system:serviceaccount:team-a":     "system:serviceaccount:team-a",
	} {
		if got := CountedAs(&user.DefaultInfo{Name: name}); got != want {
			t.Errorf("%q counts as %q, want %q", name, got, want)
		}
	}
}

func numbered(n int) []string {
	var groups []string
	for i := range n {
		groups = append(groups, fmt.Sprintf("group-%d", i))
	}
	return groups
}
