// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/stagegate/stagegate/test/hub"
)

// nothingPlacement is a ClusterResourcePlacement with one selector, a policy and a strategy.
const nothingPlacement = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: %s}
spec:
  resourceSelectors: [%s]
  policy: {%s}
  strategy: {type: %s}
`

// testNothingPlaced makes the mistakes that end with nothing placed: each is said when it is made, and none ends as a success.
func testNothingPlaced(t *testing.T, s *suite) {
	const (
		typo = "{group: '', version: v1, kind: Namespace, name: nothing-shpo}"
		all  = "placementType: PickAll"
		pick = "placementType: PickFixed"
	)
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete csur nothing-run --ignore-not-found; kubectl delete crp nothing-typo nothing-external nothing-nobody nothing-kind --ignore-not-found;"+
			" kubectl delete csus nothing --ignore-not-found; kubectl delete crd trinkets.nothing.example.com --ignore-not-found; kubectl delete ns nothing-shpo nothing-team --ignore-not-found --wait=false")
	})
	s.explain(t, "crp,crs,crb,csur", "events -A")
	// said runs a command on a manifest and wants a text in what it prints, whether it fails or not.
	said := func(command, manifest string, fails bool, want string) {
		t.Helper()
		out, err := s.run(t.Context(), hub.HubName, command+" -f - 2>&1", func(cmd *exec.Cmd) { cmd.Stdin = strings.NewReader(manifest) })
		if (err != nil) != fails || !strings.Contains(out, want) {
			t.Errorf("%s prints (error %v)\n%s\nwant\n%s", command, err, out, want)
		}
	}
	condition := func(placement, conditionType, want string) {
		t.Helper()
		s.eventually(t, func() error {
			got, err := s.run(t.Context(), hub.HubName, fmt.Sprintf(`kubectl get crp %s -o jsonpath='{range .status.conditions[?(@.type=="ClusterResourcePlacement%s")]}{.status} {.reason}: {.message}{end}'`,
				placement, conditionType))
			if err == nil && !strings.Contains(got, want) {
				err = fmt.Errorf("%s of %s is %q, want %q", conditionType, placement, got, want)
			}
			return err
		})
	}

	// A typo in a namespace's name, with a strategy of its own and with a run.
	const lacks = `the hub has no Namespace "nothing-shpo"`
	for _, command := range []string{"kubectl create --dry-run=server", "kubectl apply --server-side --dry-run=server", "kubectl apply"} {
		said(command, fmt.Sprintf(nothingPlacement, "nothing-typo", typo, all, "RollingUpdate"), false, "Warning: spec.resourceSelectors[0]: "+lacks)
	}
	condition("nothing-typo", "ResourcesSelected", "False NothingSelected: The resource selectors select nothing: "+lacks)
	condition("nothing-typo", "Applied", "False NothingSelected: Nothing is placed on 3 cluster(s)")

	said("kubectl apply", fmt.Sprintf(nothingPlacement, "nothing-external", typo, all, "External"), false, lacks)
	s.mustRun(t, `kubectl apply -f - <<'EOF'
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateStrategy
metadata: {name: nothing}
spec: {stages: [{name: all, labelSelector: {}}]}
EOF`)
	condition("nothing-external", "ResourcesSelected", lacks)
	const run = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateRun
metadata: {name: nothing-run}
spec: {placementName: nothing-external, stagedRolloutStrategyName: nothing, state: Run}
`
	said("kubectl create --dry-run=server", run, false, "there is nothing to roll out: placement `nothing-external` selects nothing: "+lacks)
	said("kubectl create", run, false, `Warning: ClusterResourcePlacement "nothing-external": The resource selectors select nothing: `+lacks)
	initialized := func(want string) {
		t.Helper()
		s.mustRun(t, `kubectl wait csur/nothing-run --for=jsonpath='{.status.conditions[?(@.type=="Initialized")].status}'=False --timeout=30s`)
		got := s.mustRun(t, `kubectl get csur nothing-run -o jsonpath='{.status.conditions[?(@.type=="Initialized")].message}'`)
		if !strings.Contains(got, want) {
			t.Errorf("Initialized says %q, want %q", got, want)
		}
	}
	initialized("there is nothing to roll out")
	t.Run("GivesUp", func(t *testing.T) {
		// A run looks for a minute.
		nightly(t)
		s.mustRun(t, `kubectl wait csur/nothing-run --for=jsonpath='{.status.history[?(@.reason=="InitializationFailed")].reason}' --timeout=90s`)
		initialized("selects nothing: " + lacks)
	})

	// What was missing may turn up. The run looks for it, too, and would have the other placement be the first one to have it.
	s.mustRun(t, "kubectl delete csur/nothing-run crp/nothing-external")
	s.mustRun(t, "kubectl create ns nothing-shpo")
	condition("nothing-typo", "Applied", "True ApplySucceeded: The selected resources are successfully applied to 3 cluster(s)")

	// Nobody is picked.
	said("kubectl apply", fmt.Sprintf(nothingPlacement, "nothing-nobody", typo, pick, "RollingUpdate"), false, "Warning: spec.policy.clusterNames: no cluster is named")
	condition("nothing-nobody", "Scheduled", "no cluster is picked: spec.policy.clusterNames names none")
	said("kubectl create --dry-run=server", fmt.Sprintf(nothingPlacement, "nothing-unknown", typo, pick+", clusterNames: [member9]", "RollingUpdate"), false,
		"Warning: spec.policy.clusterNames: the fleet has no member cluster member9")

	// An unknown kind, and then its definition.
	const trinket = "{group: nothing.example.com, version: v1, kind: Trinket, name: one}"
	said("kubectl apply", fmt.Sprintf(nothingPlacement, "nothing-kind", trinket, all, "RollingUpdate"), false,
		`Warning: spec.resourceSelectors[0]: the hub has no kind Trinket in group "nothing.example.com"`)
	condition("nothing-kind", "ResourcesSelected", "False InvalidResourceSelectors")
	s.mustRun(t, `kubectl apply -f - <<'EOF'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: trinkets.nothing.example.com}
spec:
  group: nothing.example.com
  names: {kind: Trinket, plural: trinkets}
  scope: Cluster
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
EOF`)
	condition("nothing-kind", "ResourcesSelected", `False NothingSelected: The resource selectors select nothing: the hub has no Trinket.nothing.example.com "one"`)

	// The wrong scope.
	const deployment = "{group: apps, version: v1, kind: Deployment, name: web}"
	said("kubectl create", fmt.Sprintf(nothingPlacement, "nothing-scope", deployment, all, "RollingUpdate"), true,
		"cannot select namespace-scoped resource deployments.apps in a clusterResourcePlacement")
	s.mustRun(t, "kubectl create ns nothing-team")
	said("kubectl create -n nothing-team", strings.Replace(fmt.Sprintf(nothingPlacement, "nothing-scope", typo, all, "RollingUpdate"), "ClusterResource", "Resource", 1), true,
		"cannot select cluster-scoped resource namespaces in a resourcePlacement")
	said("kubectl create -n nothing-team --dry-run=server",
		strings.Replace(fmt.Sprintf(nothingPlacement, "nothing-secret", "{group: '', version: v1, kind: Secret, name: nope}", all, "RollingUpdate"), "ClusterResource", "Resource", 1), false,
		`Warning: spec.resourceSelectors[0]: the hub has no Secret "nope" in namespace nothing-team`)
}
