// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestObjectsAreComparedByField(t *testing.T) {
	for name, tc := range map[string]struct {
		want, got string
		paths     []string
	}{
		"equal":                    {"a: 1\nb: [x, y]\n", "b: [x, y]\na: 1\n", nil},
		"another value":            {"a:\n  b: 1\n", "a:\n  b: 2\n", []string{"a.b"}},
		"a field less":             {"a: 1\nb: 2\n", "a: 1\n", []string{"b"}},
		"a field more":             {"a: 1\n", "a: 1\nb: 2\n", []string{"b"}},
		"a field more where ...":   {"m:\n  a: 1\n  ...\n  c: 1\n  ...\n", "m:\n  a: 1\n  b: 2\n  c: 1\n", nil},
		"a field less despite ...": {"m:\n  ...\n  a: 1\n", "m:\n  b: 2\n", []string{"m.a"}},
		"any value":                {"a: ...\n", "a: 5\n", nil},
		"any value but none":       {"a: ...\n", "b: 5\n", []string{"a", "b"}},
		"another time":             {"c:\n- lastTransitionTime: x\n  type: A\n", "c:\n- lastTransitionTime: y\n  type: A\n", nil},
		"no time":                  {"c:\n- lastTransitionTime: x\n", "c:\n- {}\n", []string{"c[0].lastTransitionTime"}},
		"an item more":             {"c: [1]\n", "c: [1, 2]\n", []string{"c[1]"}},
		"items in another order":   {"c: [1, 2]\n", "c: [2, 1]\n", []string{"c[0]", "c[1]"}},
		"another type":             {"a: \"1\"\n", "a: 1\n", []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := compareObjects(tc.want, tc.got)
			if err != nil {
				t.Fatal(err)
			}
			var paths []string
			for _, d := range found {
				paths = append(paths, d.path)
			}
			if diff := cmp.Diff(tc.paths, paths); diff != "" {
				t.Errorf("differences (-want +got):\n%s\n%v", diff, found)
			}
		})
	}
}
