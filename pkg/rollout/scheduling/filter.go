// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
)

// unhealthyTooLong is how long a cluster may be unhealthy before nothing new is scheduled to it.
const unhealthyTooLong = 5 * time.Minute

// ineligible says why a cluster can be given nothing at all, or "".
func ineligible(cluster *clusterv1beta1.MemberCluster, now time.Time) string {
	if !cluster.DeletionTimestamp.IsZero() {
		return "cluster has left the fleet"
	}
	joined := meta.FindStatusCondition(cluster.Status.Conditions, clusterv1beta1.ConditionTypeMemberClusterJoined)
	if joined == nil || joined.Status != metav1.ConditionTrue {
		return "cluster is not connected to the fleet: member agent not joined yet"
	}
	healthy := meta.FindStatusCondition(cluster.Status.Conditions, clusterv1beta1.ConditionTypeMemberClusterHealthy)
	if healthy != nil && healthy.Status == metav1.ConditionFalse {
		if since := now.Sub(healthy.LastTransitionTime.Time); since > unhealthyTooLong {
			return fmt.Sprintf("cluster is not connected to the fleet: unhealthy for a prolonged period of time (last transitioned %.2f minutes ago)", since.Minutes())
		}
	}
	return ""
}
