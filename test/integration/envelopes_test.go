// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"

	"github.com/stagegate/stagegate/test/integration/testserver"
)

// TestAnEnvelopeIsAppliedAgainWithoutAWord holds that kubectl finds in the OpenAPI documents how an envelope is patched.
func TestAnEnvelopeIsAppliedAgainWithoutAWord(t *testing.T) {
	k := newKubectl(t, testserver.Start(t).As(testserver.Alice))
	manifest := func(pods string) string {
		return `apiVersion: placement.kubernetes-fleet.io/v1
kind: ResourceEnvelope
metadata: {name: limits}
data:
  quota.yaml: {apiVersion: v1, kind: ResourceQuota, metadata: {name: limits, namespace: test-namespace}, spec: {hard: {pods: "` + pods + `"}}}
`
	}
	for i, pods := range []string{"1", "2"} {
		want := []string{"created", "configured"}[i]
		if out, err := k.try(manifest(pods), "apply", "-f", "-"); err != nil || strings.Contains(out, "warning") || !strings.HasSuffix(strings.TrimSpace(out), want) {
			t.Errorf("apply prints %v\n%s\nwant %s", err, out, want)
		}
	}
	// diff ends in an error where there is a difference.
	if out, _ := k.try(manifest("3"), "diff", "-f", "-"); strings.Contains(out, "warning") || !strings.Contains(out, `+        pods: "3"`) {
		t.Errorf("diff prints\n%s", out)
	}
}
