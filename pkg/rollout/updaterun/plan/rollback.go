// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// CheckRollback returns why a run that rolls another one back, which is world.RolledBack, has no plan and will have none, nil where it has
// one. Neither inputs nor policies are asked.
func CheckRollback(run v1beta1.UpdateRunObject, world World) error {
	p := planner{run: run, world: world}
	for _, part := range append(p.structure(), p.planVersions) {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// planRollback makes the plan out of what another run has done: its stages and their clusters in the reverse order, without tasks and
// policies, each cluster with the version that it had before.
func (p *planner) planRollback() error {
	spec, earlier := p.run.RunSpec(), p.world.RolledBack
	name := fmt.Sprintf("%s %s", runrules.RunKind(p.run), spec.RollbackOf)
	if earlier == nil {
		return pending(runrules.Invalid, runrules.ClientError, fmt.Sprintf("%s, which is to be rolled back, not found", name))
	}
	status := earlier.RunStatus()
	switch {
	case earlier.RunSpec().PlacementName != spec.PlacementName:
		return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("%s moves placement %s and not %s", name, earlier.RunSpec().PlacementName, spec.PlacementName))
	case earlier.RunSpec().StagedUpdateStrategyName != spec.StagedUpdateStrategyName:
		return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("stagedRolloutStrategyName must be %s, as in %s", earlier.RunSpec().StagedUpdateStrategyName, name))
	case runrules.TurnOf(earlier) == v1beta1.TurnHeld && !runrules.IsBeingRolledBack(earlier):
		return pending(runrules.Invalid, runrules.ClientError, fmt.Sprintf("%s is still moving clusters; stop it first, or use its subresource rollback", name))
	}
	stages := runrules.TakenBack(status)
	switch strategy := status.UpdateStrategySnapshot; {
	case len(stages) == 0:
		return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("%s has changed no cluster that had another version before", name))
	case status.PlacementUID != p.status.PlacementUID:
		return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("%s has moved clusters of another placement of that name", name))
	case strategy == nil || len(strategy.Stages) != len(status.StagesStatus):
		return final(runrules.Invalid, runrules.UnexpectedError, fmt.Sprintf("the stages of %s have changed", name))
	}
	p.status.RollbackOfUID = earlier.GetUID()
	p.status.PolicySnapshotIndexUsed = status.PolicySnapshotIndexUsed
	p.status.UpdateStrategySnapshot = &v1beta1.UpdateStrategySpec{}
	p.status.DeletionStageStatus = emptyDeletion()
	for _, stage := range stages {
		config := status.UpdateStrategySnapshot.Stages[stage.Index].DeepCopy()
		config.BeforeStageTasks, config.AfterStageTasks, config.FailurePolicy = nil, nil, nil
		p.status.UpdateStrategySnapshot.Stages = append(p.status.UpdateStrategySnapshot.Stages, *config)
		p.status.StagesStatus = append(p.status.StagesStatus, v1beta1.StageUpdatingStatus{StageName: config.Name, Clusters: stage.Clusters})
		for i := range stage.Clusters {
			p.targets = append(p.targets, stage.Clusters[i].ClusterName)
		}
	}
	p.status.PolicyObservedClusterCount = len(p.targets)
	if err := p.movedSince(earlier); err != nil {
		return err
	}
	if err := p.wereApplied(earlier); err != nil {
		return err
	}
	p.warnOfFirstVersions(earlier)
	return nil
}

// movedSince refuses to take back what somebody else has done since.
func (p *planner) movedSince(earlier v1beta1.UpdateRunObject) error {
	turn := earlier.RunStatus().Turn
	if turn == nil {
		return nil
	}
	for _, b := range p.world.Bindings {
		cluster := b.BindingSpec().TargetCluster
		if name := bindingrules.MovedSince(b, earlier.GetName(), turn.Number); name != "" && slices.Contains(p.targets, cluster) {
			return final(runrules.Invalid, runrules.ClientError, runrules.MessageMovedSince(p.run, name, cluster, earlier.GetName()))
		}
	}
	return nil
}

// wereApplied refuses to apply what clusters were only compared with, and to compare where something is to be brought back. A run of
// before this was recorded counts as one that applied.
func (p *planner) wereApplied(earlier v1beta1.UpdateRunObject) error {
	compares := p.status.ApplyStrategy.Type == v1beta1.ApplyStrategyTypeReportDiff
	for _, stage := range earlier.RunStatus().StagesStatus {
		for i := range stage.Clusters {
			c := &stage.Clusters[i]
			switch compared := c.PreviousApplyType == v1beta1.ApplyStrategyTypeReportDiff; {
			case compared == compares || !runrules.IsTakenBack(earlier.RunStatus(), c):
			case compared:
				return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("cluster %s was only compared with resource snapshot %s, by the applyStrategy ReportDiff, "+
					"and did not have it: create a run for the version that it is to have", c.ClusterName, *c.PreviousResourceSnapshotIndex))
			default:
				return final(runrules.Invalid, runrules.ClientError, "the applyStrategy of the placement is ReportDiff, which brings nothing back: set another one and create the run again")
			}
		}
	}
	return nil
}

// warnOfFirstVersions names clusters that the earlier run was the first to give a version: there is none to go back to.
func (p *planner) warnOfFirstVersions(earlier v1beta1.UpdateRunObject) {
	var names []string
	for _, stage := range earlier.RunStatus().StagesStatus {
		for i := range stage.Clusters {
			if previous := stage.Clusters[i].PreviousResourceSnapshotIndex; previous != nil && *previous == "" {
				names = append(names, stage.Clusters[i].ClusterName)
			}
		}
	}
	if len(names) > 0 {
		p.warnings = append(p.warnings, fmt.Sprintf("%s had no version before %s and stay as they are: %s",
			wording.Count(len(names), "cluster"), earlier.GetName(), wording.FirstNames(names)))
	}
}

// planVersions has the resource snapshots that clusters go back to be there. Where it is one for all, it is that of the run.
func (p *planner) planVersions() error {
	known := map[string]bool{}
	for _, snapshot := range p.world.Snapshots {
		if snapshotrules.IsMaster(snapshot) {
			known[snapshotrules.Index(snapshot)] = true
		}
	}
	indices := map[string]bool{}
	for i := range p.status.StagesStatus {
		for _, c := range p.status.StagesStatus[i].Clusters {
			indices[c.ResourceSnapshotIndex] = true
			if !known[c.ResourceSnapshotIndex] {
				return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("cluster %s had resource snapshot %s, which is not kept any more", c.ClusterName, c.ResourceSnapshotIndex))
			}
		}
	}
	if len(indices) > 1 {
		return nil
	}
	for i := range p.status.StagesStatus {
		for j := range p.status.StagesStatus[i].Clusters {
			c := &p.status.StagesStatus[i].Clusters[j]
			p.status.ResourceSnapshotIndexUsed, c.ResourceSnapshotIndex = c.ResourceSnapshotIndex, ""
		}
	}
	return nil
}
