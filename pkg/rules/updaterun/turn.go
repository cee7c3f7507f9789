// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"slices"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// ClaimsTurn reports whether a run has claimed its turn. It is looked at again as soon as the claim is seen, and goes on then.
func ClaimsTurn(status *v1beta1.UpdateRunStatus) bool {
	return !IsOver(status) && status.Turn != nil && status.Turn.State == v1beta1.TurnClaimed
}

// TurnOf returns how a run stands to the turn, as other runs see it. One that is over has let go of it, and so has one that is deleted, but not before the
// finalizer says that nothing is being written for it any more. One that is not to run does not wait for the turn.
func TurnOf(run v1beta1.UpdateRunObject) v1beta1.TurnState {
	turn, deleted := run.RunStatus().Turn, run.GetDeletionTimestamp() != nil
	switch {
	case IsBeingRolledBack(run):
		// Nobody else comes before the run that is about to be created.
		return v1beta1.TurnHeld
	case turn == nil && run.RunSpec().RollbackOf != "" && run.RunSpec().State == v1beta1.StateRun && !deleted && !IsOver(run.RunStatus()):
		return v1beta1.TurnWaiting
	case turn == nil || IsOver(run.RunStatus()):
		return v1beta1.TurnReleased
	case turn.State == v1beta1.TurnHeld:
		if deleted && !slices.Contains(run.GetFinalizers(), wellknown.UpdateRunFinalizer) {
			return v1beta1.TurnReleased
		}
	case deleted || run.RunSpec().State != v1beta1.StateRun:
		return v1beta1.TurnReleased
	}
	return turn.State
}
