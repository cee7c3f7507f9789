// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package wording

import (
	"strings"
	"testing"
)

func TestAListNamesTheFirstAndCountsTheRest(t *testing.T) {
	tests := map[string]struct {
		names []string
		want  string
	}{
		"nothing":      {nil, ""},
		"one":          {[]string{"a"}, "a"},
		"as many":      {strings.Split("abcdefghij", ""), "a, b, c, d, e, f, g, h, i, j"},
		"one too many": {strings.Split("abcdefghijk", ""), "a, b, c, d, e, f, g, h, i, j and 1 more"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := List(tt.names); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
