// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/audit"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// maxPending is how many operations of a run may wait until the controller acts on them.
const maxPending = 20

// stateChanges are the operations that change the state of a run, by the state before and after.
var stateChanges = map[[2]v1beta1.State]v1beta1.OperationType{
	{v1beta1.StateInitialize, v1beta1.StateRun}: v1beta1.OperationStart,
	{v1beta1.StateRun, v1beta1.StateStop}:       v1beta1.OperationStop,
	{v1beta1.StateStop, v1beta1.StateRun}:       v1beta1.OperationResume,
}

// recorder writes operations of users into the history of runs.
type recorder struct {
	clock clock.PassiveClock
}

// recordState records a change of spec.state by a write of the run itself, as in the tutorial. It ignores runs that are over: the change
// would look as if something had acted on it.
func (r recorder) recordState(ctx context.Context, run, old v1beta1.UpdateRunObject) {
	if runrules.IsOver(old.RunStatus()) {
		return
	}
	if changed, ok := stateChanges[[2]v1beta1.State{old.RunSpec().State, run.RunSpec().State}]; ok {
		r.record(ctx, run.RunStatus(), v1beta1.UpdateRunHistoryEntry{Operation: changed})
	}
}

// record appends an operation of the user of the request, with number, time, user and audit id, and returns it. If too many operations
// wait, the oldest changes of the state among them are dropped: spec.state itself says what is wanted.
func (r recorder) record(ctx context.Context, status *v1beta1.UpdateRunStatus, asked v1beta1.UpdateRunHistoryEntry) *v1beta1.UpdateRunHistoryEntry {
	asked.Number = status.ObservedOperation + 1
	if n := len(status.History); n > 0 {
		asked.Number = max(asked.Number, status.History[n-1].Number+1)
	}
	asked.Time = metav1.NewTime(r.clock.Now()).Rfc3339Copy()
	asked.Reason = string(asked.Operation) + "Requested"
	asked.AuditID = audit.GetAuditIDTruncated(ctx)
	if asker, ok := genericapirequest.UserFrom(ctx); ok {
		asked.User = asker.GetName()
	}

	// The slice may belong to the stored object, which must not change.
	history := slices.Clone(status.History)
	if excess := len(pending(status)) - maxPending + 1; excess > 0 {
		history = slices.DeleteFunc(history, func(e v1beta1.UpdateRunHistoryEntry) bool {
			drop := excess > 0 && runrules.IsOpen(status, &e) && isStateChange(e.Operation)
			if drop {
				excess--
			}
			return drop
		})
	}
	status.History = append(history, asked)
	return &status.History[len(status.History)-1]
}

// pending returns the operations that a run has not acted on.
func pending(status *v1beta1.UpdateRunStatus) []v1beta1.UpdateRunHistoryEntry {
	return slices.DeleteFunc(slices.Clone(status.History), func(e v1beta1.UpdateRunHistoryEntry) bool {
		return !runrules.IsOpen(status, &e)
	})
}

// last returns the last entry whose operation is one of some, or nil.
func last(status *v1beta1.UpdateRunStatus, of func(v1beta1.OperationType) bool) *v1beta1.UpdateRunHistoryEntry {
	for i := len(status.History) - 1; i >= 0; i-- {
		if entry := &status.History[i]; of(entry.Operation) {
			return entry
		}
	}
	return nil
}

func isStateChange(operation v1beta1.OperationType) bool {
	switch operation {
	case v1beta1.OperationStart, v1beta1.OperationStop, v1beta1.OperationResume:
		return true
	}
	return false
}

func is(wanted v1beta1.OperationType) func(v1beta1.OperationType) bool {
	return func(operation v1beta1.OperationType) bool { return operation == wanted }
}
