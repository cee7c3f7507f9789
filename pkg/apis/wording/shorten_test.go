// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package wording

import "testing"

func TestShorten(t *testing.T) {
	for name, tc := range map[string]struct {
		text  string
		limit int
		want  string
	}{
		"what fits":                       {"0123456789", 10, "0123456789"},
		"the middle goes":                 {"0123456789abc", 11, "0123...9abc"},
		"an odd byte is left over":        {"0123456789abc", 10, "012...abc"},
		"characters are cut whole":        {"ääääääääää", 12, "ää...ää"},
		"a character at either cut goes":  {"äääääxääääää", 13, "ää...ää"},
		"nothing but that there was more": {"0123456789", 3, "..."},
	} {
		t.Run(name, func(t *testing.T) {
			got := Shorten(tc.text, tc.limit)
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if len(got) > tc.limit {
				t.Errorf("%q has more than %d bytes", got, tc.limit)
			}
		})
	}
}
