// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"

// OverrideSnapshotsOf returns the versions of overrides that a cluster gets, those without a namespace first.
func OverrideSnapshotsOf(c *v1beta1.ClusterUpdatingStatus) []v1beta1.NamespacedName {
	return overrideSnapshots(c.ClusterResourceOverrideSnapshots, c.ResourceOverrideSnapshots)
}

// PreviousOverrideSnapshotsOf returns those that a cluster had before.
func PreviousOverrideSnapshotsOf(c *v1beta1.ClusterUpdatingStatus) []v1beta1.NamespacedName {
	return overrideSnapshots(c.PreviousClusterResourceOverrideSnapshots, c.PreviousResourceOverrideSnapshots)
}

func overrideSnapshots(clusterScoped []string, namespaced []v1beta1.NamespacedName) []v1beta1.NamespacedName {
	names := make([]v1beta1.NamespacedName, 0, len(clusterScoped)+len(namespaced))
	for _, name := range clusterScoped {
		names = append(names, v1beta1.NamespacedName{Name: name})
	}
	return append(names, namespaced...)
}
