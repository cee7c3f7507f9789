// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

func isInitialized(status *placement.UpdateRunStatus) bool {
	return meta.IsStatusConditionTrue(status.Conditions, placement.RunInitialized)
}

// isPaused says whether a run waits for somebody to look after clusters that have failed.
func isPaused(status *placement.UpdateRunStatus) bool {
	progressing := meta.FindStatusCondition(status.Conditions, placement.RunProgressing)
	return progressing != nil && progressing.Reason == wellknown.ReasonRunPaused
}

// endOf is the reason for which a run is over, whatever its outcome, and empty as long as it is not. One that cannot be initialised is
// over once it is not tried any more.
func endOf(status *placement.UpdateRunStatus) string {
	if succeeded := meta.FindStatusCondition(status.Conditions, placement.RunSucceeded); succeeded != nil {
		return succeeded.Reason
	}
	initialized := meta.FindStatusCondition(status.Conditions, placement.RunInitialized)
	if initialized != nil && initialized.Status == metav1.ConditionFalse && status.InitializationStartTime == nil {
		return initialized.Reason
	}
	return ""
}

// isOver says whether a stage is over, whatever its outcome.
func isOver(stage *placement.StageUpdatingStatus) bool {
	return meta.FindStatusCondition(stage.Conditions, placement.StageSucceeded) != nil
}

// hasFailed says whether a cluster was given up and nobody has skipped it since.
func hasFailed(cluster *placement.ClusterUpdatingStatus) bool {
	succeeded := meta.FindStatusCondition(cluster.Conditions, placement.ClusterSucceeded)
	return succeeded != nil && succeeded.Reason == wellknown.ReasonClusterFailed
}

// failedClusters are the names of the clusters of a stage that have failed.
func failedClusters(stage *placement.StageUpdatingStatus) []string {
	var names []string
	for i := range stage.Clusters {
		if hasFailed(&stage.Clusters[i]) {
			names = append(names, stage.Clusters[i].ClusterName)
		}
	}
	return names
}

// find is a cluster of a run and the stage that it is in, or nil.
func find(status *placement.UpdateRunStatus, name string) (*placement.StageUpdatingStatus, *placement.ClusterUpdatingStatus) {
	for _, stage := range stages(status) {
		i := slices.IndexFunc(stage.Clusters, func(c placement.ClusterUpdatingStatus) bool { return c.ClusterName == name })
		if i >= 0 {
			return stage, &stage.Clusters[i]
		}
	}
	return nil, nil
}
