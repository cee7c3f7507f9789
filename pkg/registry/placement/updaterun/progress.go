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

// currentStageName returns the name of the current stage and its place among all, such as canary (2/3). The deletion stage has no place,
// since it is not in the strategy.
func currentStageName(o v1beta1.UpdateRunObject) string {
	status := o.RunStatus()
	stage := runrules.EnteredStage(status)
	switch {
	case stage == nil:
		return ""
	case stage == status.DeletionStageStatus:
		return stage.StageName
	}
	place := 1 + slices.IndexFunc(status.StagesStatus, func(s v1beta1.StageUpdatingStatus) bool { return s.StageName == stage.StageName })
	return fmt.Sprintf("%s (%d/%d)", stage.StageName, place, len(status.StagesStatus))
}

// differing returns how many of the clusters that a run has compared differ, such as 1/3. It is empty for a run that compares none, and until
// it has compared one.
func differing(o v1beta1.UpdateRunObject) string {
	compared, differ := 0, 0
	for _, stage := range runrules.Stages(o.RunStatus()) {
		compared += len(runrules.Clusters(stage, runrules.WasCompared))
		differ += len(runrules.Clusters(stage, runrules.Differs))
	}
	if compared == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", differ, compared)
}

// progress returns how many clusters of all are done, such as 2/3. It is empty until the run is planned.
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
