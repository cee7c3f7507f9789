// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"cmp"
	"slices"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// Version returns the index of the resource snapshot that a run gives to a cluster: its own, or that of the run.
func Version(status *v1beta1.UpdateRunStatus, c *v1beta1.ClusterUpdatingStatus) string {
	return cmp.Or(c.ResourceSnapshotIndex, status.ResourceSnapshotIndexUsed)
}

// IsTakenBack reports whether a rollback of the run brings a cluster back: the run has begun to move it, and it had another version, or
// other overrides, before. What the placement says by now is no matter.
func IsTakenBack(status *v1beta1.UpdateRunStatus, c *v1beta1.ClusterUpdatingStatus) bool {
	return hadOther(status, c) && !WasOnlyCompared(status, c)
}

// WasOnlyCompared reports whether a run has applied a version to a cluster that was only compared with an earlier one before: there is nothing
// on the cluster to go back to. A run of before this was recorded counts as one whose clusters had their versions.
func WasOnlyCompared(status *v1beta1.UpdateRunStatus, c *v1beta1.ClusterUpdatingStatus) bool {
	return hadOther(status, c) && c.PreviousApplyType == v1beta1.ApplyStrategyTypeReportDiff && !Compares(status, c)
}

// OnlyCompared returns the clusters that a rollback of the run leaves as they are since they were only compared before. They point into the status.
func OnlyCompared(status *v1beta1.UpdateRunStatus) (found []*v1beta1.ClusterUpdatingStatus) {
	for i := range status.StagesStatus {
		found = append(found, Clusters(&status.StagesStatus[i], func(c *v1beta1.ClusterUpdatingStatus) bool { return WasOnlyCompared(status, c) })...)
	}
	return found
}

// hadOther reports whether a run has begun to move a cluster that asked for another version, or other overrides, before.
func hadOther(status *v1beta1.UpdateRunStatus, c *v1beta1.ClusterUpdatingStatus) bool {
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

// IsRollback reports whether a run is the one that a controller has created to roll an earlier run back. A run that somebody else has
// created is not, whatever its name. A controller says for whom it creates a run by the name alone, and nobody else can: a user whom
// the server has authenticated is in a group at least.
func IsRollback(run, earlier v1beta1.UpdateRunObject) bool {
	by := run.RunStatus().CreatedBy
	if run.RunSpec().RollbackOf != earlier.GetName() || by == nil || by.UID != "" || len(by.Groups) > 0 {
		return false
	}
	// There may have been an earlier run of that name. A plan tells which one is meant, whatever a clock that was set back says of the time.
	if uid := run.RunStatus().RollbackOfUID; uid != "" {
		return uid == earlier.GetUID()
	}
	created, before := run.GetCreationTimestamp(), earlier.GetCreationTimestamp()
	return !created.Before(&before)
}

// IsAutomaticRollback reports whether a run is the one that a controller has created to roll an earlier run back by itself, since its failure
// policy says so and without anybody's asking. Nobody else can create such a run: see IsRollback.
func IsAutomaticRollback(run, earlier v1beta1.UpdateRunObject) bool {
	return earlier.RunStatus().RolledBackBy != nil && IsRollback(run, earlier) && run.RunStatus().CreatedBy.Username == user.APIServerUser
}

// IsBeingRolledBack reports whether the rollback of a run is about to be created.
func IsBeingRolledBack(run v1beta1.UpdateRunObject) bool {
	by := run.RunStatus().RolledBackBy
	return by != nil && by.UID == "" && run.GetDeletionTimestamp() == nil
}

// TakenBack returns the clusters that a rollback of the run brings back, with what they had before and how that was applied: by stage, the
// last ones first.
func TakenBack(status *v1beta1.UpdateRunStatus) (stages []TakenBackStage) {
	for i := len(status.StagesStatus) - 1; i >= 0; i-- {
		stage := TakenBackStage{Index: i}
		clusters := status.StagesStatus[i].Clusters
		for j := len(clusters) - 1; j >= 0; j-- {
			c := &clusters[j]
			if IsTakenBack(status, c) {
				stage.Clusters = append(stage.Clusters, v1beta1.ClusterUpdatingStatus{
					ClusterName:                      c.ClusterName,
					ResourceSnapshotIndex:            *c.PreviousResourceSnapshotIndex,
					ClusterResourceOverrideSnapshots: c.PreviousClusterResourceOverrideSnapshots,
					ResourceOverrideSnapshots:        c.PreviousResourceOverrideSnapshots,
					ApplyStrategy:                    cmp.Or(c.PreviousApplyStrategy, status.ApplyStrategy),
				})
			}
		}
		if len(stage.Clusters) > 0 {
			stages = append(stages, stage)
		}
	}
	return stages
}

// TakenBackStage is a stage with clusters that a rollback brings back.
type TakenBackStage struct {
	// Index of the stage in the run that is rolled back.
	Index int
	// Clusters with what they had before.
	Clusters []v1beta1.ClusterUpdatingStatus
}
