// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stagegate/stagegate/pkg/registry/store"
)

func TestYAMLThatGrowsByItsAliasesIsRefused(t *testing.T) {
	const limit = 1000
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x]\n")
	for i := range 100 {
		fmt.Fprintf(&bomb, "a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	for name, tt := range map[string]struct {
		body    string
		refused bool
	}{
		"no aliases":             {"a: {b: 'x & y', c: '*'}", false},
		"an alias":               {"a: &x [1, 2]\nb: *x", false},
		"a merge":                {"a: &x {k: v}\nb: {<<: *x}", false},
		"a text many times":      {"a: &x " + strings.Repeat("y", 100) + "\nb: [" + strings.Repeat("*x, ", 20) + "]", true},
		"a text a few times":     {"a: &x " + strings.Repeat("y", 100) + "\nb: [" + strings.Repeat("*x, ", 5) + "]", false},
		"a merge many times":     {"a: &x {k: " + strings.Repeat("y", 100) + "}\nb: [" + strings.Repeat("{<<: *x}, ", 20) + "]", true},
		"a key many times":       {"a: &x " + strings.Repeat("y", 100) + "\nb: [" + strings.Repeat("{*x : 1}, ", 20) + "]", true},
		"nested":                 {bomb.String(), true},
		"an alias of itself":     {"a: &x [*x]", true},
		"JSON":                   {`{"a": "&x", "b": "*x", "c": "` + strings.Repeat("y", 2*limit) + `"}`, false},
		"no YAML":                {"a: &x [\nb: *x", false},
		"an alias of nothing":    {"b: *x # &", false},
		"very large, and no one": {"# & *\na: " + strings.Repeat("y", store.MaxUserBytes), true},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkAliases([]byte(tt.body), limit)
			if refused := apierrors.IsRequestEntityTooLargeError(err); refused != tt.refused || err != nil && !refused {
				t.Errorf("got %v, refused %v is wanted", err, tt.refused)
			}
		})
	}
}
