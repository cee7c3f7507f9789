// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import "testing"

func TestCleanTextsHaveNoControlCharacters(t *testing.T) {
	for text, want := range map[string]string{
		"plain äß 東京":                 "plain äß 東京",
		"a\x1b[31mb\x1b]0;t\a":        "a[31mb]0;t",
		"c1 \u009b31m \u0085":         "c1 31m ",
		"a\nb\r\tc\u2028d\u2029":      "a b  c d ",
		"\u202eabc\u202c\u2066\u200f": "abc",
		"\u200bzero\ufeff\u00ad":      "zero",
		"bad \xff\x9b utf8":           "bad  utf8",
		"del\x7f nul\x00":             "del nul",
		"private \ue000":              "private ",
	} {
		if got := Clean(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[2J\u202e\xff")
	f.Fuzz(func(t *testing.T, text string) {
		clean := Clean(text)
		if !isClean(clean) || Clean(clean) != clean {
			t.Errorf("%q becomes %q", text, clean)
		}
	})
}

func TestTheMostUrgentRunsComeFirst(t *testing.T) {
	list := []*Run{
		{Object: Object{Name: "progressing"}}, {Object: Object{Name: "failing"}, Progress: Progress{Failed: 1}}, {Object: Object{Name: "waiting"}, NeedsPerson: true},
	}
	SortByUrgency(list)
	if list[0].Object.Name != "waiting" || list[1].Object.Name != "failing" {
		t.Errorf("%s, %s, %s", list[0].Object.Name, list[1].Object.Name, list[2].Object.Name)
	}
}
