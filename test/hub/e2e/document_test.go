// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCommandsOfADocumentAreReadInOrder(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []block
	}{
		"a session with what it prints": {
			text: "# Page\n\n## First\n\nSo:\n\n    $ kubectl get x\n    NAME   AGE\n    a      1s\n    $ kubectl get y \\\n        -o name\n    y/b\n",
			want: []block{
				{section: "First", line: 7, kind: command, text: "kubectl get x\n"},
				{section: "First", line: 8, kind: tableOutput, text: "NAME   AGE\na      1s\n"},
				{section: "First", line: 10, kind: command, text: "kubectl get y \\\n    -o name\n"},
				{section: "First", line: 12, kind: textOutput, text: "y/b\n"},
			},
		},
		"a script is one command after the other": {
			text: "### Sub\n\n    # the first\n    kubectl get a    # really\n    f() { kubectl get b; }\n\n    kubectl apply -f - << EOF\n    a: b\n    EOF\n    for v in 1 2; do\n      f\n    done\n",
			want: []block{
				{section: "Sub", line: 4, kind: command, text: "kubectl get a    # really\n"},
				{section: "Sub", line: 5, kind: command, text: "f() { kubectl get b; }\n"},
				{section: "Sub", line: 7, kind: command, text: "kubectl apply -f - << EOF\na: b\nEOF\n"},
				{section: "Sub", line: 10, kind: command, text: "for v in 1 2; do\n  f\ndone\n"},
			},
		},
		"a command in a list": {
			text: "1. On the member\n   at once:\n\n       kubectl create ns a\n\n   and so on.\n\n- here\n\n      make b\n",
			want: []block{{section: "", line: 4, kind: command, text: "kubectl create ns a\n"}, {section: "", line: 10, kind: command, text: "make b\n"}},
		},
		"commands within a sentence and a table": {
			text: "See `kubectl get a\n-o yaml`, and not `x`. `kubectl\nget d`.\n\n| `kubectl get b` | `kubectl get c` |\n",
			want: []block{
				{section: "", line: 1, kind: command, text: "kubectl get a -o yaml\n"}, {section: "", line: 2, kind: command, text: "kubectl get d\n"},
				{section: "", line: 5, kind: command, text: "kubectl get b\n"}, {section: "", line: 5, kind: command, text: "kubectl get c\n"},
			},
		},
		"lines after a sentence with a command are of what it prints": {
			text: "`kubectl get a` says\n\n    WAITING-FOR\n    paused: 2 clusters\n",
			want: []block{{section: "", line: 1, kind: command, text: "kubectl get a\n"}, {section: "", line: 3, kind: excerpt, text: "WAITING-FOR\npaused: 2 clusters\n"}},
		},
		"manifests and messages are no commands": {
			text: "Write\n\n    spec:\n      a: b\n\nand see\n\n    things.example.com is forbidden\n",
			want: []block{{section: "", line: 3, kind: fragment, text: "spec:\n  a: b\n"}},
		},
		"a manifest that begins with its name is a file": {
			text: "Write\n\n    # a.yaml\n    spec: {}\n",
			want: []block{{section: "", line: 3, kind: file, text: "# a.yaml\nspec: {}\n"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseDocument(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(block{})); diff != "" {
				t.Errorf("blocks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDocumentWhoseCommandsCannotBeToldIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"a fence":                   "See:\n\n```\nkubectl get x\n```\n",
		"a here-document open":      "See:\n\n    kubectl apply -f - << EOF\n    a: b\n",
		"a continuation to nowhere": "See:\n\n    kubectl get \\\n\nand so on\n",
	} {
		if got, err := parseDocument(text); err == nil {
			t.Errorf("%s: got %v, want an error", name, got)
		}
	}
}

func TestPrintedTextIsCompared(t *testing.T) {
	for name, tc := range map[string]struct {
		want, got string
		excerpt   bool
		differs   bool
	}{
		"equal":                    {want: "a: 1\nb\n", got: "a: 1\nb\n"},
		"another value":            {want: "a: 1\n", got: "a: 2\n", differs: true},
		"a line more":              {want: "a\n", got: "a\nb\n", differs: true},
		"a line less":              {want: "a\nb\n", got: "a\n", differs: true},
		"spaces":                   {want: "a:   1\n", got: "  a: 1  \n"},
		"another time":             {want: "1 2025-07-22T21:29:58Z x\n", got: "1 2026-01-01T00:00:00Z x\n"},
		"what is left out":         {want: "...\nb\n", got: "x\ny\nb\n"},
		"what is left out at last": {want: "b\n...\n", got: "b\nx\ny\n"},
		"an excerpt":               {want: "Started   The run\n", got: "Events:\n Normal  Started  3s  server  The run\n", excerpt: true},
		"an excerpt in order":      {want: "b\na\n", got: "a\nb\n", excerpt: true, differs: true},
	} {
		compare := compareText
		if tc.excerpt {
			compare = compareExcerpt
		}
		if err := compare(tc.want, tc.got); (err != nil) != tc.differs {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
