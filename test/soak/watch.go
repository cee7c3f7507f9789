// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
)

// watcher holds every state of runs and bindings that can be seen through the API to the rules.
type watcher struct {
	api  versioned.Interface
	book *book

	mu   sync.Mutex
	runs map[string]*v1beta1.ClusterStagedUpdateRun
	// bindings are as they were last seen.
	bindings map[string]*v1beta1.ClusterResourceBinding
	// moves are changes of what a binding asks for that no run has been found for yet.
	moves  []move
	events int
}

// move is a binding that was given another snapshot.
type move struct {
	binding, placement, cluster, run, index string
}

func newWatcher(api versioned.Interface, b *book) *watcher {
	return &watcher{
		api: api, book: b,
		runs: map[string]*v1beta1.ClusterStagedUpdateRun{}, bindings: map[string]*v1beta1.ClusterResourceBinding{},
	}
}

func (w *watcher) start(ctx context.Context, around *sync.WaitGroup) {
	runs, bindings := w.api.PlacementV1beta1().ClusterStagedUpdateRuns(), w.api.PlacementV1beta1().ClusterResourceBindings()
	around.Go(func() {
		follow(ctx, func(ctx context.Context, o metav1.ListOptions) (*v1beta1.ClusterStagedUpdateRunList, error) {
			return runs.List(ctx, o)
		}, runs.Watch, w.sawRuns)
	})
	around.Go(func() {
		follow(ctx, func(ctx context.Context, o metav1.ListOptions) (*v1beta1.ClusterResourceBindingList, error) {
			return bindings.List(ctx, o)
		}, bindings.Watch, w.sawBindings)
	})
}

// follow tells of the states of a resource in their order, each as a whole: a list, then each change. An informer does not do: after
// a break its cache is part old, part new for a moment.
func follow[L interface {
	runtime.Object
	metav1.ListInterface
}](ctx context.Context, list func(context.Context, metav1.ListOptions) (L, error), watching func(context.Context, metav1.ListOptions) (watch.Interface, error), saw func(changed []runtime.Object)) {
	for ctx.Err() == nil {
		whole, err := list(ctx, metav1.ListOptions{})
		if err != nil {
			pause(ctx, again)
			continue
		}
		// A list of ours can be taken apart.
		items, _ := meta.ExtractList(whole)
		saw(items)
		changes, err := watching(ctx, metav1.ListOptions{ResourceVersion: whole.GetResourceVersion()})
		if err != nil {
			pause(ctx, again)
			continue
		}
		for event := range changes.ResultChan() {
			if event.Type != watch.Added && event.Type != watch.Modified {
				break
			}
			saw([]runtime.Object{event.Object})
		}
		changes.Stop()
	}
}

func (w *watcher) sawRuns(changed []runtime.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := map[string]*v1beta1.ClusterStagedUpdateRun{}
	for _, o := range changed {
		run := o.(*v1beta1.ClusterStagedUpdateRun)
		before[run.Name] = w.runs[run.Name]
		w.runs[run.Name] = run
	}
	w.events += len(changed)
	for name, old := range before {
		run := w.runs[name]
		if old != nil {
			w.goesForward(old, run)
		}
		w.keepsToItsStages(run)
	}
	w.oneMoves()
}

// oneMoves holds that no two runs move one placement.
func (w *watcher) oneMoves() {
	holders := map[string]string{}
	for _, run := range w.runs {
		if run.Status.Turn == nil || run.Status.Turn.State != v1beta1.TurnHeld {
			continue
		}
		if other := holders[run.Spec.PlacementName]; other != "" {
			w.book.violated("runs %s and %s move placement %s at once", min(other, run.Name), max(other, run.Name), run.Spec.PlacementName)
		}
		holders[run.Spec.PlacementName] = run.Name
	}
}

