// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
)

// unreachable says why nothing can be applied to a cluster now, in the words of the MemberCluster, "" where nothing is known against it.
// A cluster that is not looked at yet is not unreachable.
func unreachable(cluster *clusterv1beta1.MemberCluster) string {
	for _, conditionType := range []string{clusterv1beta1.ConditionTypeMemberClusterJoined, clusterv1beta1.ConditionTypeMemberClusterHealthy} {
		c := meta.FindStatusCondition(cluster.Status.Conditions, conditionType)
		if c != nil && c.Status == metav1.ConditionFalse && c.Message != "" {
			return c.Message
		}
	}
	return ""
}
