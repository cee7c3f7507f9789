// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
)

const (
	// unhealthyTooLong is how long a cluster may be unhealthy before nothing new is scheduled to it.
	unhealthyTooLong = 5 * time.Minute
	// silentTooLong is how long a cluster may send no heartbeat before nothing new is scheduled to it, or missedHeartbeats of its periods where
	// that is longer: a slow heart is no dead one.
	silentTooLong    = 5 * time.Minute
	missedHeartbeats = 3
)

// What a reason that tells a time has before it.
const (
	lastHeartbeat  = " (last received "
	lastTransition = " (last transitioned "
)

// ineligible returns why a cluster can be given nothing at all, empty where it can. From a cluster that holds the placement only its leaving
// takes that.
func ineligible(cluster *clusterv1beta1.MemberCluster, now time.Time, holds bool) string {
	const disconnected = "cluster is not connected to the fleet: "
	if !cluster.DeletionTimestamp.IsZero() {
		return "cluster has left the fleet"
	}
	if holds {
		return ""
	}
	heartbeat, online := heartbeatOf(cluster)
	if !online {
		return disconnected + "member not online yet"
	}
	if since := now.Sub(heartbeat); since > silence(cluster) {
		return fmt.Sprintf(disconnected+"no recent heartbeat signals"+lastHeartbeat+"%.2f minutes ago)", since.Minutes())
	}
	if !meta.IsStatusConditionTrue(cluster.Status.Conditions, clusterv1beta1.ConditionTypeMemberClusterJoined) {
		return disconnected + "member agent not joined yet"
	}
	healthy := meta.FindStatusCondition(cluster.Status.Conditions, clusterv1beta1.ConditionTypeMemberClusterHealthy)
	if healthy == nil {
		return disconnected + "health condition from member agent is not available"
	}
	if since := now.Sub(healthy.LastTransitionTime.Time); healthy.Status != metav1.ConditionTrue && since > unhealthyTooLong {
		return fmt.Sprintf(disconnected+"unhealthy for a prolonged period of time"+lastTransition+"%.2f minutes ago)", since.Minutes())
	}
	return ""
}

// heartbeatOf returns when the hub last heard of a cluster. online is false for one that it has never heard of.
func heartbeatOf(cluster *clusterv1beta1.MemberCluster) (last time.Time, online bool) {
	for _, agent := range cluster.Status.AgentStatus {
		if agent.Type == clusterv1beta1.MemberAgent {
			return agent.LastReceivedHeartbeat.Time, true
		}
	}
	return time.Time{}, false
}

func silence(cluster *clusterv1beta1.MemberCluster) time.Duration {
	return max(silentTooLong, missedHeartbeats*time.Duration(cluster.Spec.HeartbeatPeriodSeconds)*time.Second)
}

// withoutNamespace returns why a cluster cannot take what is placed in a namespace, empty where it can, or where it does not report namespaces at
// all. A namespace that is missing in an incomplete report may be there.
func withoutNamespace(cluster *clusterv1beta1.MemberCluster, namespace string) string {
	collected := meta.FindStatusCondition(cluster.Status.Conditions, clusterv1beta1.ConditionTypeNamespaceCollectionSucceeded)
	if namespace == "" || collected == nil {
		return ""
	}
	if _, there := cluster.Status.Namespaces[namespace]; there {
		return ""
	}
	if cluster.Status.Namespaces == nil || collected.Status != metav1.ConditionTrue {
		return "cluster has no namespace information available"
	}
	return "target namespace does not exist on cluster"
}

// withoutTime returns a reason without the time that it tells, which changes by itself.
func withoutTime(reason string) string {
	reason, _, _ = strings.Cut(reason, lastHeartbeat)
	reason, _, _ = strings.Cut(reason, lastTransition)
	return reason
}