// goesForward holds that what is decided about a run stays.
func (w *watcher) goesForward(old, run *v1beta1.ClusterStagedUpdateRun) {
	if old.UID != run.UID {
		w.book.violated("run %s is another one", run.Name)
	}
	for _, t := range []string{v1beta1.RunInitialized, v1beta1.RunSucceeded} {
		was, is := meta.FindStatusCondition(old.Status.Conditions, t), meta.FindStatusCondition(run.Status.Conditions, t)
		final := was != nil && (t == v1beta1.RunSucceeded || was.Status == metav1.ConditionTrue)
		if final && (is == nil || is.Status != was.Status || is.Reason != was.Reason) {
			w.book.violated("run %s: %s went from %s to %v", run.Name, t, was.Reason, is)
		}
	}
	// A run that is not planned yet shows how far the last attempt got.
	planned := meta.IsStatusConditionTrue(old.Status.Conditions, v1beta1.RunInitialized)
	if index := old.Status.ResourceSnapshotIndexUsed; planned && run.Status.ResourceSnapshotIndexUsed != index {
		w.book.violated("run %s: the snapshot went from %s to %s", run.Name, index, run.Status.ResourceSnapshotIndexUsed)
	}
	for i := range old.Status.StagesStatus {
		if i >= len(run.Status.StagesStatus) || len(run.Status.StagesStatus[i].Clusters) != len(old.Status.StagesStatus[i].Clusters) {
			w.book.violated("run %s: stage %d has lost clusters", run.Name, i)
			return
		}
		for j, was := range old.Status.StagesStatus[i].Clusters {
			is := run.Status.StagesStatus[i].Clusters[j]
			w.keepsOverrides(run.Name, &was, &is)
			if doneOf(&was) == wellknown.ReasonClusterFailed && isRetried(run) {
				continue
			}
			if is.ClusterName != was.ClusterName || started(was) && !started(is) || finished(was) && !finished(is) {
				w.book.violated("run %s: cluster %s went back", run.Name, was.ClusterName)
			}
			if doneOf(&was) == wellknown.ReasonClusterFailed && doneOf(&is) != doneOf(&was) && doneOf(&is) != wellknown.ReasonClusterFailureSkipped {
				w.book.violated("run %s: cluster %s has failed, and is %s", run.Name, was.ClusterName, doneOf(&is))
			}
		}
	}
}

func isRetried(run *v1beta1.ClusterStagedUpdateRun) bool {
	return slices.ContainsFunc(run.Status.History, func(e v1beta1.UpdateRunHistoryEntry) bool { return e.Operation == v1beta1.OperationRetry })
}

func started(c v1beta1.ClusterUpdatingStatus) bool {
	return meta.IsStatusConditionTrue(c.Conditions, v1beta1.ClusterStarted)
}

func finished(c v1beta1.ClusterUpdatingStatus) bool {
	return meta.FindStatusCondition(c.Conditions, v1beta1.ClusterSucceeded) != nil
}

// keepsToItsStages holds order, gates and maxConcurrency.
func (w *watcher) keepsToItsStages(run *v1beta1.ClusterStagedUpdateRun) {
	if run.Status.UpdateStrategySnapshot == nil {
		return
	}
	open := true
	for i, stage := range run.Status.StagesStatus {
		inFlight, begun := 0, false
		for _, c := range stage.Clusters {
			begun = begun || started(c)
			if started(c) && !finished(c) {
				inFlight++
			}
		}
		config := &run.Status.UpdateStrategySnapshot.Stages[i]
		if limit := limitOf(config, len(stage.Clusters)); inFlight > limit {
			w.book.violated("run %s: %d clusters of stage %s are in flight, at most %d may be", run.Name, inFlight, stage.StageName, limit)
		}
		for j := range stage.BeforeStageTaskStatus {
			open = open && w.isApproved(&stage.BeforeStageTaskStatus[j])
		}
		if begun && !open {
			w.book.violated("run %s: stage %s has begun before its time", run.Name, stage.StageName)
		}
		open = open && meta.IsStatusConditionTrue(stage.Conditions, v1beta1.StageSucceeded)
		for j := range stage.AfterStageTaskStatus {
			task := &stage.AfterStageTaskStatus[j]
			done := w.isApproved(task)
			if task.Type == v1beta1.StageTaskTypeTimedWait {
				done = waited(config, &stage, task)
			}
			if open && !done {
				w.book.violated("run %s: stage %s is over without its %s", run.Name, stage.StageName, task.Type)
			}
		}
	}
}

