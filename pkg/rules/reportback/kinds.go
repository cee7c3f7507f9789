// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reportback

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
)

// workloads are the built-in kinds whose status nothing but their own controller and people read: it counts replicas.
var workloads = sets.New(
	schema.GroupKind{Group: "apps", Kind: "DaemonSet"},
	schema.GroupKind{Group: "apps", Kind: "Deployment"},
	schema.GroupKind{Group: "apps", Kind: "StatefulSet"},
)

// platforms end the groups of Kubernetes, of its subprojects, of OpenShift and of the fleet. Their statuses are what other components act
// on: approvals of certificates, addresses that traffic goes to, volumes, quotas, admission.
var platforms = []string{
	"k8s.io", "x-k8s.io", "kubernetes.io", "openshift.io", "kubernetes-fleet.io", "kubefleet.dev", "fleet.azure.com", "stagegate.dev",
}

// IsReported reports whether the status of objects of a kind is ever written to the hub. It is of the workloads of apps and of custom
// resources. A kind of the platform is not: what a member says of it must not move anything on the hub.
func IsReported(gk schema.GroupKind) bool {
	if workloads.Has(gk) {
		return true
	}
	// Built-in groups have no dot, or end in k8s.io.
	if !strings.Contains(gk.Group, ".") {
		return false
	}
	for _, platform := range platforms {
		if gk.Group == platform || strings.HasSuffix(gk.Group, "."+platform) {
			return false
		}
	}
	return true
}
