// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

const planImmutable = "is part of the plan of an initialized run, which cannot be changed; create a new run instead"

// immutablePlan refuses to change what an initialized run goes by. Otherwise a write of the status would have a gate go, or clusters moved
// that nobody planned to move, and a run whose status is wiped would be planned again in the middle. The server's own controllers write no
// plan twice either, so the rule knows no exception.
func immutablePlan(status, old *v1beta1.UpdateRunStatus) field.ErrorList {
	if !meta.IsStatusConditionTrue(old.Conditions, v1beta1.RunInitialized) {
		return nil
	}
	if !meta.IsStatusConditionTrue(status.Conditions, v1beta1.RunInitialized) {
		return field.ErrorList{field.Forbidden(statusPath.Child("conditions"), "an initialized run stays initialized; create a new run instead")}
	}
	var errs field.ErrorList
	keep := func(path *field.Path, same bool) {
		if !same {
			errs = append(errs, field.Forbidden(path, planImmutable))
		}
	}
	keep(statusPath.Child("policySnapshotIndexUsed"), status.PolicySnapshotIndexUsed == old.PolicySnapshotIndexUsed)
	keep(statusPath.Child("policyObservedClusterCount"), status.PolicyObservedClusterCount == old.PolicyObservedClusterCount)
	keep(statusPath.Child("resourceSnapshotIndexUsed"), status.ResourceSnapshotIndexUsed == old.ResourceSnapshotIndexUsed)
	keep(statusPath.Child("appliedStrategy"), apiequality.Semantic.DeepEqual(status.ApplyStrategy, old.ApplyStrategy))
	keep(statusPath.Child("stagedUpdateStrategySnapshot"), apiequality.Semantic.DeepEqual(status.UpdateStrategySnapshot, old.UpdateStrategySnapshot))
	keep(statusPath.Child("placementUID"), status.PlacementUID == old.PlacementUID)
	// What governs a run is decided once more as it starts.
	starts := !hasStarted(old) && hasStarted(status)
	keep(statusPath.Child("policies"), starts || apiequality.Semantic.DeepEqual(status.Policies, old.Policies))
	keep(statusPath.Child("rollbackOfUID"), status.RollbackOfUID == old.RollbackOfUID)

	stages, oldStages := status.StagesStatus, old.StagesStatus
	keep(statusPath.Child("stagesStatus"), len(stages) == len(oldStages))
	for i := range min(len(stages), len(oldStages)) {
		stage, oldStage, path := &stages[i], &oldStages[i], statusPath.Child("stagesStatus").Index(i)
		errs = append(errs, immutableStage(stage, oldStage, path)...)
		keep(path.Child("beforeStageTaskStatus"), slices.EqualFunc(stage.BeforeStageTaskStatus, oldStage.BeforeStageTaskStatus, sameTask))
		keep(path.Child("afterStageTaskStatus"), slices.EqualFunc(stage.AfterStageTaskStatus, oldStage.AfterStageTaskStatus, sameTask))
	}
	last, oldLast := status.DeletionStageStatus, old.DeletionStageStatus
	path := statusPath.Child("deletionStageStatus")
	keep(path, (last == nil) == (oldLast == nil))
	if last != nil && oldLast != nil {
		errs = append(errs, immutableStage(last, oldLast, path)...)
		// An earlier version of the server planned no gate before it, and this one adds it.
		planned := len(oldLast.BeforeStageTaskStatus)
		keep(path.Child("beforeStageTaskStatus"), len(last.BeforeStageTaskStatus) >= planned &&
			slices.EqualFunc(last.BeforeStageTaskStatus[:planned], oldLast.BeforeStageTaskStatus, sameTask))
	}
	return errs
}

// immutableStage names the list of clusters and not each that is another: there may be thousands.
func immutableStage(stage, old *v1beta1.StageUpdatingStatus, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if stage.StageName != old.StageName {
		errs = append(errs, field.Forbidden(path.Child("stageName"), planImmutable))
	}
	if !slices.EqualFunc(stage.Clusters, old.Clusters, sameTarget) {
		errs = append(errs, field.Forbidden(path.Child("clusters"), planImmutable))
	}
	return errs
}

// sameTarget reports whether a cluster is to get the same as before.
func sameTarget(a, b v1beta1.ClusterUpdatingStatus) bool {
	return a.ClusterName == b.ClusterName &&
		a.ResourceSnapshotIndex == b.ResourceSnapshotIndex &&
		apiequality.Semantic.DeepEqual(a.ApplyStrategy, b.ApplyStrategy) &&
		slices.Equal(a.ClusterResourceOverrideSnapshots, b.ClusterResourceOverrideSnapshots) &&
		slices.Equal(a.ResourceOverrideSnapshots, b.ResourceOverrideSnapshots)
}

func sameTask(a, b v1beta1.StageTaskStatus) bool {
	return a.Type == b.Type && a.ApprovalRequestName == b.ApprovalRequestName
}

func hasStarted(status *v1beta1.UpdateRunStatus) bool {
	return status.Turn != nil && status.Turn.Number > 0 && !status.Turn.AwaitsStart
}
