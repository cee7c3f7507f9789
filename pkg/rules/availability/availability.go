// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package availability

import (
	"fmt"
	"slices"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// Reasons of the Available condition of a manifest.
const (
	ReasonAvailable    = "Available"
	ReasonNotYet       = "ManifestNotAvailableYet"
	ReasonNotTrackable = "NotTrackable"
)

// Verdict is what the Available condition of a manifest says. Reason is one of the above, or wellknown.ReasonJobFailed.
type Verdict struct {
	OK              bool
	Reason, Message string
}

// JobKind is the kind of Jobs.
var JobKind = schema.GroupKind{Group: "batch", Kind: "Job"}

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
	schema.GroupKind{Group: "batch", Kind: "CronJob"},
	schema.GroupKind{Group: "scheduling.k8s.io", Kind: "PriorityClass"},
)

// tracked are the kinds whose status reports whether they are available, by rules of their own.
var tracked = map[schema.GroupKind]func(*unstructured.Unstructured) (bool, string, error){
	{Group: "apps", Kind: "Deployment"}:                               observed(deploymentAvailable),
	{Group: "apps", Kind: "StatefulSet"}:                              observed(statefulSetAvailable),
	{Group: "apps", Kind: "DaemonSet"}:                                observed(computed),
	{Group: "apps", Kind: "ReplicaSet"}:                               observed(computed),
	{Kind: "Pod"}:                                                     computed,
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: computed,
	{Group: "policy", Kind: "PodDisruptionBudget"}:                    observed(computed),
	JobKind: jobAvailable,
}

// telling are the conditions by which controllers of any kind report whether an object is as its spec wants it. An object without them may
// be of a controller that reports nothing, or of one that does not run.
var telling = sets.New(string(status.ConditionReconciling), string(status.ConditionStalled), "Ready")

// Of reports whether an object on a member, with its status, is available. Where nothing tells, it counts as available: a claim for a volume may
// wait for a consumer that is no object of the placement, and stays pending as it should.
func Of(live *unstructured.Unstructured) Verdict {
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
	case tells(live):
		available, message, err = computed(live)
	default:
		return untrackable()
	}
	switch {
	case err != nil:
		return Verdict{Reason: ReasonNotYet, Message: fmt.Sprintf("Manifest's availability cannot be read from its status: %v", err)}
	case !available && kind == JobKind && hasFailed(live):
		return Verdict{Reason: wellknown.ReasonJobFailed, Message: "Manifest is not available: " + message}
	case !available:
		return Verdict{Reason: ReasonNotYet, Message: "Manifest is not yet available: " + message}
	}
	return Verdict{OK: true, Reason: ReasonAvailable, Message: "Manifest is available"}
}

func untrackable() Verdict {
	return Verdict{
		OK: true, Reason: ReasonNotTrackable,
		Message: "Manifest's availability is not trackable; Fleet assumes that the applied manifest is available",
	}
}

// tells reports whether an object of any kind has a status that tells whether it is available: a generation that its controller has not
// seen yet, or one of the telling conditions.
func tells(live *unstructured.Unstructured) bool {
	if seen, has, err := unstructured.NestedInt64(live.Object, "status", "observedGeneration"); has && err == nil && seen < live.GetGeneration() {
		return true
	}
	return slices.ContainsFunc(conditionsIn(live), func(c map[string]any) bool {
		kind, _ := c["type"].(string)
		return telling.Has(kind)
	})
}

// conditionsIn returns the conditions in the status of an object, without what is none.
func conditionsIn(live *unstructured.Unstructured) []map[string]any {
	list, _, _ := unstructured.NestedSlice(live.Object, "status", "conditions")
	found := make([]map[string]any, 0, len(list))
	for _, item := range list {
		if c, ok := item.(map[string]any); ok {
			found = append(found, c)
		}
	}
	return found
}

// trueCondition returns the condition of a type where it is True, nil otherwise.
func trueCondition(live *unstructured.Unstructured, conditionType string) map[string]any {
	for _, c := range conditionsIn(live) {
		if c["type"] == conditionType && c["status"] == "True" {
			return c
		}
	}
	return nil
}

func computed(live *unstructured.Unstructured) (bool, string, error) {
	result, err := status.Compute(live)
	if err != nil {
		return false, "", err
	}
	return result.Status == status.CurrentStatus, result.Message, nil
}

// deploymentAvailable counts replicas where a Deployment is paused: its conditions then do not tell of progress, and a template that changed
// since is not rolled out before somebody resumes it.
func deploymentAvailable(live *unstructured.Unstructured) (bool, string, error) {
	if paused, _, _ := unstructured.NestedBool(live.Object, "spec", "paused"); !paused {
		return computed(live)
	}
	want, updated, available := count(live, 1, "spec", "replicas"), count(live, 0, "status", "updatedReplicas"), count(live, 0, "status", "availableReplicas")
	done := updated == want && available == want && count(live, 0, "status", "unavailableReplicas") == 0
	return done, fmt.Sprintf("it is paused, with %d of %d replicas updated and %d available", updated, want, available), nil
}

// statefulSetAvailable wants all replicas to be available, however they are updated: those below a partition keep their revision, and those
// of one that is updated by deleting its Pods get theirs when somebody deletes them.
func statefulSetAvailable(live *unstructured.Unstructured) (bool, string, error) {
	want, available := count(live, 1, "spec", "replicas"), count(live, 0, "status", "availableReplicas")
	if available < want {
		return false, fmt.Sprintf("%d of %d replicas are available", available, want), nil
	}
	return computed(live)
}

// count reads a number of an object, or its default where it has none.
func count(live *unstructured.Unstructured, byDefault int64, path ...string) int64 {
	if n, has, err := unstructured.NestedInt64(live.Object, path...); has && err == nil {
		return n
	}
	return byDefault
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

// JobHasCompleted reports whether a Job has done its work.
func JobHasCompleted(job *unstructured.Unstructured) bool {
	return trueCondition(job, "Complete") != nil
}

// hasFailed reports whether a Job does not run again by itself, and has not done its work.
func hasFailed(job *unstructured.Unstructured) bool {
	return !JobHasCompleted(job) && trueCondition(job, "Failed") != nil
}

// jobAvailable reports whether a Job has completed, or is not meant to run now.
func jobAvailable(job *unstructured.Unstructured) (bool, string, error) {
	if JobHasCompleted(job) {
		return true, "", nil
	}
	if failed := trueCondition(job, "Failed"); failed != nil {
		return false, fmt.Sprintf("the Job has failed (%v: %v); change it on the hub under another name, or delete it on the member cluster to have it run again",
			failed["reason"], failed["message"]), nil
	}
	suspended, _, _ := unstructured.NestedBool(job.Object, "spec", "suspend")
	return suspended, fmt.Sprintf("the Job has not completed, with %d succeeded, %d active and %d failed Pods",
		count(job, 0, "status", "succeeded"), count(job, 0, "status", "active"), count(job, 0, "status", "failed")), nil
}
