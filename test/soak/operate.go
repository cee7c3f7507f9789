// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// operation is one that the server has acknowledged. Its reason is that of no other.
type operation struct {
	run       string
	operation v1beta1.OperationType
	reason    string
}

// in is how often the history of a run has the operation.
func (o operation) in(run *v1beta1.ClusterStagedUpdateRun) int {
	n := 0
	for _, entry := range run.Status.History {
		if entry.Operation == o.operation && entry.Message == o.reason && entry.User != "" {
			n++
		}
	}
	return n
}

// operate asks something of a run until the server says yes or no, and reports whether it said yes. Where an answer was lost, the history tells
// it: a retry or a skip that is asked for again is one more.
func (f *fleet) operate(ctx context.Context, run string, what v1beta1.OperationType, clusters ...string) bool {
	o := operation{run: run, operation: what, reason: fmt.Sprintf("soak %s %s %v", run, what, clusters)}
	runs := f.api.PlacementV1beta1().ClusterStagedUpdateRuns()
	ask := map[v1beta1.OperationType]func(context.Context, string, *v1beta1.UpdateRunOperation, metav1.CreateOptions) (*v1beta1.UpdateRunOperation, error){
		v1beta1.OperationStop: runs.Stop, v1beta1.OperationResume: runs.Resume, v1beta1.OperationSkip: runs.Skip,
		v1beta1.OperationRetry: runs.Retry, v1beta1.OperationRollback: runs.Rollback,
	}[what]
	refused, asked := false, false
	err := persist(ctx, func() error {
		if asked {
			stored, err := runs.Get(ctx, run, metav1.GetOptions{})
			if err != nil || o.in(stored) > 0 {
				return err
			}
		}
		asked = true
		_, err := ask(ctx, run, &v1beta1.UpdateRunOperation{Spec: v1beta1.UpdateRunOperationSpec{Reason: o.reason, Clusters: clusters}}, metav1.CreateOptions{})
		if refused = apierrors.IsConflict(err); refused {
			return nil
		}
		return err
	})
	switch {
	case refused || ctx.Err() != nil:
		return false
	case err != nil:
		f.book.violated("run %s cannot be asked to %s: %v", run, what, err)
		return false
	}
	f.book.operated(o)
	return true
}

// command has a run stopped or resumed, by its state or by asking for it. One that has ended meanwhile refuses.
func (f *fleet) command(ctx context.Context, r planned, state v1beta1.State) {
	if !r.asks {
		f.setState(ctx, r.name, state)
		return
	}
	what := v1beta1.OperationResume
	if state == v1beta1.StateStop {
		what = v1beta1.OperationStop
	}
	if f.operate(ctx, r.name, what) {
		f.book.stateSet(r.name, state)
	}
}

// rollBack has a run rolled back once it has moved a cluster, and holds that its clusters get what they had.
func (f *fleet) rollBack(ctx context.Context, r planned) {
	run := f.await(ctx, r, func(run *v1beta1.ClusterStagedUpdateRun) bool { return isOver(run) || hasMoved(run) })
	if run == nil {
		return
	}
	if !f.operate(ctx, r.name, v1beta1.OperationRollback) {
		f.book.violated("run %s cannot be rolled back: %s", r.name, text(run))
		return
	}
	if run = f.await(ctx, r, isOver); run == nil {
		return
	}
	// It may have ended before it was asked.
	how := meta.FindStatusCondition(run.Status.Conditions, v1beta1.RunSucceeded)
	if how == nil || how.Reason != "UpdateRunRolledBack" && how.Reason != "UpdateRunSucceeded" {
		f.book.violated("run %s (%s) ended with %s", r.name, r.plan, text(run))
		return
	}
	f.book.over(r.plan, how.Reason)
	f.seeRollback(ctx, r)
}

