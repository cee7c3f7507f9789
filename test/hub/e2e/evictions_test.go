// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// testEvictions drains a member as kubectl fleet draincluster does, within a disruption budget: the objects go from it and from no other
// member, and the third member is kept by the budget.
func testEvictions(t *testing.T, s *suite) {
	t.Cleanup(func() {
		s.mustRunInCleanup(t, `kubectl patch membercluster member1 --type merge -p '{"spec":{"taints":null}}'; kubectl delete crpe,crpdb --all;
kubectl delete crp evict --ignore-not-found; kubectl delete ns evict --ignore-not-found --wait=false; kubectl delete clusterrolloutpolicy evict --ignore-not-found`)
	})
	s.explain(t, "crp,crb,crpe,crpdb", "works -A", "events -A")
	s.hub().mustCreate(t, `apiVersion: v1
kind: Namespace
metadata: {name: evict}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: evict}
data: {key: value1}
---
apiVersion: placement.kubernetes-fleet.io/v1
kind: ClusterResourcePlacement
metadata: {name: evict}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: evict}]
---
apiVersion: placement.kubernetes-fleet.io/v1
kind: ClusterResourcePlacementDisruptionBudget
metadata: {name: evict}
spec: {minAvailable: 2}
`)
	s.eventually(t, func() error { return s.values(t.Context(), "evict", "settings", onAll("value1")) })
	s.mustRun(t, fmt.Sprintf("kubectl wait crp/evict --for=condition=ClusterResourcePlacementAvailable --timeout=%s", patience))
	s.grantWith(t, "evict-oncall", "stagegate-operator", "clusterresourceplacementevictions")
	evict := func(cluster string) (valid, executed, message string) {
		t.Helper()
		name := "drain-eviction-evict-" + cluster
		out, err := s.run(t.Context(), "evict-oncall", fmt.Sprintf(`kubectl create -f - <<'EOF'
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacementEviction
metadata: {name: %s}
spec: {placementName: evict, clusterName: %s}
EOF
kubectl wait crpe/%[1]s --for=jsonpath='{.status.conditions[0].status}' --timeout=10s >&2
kubectl get crpe %[1]s -o jsonpath='{range .status.conditions[*]}{"|"}{.status}{"|"}{.message}{end}'`, name, cluster))
		if err != nil {
			t.Fatal(err)
		}
		said := append(strings.Split(out, "|"), "", "", "")
		return said[1], said[3], said[4]
	}

	t.Run("TaintAndEvict", func(t *testing.T) {
		s.mustRun(t, `kubectl patch membercluster member1 --type merge -p '{"spec":{"taints":[{"key":"cordon-key","value":"cordon-value","effect":"NoSchedule"}]}}'`)
		if valid, executed, message := evict("member1"); valid != "True" || executed != "True" ||
			message != "Eviction is allowed by specified ClusterResourcePlacementDisruptionBudget, availablePlacements: 3, totalPlacements: 3" {
			t.Errorf("valid %s, executed %s: %s", valid, executed, message)
		}
		want := onAll("value1")
		want["member1"] = ""
		s.eventually(t, func() error { return s.values(t.Context(), "evict", "settings", want) })
		s.eventually(t, func() error {
			clusters, err := s.run(t.Context(), "hub", `kubectl get crb -l kubernetes-fleet.io/parent-CRP=evict -o jsonpath='{.items[*].spec.targetCluster}'`)
			if err == nil && strings.Contains(clusters, "member1") {
				err = fmt.Errorf("there are bindings of %s", clusters)
			}
			return err
		})
	})
	t.Run("TheBudgetBlocksTheNext", func(t *testing.T) {
		if valid, executed, message := evict("member2"); valid != "True" || executed != "False" ||
			message != "Eviction is blocked by specified ClusterResourcePlacementDisruptionBudget, availablePlacements: 2, totalPlacements: 2; "+
				"minAvailable 2 leaves none of 2 clusters to evict: lower it in ClusterResourcePlacementDisruptionBudget evict, and create the eviction again" {
			t.Errorf("valid %s, executed %s: %s", valid, executed, message)
		}
	})
	t.Run("NothingIsEvictedTwice", func(t *testing.T) {
		s.mustRun(t, "kubectl delete crpe --all")
		if valid, _, message := evict("member1"); valid != "False" {
			t.Errorf("valid %s: %s", valid, message)
		}
	})
	t.Run("APolicyRefuses", func(t *testing.T) {
		s.mustRun(t, `kubectl create -f - <<'EOF'
apiVersion: rollout.stagegate.dev/v1alpha1
kind: ClusterRolloutPolicy
metadata: {name: evict}
spec: {match: {placementSelector: {matchLabels: {protected: "yes"}}}, rules: {staged: true}}
EOF
kubectl label crp evict protected=yes
kubectl delete crpe,crpdb --all`)
		s.eventually(t, func() error {
			_, err := s.run(t.Context(), "evict-oncall", `kubectl create --dry-run=server -f - <<'EOF'
apiVersion: placement.kubernetes-fleet.io/v1
kind: ClusterResourcePlacementEviction
metadata: {name: evict-member2}
spec: {placementName: evict, clusterName: member2}
EOF`)
			if err == nil || !strings.Contains(err.Error(), "a run must remove its resources from member2 first") {
				return fmt.Errorf("it is not refused: %v", err)
			}
			return nil
		})
		s.mustRun(t, "kubectl delete clusterrolloutpolicy evict")
	})
	t.Run("Uncordon", func(t *testing.T) {
		s.mustRun(t, `kubectl patch membercluster member1 --type merge -p '{"spec":{"taints":null}}'`)
		s.eventually(t, func() error { return s.values(t.Context(), "evict", "settings", onAll("value1")) })
	})
}

