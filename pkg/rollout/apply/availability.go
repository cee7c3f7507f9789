// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"fmt"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
)

// atOnce are the kinds that are of use as soon as they exist.
var atOnce = sets.New(
	schema.GroupKind{Kind: "Namespace"},
	schema.GroupKind{Kind: "Secret"},
	schema.GroupKind{Kind: "ConfigMap"},
	schema.GroupKind{Kind: "ServiceAccount"},
	schema.GroupKind{Kind: "LimitRange"},
	schema.GroupKind{Kind: "ResourceQuota"},
	schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "Role"},
	schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"},
	schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"},
	schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"},
	schema.GroupKind{Group: "networking.k8s.io", Kind: "NetworkPolicy"},
	schema.GroupKind{Group: "networking.k8s.io", Kind: "IngressClass"},
	schema.GroupKind{Group: "storage.k8s.io", Kind: "CSIDriver"},
	schema.GroupKind{Group: "storage.k8s.io", Kind: "CSINode"},
	schema.GroupKind{Group: "storage.k8s.io", Kind: "CSIStorageCapacity"},
	schema.GroupKind{Group: "storage.k8s.io", Kind: "StorageClass"},
	schema.GroupKind{Group: "apps", Kind: "ControllerRevision"},
	schema.GroupKind{Group: "scheduling.k8s.io", Kind: "PriorityClass"},
)

// tracked are the kinds whose status reports whether they are available.
var tracked = map[schema.GroupKind]func(*unstructured.Unstructured) (bool, string, error){
	{Group: "apps", Kind: "Deployment"}:                               observed(computed),
	{Group: "apps", Kind: "StatefulSet"}:                              observed(replicasAvailable),
	{Group: "apps", Kind: "DaemonSet"}:                                observed(computed),
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: computed,
	{Group: "policy", Kind: "PodDisruptionBudget"}:                    observed(computed),
}

// availabilityOf reports whether an object on a member is available. Objects of unknown kinds count as available.
func availabilityOf(live *unstructured.Unstructured) *verdict {
	kind := live.GroupVersionKind().GroupKind()
	available, message := true, ""
	var err error
	switch check, isTracked := tracked[kind]; {
	case atOnce.Has(kind):
	case isTracked:
		available, message, err = check(live)
	case kind == schema.GroupKind{Kind: "Service"}:
		serviceType, _, _ := unstructured.NestedString(live.Object, "spec", "type")
		if serviceType == "ExternalName" {
			return untrackable()
		}
		available, message = serviceAvailable(live, serviceType)
	default:
		return untrackable()
	}
	switch {
	case err != nil:
		return &verdict{reason: reasonNotAvailableYet, message: fmt.Sprintf("Manifest's availability cannot be read from its status: %v", err)}
	case !available:
		return &verdict{reason: reasonNotAvailableYet, message: "Manifest is not yet available: " + message}
	}
	return &verdict{ok: true, reason: reasonAvailable, message: "Manifest is available"}
}

func untrackable() *verdict {
	return &verdict{
		ok: true, reason: reasonNotTrackable,
		message: "Manifest's availability is not trackable; Fleet assumes that the applied manifest is available",
	}
}

func computed(live *unstructured.Unstructured) (bool, string, error) {
	result, err := status.Compute(live)
	if err != nil {
		return false, "", err
	}
	return result.Status == status.CurrentStatus, result.Message, nil
}

// replicasAvailable wants of a StatefulSet as many available Pods as it has replicas, whatever its update strategy. kstatus counts Pods
// that are ready, without minReadySeconds, and none where people update them.
func replicasAvailable(live *unstructured.Unstructured) (bool, string, error) {
	current, message, err := computed(live)
	if err != nil || !current {
		return current, message, err
	}
	// As the kind defaults it.
	replicas := int64(1)
	if given, found, _ := unstructured.NestedInt64(live.Object, "spec", "replicas"); found {
		replicas = given
	}
	available, _, _ := unstructured.NestedInt64(live.Object, "status", "availableReplicas")
	return available >= replicas, fmt.Sprintf("Available: %d/%d", available, replicas), nil
}

// observed waits for the kind's controller to have seen the object at all before its status counts.
func observed(next func(*unstructured.Unstructured) (bool, string, error)) func(*unstructured.Unstructured) (bool, string, error) {
	return func(live *unstructured.Unstructured) (bool, string, error) {
		if seen, _, _ := unstructured.NestedInt64(live.Object, "status", "observedGeneration"); seen < live.GetGeneration() {
			return false, fmt.Sprintf("generation %d is not observed yet", live.GetGeneration()), nil
		}
		return next(live)
	}
}

// serviceAvailable wants an address: a load balancer's from outside, any other Service's in the cluster.
func serviceAvailable(live *unstructured.Unstructured, serviceType string) (bool, string) {
	if serviceType != "LoadBalancer" {
		ips, _, _ := unstructured.NestedStringSlice(live.Object, "spec", "clusterIPs")
		return len(ips) > 0 && ips[0] != "", "it has no cluster IP"
	}
	ingress, _, _ := unstructured.NestedSlice(live.Object, "status", "loadBalancer", "ingress")
	if len(ingress) == 0 {
		return false, "the load balancer has no address"
	}
	first, _ := ingress[0].(map[string]any)
	ip, _, _ := unstructured.NestedString(first, "ip")
	hostname, _, _ := unstructured.NestedString(first, "hostname")
	return ip != "" || hostname != "", "the load balancer has no address"
}
