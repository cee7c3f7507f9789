// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// Stages returns all stages of a run in order, the delete stage included. They point into the status.
func Stages(status *v1beta1.UpdateRunStatus) []*v1beta1.StageUpdatingStatus {
	var all []*v1beta1.StageUpdatingStatus
	for i := range status.StagesStatus {
		all = append(all, &status.StagesStatus[i])
	}
	if status.DeletionStageStatus != nil {
		all = append(all, status.DeletionStageStatus)
	}
	return all
}

// CurrentStage returns the first stage that is not over, nil where all are. The run may not have come to it yet: see IsEntered.
func CurrentStage(status *v1beta1.UpdateRunStatus) *v1beta1.StageUpdatingStatus {
	for _, stage := range Stages(status) {
		if !IsStageOver(stage) {
			return stage
		}
	}
	return nil
}

// EnteredStage returns the stage that a run has entered and not left, nil before the first and after the last.
func EnteredStage(status *v1beta1.UpdateRunStatus) *v1beta1.StageUpdatingStatus {
	if stage := CurrentStage(status); stage != nil && IsEntered(stage) && stage.EndTime == nil {
		return stage
	}
	return nil
}

// IsEntered reports whether a run has come to a stage.
func IsEntered(stage *v1beta1.StageUpdatingStatus) bool {
	return meta.FindStatusCondition(stage.Conditions, v1beta1.StageProgressing) != nil
}

// IsStageOver reports whether a stage is done, skipped or failed.
func IsStageOver(stage *v1beta1.StageUpdatingStatus) bool {
	return meta.FindStatusCondition(stage.Conditions, v1beta1.StageSucceeded) != nil
}

// IsStageSkipped reports whether a run has passed over a stage without clusters.
func IsStageSkipped(stage *v1beta1.StageUpdatingStatus) bool {
	succeeded := meta.FindStatusCondition(stage.Conditions, v1beta1.StageSucceeded)
	return succeeded != nil && succeeded.Reason == wellknown.ReasonStageSkipped
}

// AreClustersDone reports whether no cluster of a stage is waited for any more, whatever became of it.
func AreClustersDone(stage *v1beta1.StageUpdatingStatus) bool {
	return !slices.ContainsFunc(stage.Clusters, func(c v1beta1.ClusterUpdatingStatus) bool { return !IsClusterDone(&c) })
}

// FailedClusters returns the clusters of a stage that have failed and that nobody has skipped since. They point into the stage.
func FailedClusters(stage *v1beta1.StageUpdatingStatus) []*v1beta1.ClusterUpdatingStatus {
	return Clusters(stage, HasFailed)
}

// Names returns the names of clusters.
func Names(clusters []*v1beta1.ClusterUpdatingStatus) []string {
	var names []string
	for _, c := range clusters {
		names = append(names, c.ClusterName)
	}
	return names
}

// FindCluster returns a cluster of a run and the stage that it is in, nil where the run does not have it. Both point into the status.
func FindCluster(status *v1beta1.UpdateRunStatus, name string) (*v1beta1.StageUpdatingStatus, *v1beta1.ClusterUpdatingStatus) {
	for _, stage := range Stages(status) {
		i := slices.IndexFunc(stage.Clusters, func(c v1beta1.ClusterUpdatingStatus) bool { return c.ClusterName == name })
		if i >= 0 {
			return stage, &stage.Clusters[i]
		}
	}
	return nil, nil
}

// IsStarted reports whether a run has begun to move a cluster.
func IsStarted(c *v1beta1.ClusterUpdatingStatus) bool {
	return meta.IsStatusConditionTrue(c.Conditions, v1beta1.ClusterStarted)
}

// IsClusterDone reports whether a cluster is not waited for any more: it is updated, skipped or given up.
func IsClusterDone(c *v1beta1.ClusterUpdatingStatus) bool {
	return meta.FindStatusCondition(c.Conditions, v1beta1.ClusterSucceeded) != nil
}

// HasSucceeded reports whether a cluster has what the run gives it, or was compared with that. It is false for one that was left out or given up.
func HasSucceeded(c *v1beta1.ClusterUpdatingStatus) bool {
	succeeded := meta.FindStatusCondition(c.Conditions, v1beta1.ClusterSucceeded)
	return succeeded != nil && succeeded.Reason == wellknown.ReasonClusterSucceeded
}

// IsInFlight reports whether a cluster is being moved.
func IsInFlight(c *v1beta1.ClusterUpdatingStatus) bool { return IsStarted(c) && !IsClusterDone(c) }

// HasFailed reports whether a cluster was given up and nobody has skipped it since.
func HasFailed(c *v1beta1.ClusterUpdatingStatus) bool {
	return WasGivenUp(c) && !IsFailureSkipped(c)
}

// IsFailureSkipped reports whether somebody has decided to go on without a cluster that had failed.
func IsFailureSkipped(c *v1beta1.ClusterUpdatingStatus) bool {
	succeeded := meta.FindStatusCondition(c.Conditions, v1beta1.ClusterSucceeded)
	return succeeded != nil && succeeded.Reason == wellknown.ReasonClusterFailureSkipped
}

// WasGivenUp reports whether a cluster was given up, whether or not somebody has skipped it since.
func WasGivenUp(c *v1beta1.ClusterUpdatingStatus) bool {
	return meta.IsStatusConditionFalse(c.Conditions, v1beta1.ClusterSucceeded)
}

// IsLeftOut reports whether a run has gone on without updating a cluster: as somebody asked, or since the cluster has left the fleet or the
// placement. One that was given up before is not left out, but skipped.
func IsLeftOut(c *v1beta1.ClusterUpdatingStatus) bool {
	succeeded := meta.FindStatusCondition(c.Conditions, v1beta1.ClusterSucceeded)
	return succeeded != nil && succeeded.Reason == wellknown.ReasonClusterSkipped
}

// IsSkipped reports whether a run has gone on without a cluster, be it left out or given up.
func IsSkipped(c *v1beta1.ClusterUpdatingStatus) bool { return IsLeftOut(c) || IsFailureSkipped(c) }

// MessageLeftOutAsAsked begins what a cluster says that somebody has left out. The reason is upstream's and the same for one that has left
// the fleet; the history is no better sign: it drops its oldest entries, and does not name the clusters of a stage that was skipped.
const MessageLeftOutAsAsked = "Cluster update skipped "

// IsLeftOutAsAsked reports whether somebody has asked to leave a cluster out.
func IsLeftOutAsAsked(c *v1beta1.ClusterUpdatingStatus) bool {
	return IsLeftOut(c) && strings.HasPrefix(meta.FindStatusCondition(c.Conditions, v1beta1.ClusterSucceeded).Message, MessageLeftOutAsAsked)
}

// Clusters returns those clusters of a stage that are so. They point into the stage.
func Clusters(stage *v1beta1.StageUpdatingStatus, is func(*v1beta1.ClusterUpdatingStatus) bool) []*v1beta1.ClusterUpdatingStatus {
	var found []*v1beta1.ClusterUpdatingStatus
	for i := range stage.Clusters {
		if c := &stage.Clusters[i]; is(c) {
			found = append(found, c)
		}
	}
	return found
}
