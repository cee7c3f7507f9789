// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

type matcher interface{ Matches(labels.Labels) bool }

// planStages puts every target in exactly one stage, and orders it.
func (p *planner) planStages() *Obstacle {
	members := make(map[string]labels.Set, len(p.world.Members))
	for _, m := range p.world.Members {
		members[m.Name] = m.Labels
	}
	placed := make(map[string]bool, len(p.targets))
	p.status.StagesStatus = make([]v1beta1.StageUpdatingStatus, 0, len(p.status.UpdateStrategySnapshot.Stages))
	for i := range p.status.UpdateStrategySnapshot.Stages {
		stage := &p.status.UpdateStrategySnapshot.Stages[i]
		selector, err := stageSelector(stage)
		if err != nil {
			return p.badStage("the stage label selector is invalid", stage, err.Error())
		}
		var names []string
		for _, name := range p.targets {
			set, ok := members[name]
			if !ok || !selector.Matches(set) {
				continue
			}
			if placed[name] {
				return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("cluster `%s` appears in more than one stages", name))
			}
			placed[name] = true
			names = append(names, name)
		}
		if o := order(names, stage.SortingLabelKey, members); o != nil {
			return o
		}
		if len(names) == 0 {
			p.warnings = append(p.warnings, p.messageNoClusters(stage))
		}
		p.status.StagesStatus = append(p.status.StagesStatus, stageStatus(p.run, stage, names))
	}
	return p.unplaced(placed, members)
}

// order sorts clusters by the number in a label, or by name.
func order(names []string, sortingKey *string, members map[string]labels.Set) *Obstacle {
	if sortingKey == nil {
		slices.Sort(names)
		return nil
	}
	numbers := make(map[string]int, len(names))
	for _, name := range names {
		value := members[name][*sortingKey]
		n, err := strconv.Atoi(value)
		if err != nil {
			return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("the sorting label `%s:%s` on cluster `%s` is not valid: %v", *sortingKey, value, name, err))
		}
		numbers[name] = n
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(numbers[a], numbers[b]), cmp.Compare(a, b))
	})
	return nil
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

// unplaced refuses a plan that leaves clusters out. A cluster that is no member any more is about to lose its binding.
func (p *planner) unplaced(placed map[string]bool, members map[string]labels.Set) *Obstacle {
	var names []string
	leaving := true
	for _, name := range p.targets {
		if !placed[name] {
			names = append(names, name)
			_, member := members[name]
			leaving = leaving && !member
		}
	}
	if len(names) == 0 {
		return nil
	}
	shown := names[:min(len(names), 10)]
	o := final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("some clusters are not placed in any stage, total %d, showing up to 10: %s", len(names), strings.Join(shown, ", ")))
	o.MayPass = leaving
	return o
}
