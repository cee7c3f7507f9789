// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
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
	if status.PlacementUID != p.status.PlacementUID && runrules.TakesBack(status) {
		return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("%s has moved clusters of another placement of that name", name))
	}
	stages, err := p.takenBack(earlier)
	if err != nil {
		return err
	}
	compared := runrules.OnlyCompared(status)
	switch strategy := status.UpdateStrategySnapshot; {
	case len(stages) == 0 && runrules.TakesBack(status):
		return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("the clusters of %s were removed from the placement and picked again since, so that nothing is on them to bring back; "+
			"create a run with the resourceSnapshotIndex that they are to have", name))
	case len(stages) == 0 && len(compared) > 0:
		return final(runrules.Invalid, runrules.ClientError, runrules.MessageOnlyCompared(compared[0]))
	case len(stages) == 0:
		return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("%s has changed no cluster that had another version before", name))
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
	p.shareStrategy(status.ApplyStrategy)
	p.warnOfFirstVersions(earlier)
	if len(compared) > 0 {
		p.warnings = append(p.warnings, fmt.Sprintf("left as they are, since they were only compared with a version before %s, by the applyStrategy ReportDiff: %s",
			earlier.GetName(), wording.FirstNames(runrules.Names(compared))))
	}
	return nil
}

// takenBack are the clusters to bring back. It refuses to take back what another run has done since, wherever the placement has the cluster
// by now, and leaves out clusters with a new binding: nothing of what the run did is on them.
func (p *planner) takenBack(earlier v1beta1.UpdateRunObject) ([]runrules.TakenBackStage, error) {
	bindings := map[string][]v1beta1.BindingObject{}
	for _, b := range p.world.Bindings {
		cluster := b.BindingSpec().TargetCluster
		bindings[cluster] = append(bindings[cluster], b)
	}
	var stages []runrules.TakenBackStage
	var renewed []string
	for _, stage := range runrules.TakenBack(earlier.RunStatus()) {
		var clusters []v1beta1.ClusterUpdatingStatus
		for _, c := range stage.Clusters {
			mover, isNew := MovedInstead(bindings[c.ClusterName], p.run, earlier, &c)
			switch {
			case mover != "":
				return nil, final(runrules.Invalid, runrules.ClientError, runrules.MessageMovedSince(p.run, mover, c.ClusterName, earlier.GetName()))
			case isNew:
				renewed = append(renewed, c.ClusterName)
			default:
				clusters = append(clusters, c)
			}
		}
		if stage.Clusters = clusters; len(clusters) > 0 {
			stages = append(stages, stage)
		}
	}
	if len(renewed) > 0 && len(stages) > 0 {
		p.warnings = append(p.warnings, fmt.Sprintf("left as they are, since they were removed from the placement and picked again after %s had moved them: %s",
			earlier.GetName(), wording.FirstNames(renewed)))
	}
	return stages, nil
}

// MovedInstead returns the run that moved a cluster instead of the one that is rolled back, empty where that was the last to do so. c has what
// the cluster goes back to. isNew reports whether the binding of the cluster was created since and nobody has moved it. What the rollback
// itself has moved is its own.
func MovedInstead(bindings []v1beta1.BindingObject, rollback, earlier v1beta1.UpdateRunObject, c *v1beta1.ClusterUpdatingStatus) (mover string, isNew bool) {
	before := bindingrules.Version{
		ResourceSnapshot: wellknown.ResourceSnapshotName(earlier.RunSpec().PlacementName, runrules.Version(rollback.RunStatus(), c)),
		ClusterOverrides: c.ClusterResourceOverrideSnapshots, Overrides: c.ResourceOverrideSnapshots,
	}
	turn := int64(0)
	if last := earlier.RunStatus().Turn; last != nil {
		turn = last.Number
	}
	for _, b := range bindings {
		// A run that has had no turn has moved nothing: where an earlier version of the server tells no uid, it was one of the same name.
		if rollback.RunStatus().Turn != nil && bindingrules.LastMove(b).Is(rollback) {
			continue
		}
		by, is := bindingrules.IsFrom(b, earlier, turn, before)
		switch {
		case !is && by != "":
			return by, false
		case !is && bindingrules.IsPicked(b):
			isNew = true
		}
	}
	return "", isNew
}

// shareStrategy has the run apply as the clusters had it before, whatever the placement says by now: nobody has decided that what they had is
// applied in another way. Where all had it in one way, it is that of the run.
func (p *planner) shareStrategy(of *v1beta1.ApplyStrategy) {
	var all []*v1beta1.ClusterUpdatingStatus
	for i := range p.status.StagesStatus {
		for j := range p.status.StagesStatus[i].Clusters {
			all = append(all, &p.status.StagesStatus[i].Clusters[j])
		}
	}
	for _, c := range all {
		c.ApplyStrategy = c.ApplyStrategy.WithDefaults()
	}
	shared := all[0].ApplyStrategy
	if slices.ContainsFunc(all, func(c *v1beta1.ClusterUpdatingStatus) bool {
		return !bindingrules.SameApplyStrategy(c.ApplyStrategy, shared)
	}) {
		shared = of.WithDefaults()
	}
	p.status.ApplyStrategy = shared
	for _, c := range all {
		if bindingrules.SameApplyStrategy(c.ApplyStrategy, shared) {
			c.ApplyStrategy = nil
		}
	}
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
