// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/test/hub"
)

// override has all objects carry the cluster's place among the canary clusters, and changes the value there to a text and the
// cluster's name.
const override = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourceOverride
metadata: {name: %[1]s-order}
spec:
  placement: {name: %[1]s}
  clusterResourceSelectors: [{group: "", version: v1, kind: Namespace, name: %[1]s}]
  policy:
    overrideRules:
    - clusterSelector: {clusterSelectorTerms: [{labelSelector: {matchLabels: {environment: canary}}}]}
      jsonPatchOverrides: [{op: add, path: /metadata/annotations, value: {order: "${MEMBER-CLUSTER-LABEL-KEY-order}"}}]
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourceOverride
metadata: {name: by-cluster, namespace: %[1]s}
spec:
  placement: {name: %[1]s}
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: settings}]
  policy:
    overrideRules:
    - clusterSelector: {clusterSelectorTerms: [{labelSelector: {matchLabels: {environment: canary}}}]}
      jsonPatchOverrides: [{op: replace, path: /data/key, value: "%[2]s-${MEMBER-CLUSTER-NAME}"}]
`

// testOverrides has clusters differ, and an edit and a deletion of what makes them differ wait for the next run, which can be rolled
// back.
func testOverrides(t *testing.T, s *suite) {
	const name = "overridden"
	r := s.newRollout(t, name, stagingThenCanary)
	overridden := func(text string) map[string]string {
		return map[string]string{"member1": text + "-member1", "member2": "value1", "member3": text + "-member3"}
	}
	run := func(run, state string) {
		t.Helper()
		r.start(t, run, 0, state)
	}
	have := func(run string, want map[string]string) {
		t.Helper()
		r.awaitRun(t, run, has("Succeeded", "True", "UpdateRunSucceeded"))
		if err := r.values(t.Context(), name, "settings", want); err != nil {
			t.Fatalf("run %s has succeeded, but: %v", run, err)
		}
	}
	t.Cleanup(func() {
		r.mustRunInCleanup(t, "kubectl delete clusterresourceoverride --ignore-not-found "+name+"-order")
	})
	// The run is created right after the overrides.
	s.hub().mustCreate(t, fmt.Sprintf(override, name, "first"))
	run("first", "Run")
	have("first", overridden("first"))
	for cluster, want := range map[string]string{"member1": "2", "member2": "", "member3": "1"} {
		for kind, object := range map[schema.GroupVersionKind][2]string{kindNamespace: {"", name}, kindConfigMap: {name, "settings"}} {
			obj, err := r.clusters[cluster].get(t.Context(), kind, object[0], object[1])
			if err != nil {
				t.Fatal(err)
			}
			if got := obj.GetAnnotations()["order"]; got != want {
				t.Errorf("%s of %s: order is %q, want %q", kind.Kind, cluster, got, want)
			}
		}
	}
	conditions := r.mustRun(t, `kubectl get crb -l kubernetes-fleet.io/parent-CRP=`+name+
		` -o jsonpath='{range .items[*]}{.spec.targetCluster}={.status.conditions[?(@.type=="Overridden")].reason}{"\n"}{end}'`)
	for cluster, want := range map[string]string{"member1": "OverriddenSucceeded", "member2": "NoOverrideSpecified", "member3": "OverriddenSucceeded"} {
		if !strings.Contains(conditions, cluster+"="+want) {
			t.Errorf("Overridden of %s is not %s: %s", cluster, want, conditions)
		}
	}

	// What a run has frozen does not change with the override, and neither do the clusters by themselves.
	run("frozen", "Initialize")
	r.awaitRun(t, "frozen", has("Initialized", "True", ""))
	r.mustRun(t, fmt.Sprintf(`kubectl patch resourceoverride by-cluster -n %s --type=json -p '[{"op":"replace",
		"path":"/spec/policy/overrideRules/0/jsonPatchOverrides/0/value","value":"second-${MEMBER-CLUSTER-NAME}"}]'`, name))
	r.eventually(t, func() error {
		_, err := r.hub().get(t.Context(), placementV1beta1.WithKind("ResourceOverrideSnapshot"), name, "by-cluster-1")
		return err
	})
	r.setState(t, "frozen", "Run")
	have("frozen", overridden("first"))
	run("second", "Run")
	have("second", overridden("second"))

	// A deleted override is in force until a run says otherwise, and a rollback brings it back.
	r.mustRun(t, "kubectl delete resourceoverride by-cluster -n "+name)
	if err := r.values(t.Context(), name, "settings", overridden("second")); err != nil {
		t.Errorf("after the override was deleted: %v", err)
	}
	run("third", "Run")
	have("third", onAll("value1"))
	r.operate(t, hub.HubName, "third", "rollback", `{"reason":"INC-7"}`)
	r.eventually(t, func() error { return r.values(t.Context(), name, "settings", overridden("second")) })
}