func limitOf(config *v1beta1.StageConfig, clusters int) int {
	limit, err := intstr.GetScaledValueFromIntOrPercent(config.MaxConcurrency, clusters, false)
	if err != nil {
		return 0
	}
	return max(1, limit)
}

// isApproved reports whether a task shows an approval. Whether one was given is what the book knows, once the answer is back.
func (w *watcher) isApproved(task *v1beta1.StageTaskStatus) bool {
	return meta.IsStatusConditionTrue(task.Conditions, v1beta1.TaskApprovalRequestApproved)
}

// waited reports whether a wait has taken its time. Times of conditions are whole seconds.
func waited(config *v1beta1.StageConfig, stage *v1beta1.StageUpdatingStatus, task *v1beta1.StageTaskStatus) bool {
	elapsed := meta.FindStatusCondition(task.Conditions, v1beta1.TaskWaitTimeElapsed)
	if elapsed == nil || elapsed.Status != metav1.ConditionTrue {
		return false
	}
	for _, t := range config.AfterStageTasks {
		if t.Type == v1beta1.StageTaskTypeTimedWait && stage.UpdatedTime != nil {
			return !elapsed.LastTransitionTime.Add(1e9).Before(stage.UpdatedTime.Add(t.WaitTime.Duration))
		}
	}
	return false
}

// keepsOverrides holds that the overrides of a cluster are those that the run had when it was planned.
func (w *watcher) keepsOverrides(run string, was, is *v1beta1.ClusterUpdatingStatus) {
	if !slices.Equal(was.ResourceOverrideSnapshots, is.ResourceOverrideSnapshots) {
		w.book.violated("run %s: the overrides of cluster %s went from %v to %v", run, was.ClusterName, was.ResourceOverrideSnapshots, is.ResourceOverrideSnapshots)
	}
}

func (w *watcher) sawBindings(changed []runtime.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events += len(changed)
	for _, o := range changed {
		b := o.(*v1beta1.ClusterResourceBinding)
		old := w.bindings[b.Name]
		w.bindings[b.Name] = b
		if old == nil || old.Spec.ResourceSnapshotName == b.Spec.ResourceSnapshotName {
			continue
		}
		if turnNumber(b) < turnNumber(old) {
			w.book.violated("binding %s: the turn went from %d to %d", b.Name, turnNumber(old), turnNumber(b))
		}
		w.moves = append(w.moves, move{
			binding: b.Name, placement: b.Labels[wellknown.ParentPlacementLabel], cluster: b.Spec.TargetCluster, run: b.Annotations[wellknown.UpdateRunAnnotation],
			index: indexOf(b),
		})
	}
}

func turnNumber(b *v1beta1.ClusterResourceBinding) int {
	n, _ := strconv.Atoi(b.Annotations[wellknown.UpdateRunTurnAnnotation])
	return n
}

// indexOf is the index of the snapshot that a binding asks for.
func indexOf(b *v1beta1.ClusterResourceBinding) string {
	var index int
	_, err := fmt.Sscanf(b.Spec.ResourceSnapshotName, b.Labels[wellknown.ParentPlacementLabel]+"-%d-snapshot", &index)
	if err != nil {
		return b.Spec.ResourceSnapshotName
	}
	return strconv.Itoa(index)
}

