// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// planStages puts every target in exactly one stage, and orders it. A target that is no member any more has no labels to be picked by.
func (p *planner) planStages() error {
	members := make(map[string]labels.Set, len(p.world.Members))
	for _, m := range p.world.Members {
		members[m.Name] = m.Labels
	}
	var clusters []strategy.Cluster
	var left []string
	for _, name := range p.targets {
		if set, ok := members[name]; ok {
			clusters = append(clusters, strategy.Cluster{Name: name, Labels: set})
		} else {
			left = append(left, name)
		}
	}
	assignment, err := strategy.Assign(p.status.UpdateStrategySnapshot, clusters)
	if err != nil {
		return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("updateStrategy `%s`: %v", p.strategyKey(), err))
	}
	if len(assignment.Overlaps) > 0 {
		return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("cluster `%s` appears in more than one stages", assignment.Overlaps[0].Clusters[0]))
	}
	p.status.StagesStatus = make([]v1beta1.StageUpdatingStatus, 0, len(assignment.Stages))
	for _, stage := range assignment.Stages {
		if len(stage.Unsortable) > 0 {
			first := stage.Unsortable[0]
			return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("the sorting label `%s:%s` on cluster `%s` is not valid: %v", *stage.SortingLabelKey, first.Value, first.Cluster, first.Err))
		}
		if len(stage.Clusters) == 0 {
			p.warnings = append(p.warnings, p.messageNoClusters(stage.StageConfig))
		}
		p.status.StagesStatus = append(p.status.StagesStatus, stageStatus(p.run, stage.StageConfig, stage.Clusters))
	}
	return unplaced(assignment.Unplaced, left)
}

// messageNoClusters warns of a stage that picks nothing.
func (p *planner) messageNoClusters(stage *v1beta1.StageConfig) string {
	if len(p.unpicked) > 0 && len(stage.BeforeStageTasks)+len(stage.AfterStageTasks) > 0 {
		return fmt.Sprintf("stage %s matches no cluster of the placement, its tasks are done because the run removes resources from other clusters", stage.Name)
	}
	return fmt.Sprintf("stage %s matches no cluster of the placement and is skipped", stage.Name)
}

func stageStatus(run v1beta1.UpdateRunObject, stage *v1beta1.StageConfig, names []string) v1beta1.StageUpdatingStatus {
	return v1beta1.StageUpdatingStatus{
		StageName:             stage.Name,
		Clusters:              clusterStatuses(names),
		BeforeStageTaskStatus: BeforeTasks(run, stage),
		AfterStageTaskStatus:  taskStatuses(stage.AfterStageTasks, wellknown.AfterStageApprovalName(run.GetName(), stage.Name)),
	}
}

// BeforeTasks are the tasks before a stage, as none of them is done.
func BeforeTasks(run v1beta1.UpdateRunObject, stage *v1beta1.StageConfig) []v1beta1.StageTaskStatus {
	return taskStatuses(stage.BeforeStageTasks, wellknown.BeforeStageApprovalName(run.GetName(), stage.Name))
}

func taskStatuses(tasks []v1beta1.StageTask, approval string) []v1beta1.StageTaskStatus {
	var statuses []v1beta1.StageTaskStatus
	for _, task := range tasks {
		status := v1beta1.StageTaskStatus{Type: task.Type}
		if task.Type == v1beta1.StageTaskTypeApproval {
			status.ApprovalRequestName = approval
		}
		statuses = append(statuses, status)
	}
	return statuses
}

// unplaced refuses a plan that leaves clusters out. One that is no member any more is about to lose its binding.
func unplaced(members, left []string) error {
	names := slices.Sorted(slices.Values(slices.Concat(members, left)))
	if len(names) == 0 {
		return nil
	}
	shown := names[:min(len(names), 10)]
	message := fmt.Sprintf("some clusters are not placed in any stage, total %d, showing up to 10: %s", len(names), strings.Join(shown, ", "))
	if len(members) == 0 {
		return pending(runrules.Invalid, runrules.ClientError, message)
	}
	return final(runrules.Invalid, runrules.ClientError, message)
}
