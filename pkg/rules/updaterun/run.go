// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package updaterun tells what the status of an update run says: of the run, its stages and its clusters.
package updaterun

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// IsPlanned reports whether a run is initialized: its stages, clusters and versions are decided.
func IsPlanned(status *v1beta1.UpdateRunStatus) bool {
	return meta.IsStatusConditionTrue(status.Conditions, v1beta1.RunInitialized)
}

// AwaitsPlan reports whether a run may still be initialized: nobody has looked at it yet, or it is tried again.
func AwaitsPlan(run v1beta1.UpdateRunObject) bool {
	return run.GetDeletionTimestamp() == nil && !IsPlanned(run.RunStatus()) && !IsOver(run.RunStatus())
}

// AwaitsStart reports whether a run is planned and has not started, whatever its state. Rollout policies judge it until it does.
func AwaitsStart(run v1beta1.UpdateRunObject) bool {
	return IsPlanned(run.RunStatus()) && !IsOver(run.RunStatus()) && !HasStarted(run.RunStatus())
}

// IsOver reports whether nothing will happen to a run any more, but for a rollback: it has succeeded or failed, or could not be
// initialized and is not tried again.
func IsOver(status *v1beta1.UpdateRunStatus) bool { return End(status) != nil }

// End returns the condition that says how a run has ended, nil as long as it is not over.
func End(status *v1beta1.UpdateRunStatus) *metav1.Condition {
	if succeeded := meta.FindStatusCondition(status.Conditions, v1beta1.RunSucceeded); succeeded != nil && succeeded.Status != metav1.ConditionUnknown {
		return succeeded
	}
	initialized := meta.FindStatusCondition(status.Conditions, v1beta1.RunInitialized)
	if initialized != nil && initialized.Status == metav1.ConditionFalse && status.InitializationStartTime == nil {
		return initialized
	}
	return nil
}

// IsPaused reports whether a run waits for somebody to look after clusters that have failed.
func IsPaused(status *v1beta1.UpdateRunStatus) bool {
	progressing := meta.FindStatusCondition(status.Conditions, v1beta1.RunProgressing)
	return progressing != nil && progressing.Reason == wellknown.ReasonRunPaused
}

// HasHadTurn reports whether a run has had its turn at some time, be it only to wait for its first approval: see HasStarted.
func HasHadTurn(status *v1beta1.UpdateRunStatus) bool {
	return status.Turn != nil && status.Turn.Number > 0
}

// HasStarted reports whether a run has begun to move its placement.
func HasStarted(status *v1beta1.UpdateRunStatus) bool {
	return HasHadTurn(status) && !status.Turn.AwaitsStart
}

// IsGoverned reports whether a rollout policy holds a run: one that it does not override and that does not only warn.
func IsGoverned(status *v1beta1.UpdateRunStatus) bool {
	return slices.ContainsFunc(status.Policies, holds)
}

// IsGovernedIn reports whether a rollout policy holds a run because of the clusters of a stage.
func IsGovernedIn(status *v1beta1.UpdateRunStatus, stage string) bool {
	return slices.ContainsFunc(status.Policies, func(p v1beta1.GoverningPolicy) bool { return holds(p) && slices.Contains(p.Stages, stage) })
}

func holds(p v1beta1.GoverningPolicy) bool { return !p.Overridden && !p.Warns }

// LastToMove returns the run that was the last to move the placement of the given runs, nil where none was. What it takes to roll that run
// back is kept even if it is over. A run before it can be rolled back as far as nothing has moved its clusters since.
func LastToMove(runs []v1beta1.UpdateRunObject) (last v1beta1.UpdateRunObject) {
	for _, run := range runs {
		if HasStarted(run.RunStatus()) && (last == nil || run.RunStatus().Turn.Number > last.RunStatus().Turn.Number) {
			last = run
		}
	}
	return last
}
