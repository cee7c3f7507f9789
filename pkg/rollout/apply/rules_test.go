// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAvailability(t *testing.T) {
	const deployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: ns, generation: 2}, spec: {replicas: 2}, status: `
	const statefulSet = `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s, namespace: ns, generation: 1}, `
	const daemonSet = `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: s, namespace: ns, generation: 1}, status: `
	const service = `{apiVersion: v1, kind: Service, metadata: {name: s, namespace: ns}, `
	for _, tc := range []struct {
		name, object, want string
	}{
		{"ConfigMap", configMapYAML, "Available"},
		{"Namespace", namespaceYAML, "Available"},
		{"Deployment without status", deployment + `{}}`, "ManifestNotAvailableYet"},
		{
			"Deployment whose new generation is not seen yet",
			deployment + `{observedGeneration: 1, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2, conditions: [{type: Available, status: "True"}]}}`,
			"ManifestNotAvailableYet",
		},
		{"Deployment that is half there", deployment + `{observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 1}}`, "ManifestNotAvailableYet"},
		{
			"Deployment that is there",
			deployment + `{observedGeneration: 2, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2, conditions: [{type: Available, status: "True"}]}}`,
			"Available",
		},
		{"StatefulSet that nobody has seen", `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s, generation: 1}, spec: {replicas: 0}}`, "ManifestNotAvailableYet"},
		{"StatefulSet that is there", statefulSet + `spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 2, currentReplicas: 2, updatedReplicas: 2}}`, "Available"},
		{
			"StatefulSet whose Pods are ready and not for minReadySeconds",
			statefulSet + `spec: {replicas: 2, minReadySeconds: 30}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 1, currentReplicas: 2, updatedReplicas: 2}}`,
			"ManifestNotAvailableYet",
		},
		{
			"StatefulSet of a partition that is updated",
			statefulSet + `spec: {replicas: 2, updateStrategy: {rollingUpdate: {partition: 1}}}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 2, currentReplicas: 1, updatedReplicas: 1, currentRevision: a, updateRevision: b}}`,
			"Available",
		},
		{
			"StatefulSet of a partition that is not updated",
			statefulSet + `spec: {replicas: 2, updateStrategy: {rollingUpdate: {partition: 1}}}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 2, currentReplicas: 2, currentRevision: a, updateRevision: b}}`,
			"ManifestNotAvailableYet",
		},
		{
			"StatefulSet that people update, without Pods",
			statefulSet + `spec: {replicas: 2, updateStrategy: {type: OnDelete}}, status: {observedGeneration: 1, replicas: 2, currentReplicas: 2, updatedReplicas: 2}}`,
			"ManifestNotAvailableYet",
		},
		{
			"StatefulSet that people update, with Pods of another version",
			statefulSet + `spec: {replicas: 2, updateStrategy: {type: OnDelete}}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 2, currentReplicas: 2, currentRevision: a, updateRevision: b}}`,
			"Available",
		},
		{"StatefulSet of no Pods", statefulSet + `spec: {replicas: 0}, status: {observedGeneration: 1}}`, "Available"},
		{"StatefulSet of one Pod by default", statefulSet + `spec: {}, status: {observedGeneration: 1}}`, "ManifestNotAvailableYet"},
		{"DaemonSet that is there", daemonSet + `{observedGeneration: 1, desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2, numberReady: 2}}`, "Available"},
		{"DaemonSet that is not on each node", daemonSet + `{observedGeneration: 1, desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1, numberReady: 2}}`, "ManifestNotAvailableYet"},
		{"PodDisruptionBudget that is computed", `{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: p, generation: 1}, status: {observedGeneration: 1, disruptionsAllowed: 0}}`, "Available"},
		{"DaemonSet without nodes", `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: s, generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 0}}`, "Available"},
		{"Service", service + `spec: {clusterIPs: [10.0.0.1]}}`, "Available"},
		{"Service that is headless", service + `spec: {clusterIPs: [None]}}`, "Available"},
		{"Service without address", service + `spec: {type: NodePort}}`, "ManifestNotAvailableYet"},
		{"load balancer without address", service + `spec: {type: LoadBalancer, clusterIPs: [10.0.0.1]}}`, "ManifestNotAvailableYet"},
		{"load balancer", service + `spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{hostname: a.example.com}]}}}`, "Available"},
		{"Service that is a name", service + `spec: {type: ExternalName}}`, "NotTrackable"},
		{"CustomResourceDefinition that is new", `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: c}}`, "ManifestNotAvailableYet"},
		{
			"CustomResourceDefinition that is established",
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: c}, status: {conditions: [{type: NamesAccepted, status: "True"}, {type: Established, status: "True"}]}}`,
			"Available",
		},
		{"PodDisruptionBudget not seen", `{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: p, generation: 1}}`, "ManifestNotAvailableYet"},
		{"Job", `{apiVersion: batch/v1, kind: Job, metadata: {name: j}}`, "NotTrackable"},
		{"custom resource", `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}}`, "NotTrackable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := availabilityOf(parse(t, tc.object))
			if got.reason != tc.want || got.ok != (tc.want != "ManifestNotAvailableYet") {
				t.Errorf("availability is %+v, want %s", got, tc.want)
			}
		})
	}
}

