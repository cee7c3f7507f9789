// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// testScheduling has PickN grow and shrink, go around a taint and spread over zones, and PickFixed take the one that is named, on real members.
func testScheduling(t *testing.T, s *suite) {
	const name = "sched"
	t.Cleanup(func() {
		s.mustRunInCleanup(t, `kubectl delete crp sched --ignore-not-found; kubectl delete ns sched --ignore-not-found --wait=false
kubectl label membercluster --all sched-tier- sched-zone-
kubectl patch membercluster member3 --type=merge -p '{"spec":{"taints":null}}'`)
	})
	s.explain(t, "crp,crb", "clusterschedulingpolicysnapshots -o yaml", "memberclusters")
	s.mustRun(t, `kubectl label membercluster member1 sched-tier=silver sched-zone=a
kubectl label membercluster member2 sched-tier=gold sched-zone=a
kubectl label membercluster member3 sched-tier=silver sched-zone=b
kubectl patch membercluster member3 --type=merge -p '{"spec":{"taints":[{"key":"sched","value":"closed","effect":"NoSchedule"}]}}'`)
	// place has a placement of its own pick clusters, since a type cannot be changed.
	place := func(t *testing.T, policy string) {
		t.Helper()
		s.mustRun(t, "kubectl delete crp sched --ignore-not-found")
		s.eventually(t, func() error { return s.values(t.Context(), name, "settings", onAll("")) })
		s.mustRun(t, `kubectl apply -f - << EOF
apiVersion: v1
kind: Namespace
metadata: {name: sched}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: sched}
data: {key: value}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: sched}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: sched}]
  policy: `+policy+`
  strategy: {rollingUpdate: {maxUnavailable: 100%}}
EOF`)
	}
	on := func(t *testing.T, members ...string) {
		t.Helper()
		want := onAll("")
		for _, member := range members {
			want[member] = "value"
		}
		s.eventually(t, func() error { return s.values(t.Context(), name, "settings", want) })
	}
	scale := func(t *testing.T, number int) {
		t.Helper()
		s.mustRun(t, fmt.Sprintf(`kubectl patch crp sched --type=merge -p '{"spec":{"policy":{"numberOfClusters":%d}}}'`, number))
	}
	// decisions are those of the policy in force, once as many clusters are picked.
	decisions := func(t *testing.T, selected int, want ...string) {
		t.Helper()
		s.eventually(t, func() error {
			told, err := s.run(t.Context(), "hub", `kubectl get clusterschedulingpolicysnapshot -l kubernetes-fleet.io/parent-CRP=sched,kubernetes-fleet.io/is-latest-snapshot=true \
  -o jsonpath='{.items[*].metadata.name} {.items[0].status.selectedClusters} {range .items[0].status.targetClusters[*]}{.clusterName}={.clusterScore.affinityScore}/{.clusterScore.priorityScore} {.reason}{"\n"}{end}'`)
			for _, text := range append(want, fmt.Sprintf("sched-0 %d ", selected)) {
				if err == nil && !strings.Contains(told, text) {
					err = fmt.Errorf("the decisions lack %q:\n%s", text, told)
				}
			}
			return err
		})
	}
	const gold = `affinity: {clusterAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 40, preference: {labelSelector: {matchLabels: {sched-tier: gold}}}}]}}`

	t.Run("PickN", func(t *testing.T) {
		place(t, "{placementType: PickN, numberOfClusters: 1, "+gold+"}")
		on(t, "member2")
		decisions(t, 1, "member2=40/0", "member1=0/0", "member3=/ ClusterUnschedulable, taint {Key:sched Value:closed Effect:NoSchedule} cannot be tolerated")
		scale(t, 2)
		on(t, "member1", "member2")
		scale(t, 3)
		decisions(t, 2)
		s.mustRun(t, fmt.Sprintf("kubectl wait crp/sched --for=condition=ClusterResourcePlacementScheduled=false --timeout=%s", patience))
		scale(t, 1)
		on(t, "member2")
	})
	t.Run("Taint", func(t *testing.T) {
		s.mustRun(t, `kubectl patch membercluster member2 --type=merge -p '{"spec":{"taints":[{"key":"sched","effect":"NoSchedule"}]}}'`)
		defer s.mustRun(t, `kubectl patch membercluster member2 --type=merge -p '{"spec":{"taints":null}}'`)
		scale(t, 2)
		on(t, "member1", "member2")
	})
	t.Run("Spread", func(t *testing.T) {
		s.mustRun(t, `kubectl patch membercluster member3 --type=merge -p '{"spec":{"taints":null}}'`)
		place(t, "{placementType: PickN, numberOfClusters: 2, "+gold+", topologySpreadConstraints: [{topologyKey: sched-zone}]}")
		on(t, "member2", "member3")
		decisions(t, 2, "member2=40/-1", "member3=0/1", "member1=0/-1")
	})
	t.Run("PickFixed", func(t *testing.T) {
		place(t, "{placementType: PickFixed, clusterNames: [member1]}")
		on(t, "member1")
		s.mustRun(t, `kubectl patch crp sched --type=merge -p '{"spec":{"policy":{"clusterNames":["member1","member3"]}}}'`)
		on(t, "member1", "member3")
	})
}
