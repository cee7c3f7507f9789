// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"
)

// tutorialMembers is the number of members whose labels the tutorial's strategy asks for.
const tutorialMembers = 3

// tutorial is the cluster-scoped tutorial with the manifests of artifacts/example. Members' kubeconfigs are in dir. Where the
// reader of a tutorial waits, kubectl wait does.
func tutorial(dir string, wait time.Duration) []scene {
	timeout := fmt.Sprintf("--timeout=%s", waitMargin)
	gate := func(request string) string {
		return fmt.Sprintf("kubectl wait clusterapprovalrequest/%s --for=create --timeout=%s", request, wait+waitMargin)
	}
	succeeded := func(run string) string { return "kubectl wait csur/" + run + " --for=condition=Succeeded " + timeout }
	onMembers := func(value string) string {
		return fmt.Sprintf(`for m in member1 member2 member3; do kubectl --kubeconfig %s/$m.kubeconfig wait cm/test-cm -n test-namespace \
    --for=jsonpath='{.data.key}'=%s %s -o jsonpath="$m: {.data.key}{'\n'}"; done`, dir, value, timeout)
	}
	return []scene{
		{"A fleet of three member clusters.", []string{
			"kubectl get memberclusters -L environment,order",
		}},
		{"A workload on the hub, to be placed on all members; a run will roll it out.", []string{
			"kubectl create ns test-namespace",
			"kubectl create cm test-cm --from-literal=key=value1 -n test-namespace",
			"kubectl apply -f artifacts/example/cluster-scoped/2-placement.yaml",
			"kubectl wait crp/example-placement --for=condition=ClusterResourcePlacementScheduled " + timeout,
			"kubectl get crp example-placement",
		}},
		{"Each change of the workload is a resource snapshot.", []string{
			"kubectl wait clusterresourcesnapshot/example-placement-0-snapshot --for=create " + timeout,
			`kubectl patch cm test-cm -n test-namespace --type=merge -p '{"data":{"key":"value2"}}'`,
			"kubectl wait clusterresourcesnapshot/example-placement-1-snapshot --for=create " + timeout,
			"kubectl get clusterresourcesnapshots --show-labels",
		}},
		{"A strategy: staging first, then a wait; canary after an approval, one cluster at a time.", []string{
			fmt.Sprintf("sed 's/waitTime: 1m/waitTime: %.0fs/' artifacts/example/cluster-scoped/3-strategy.yaml | kubectl apply -f -", wait.Seconds()),
		}},
		{"What a run would do.", []string{
			"kubectl create --dry-run=server -f artifacts/example/cluster-scoped/4-run.yaml \\\n" +
				`    -o jsonpath='{range .status.stagesStatus[*]}{.stageName}: {.clusters[*].clusterName}{"\n"}{end}'`,
		}},
		{"The run, initialized and then started.", []string{
			"kubectl apply -f artifacts/example/cluster-scoped/4-run.yaml",
			"kubectl wait csur/example-run --for=condition=Initialized " + timeout,
			"kubectl get csur example-run",
			`kubectl patch csur example-run --type merge -p '{"spec":{"state":"Run"}}'`,
			gate("example-run-before-canary"),
			"kubectl get csur example-run -o wide",
		}},
		{"An approval by a patch of the status.", []string{
			"kubectl get clusterapprovalrequest",
			"kubectl patch clusterapprovalrequests example-run-before-canary --type=merge --subresource=status \\\n" +
				"    --patch-file artifacts/example/approval.json",
			succeeded("example-run"),
			"kubectl get clusterapprovalrequest",
			"kubectl get csur example-run",
			"kubectl get crp example-placement",
			onMembers("value2"),
		}},
		{"Roll back: a run with the older snapshot.", []string{
			"kubectl apply -f artifacts/example/cluster-scoped/rollback/run.yaml",
			gate("example-run-2-before-canary"),
			"kubectl get csur",
		}},
		{"An approval by the subresource approve, with a comment.", []string{
			"kubectl patch careq example-run-2-before-canary --type=merge --subresource=approve \\\n" +
				`    -p '{"spec":{"comment":"CHG-1042 back to value1"}}'`,
			"kubectl get careq example-run-2-before-canary \\\n" +
				`    -o jsonpath='{range .status.decisions[*]}{.decision} by {.user.username}: {.comment}{"\n"}{end}'`,
			succeeded("example-run-2"),
			"kubectl get csur",
			onMembers("value1"),
		}},
	}
}
