// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"cmp"
	"slices"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// Version returns the index of the resource snapshot that a run gives to a cluster: its own, or that of the run.
func Version(status *v1beta1.UpdateRunStatus, c *v1beta1.ClusterUpdatingStatus) string {
	return cmp.Or(c.ResourceSnapshotIndex, status.ResourceSnapshotIndexUsed)
}

// IsTakenBack reports whether a rollback of the run brings a cluster back: the run has begun to move it, and it had another version, or
// other overrides, before.
func IsTakenBack(status *v1beta1.UpdateRunStatus, c *v1beta1.ClusterUpdatingStatus) bool {
	before := c.PreviousResourceSnapshotIndex
	return before != nil && *before != "" && (*before != Version(status, c) ||
		!slices.Equal(c.PreviousClusterResourceOverrideSnapshots, c.ClusterResourceOverrideSnapshots) ||
		!slices.Equal(c.PreviousResourceOverrideSnapshots, c.ResourceOverrideSnapshots))
}

// TakesBack reports whether a rollback of the run brings any cluster back.
func TakesBack(status *v1beta1.UpdateRunStatus) bool {
	for i := range status.StagesStatus {
		for j := range status.StagesStatus[i].Clusters {
			if IsTakenBack(status, &status.StagesStatus[i].Clusters[j]) {
				return true
			}
		}
	}
	return false
}
