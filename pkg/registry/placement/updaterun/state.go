// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

func isInitialized(status *v1beta1.UpdateRunStatus) bool {
	return meta.IsStatusConditionTrue(status.Conditions, v1beta1.RunInitialized)
}

// isPaused says whether a run waits for somebody to look after clusters that have failed.
func isPaused(status *v1beta1.UpdateRunStatus) bool {
	progressing := meta.FindStatusCondition(status.Conditions, v1beta1.RunProgressing)
	return progressing != nil && progressing.Reason == wellknown.ReasonRunPaused
}

// endOf is the reason for which a run is over, whatever its outcome, and empty as long as it is not. One that cannot be initialised is
// over once it is not tried any more.
func endOf(status *v1beta1.UpdateRunStatus) string {
	if succeeded := meta.FindStatusCondition(status.Conditions, v1beta1.RunSucceeded); succeeded != nil {
		return succeeded.Reason
	}
	initialized := meta.FindStatusCondition(status.Conditions, v1beta1.RunInitialized)
	if initialized != nil && initialized.Status == metav1.ConditionFalse && status.InitializationStartTime == nil {
		return initialized.Reason
	}
	return ""
}

// isOver says whether a stage is over, whatever its outcome.
func isOver(stage *v1beta1.StageUpdatingStatus) bool {
	return meta.FindStatusCondition(stage.Conditions, v1beta1.StageSucceeded) != nil
}

// hasFailed says whether a cluster was given up and nobody has skipped it since.
func hasFailed(cluster *v1beta1.ClusterUpdatingStatus) bool {
	succeeded := meta.FindStatusCondition(cluster.Conditions, v1beta1.ClusterSucceeded)
	return succeeded != nil && succeeded.Reason == wellknown.ReasonClusterFailed
}

// failedClusters are the names of the clusters of a stage that have failed.
func failedClusters(stage *v1beta1.StageUpdatingStatus) []string {
	var names []string
	for i := range stage.Clusters {
		if hasFailed(&stage.Clusters[i]) {
			names = append(names, stage.Clusters[i].ClusterName)
		}
	}
	return names
}

// find is a cluster of a run and the stage that it is in, or nil.
func find(status *v1beta1.UpdateRunStatus, name string) (*v1beta1.StageUpdatingStatus, *v1beta1.ClusterUpdatingStatus) {
	for _, stage := range stages(status) {
		i := slices.IndexFunc(stage.Clusters, func(c v1beta1.ClusterUpdatingStatus) bool { return c.ClusterName == name })
		if i >= 0 {
			return stage, &stage.Clusters[i]
		}
	}
	return nil, nil
}