// verify finds for every move of a binding the run that says so. A run's status is written before its bindings, but watched apart.
func (w *watcher) verify(ctx context.Context) {
	w.mu.Lock()
	moves := w.moves
	w.moves = nil
	w.mu.Unlock()
	var list *v1beta1.ClusterStagedUpdateRunList
	if persist(ctx, func() (err error) {
		list, err = w.api.PlacementV1beta1().ClusterStagedUpdateRuns().List(ctx, metav1.ListOptions{})
		return err
	}) != nil {
		return
	}
	runs := map[string]*v1beta1.ClusterStagedUpdateRun{}
	for i := range list.Items {
		runs[list.Items[i].Name] = &list.Items[i]
	}
	for _, m := range moves {
		run := runs[m.run]
		if run == nil || run.Spec.PlacementName != m.placement || !gives(run, m.cluster, m.index) {
			w.book.violated("binding %s was moved to snapshot %s, and run %q does not say so", m.binding, m.index, m.run)
		}
	}
}

// gives reports whether a run gives a cluster the snapshot of an index.
func gives(run *v1beta1.ClusterStagedUpdateRun, cluster, index string) bool {
	c := find(run, cluster)
	return c != nil && targetOf(run, c) == index
}

// find is the entry of a cluster in a run, nil for none.
func find(run *v1beta1.ClusterStagedUpdateRun, cluster string) *v1beta1.ClusterUpdatingStatus {
	for i := range run.Status.StagesStatus {
		for j := range run.Status.StagesStatus[i].Clusters {
			if c := &run.Status.StagesStatus[i].Clusters[j]; c.ClusterName == cluster {
				return c
			}
		}
	}
	return nil
}

// verifyEnd holds that every cluster has what the last run to move its placement has brought.
func (f *fleet) verifyEnd(ctx context.Context) {
	var runs *v1beta1.ClusterStagedUpdateRunList
	var bindings *v1beta1.ClusterResourceBindingList
	if persist(ctx, func() (err error) {
		if runs, err = f.api.PlacementV1beta1().ClusterStagedUpdateRuns().List(ctx, metav1.ListOptions{}); err != nil {
			return err
		}
		bindings, err = f.api.PlacementV1beta1().ClusterResourceBindings().List(ctx, metav1.ListOptions{})
		return err
	}) != nil {
		return
	}
	if n := len(bindings.Items); n != f.members*f.settings.placements {
		f.book.violated("there are %d bindings of %d placements on %d members", n, f.settings.placements, f.members)
	}
	last := map[string]*v1beta1.ClusterStagedUpdateRun{}
	for i := range runs.Items {
		run := &runs.Items[i]
		if other := last[run.Spec.PlacementName]; run.Status.Turn != nil && (other == nil || other.Status.Turn.Number < run.Status.Turn.Number) {
			last[run.Spec.PlacementName] = run
		}
	}
	for i := range bindings.Items {
		b := &bindings.Items[i]
		run := last[b.Labels[wellknown.ParentPlacementLabel]]
		if run == nil || !meta.IsStatusConditionTrue(run.Status.Conditions, v1beta1.RunSucceeded) {
			// The last one was stopped or rejected half way.
			continue
		}
		c := find(run, b.Spec.TargetCluster)
		if c == nil || doneOf(c) != "ClusterUpdatingSucceeded" {
			// A rollback leaves out what was not touched, others what has failed.
			continue
		}
		if !sameOverrides(b, c) {
			f.book.violated("binding %s names the overrides %v, and run %s has succeeded with %v", b.Name, b.Spec.ResourceOverrideSnapshots, run.Name, c.ResourceOverrideSnapshots)
		}
		available := meta.FindStatusCondition(b.Status.Conditions, v1beta1.BindingAvailable)
		if indexOf(b) != targetOf(run, c) || available == nil || available.Status != metav1.ConditionTrue || available.ObservedGeneration != b.Generation {
			f.book.violated("binding %s asks for snapshot %s, and run %s has succeeded with %s", b.Name, indexOf(b), run.Name, targetOf(run, c))
		}
	}
}