// testStatusMirror reads the status of a cluster-scoped placement as somebody who has view in the namespace that it places, and nothing else.
func testStatusMirror(t *testing.T, s *suite) {
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete crp evict-mirror --ignore-not-found; kubectl delete ns evict-mirror evict-other --ignore-not-found --wait=false")
	})
	s.explain(t, "crp,crb", "crps -A")
	if _, err := s.environment.User("evict-viewer"); err != nil {
		t.Fatal(err)
	}
	s.mustRun(t, `kubectl create ns evict-mirror
kubectl create rolebinding view -n evict-mirror --clusterrole=view --user=evict-viewer`)
	s.hub().mustCreate(t, `apiVersion: placement.kubernetes-fleet.io/v1
kind: ClusterResourcePlacement
metadata: {name: evict-mirror}
spec:
  statusReportingScope: NamespaceAccessible
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: evict-mirror, selectionScope: NamespaceOnly}]
`)
	s.awaitPermission(t, "evict-viewer", "evict-mirror", "get", "clusterresourceplacementstatuses")
	available := func() error {
		got, err := s.run(t.Context(), "evict-viewer", `kubectl get crps evict-mirror -n evict-mirror `+
			`-o jsonpath='{.sourceStatus.conditions[?(@.type=="ClusterResourcePlacementAvailable")].status} {.sourceStatus.placementStatuses[*].clusterName} {.metadata.uid}'`)
		if err == nil && !strings.HasPrefix(got, "True member1 member2 member3 ") {
			err = fmt.Errorf("the mirror says %q", got)
		}
		return err
	}
	s.eventually(t, available)
	s.mustRun(t, `kubectl wait crp/evict-mirror --for=condition=ClusterResourcePlacementStatusSynced --timeout=10s`)
	s.refused(t, "evict-viewer", "kubectl get crp evict-mirror", "forbidden")
	s.refused(t, "evict-viewer", "kubectl delete crps evict-mirror -n evict-mirror", "forbidden")

	s.mustRun(t, "kubectl delete crps evict-mirror -n evict-mirror")
	s.eventually(t, available)

	_, err := s.run(t.Context(), "hub", `kubectl patch crp evict-mirror --type json -p '[{"op":"replace","path":"/spec/resourceSelectors/0/name","value":"evict-other"}]'`)
	if err == nil || !strings.Contains(err.Error(), "choosing a different namespace 'evict-other' from what was originally picked 'evict-mirror'") {
		t.Errorf("another namespace is not refused: %v", err)
	}
	s.mustRun(t, "kubectl delete crp evict-mirror")
	s.eventually(t, func() error {
		left, err := s.run(t.Context(), "hub", "kubectl get crps -A -o name")
		if err == nil && left != "" {
			err = fmt.Errorf("left: %s", left)
		}
		return err
	})
}
