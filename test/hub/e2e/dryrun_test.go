// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testDryRun wants the plan of a run in every way that kubectl dry-runs, and nothing stored.
func testDryRun(t *testing.T, s *suite) {
	r := s.newRollout(t, "dry-run", stagingThenCanary)
	const plan = `-o jsonpath='{range .status.stagesStatus[*]}{.stageName}: {.clusters[*].clusterName}{"\n"}{end}'`
	file := "<< 'EOF'\n" + r.runManifest("dry-run", 0, "Run") + "EOF\n"
	// kubectl diff ends with 1 when there are differences.
	diffed := "{ kubectl diff -f - || test $? -eq 1; } " + file
	for name, script := range map[string]string{
		"create":            "kubectl create --dry-run=server " + plan + " -f - " + file,
		"apply":             "kubectl apply --dry-run=server " + plan + " -f - " + file,
		"server-side apply": "kubectl apply --server-side --dry-run=server " + plan + " -f - " + file,
	} {
		if diff := cmp.Diff("staging: member2\ncanary: member3 member1\n", s.mustRun(t, script)); diff != "" {
			t.Errorf("plan by %s (-want +got):\n%s", name, diff)
		}
	}
	if diff := s.mustRun(t, diffed); !strings.Contains(diff, "clusterName: member3") {
		t.Errorf("kubectl diff does not show the plan:\n%s", diff)
	}
	if left := s.mustRun(t, "kubectl get csur -o name"); left != "" {
		t.Errorf("a dry run has left %s", left)
	}
}
