// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagegate/stagegate/test/hub"
)

// testSelectedOfANamespace places a namespace with what the other selectors find in it, and nothing else of it.
func testSelectedOfANamespace(t *testing.T, s *suite) {
	const name = "selected"
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete crp selected --ignore-not-found --timeout=1m; kubectl delete ns selected selected-other --ignore-not-found --wait=false")
	})
	s.explain(t, "crp/selected", "crs -l kubernetes-fleet.io/parent-CRP=selected")
	s.mustRun(t, `
kubectl create ns selected
kubectl create ns selected-other
for ns in selected selected-other; do
  kubectl create cm chosen -n $ns --from-literal=key=value1
  kubectl label cm chosen -n $ns choose=me
  kubectl create cm left -n $ns --from-literal=key=value1
done
`)
	s.hub().mustCreate(t, `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: selected}
spec:
  resourceSelectors:
  - {group: "", version: v1, kind: Namespace, name: selected, selectionScope: NamespaceWithResourceSelectors}
  - {group: "", version: v1, kind: ConfigMap, labelSelector: {matchLabels: {choose: me}}}
  policy: {placementType: PickAll}
`)
	s.eventually(t, func() error { return s.values(t.Context(), name, "chosen", onAll("value1")) })
	// What comes to match later is placed, and what does not match any more is taken away.
	s.mustRun(t, "kubectl label cm left -n selected choose=me && kubectl label cm chosen -n selected choose-")
	s.eventually(t, func() error { return s.values(t.Context(), name, "left", onAll("value1")) })
	s.eventually(t, func() error { return s.values(t.Context(), name, "chosen", onAll("")) })
	selected := s.mustRun(t, `kubectl get crp selected -o jsonpath='{range .status.selectedResources[*]}{.kind} {.namespace}/{.name}{"\n"}{end}'`)
	if diff := cmp.Diff("ConfigMap selected/left\nNamespace /selected\n", sortedLines(selected)); diff != "" {
		t.Errorf("selected (-want +got):\n%s", diff)
	}
}

// testHistoryLimit has more versions than the placement keeps: the oldest go, and never what the clusters have or the last run goes back to.
func testHistoryLimit(t *testing.T, s *suite) {
	r := s.newRollout(t, "history", `
  - name: all
    labelSelector: {}
    maxConcurrency: 100%
`)
	r.hub().mustPatch(t, kindPlacement, "", r.name, `{"spec":{"revisionHistoryLimit":2}}`)
	keeps := func(indexes string) {
		t.Helper()
		r.eventually(t, func() error {
			got := strings.Join(strings.Fields(sortedLines(r.mustRun(t, `kubectl get crs -l kubernetes-fleet.io/parent-CRP=history -o jsonpath='{range .items[*]}{.metadata.labels.kubernetes-fleet\.io/resource-index}{"\n"}{end}'`))), " ")
			if got != indexes {
				return fmt.Errorf("the versions %s are kept, want %s", got, indexes)
			}
			return nil
		})
	}
	r.start(t, "history-first", 0, "Run")
	r.succeeds(t, "history-first", "value1")
	for i := 1; i <= 4; i++ {
		r.change(t, fmt.Sprintf("value%d", i+1), i)
	}
	keeps("0 3 4")
	r.start(t, "history-second", 4, "Run")
	r.succeeds(t, "history-second", "value5")
	r.change(t, "value6", 5)
	r.change(t, "value7", 6)
	keeps("0 4 5 6")
	r.operate(t, hub.HubName, "history-second", "rollback", `{"reason":"value5 is bad"}`)
	name := ""
	r.eventually(t, func() error {
		if name = r.mustRun(t, "kubectl get csur history-second -o jsonpath='{.status.rolledBackBy.name}'"); name == "" {
			return fmt.Errorf("nothing rolls the run back")
		}
		return nil
	})
	r.succeeds(t, name, "value1")
}
