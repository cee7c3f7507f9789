// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package wording

import (
	"strings"
	"testing"
	"time"
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

func TestAListNamesNoMoreThanItsLimit(t *testing.T) {
	names := []string{"a", "b", "c"}
	for limit, want := range map[int]string{1: "a and 2 more", 2: "a, b and 1 more", 3: "a, b, c", 4: "a, b, c"} {
		if got := First(names, limit); got != want {
			t.Errorf("at most %d: got %q, want %q", limit, got, want)
		}
	}
}

func TestFirstNames(t *testing.T) {
	for want, names := range map[string][]string{"": nil, "a": {"a"}, "a, b, c": {"a", "b", "c"}, "a, b, c...": {"a", "b", "c", "d"}} {
		if got := FirstNames(names); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestClausesCountWhatIsNotThere(t *testing.T) {
	for total, want := range map[int]string{2: "a is ill; b has left", 5: "a is ill; b has left; and 3 more"} {
		if got := Clauses([]string{"a is ill", "b has left"}, total); got != want {
			t.Errorf("of %d: got %q, want %q", total, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for want, n := range map[string]int{"0 clusters": 0, "1 cluster": 1, "2 clusters": 2} {
		if got := Count(n, "cluster"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestKey(t *testing.T) {
	for want, namespace := range map[string]string{"web": "", "shop/web": "shop"} {
		if got := Key(namespace, "web"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestADurationIsWrittenAsInYAML(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "5s": 5 * time.Second, "30m": 30 * time.Minute, "10m": 10 * time.Minute, "1m30s": 90 * time.Second, "10s": 10 * time.Second,
		"72h": 72 * time.Hour, "1h30m": 90 * time.Minute, "1h0m5s": time.Hour + 5*time.Second, "20h": 20 * time.Hour, "1.5s": 1500 * time.Millisecond,
	} {
		if got := Duration(d); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if parsed, err := time.ParseDuration(Duration(d)); err != nil || parsed != d {
			t.Errorf("%q is read as %s: %v", Duration(d), parsed, err)
		}
	}
}
