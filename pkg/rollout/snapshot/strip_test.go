// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStrip(t *testing.T) {
	for name, tc := range map[string]struct{ source, want string }{
		"metadata of the hub and status go, the rest stays": {
			source: `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, namespace: n, labels: {a: b}, finalizers: [x/y],
				annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}", deployment.kubernetes.io/revision: "3", kubernetes-fleet.io/spec-hash: x, kubernetes-fleet.io/last-applied-configuration: "{}", keep: me},
				resourceVersion: "1", generation: 2, uid: u, selfLink: s, managedFields: [{manager: m}], deletionGracePeriodSeconds: 30,
				ownerReferences: [{name: o}], creationTimestamp: "2026-01-01T00:00:00Z", generateName: w-}, spec: {status: kept}, status: {a: b}}`,
			want: `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, namespace: n, labels: {a: b},
				annotations: {keep: me}, deletionGracePeriodSeconds: 30, generateName: w-}, spec: {status: kept}}`,
		},
		"finalizers of the spec stay: they are a Namespace's own": {
			source: `{apiVersion: v1, kind: Namespace, metadata: {name: n, finalizers: [example.com/hold]}, spec: {finalizers: [kubernetes]}}`,
			want:   `{apiVersion: v1, kind: Namespace, metadata: {name: n}, spec: {finalizers: [kubernetes]}}`,
		},
		"no empty annotations are left": {
			source: `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, annotations: {deployment.kubernetes.io/revision: "3"}}}`,
			want:   `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}`,
		},
		"a service lets each cluster choose addresses and ports": {
			source: `{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], healthCheckNodePort: 31000,
				type: NodePort, ports: [{port: 80, nodePort: 30080}, {port: 443, nodePort: 30443}]}}`,
			want: `{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: NodePort, ports: [{port: 80}, {port: 443}]}}`,
		},
		"a headless service stays headless": {
			source: `{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {clusterIP: None, clusterIPs: [None]}}`,
			want:   `{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {clusterIP: None, clusterIPs: [None]}}`,
		},
		"a Service of another group is not touched": {
			source: `{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: s}, spec: {clusterIP: x}}`,
			want:   `{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: s}, spec: {clusterIP: x}}`,
		},
		"a job gets its own selector on each cluster": {
			source: `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {
				selector: {matchLabels: {batch.kubernetes.io/controller-uid: u}},
				template: {metadata: {creationTimestamp: null, labels: {controller-uid: u, batch.kubernetes.io/controller-uid: u, job-name: j}}}}}`,
			want: `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {selector: {matchLabels: {}}, template: {metadata: {labels: {job-name: j}}}}}`,
		},
		"a job with a selector of the user's keeps it": {
			source: `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {manualSelector: true, selector: {matchLabels: {controller-uid: u}}}}`,
			want:   `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {manualSelector: true, selector: {matchLabels: {controller-uid: u}}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := parse(t, tc.source)
			strip(got)
			if diff := cmp.Diff(parse(t, tc.want).Object, got.Object); diff != "" {
				t.Errorf("stripped (-want +got):\n%s", diff)
			}
		})
	}
}
