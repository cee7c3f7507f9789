// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// currentStage is the first stage that was entered and not left, nil before and after a run.
func currentStage(status *v1beta1.UpdateRunStatus) *v1beta1.StageUpdatingStatus {
	for _, stage := range stages(status) {
		entered := meta.FindStatusCondition(stage.Conditions, v1beta1.StageProgressing) != nil
		if entered && stage.EndTime == nil {
			return stage
		}
	}
	return nil
}

// stages are all stages of a run in order, the one that deletes included.
func stages(status *v1beta1.UpdateRunStatus) []*v1beta1.StageUpdatingStatus {
	var all []*v1beta1.StageUpdatingStatus
	for i := range status.StagesStatus {
		all = append(all, &status.StagesStatus[i])
	}
	if status.DeletionStageStatus != nil {
		all = append(all, status.DeletionStageStatus)
	}
	return all
}

// currentStageName is the name of the current stage and its place among all, such as canary (2/3). The stage that deletes is none of
// the strategy's and has no place.
func currentStageName(o v1beta1.UpdateRunObject) string {
	status := o.RunStatus()
	stage := currentStage(status)
	switch {
	case stage == nil:
		return ""
	case stage == status.DeletionStageStatus:
		return stage.StageName
	}
	place := 1 + slices.IndexFunc(status.StagesStatus, func(s v1beta1.StageUpdatingStatus) bool { return s.StageName == stage.StageName })
	return fmt.Sprintf("%s (%d/%d)", stage.StageName, place, len(status.StagesStatus))
}

// progress is the clusters done out of all, such as 2/3, and empty as long as they are not known.
func progress(o v1beta1.UpdateRunObject) string {
	if !meta.IsStatusConditionTrue(o.RunStatus().Conditions, v1beta1.RunInitialized) {
		return ""
	}
	done, total := 0, 0
	for _, stage := range stages(o.RunStatus()) {
		for i := range stage.Clusters {
			total++
			if meta.IsStatusConditionTrue(stage.Clusters[i].Conditions, v1beta1.ClusterSucceeded) {
				done++
			}
		}
	}
	return fmt.Sprintf("%d/%d", done, total)
}
