// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterprofile

import (
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

const (
	// definition is the name of the CustomResourceDefinition of the kind.
	definition = "clusterprofiles.multicluster.x-k8s.io"
	// manager is how the inventory knows the manager of the clusters, in the label and in the spec: KubeFleet's name, so that what selects
	// by it goes on working.
	manager      = "KubeFleet"
	managerLabel = "x-k8s.io/cluster-manager"

	kubernetesVersion v1beta1.PropertyName = "k8s.io/k8s-version"

	// lostPeriods is after how many heartbeat periods without one a member counts as lost, and shortestLost after how long at least.
	lostPeriods  = 3
	shortestLost = 3 * time.Minute
)

var (
	group    = schema.GroupVersion{Group: "multicluster.x-k8s.io", Version: "v1alpha1"}
	resource = group.WithResource("clusterprofiles")
)

// Condition ControlPlaneHealthy, with upstream's reasons and messages.
const (
	controlPlaneHealthy = "ControlPlaneHealthy"

	reasonNoStatus      = "MemberAgentReportedNoStatus"
	reasonNoHealth      = "MemberAgentReportedNoHealthInfo"
	reasonHeartbeatLost = "MemberAgentHeartbeatLost"
	reasonUnhealthy     = "MemberClusterAPIServerUnhealthy"
	reasonHealthy       = "MemberClusterAPIServerHealthy"

	messageNoStatus      = "The member has not reported its status yet"
	messageNoHealth      = "The member has reported its status, but the health condition is missing"
	messageUnknownHealth = "The result of the member's health check is out of date or unknown"
	messageHeartbeatLost = "The member has lost its heartbeat connection to the hub"
	messageUnhealthy     = "The member reports that the API server is unhealthy"
	messageHealthy       = "The member reports that the API server is healthy"
)

// health is the condition of a cluster at a time, and when it can change without a change of the cluster, zero for never.
func health(cluster *v1beta1.MemberCluster, now time.Time) (condition metav1.Condition, changes time.Time) {
	is := func(status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: controlPlaneHealthy, Status: status, Reason: reason, Message: message}
	}
	var agent *v1beta1.AgentStatus
	for i := range cluster.Status.AgentStatus {
		if cluster.Status.AgentStatus[i].Type == v1beta1.MemberAgent {
			agent = &cluster.Status.AgentStatus[i]
		}
	}
	if agent == nil {
		return is(metav1.ConditionUnknown, reasonNoStatus, messageNoStatus), time.Time{}
	}
	healthy := meta.FindStatusCondition(agent.Conditions, v1beta1.AgentHealthy)
	if healthy == nil {
		return is(metav1.ConditionUnknown, reasonNoHealth, messageNoHealth), time.Time{}
	}
	lost := agent.LastReceivedHeartbeat.Add(max(lostPeriods*time.Duration(cluster.Spec.HeartbeatPeriodSeconds)*time.Second, shortestLost))
	switch {
	case !now.Before(lost):
		return is(metav1.ConditionFalse, reasonHeartbeatLost, messageHeartbeatLost), time.Time{}
	case healthy.Status == metav1.ConditionTrue:
		return is(metav1.ConditionTrue, reasonHealthy, messageHealthy), lost
	case healthy.Status == metav1.ConditionFalse:
		return is(metav1.ConditionFalse, reasonUnhealthy, messageUnhealthy), lost
	}
	return is(metav1.ConditionUnknown, reasonNoHealth, messageUnknownHealth), lost
}

// isOurs reports whether this store has created a profile.
func isOurs(profile *unstructured.Unstructured, store string) bool {
	return profile.GetAnnotations()[wellknown.StoreIDAnnotation] == store
}

// withSpec returns a profile as it is to be but for its status, and whether that differs. What others have added stays.
func withSpec(profile *unstructured.Unstructured, name, store string) (*unstructured.Unstructured, bool, error) {
	want := profile.DeepCopy()
	want.SetGroupVersionKind(group.WithKind("ClusterProfile"))
	want.SetNamespace(wellknown.SystemNamespace)
	want.SetName(name)
	labels := want.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[managerLabel] = manager
	want.SetLabels(labels)
	annotations := want.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[wellknown.StoreIDAnnotation] = store
	want.SetAnnotations(annotations)
	if err := unstructured.SetNestedField(want.Object, name, "spec", "displayName"); err != nil {
		return nil, false, err
	}
	if err := unstructured.SetNestedField(want.Object, manager, "spec", "clusterManager", "name"); err != nil {
		return nil, false, err
	}
	return want, !equality.Semantic.DeepEqual(profile.Object, want.Object), nil
}

// profileStatus is what is written of the status of a profile.
type profileStatus struct {
	Version    map[string]string  `json:"version,omitempty"`
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// withStatus returns a profile with the status that it is to have, and whether that differs. What others have added stays.
func withStatus(profile *unstructured.Unstructured, cluster *v1beta1.MemberCluster, condition metav1.Condition, now time.Time) (*unstructured.Unstructured, bool, error) {
	want := profile.DeepCopy()
	before, _, err := unstructured.NestedMap(want.Object, "status")
	if err != nil {
		return nil, false, err
	}
	var status profileStatus
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(before, &status); err != nil {
		return nil, false, err
	}
	if version := cluster.Status.Properties[kubernetesVersion].Value; version != "" {
		if status.Version == nil {
			status.Version = map[string]string{}
		}
		status.Version["kubernetes"] = version
	}
	condition.ObservedGeneration = profile.GetGeneration()
	condition.LastTransitionTime = metav1.NewTime(now)
	meta.SetStatusCondition(&status.Conditions, condition)
	after, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&status)
	if err != nil {
		return nil, false, err
	}
	for field, value := range after {
		if err := unstructured.SetNestedField(want.Object, value, "status", field); err != nil {
			return nil, false, err
		}
	}
	return want, !equality.Semantic.DeepEqual(profile.Object, want.Object), nil
}
