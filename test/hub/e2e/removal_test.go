// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stagegate/stagegate/test/hub"
)

// testRemoval takes clusters out of a placement whose strategy has an approval: the run that follows names them when it is planned, and
// removes nothing before that is approved. A policy that picks none of the strategy's clusters any more is past no gate either.
func testRemoval(t *testing.T, s *suite) {
	r := s.newRollout(t, "removal", `
  - name: all
    labelSelector: {}
    maxConcurrency: 100%
    beforeStageTasks: [{type: Approval}]
`)
	approve := func(request string) {
		t.Helper()
		s.mustRun(t, fmt.Sprintf("kubectl wait careq/%[1]s --for=create --timeout=%[2]s &&"+
			` kubectl patch careq %[1]s --subresource=approve --type=merge -p '{"spec":{"comment":"ok"}}'`, request, patience))
	}
	// picks changes which clusters the policy picks, by an expression of a label selector.
	picks := func(expression string) {
		t.Helper()
		s.hub().mustPatch(t, kindPlacement, "", r.name, fmt.Sprintf(`{"spec":{"policy":{"placementType":"PickAll","affinity":{"clusterAffinity":{`+
			`"requiredDuringSchedulingIgnoredDuringExecution":{"clusterSelectorTerms":[{"labelSelector":{"matchExpressions":[%s]}}]}}}}}}`, expression))
	}
	r.start(t, "removal-first", 0, "Run")
	approve("removal-first-before-all")
	r.succeeds(t, "removal-first", "value1")

	picks(`{"key":"order","operator":"NotIn","values":["1"]}`)
	s.eventually(t, func() error {
		warned, err := s.run(t.Context(), hub.HubName, fmt.Sprintf("kubectl create --dry-run=server -f - 2>&1 <<'EOF'\n%sEOF", r.runManifest("removal-some", 0, "Run")))
		const want = "Warning: the run removes all resources of the placement from 1 cluster that the placement does not pick any more: member3"
		if err == nil && !strings.Contains(warned, want) {
			err = fmt.Errorf("the dry run says %q, want %q", warned, want)
		}
		return err
	})
	r.start(t, "removal-some", 0, "Run")
	approve("removal-some-before-all")
	const gate = "removal-some-before-delete-stage"
	s.mustRun(t, fmt.Sprintf("kubectl wait careq/%s --for=create --timeout=%s", gate, patience))
	r.awaitRun(t, "removal-some", has("Progressing", "False", "UpdateRunWaiting"))
	if err := r.values(t.Context(), r.name, "settings", onAll("value1")); err != nil {
		t.Errorf("before anybody has approved it: %v", err)
	}
	for command, want := range map[string]string{
		"kubectl get careq --no-headers " + gate:                                    gate + " removal-some kubernetes-fleet.io/deleteStage",
		"kubectl get csur -o wide --no-headers removal-some":                        "approval: " + gate,
		"kubectl get careq -l kubernetes-fleet.io/targetUpdatingStage=delete-stage": gate,
	} {
		if got := strings.Join(strings.Fields(s.mustRun(t, command)), " "); !strings.Contains(got, want) {
			t.Errorf("%s prints %q, want %q", command, got, want)
		}
	}
	approve(gate)
	r.awaitRun(t, "removal-some", has("Succeeded", "True", "UpdateRunSucceeded"))
	s.eventually(t, func() error {
		return r.values(t.Context(), r.name, "settings", map[string]string{"member1": "value1", "member2": "value1", "member3": ""})
	})

	// The stage has no clusters any more, and its approval is asked for all the same.
	s.hub().mustPatch(t, kindStrategy, "", r.name, `{"spec":{"stages":[{"name":"all","labelSelector":{"matchLabels":{"environment":"nowhere"}},"beforeStageTasks":[{"type":"Approval"}]}]}}`)
	picks(`{"key":"environment","operator":"In","values":["nowhere"]}`)
	r.start(t, "removal-all", 0, "Run")
	s.mustRun(t, fmt.Sprintf("kubectl wait careq/removal-all-before-all --for=create --timeout=%s", patience))
	s.mustRun(t, `kubectl patch careq removal-all-before-all --subresource=reject --type=merge -p '{"spec":{"comment":"no"}}'`)
	r.awaitRun(t, "removal-all", has("Succeeded", "False", "UpdateRunRejected"))
	if err := r.values(t.Context(), r.name, "settings", map[string]string{"member1": "value1", "member2": "value1"}); err != nil {
		t.Errorf("after a rejection: %v", err)
	}
}

// testRollingUpdateNamesRemovals has a placement under RollingUpdate lose an object: an Event and the condition RolloutStarted name it, and
// members lose it without anybody's approval.
func testRollingUpdateNamesRemovals(t *testing.T, s *suite) {
	const name = "rolling-removal"
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete crp rolling-removal --ignore-not-found; kubectl delete ns rolling-removal --ignore-not-found --wait=false")
	})
	s.explain(t, "crp,crs,crb", "works -A -l kubernetes-fleet.io/parent-CRP="+name, "events -A")
	s.hub().mustCreate(t, fmt.Sprintf(`apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: %[1]s}
data: {key: value1}
---
%[2]s---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: %[1]s}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: %[1]s}]
  policy: {placementType: PickAll}
`, name, fmt.Sprintf(gate, name)))
	s.eventually(t, func() error { return s.values(t.Context(), name, "settings", onAll("value1")) })

	s.mustRun(t, "kubectl delete cm settings -n "+name)
	s.eventually(t, func() error { return s.values(t.Context(), name, "settings", onAll("")) })
	// The service is available nowhere, so that the rollout goes on.
	const names = " removes 1 object(s) from member clusters: ConfigMap rolling-removal/settings"
	s.eventually(t, func() error {
		obj, err := s.hub().get(t.Context(), kindPlacement, "", name)
		if err != nil {
			return err
		}
		list, _, err := unstructured.NestedSlice(obj.Object, "status", "conditions")
		if err != nil {
			return err
		}
		for _, c := range list {
			if c := c.(map[string]any); c["type"] == "ClusterResourcePlacementRolloutStarted" {
				if message := c["message"].(string); !strings.HasSuffix(message, names) {
					return fmt.Errorf("RolloutStarted says %q", message)
				}
				return nil
			}
		}
		return errors.New("no condition RolloutStarted")
	})
	s.eventually(t, func() error {
		events, err := s.run(t.Context(), hub.HubName, "kubectl events --for crp/"+name+
			` -o jsonpath='{range .items[?(@.reason=="ObjectsRemoved")]}{.type} {.message}{"\n"}{end}'`)
		if lines := strings.Split(strings.TrimSpace(events), "\n"); err != nil || len(lines) != 1 ||
			!strings.HasPrefix(lines[0], "Warning Rolling out resource snapshot ") || !strings.HasSuffix(lines[0], names) {
			return fmt.Errorf("Events are %q, %w", events, err)
		}
		return nil
	})
}
