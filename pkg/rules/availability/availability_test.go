// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package availability

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err == nil {
		err = object.UnmarshalJSON(data)
	}
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return object
}

func TestAvailability(t *testing.T) {
	const deployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: ns, generation: 2}, spec: {replicas: 2}, status: `
	const paused = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: ns, generation: 2}, spec: {replicas: 2, paused: true}, status: {observedGeneration: 2, replicas: 2, `
	const set = `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s, namespace: ns, generation: 1}, `
	const all = `observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 2, `
	const daemons = `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: s, generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 2, `
	const pdb = `{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: p, generation: 1}, status: {observedGeneration: 1, `
	const job = `{apiVersion: batch/v1, kind: Job, metadata: {name: j}`
	const widget = `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, generation: 2}`
	const service = `{apiVersion: v1, kind: Service, metadata: {name: s, namespace: ns}, `
	for _, tc := range []struct {
		name, object, want string
	}{
		{"ConfigMap", `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}`, "Available"},
		{"Namespace", `{apiVersion: v1, kind: Namespace, metadata: {name: n}}`, "Available"},
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
		{"PodDisruptionBudget that is seen, with Pods", pdb + `currentHealthy: 2, desiredHealthy: 1, expectedPods: 2, disruptionsAllowed: 1, conditions: [{type: DisruptionAllowed, status: "True"}]}}`, "Available"},
		{"PodDisruptionBudget of an earlier generation", strings.Replace(pdb, "generation: 1", "generation: 2", 1) + `currentHealthy: 2, desiredHealthy: 1}}`, "ManifestNotAvailableYet"},
		{"paused Deployment with all replicas of its template", paused + `updatedReplicas: 2, availableReplicas: 2, readyReplicas: 2, conditions: [{type: Progressing, status: Unknown, reason: DeploymentPaused}]}}`, "Available"},
		{"paused Deployment whose template changed since", paused + `availableReplicas: 2, readyReplicas: 2, conditions: [{type: Available, status: "True"}]}}`, "ManifestNotAvailableYet"},
		{"paused Deployment with a replica too many", paused + `updatedReplicas: 2, availableReplicas: 2, unavailableReplicas: 1}}`, "ManifestNotAvailableYet"},
		{"StatefulSet", set + `spec: {replicas: 2}, status: {` + all + `currentReplicas: 2, updatedReplicas: 2, currentRevision: a, updateRevision: a}}`, "Available"},
		{"StatefulSet that is ready and not yet available", set + `spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 1, currentReplicas: 2, updatedReplicas: 2}}`, "ManifestNotAvailableYet"},
		{"StatefulSet between two revisions", set + `spec: {replicas: 2}, status: {` + all + `currentReplicas: 1, updatedReplicas: 1, currentRevision: a, updateRevision: b}}`, "ManifestNotAvailableYet"},
		{"StatefulSet between two revisions, by the default of the server", set + `spec: {replicas: 2, updateStrategy: {rollingUpdate: {partition: 0}}}, status: {` + all + `currentReplicas: 1, updatedReplicas: 1, currentRevision: a, updateRevision: b}}`, "ManifestNotAvailableYet"},
		{"StatefulSet up to its partition", set + `spec: {replicas: 2, updateStrategy: {rollingUpdate: {partition: 1}}}, status: {` + all + `currentReplicas: 1, updatedReplicas: 1, currentRevision: a, updateRevision: b}}`, "Available"},
		{"StatefulSet not yet up to its partition", set + `spec: {replicas: 2, updateStrategy: {rollingUpdate: {partition: 1}}}, status: {` + all + `currentReplicas: 2, currentRevision: a, updateRevision: b}}`, "ManifestNotAvailableYet"},
		{"StatefulSet that is updated by hand", set + `spec: {replicas: 2, updateStrategy: {type: OnDelete}}, status: {` + all + `currentReplicas: 2, currentRevision: a, updateRevision: b}}`, "Available"},
		{"StatefulSet that is updated by hand, without Pods", set + `spec: {replicas: 2, updateStrategy: {type: OnDelete}}, status: {observedGeneration: 1}}`, "ManifestNotAvailableYet"},
		{"StatefulSet of no Pods", set + `spec: {replicas: 0}, status: {observedGeneration: 1}}`, "Available"},
		{"StatefulSet of one Pod by default", set + `spec: {}, status: {observedGeneration: 1}}`, "ManifestNotAvailableYet"},
		{"DaemonSet", daemons + `numberAvailable: 2, updatedNumberScheduled: 2, currentNumberScheduled: 2, numberReady: 2}}`, "Available"},
		{"DaemonSet with a node to go", daemons + `numberAvailable: 1, updatedNumberScheduled: 2, currentNumberScheduled: 2, numberReady: 1}}`, "ManifestNotAvailableYet"},
		{"DaemonSet with an old Pod", daemons + `numberAvailable: 2, updatedNumberScheduled: 1, currentNumberScheduled: 2, numberReady: 2}}`, "ManifestNotAvailableYet"},
		{"ReplicaSet that nobody has seen", `{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: r, generation: 1}, spec: {replicas: 0}}`, "ManifestNotAvailableYet"},
		{"Pod that runs", `{apiVersion: v1, kind: Pod, metadata: {name: p}, status: {phase: Running, conditions: [{type: Ready, status: "True"}]}}`, "Available"},
		{"Pod that waits", `{apiVersion: v1, kind: Pod, metadata: {name: p}, status: {phase: Pending}}`, "ManifestNotAvailableYet"},

		{"Job that is new", job + `}`, "ManifestNotAvailableYet"},
		{"Job that runs", job + `, status: {startTime: "2026-11-23T02:20:00Z", active: 1}}`, "ManifestNotAvailableYet"},
		{"Job that is about to complete", job + `, status: {succeeded: 1, conditions: [{type: SuccessCriteriaMet, status: "True"}]}}`, "ManifestNotAvailableYet"},
		{"Job that has completed", job + `, status: {succeeded: 1, conditions: [{type: Complete, status: "True"}]}}`, "Available"},
		{"Job that has failed", job + `, status: {failed: 7, conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded}]}}`, "JobFailed"},
		{"Job that is suspended", `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {suspend: true}}`, "Available"},
		{"CronJob", `{apiVersion: batch/v1, kind: CronJob, metadata: {name: j}}`, "Available"},

		{"custom resource", widget + `}`, "NotTrackable"},
		{"custom resource whose conditions tell nothing", widget + `, status: {conditions: [{type: Synced, status: "False"}]}}`, "NotTrackable"},
		{"custom resource whose conditions are no list", widget + `, status: {conditions: x, observedGeneration: y}}`, "NotTrackable"},
		{"custom resource whose generation is seen", widget + `, status: {observedGeneration: 2}}`, "NotTrackable"},
		{"custom resource whose generation is not seen yet", widget + `, status: {observedGeneration: 1, conditions: [{type: Ready, status: "True"}]}}`, "ManifestNotAvailableYet"},
		{"custom resource that is ready", widget + `, status: {observedGeneration: 2, conditions: [{type: Ready, status: "True"}]}}`, "Available"},
		{"custom resource that is not ready", widget + `, status: {conditions: [{type: Ready, status: "False", message: creating}]}}`, "ManifestNotAvailableYet"},
		{"custom resource of which nobody knows", widget + `, status: {conditions: [{type: Ready, status: Unknown}]}}`, "ManifestNotAvailableYet"},
		{"custom resource that is being reconciled", widget + `, status: {conditions: [{type: Reconciling, status: "True"}, {type: Ready, status: "True"}]}}`, "ManifestNotAvailableYet"},
		{"custom resource that is stalled", widget + `, status: {conditions: [{type: Stalled, status: "True"}]}}`, "ManifestNotAvailableYet"},
		{"custom resource that is not stalled", widget + `, status: {conditions: [{type: Stalled, status: "False"}]}}`, "Available"},

		{"claim for a volume that waits for its consumer", `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c}, status: {phase: Pending}}`, "NotTrackable"},
		{"Ingress", `{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: i}}`, "NotTrackable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Of(parse(t, tc.object))
			if got.Reason != tc.want || got.OK == slices.Contains([]string{"ManifestNotAvailableYet", "JobFailed"}, tc.want) {
				t.Errorf("availability is %+v, want %s", got, tc.want)
			}
		})
	}
}

