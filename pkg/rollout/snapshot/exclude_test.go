// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"testing"
)

func TestNeverSelected(t *testing.T) {
	for name, tc := range map[string]struct {
		manifest string
		selected bool
	}{
		"being deleted":                 {`{apiVersion: v1, kind: ConfigMap, metadata: {name: c, deletionTimestamp: "2026-01-01T00:00:00Z"}}`, false},
		"replica set of a deployment":   {`{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: r, ownerReferences: [{name: d, kind: Deployment}]}}`, false},
		"replica set of nobody":         {`{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: r}}`, true},
		"owned controller revision":     {`{apiVersion: apps/v1, kind: ControllerRevision, metadata: {name: r, ownerReferences: [{name: d}]}}`, false},
		"other owned objects":           {`{apiVersion: v1, kind: ConfigMap, metadata: {name: c, ownerReferences: [{name: d}]}}`, true},
		"root certificate":              {`{apiVersion: v1, kind: ConfigMap, metadata: {name: kube-root-ca.crt}}`, false},
		"default service account":       {`{apiVersion: v1, kind: ServiceAccount, metadata: {name: default}}`, false},
		"other service accounts":        {`{apiVersion: v1, kind: ServiceAccount, metadata: {name: app}}`, true},
		"token of a service account":    {`{apiVersion: v1, kind: Secret, metadata: {name: s}, type: kubernetes.io/service-account-token}`, false},
		"other secrets":                 {`{apiVersion: v1, kind: Secret, metadata: {name: s}, type: Opaque}`, true},
		"managed endpoint slice":        {`{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: e, labels: {endpointslice.kubernetes.io/managed-by: x}}}`, false},
		"endpoint slice of the user's":  {`{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: e}}`, true},
		"a ReplicaSet of another group": {`{apiVersion: example.com/v1, kind: ReplicaSet, metadata: {name: r, ownerReferences: [{name: d}]}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			i, err := newItem(parse(t, tc.manifest))
			if err != nil {
				t.Fatal(err)
			}
			if got := i != nil; got != tc.selected {
				t.Errorf("selected: %t, want %t", got, tc.selected)
			}
		})
	}
}
