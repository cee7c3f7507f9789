// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// currentStage is the stage that a run has come to and not left, nil before and after a run.
func currentStage(status *v1beta1.UpdateRunStatus) *v1beta1.StageUpdatingStatus {
	if stage := runrules.CurrentStage(status); stage != nil && runrules.IsEntered(stage) && stage.EndTime == nil {
		return stage
	}
	return nil
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
	if !runrules.IsPlanned(o.RunStatus()) {
		return ""
	}
	done, total := 0, 0
	for _, stage := range runrules.Stages(o.RunStatus()) {
		for i := range stage.Clusters {
			total++
			if meta.IsStatusConditionTrue(stage.Clusters[i].Conditions, v1beta1.ClusterSucceeded) {
				done++
			}
		}
	}
	return fmt.Sprintf("%d/%d", done, total)
}