func TestKindsThatAreOfUseAtOnce(t *testing.T) {
	for apiVersion, kinds := range map[string][]string{
		"v1":                           {"Namespace", "Secret", "ConfigMap", "ServiceAccount", "LimitRange", "ResourceQuota"},
		"rbac.authorization.k8s.io/v1": {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"},
		"networking.k8s.io/v1":         {"NetworkPolicy", "IngressClass"},
		"storage.k8s.io/v1":            {"CSIDriver", "CSINode", "CSIStorageCapacity", "StorageClass"},
		"apps/v1":                      {"ControllerRevision"},
		"batch/v1":                     {"CronJob"},
		"scheduling.k8s.io/v1":         {"PriorityClass"},
	} {
		for _, kind := range kinds {
			object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
			if got := Of(object); !got.OK || got.Reason != ReasonAvailable {
				t.Errorf("%s is %+v", kind, got)
			}
		}
	}
}

func TestWhatIsNotAvailableSaysWhy(t *testing.T) {
	for object, want := range map[string]string{
		`{apiVersion: batch/v1, kind: Job, metadata: {name: j}, status: {failed: 7, conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded, message: too many}]}}`: "Manifest is not available: the Job has failed (BackoffLimitExceeded: too many); change it on the hub under another name, or delete it on the member cluster to have it run again",
		`{apiVersion: batch/v1, kind: Job, metadata: {name: j}, status: {active: 2, succeeded: 1}}`:                                                                                  "Manifest is not yet available: the Job has not completed, with 1 succeeded, 2 active and 0 failed Pods",
		`{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {paused: true}}`:                                                                                         "Manifest is not yet available: it is paused, with 0 of 1 replicas updated and 0 available",
		`{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, status: {conditions: [{type: Ready, status: "False", message: creating}]}}`:                                 "Manifest is not yet available: creating",
		`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s}, spec: {replicas: 3}, status: {availableReplicas: 1}}`:                                                         "Manifest is not yet available: 1 of 3 replicas are available",
	} {
		if got := Of(parse(t, object)); got.Message != want {
			t.Errorf("%s:\ngot  %s\nwant %s", object, got.Message, want)
		}
	}
}