func TestWaves(t *testing.T) {
	var manifests []*manifest
	for i, resource := range []string{
		"widgets", "deployments", "apiservices", "rolebindings", "roles", "configmaps", "namespaces", "secrets", "",
	} {
		m := &manifest{ordinal: i}
		m.resource.Resource = resource
		manifests = append(manifests, m)
	}
	var got [][]string
	for _, wave := range inWaves(manifests) {
		var names []string
		for _, m := range wave {
			names = append(names, m.resource.Resource)
		}
		got = append(got, names)
	}
	want := [][]string{{"namespaces"}, {"configmaps", "secrets"}, {"roles"}, {"rolebindings"}, {"deployments"}, {"apiservices"}, {"widgets", ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("waves (-want +got):\n%s", diff)
	}
}

func TestVerdictsOnAWork(t *testing.T) {
	applied := &verdict{ok: true, reason: reasonApplied}
	available := &result{applied: applied, available: &verdict{ok: true, reason: reasonAvailable}}
	guessed := &result{applied: applied, available: &verdict{ok: true, reason: reasonNotTrackable}}
	waiting := &result{applied: applied, available: &verdict{reason: reasonNotAvailableYet}}
	refused := &result{applied: &verdict{reason: reasonApplyFailed}}
	for _, tc := range []struct {
		name                         string
		results                      []*result
		wantApplied, wantAvailable   string
		appliedMessage, availMessage string
	}{
		{"no manifests", nil, reasonAllApplied, reasonAllAvailable, messageAllApplied, messageAllAvailable},
		{"all available", []*result{available, available}, reasonAllApplied, reasonAllAvailable, messageAllApplied, messageAllAvailable},
		{"one untrackable", []*result{available, guessed}, reasonAllApplied, reasonWorkNotTrackable, messageAllApplied, messageWorkNotTrackable},
		{
			"one not available yet", []*result{guessed, waiting}, reasonAllApplied, reasonSomeNotAvailable, messageAllApplied,
			"Some manifests are not available (1 of 2 manifests are available)",
		},
		{"one not applied", []*result{available, refused}, reasonSomeNotApplied, "", "Failed to apply all manifests (1 of 2 manifests are applied)", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			gotApplied, gotAvailable, diffReported := verdicts(tc.results, true)
			if diffReported != nil {
				t.Errorf("DiffReported: %+v", diffReported)
			}
			if gotApplied.reason != tc.wantApplied || gotApplied.message != tc.appliedMessage {
				t.Errorf("Applied: %+v", gotApplied)
			}
			if (gotAvailable == nil) != (tc.wantAvailable == "") {
				t.Fatalf("Available: %+v", gotAvailable)
			}
			if gotAvailable != nil && (gotAvailable.reason != tc.wantAvailable || gotAvailable.message != tc.availMessage) {
				t.Errorf("Available: %+v", gotAvailable)
			}
		})
	}
}