// seeRollback holds that the run which takes another one's clusters back exists once, names it, and succeeds.
func (f *fleet) seeRollback(ctx context.Context, r planned) {
	run := f.await(ctx, r, func(run *v1beta1.ClusterStagedUpdateRun) bool {
		return run.Status.RolledBackBy != nil && run.Status.RolledBackBy.UID != ""
	})
	if run == nil {
		return
	}
	by := run.Status.RolledBackBy
	back := f.await(ctx, planned{name: by.Name, plan: r.plan}, isOver)
	switch {
	case back == nil:
	case back.UID != by.UID || back.Spec.RollbackOf != run.Name || back.Status.RollbackOfUID != run.UID:
		f.book.violated("run %s is rolled back by %s, which is another run or says otherwise", run.Name, by.Name)
	case !meta.IsStatusConditionTrue(back.Status.Conditions, v1beta1.RunSucceeded):
		f.book.violated("run %s, which rolls %s back, ended with %s", by.Name, run.Name, text(back))
	default:
		f.book.over(r.plan, "taken back")
	}
}

// hasMoved reports whether a cluster that had a version is on its way to another.
func hasMoved(run *v1beta1.ClusterStagedUpdateRun) bool {
	return slices.ContainsFunc(run.Status.StagesStatus, func(stage v1beta1.StageUpdatingStatus) bool {
		return slices.ContainsFunc(stage.Clusters, func(c v1beta1.ClusterUpdatingStatus) bool {
			previous := c.PreviousResourceSnapshotIndex
			return previous != nil && *previous != "" && *previous != targetOf(run, &c)
		})
	})
}

// targetOf is the index of the snapshot that a run gives a cluster.
func targetOf(run *v1beta1.ClusterStagedUpdateRun, c *v1beta1.ClusterUpdatingStatus) string {
	if c.ResourceSnapshotIndex != "" {
		return c.ResourceSnapshotIndex
	}
	return run.Status.ResourceSnapshotIndexUsed
}

// goOn has a run that pauses go on, as somebody who looks after it would: the clusters are tried once more, and then left out.
func (f *fleet) goOn(ctx context.Context, r planned) {
	for retried := false; ; retried = true {
		run := f.await(ctx, r, func(run *v1beta1.ClusterStagedUpdateRun) bool { return isOver(run) || isPaused(run) })
		if run == nil || isOver(run) {
			return
		}
		if !retried {
			f.operate(ctx, r.name, v1beta1.OperationRetry)
		} else {
			f.operate(ctx, r.name, v1beta1.OperationSkip, failedIn(run)...)
		}
		// It may be paused by another cluster at once: what was asked has been acted on all the same.
		observed := run.Status.ObservedOperation
		if f.await(ctx, r, func(run *v1beta1.ClusterStagedUpdateRun) bool {
			return isOver(run) || run.Status.ObservedOperation > observed
		}) == nil {
			return
		}
	}
}

func isPaused(run *v1beta1.ClusterStagedUpdateRun) bool {
	c := meta.FindStatusCondition(run.Status.Conditions, v1beta1.RunProgressing)
	return c != nil && c.Reason == wellknown.ReasonRunPaused
}

func failedIn(run *v1beta1.ClusterStagedUpdateRun) []string {
	var failed []string
	for _, stage := range run.Status.StagesStatus {
		for i := range stage.Clusters {
			if doneOf(&stage.Clusters[i]) == wellknown.ReasonClusterFailed {
				failed = append(failed, stage.Clusters[i].ClusterName)
			}
		}
	}
	return failed
}

// doneOf is the reason for which a cluster is done, empty as long as it is not.
func doneOf(c *v1beta1.ClusterUpdatingStatus) string {
	if done := meta.FindStatusCondition(c.Conditions, v1beta1.ClusterSucceeded); done != nil {
		return done.Reason
	}
	return ""
}

// verifyOperations holds that operations which were acknowledged before the runs were read stand in the history once.
func (f *fleet) verifyOperations(runs map[string]*v1beta1.ClusterStagedUpdateRun, operations []operation) {
	for _, o := range operations {
		run := runs[o.run]
		if run == nil {
			f.book.violated("run %s, which was asked to %s, is lost", o.run, o.operation)
			continue
		}
		if n := o.in(run); n != 1 {
			f.book.violated("run %s was asked to %s, and the history has that %d times", o.run, o.operation, n)
		}
	}
}
