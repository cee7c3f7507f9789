// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTranscriptIsReadInOrder(t *testing.T) {
	text := "## First\n\n```bash\nkubectl get x\n```\n\nprose\n\n```output\nNAME\n```\n\n## Second\n\n```yaml manifest\na: 1\nb: 2\n```\n"
	got, err := parseTranscript(text)
	if err != nil {
		t.Fatal(err)
	}
	want := []block{
		{section: "First", line: 3, kind: command, text: "kubectl get x\n"},
		{section: "First", line: 9, kind: tableOutput, text: "NAME\n"},
		{section: "Second", line: 15, kind: manifest, text: "a: 1\nb: 2\n"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(block{})); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
}

func TestTranscriptThatMakesNoSenseIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no end":                   "```bash\nls\n",
		"output without a command": "```yaml manifest\na: 1\n```\n```output\nNAME\n```\n",
		"unknown kind":             "```python\nimport this\n```\n",
	} {
		if _, err := parseTranscript(text); err == nil || !strings.HasPrefix(err.Error(), "line ") {
			t.Errorf("%s: got error %v, want one that names the line", name, err)
		}
	}
}
