// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// testRemovalFromMemberDown takes placements off a member whose API server is down: a placement that is deleted, and one that does not pick the
// member any more, say what they wait for, and go on when it is back.
func testRemovalFromMemberDown(t *testing.T, s *suite) {
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete crp away-deleted away-unpicked --ignore-not-found; kubectl delete ns away-deleted away-unpicked --ignore-not-found --wait=false")
	})
	s.explain(t, "crp,crb", "works -A", "events -A")
	for _, name := range []string{"away-deleted", "away-unpicked"} {
		s.hub().mustCreate(t, fmt.Sprintf(`apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: %[1]s}
data: {key: value1}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: %[1]s}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: %[1]s}]
  policy: {placementType: PickFixed, clusterNames: [member1, member3]}
`, name))
		s.eventually(t, func() error {
			return s.values(t.Context(), name, "settings", map[string]string{"member1": "value1", "member2": "", "member3": "value1"})
		})
	}
	s.kill(t, "member3-apiserver")
	s.mustRun(t, "kubectl delete crp away-deleted --wait=false")
	s.mustRun(t, `kubectl patch crp away-unpicked --type=merge -p '{"spec":{"policy":{"clusterNames":["member1"]}}}'`)
	for _, name := range []string{"away-deleted", "away-unpicked"} {
		s.eventually(t, func() error {
			out := s.mustRun(t, "kubectl get crp -o wide "+name)
			for _, want := range []string{"cluster member3: The member cannot be reached: ", "stays there if MemberCluster member3 is deleted"} {
				if !strings.Contains(out, want) {
					return fmt.Errorf("nothing says %q:\n%s", want, out)
				}
			}
			return nil
		})
	}
	s.up(t)
	s.mustRun(t, fmt.Sprintf("kubectl wait crp/away-deleted --for=delete --timeout=%s", patience))
	for name, first := range map[string]string{"away-deleted": "", "away-unpicked": "value1"} {
		s.eventually(t, func() error {
			return s.values(t.Context(), name, "settings", map[string]string{"member1": first, "member2": "", "member3": ""})
		})
	}
}
