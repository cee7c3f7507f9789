// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// violated records that an invariant does not hold.
func (s *simulation) violated(format string, args ...any) {
	s.violations = append(s.violations, fmt.Sprintf(format, args...))
}

// checkStatus holds a status write against the invariants. The view is what the decision was taken on.
func (s *simulation) checkStatus(old, next v1beta1.UpdateRunObject, view map[string]object) {
	s.checkOneHolder()
	s.checkMonotonic(old, next)
	was, is := old.RunStatus(), next.RunStatus()
	if runrules.IsOver(is) != (is.Outcome != "") || (is.Outcome != "") != (is.EndTime != nil) || runrules.IsOver(was) && was.Outcome != is.Outcome {
		s.violated("run %s is over: %v, and its outcome was %q and is %q at %v", next.GetName(), runrules.IsOver(is), was.Outcome, is.Outcome, is.EndTime)
	}
	s.checkHistory(next, was, is)
	if len(was.StagesStatus) == 0 {
		return
	}
	for i := range is.StagesStatus {
		s.checkConcurrency(next, &is.StagesStatus[i])
		started := s.checkStarts(next, i, &was.StagesStatus[i], &is.StagesStatus[i], view)
		if started {
			s.checkGates(next, i)
		}
		if slices.ContainsFunc(was.StagesStatus[i].Clusters, func(c v1beta1.ClusterUpdatingStatus) bool { return isRetried(&c, was, is) }) {
			// The clock starts anew with the cluster that is updated once more.
			delete(s.updated, stageID(next, i))
		}
		s.checkWait(next, i)
	}
	s.checkRemovals(next, was.DeletionStageStatus, is.DeletionStageStatus, view)
	s.checkSkips(next)
	s.checkHeld(next, was, is)
}

// allStages are the stages of a planned run in order, the delete stage included.
func allStages(status *v1beta1.UpdateRunStatus) (all []*v1beta1.StageUpdatingStatus) {
	for i := range status.StagesStatus {
		all = append(all, &status.StagesStatus[i])
	}
	if status.DeletionStageStatus != nil {
		all = append(all, status.DeletionStageStatus)
	}
	return all
}

// hasApproval reports whether anybody has to approve anything that the strategy of a run does.
func (s *simulation) hasApproval(run v1beta1.UpdateRunObject) bool {
	return run.RunSpec().RollbackOf == "" && slices.ContainsFunc(s.strategy.StrategySpec().Stages, func(c v1beta1.StageConfig) bool {
		return slices.ContainsFunc(slices.Concat(c.BeforeStageTasks, c.AfterStageTasks), func(t v1beta1.StageTask) bool {
			return t.Type == v1beta1.StageTaskTypeApproval
		})
	})
}

// checkRemovals holds that resources are removed only while the run is to run, holds the placement, once all stages are over, and in the
// order of the clusters.
func (s *simulation) checkRemovals(run v1beta1.UpdateRunObject, was, is *v1beta1.StageUpdatingStatus, view map[string]object) {
	s.checkConcurrency(run, is)
	for j := range is.Clusters {
		c := &is.Clusters[j]
		if startedOf(&was.Clusters[j]) || !startedOf(c) || !hasUnpicked(view, c.ClusterName) {
			continue
		}
		s.checkMayStart(run, is, c)
		for k := range j {
			if before := &is.Clusters[k]; !startedOf(before) && !doneOf(before) && !isGoing(view, c.ClusterName) {
				s.violated("run %s: resources are removed from cluster %s before %s", run.GetName(), c.ClusterName, before.ClusterName)
			}
		}
		s.checkGates(run, len(run.RunStatus().StagesStatus))
		if s.hasApproval(run) {
			s.checkApproved(run, run.GetName()+"-before-delete-stage")
		}
	}
}

// hasUnpicked reports whether there is something to remove from a cluster.
func hasUnpicked(view map[string]object, cluster string) bool {
	b := boundTo(view, cluster)
	return b != nil && b.BindingSpec().State == v1beta1.BindingStateUnscheduled
}

// isPickedIn reports whether the placement picks a cluster.
func isPickedIn(view map[string]object, cluster string) bool {
	for _, o := range view {
		if b := o.(v1beta1.BindingObject); b.BindingSpec().TargetCluster == cluster && bindingrules.IsPicked(b) {
			return true
		}
	}
	return false
}

// isGoing reports whether a removal from a cluster was seen to be under way: such a one may come before its turn.
func isGoing(view map[string]object, cluster string) bool {
	b := boundTo(view, cluster)
	return b != nil && b.GetDeletionTimestamp() != nil
}

// checkSkips holds that the tasks of a stage without clusters are skipped only where the run removes nothing.
func (s *simulation) checkSkips(run v1beta1.UpdateRunObject) {
	status := run.RunStatus()
	if len(status.DeletionStageStatus.Clusters) == 0 || run.RunSpec().RollbackOf != "" {
		return
	}
	for i := range status.StagesStatus {
		stage := &status.StagesStatus[i]
		skipped := meta.FindStatusCondition(stage.Conditions, v1beta1.StageSucceeded)
		if config := s.config(stage); skipped != nil && skipped.Reason == "StageUpdatingSkippedNoClusters" && len(config.BeforeStageTasks)+len(config.AfterStageTasks) > 0 {
			s.violated("run %s: stage %s is skipped with its tasks though the run removes resources", run.GetName(), stage.StageName)
		}
	}
}

// checkDeletion holds the deletion of a binding against the invariants: nothing is deleted that is not recorded, past a gate, or beyond
// what is allowed at a time.
func (s *simulation) checkDeletion(run v1beta1.UpdateRunObject, b v1beta1.BindingObject) {
	cluster := b.BindingSpec().TargetCluster
	if b.BindingSpec().State != v1beta1.BindingStateUnscheduled {
		s.violated("run %s: deletes %s, whose cluster is picked", run.GetName(), b.GetName())
	}
	if s.hasApproval(run) {
		s.checkApproved(run, run.GetName()+"-before-delete-stage")
		s.checkDecided(run, cluster, run.GetName()+"-before-delete-stage")
	}
	stored, ok := s.store.objects[simRuns][run.GetName()].(v1beta1.UpdateRunObject)
	if !ok || stored.GetUID() != run.GetUID() || s.twoLeaders {
		return
	}
	stage := stored.RunStatus().DeletionStageStatus
	going, recorded := 0, false
	for i := range stage.Clusters {
		c := &stage.Clusters[i]
		recorded = recorded || c.ClusterName == cluster && startedOf(c)
		// One that was given up made room for the next; it still waits when it is to be tried once more.
		if reason := reasonOfDone(c); isGoing(s.store.objects[simBindings], c.ClusterName) && startedOf(c) && (reason == "" || reason == "ClusterUpdatingSucceeded") {
			going++
		}
	}
	if !recorded {
		s.violated("run %s: deletes %s, which is not recorded", run.GetName(), b.GetName())
	}
	if limit := s.limit(stage); going > limit {
		s.violated("run %s: %d clusters of stage %s are going, at most %d are allowed", run.GetName(), going, stage.StageName, limit)
	}
}

// checkPatience holds that a cluster has its whole time with the leader that gives it up. Times of conditions are whole seconds.
func (s *simulation) checkPatience(old, current v1beta1.UpdateRunObject, since time.Time) {
	next := allStages(current.RunStatus())
	for i, stage := range allStages(old.RunStatus()) {
		policy := s.config(stage).FailurePolicy
		for j := range stage.Clusters {
			was, is := &stage.Clusters[j], &next[i].Clusters[j]
			if doneOf(was) || reasonOfDone(is) != "ClusterUpdatingFailed" {
				continue
			}
			begun := meta.FindStatusCondition(was.Conditions, v1beta1.ClusterStarted).LastTransitionTime.Time
			if begun.Before(since) {
				begun = since
			}
			end := meta.FindStatusCondition(is.Conditions, v1beta1.ClusterSucceeded).LastTransitionTime.Time
			if end.Before(begun.Add(policy.ClusterTimeout.Duration).Truncate(time.Second)) {
				s.violated("cluster %s is given up at %s, and began at %s with %s", is.ClusterName, end, begun, policy.ClusterTimeout.Duration)
			}
		}
	}
}

func (s *simulation) checkOneHolder() {
	var holders []string
	for _, run := range s.store.runs() {
		turn := run.RunStatus().Turn
		if turn != nil && turn.State == v1beta1.TurnHeld && run.GetDeletionTimestamp() == nil && !runrules.IsOver(run.RunStatus()) {
			holders = append(holders, run.GetName())
		}
	}
	if len(holders) > 1 {
		s.violated("%v hold the placement at once", holders)
	}
}

// checkHistory holds that what users did is kept, in its order, and acted on once.
func (s *simulation) checkHistory(run v1beta1.UpdateRunObject, was, is *v1beta1.UpdateRunStatus) {
	if len(is.History) > 100 {
		s.violated("run %s: the history has %d entries", run.GetName(), len(is.History))
	}
	for i := 1; i < len(is.History); i++ {
		if is.History[i-1].Number >= is.History[i].Number {
			s.violated("run %s: entry %d of the history follows %d", run.GetName(), is.History[i].Number, is.History[i-1].Number)
		}
	}
	for _, entry := range was.History {
		if entry.Operation != "" && len(is.History) < 100 && !slices.ContainsFunc(is.History, func(e v1beta1.UpdateRunHistoryEntry) bool {
			return e.Number == entry.Number && e.Operation == entry.Operation && e.User == entry.User
		}) {
			s.violated("run %s: the history has lost operation %d", run.GetName(), entry.Number)
		}
	}
	if is.ObservedOperation < was.ObservedOperation {
		s.violated("run %s: operation %d is acted on again", run.GetName(), was.ObservedOperation)
	}
}

// isRetried reports whether a write acts on somebody's wish to have a cluster that has failed updated once more.
func isRetried(cluster *v1beta1.ClusterUpdatingStatus, was, is *v1beta1.UpdateRunStatus) bool {
	return reasonOfDone(cluster) == "ClusterUpdatingFailed" && slices.ContainsFunc(is.History, func(e v1beta1.UpdateRunHistoryEntry) bool {
		return e.Operation == v1beta1.OperationRetry && e.Number > was.ObservedOperation && e.Number <= is.ObservedOperation &&
			(len(e.Clusters) == 0 || slices.Contains(e.Clusters, cluster.ClusterName))
	})
}

// checkMonotonic holds that what has happened has happened.
func (s *simulation) checkMonotonic(old, current v1beta1.UpdateRunObject) {
	// These may be false until they are true.
	open := []string{v1beta1.RunInitialized, v1beta1.TaskApprovalRequestApproved}
	keep := func(what string, was, is []metav1.Condition, types ...string) {
		for _, t := range types {
			before, after := meta.FindStatusCondition(was, t), meta.FindStatusCondition(is, t)
			if before == nil || slices.Contains(open, t) && before.Status != metav1.ConditionTrue {
				continue
			}
			if after == nil || after.Status != before.Status {
				s.violated("run %s: %s: condition %s went back from %s", current.GetName(), what, t, before.Status)
			}
		}
	}
	was, is := old.RunStatus(), current.RunStatus()
	keep("run", was.Conditions, is.Conditions, v1beta1.RunInitialized, v1beta1.RunSucceeded)
	next := allStages(is)
	for i, a := range allStages(was) {
		b := next[i]
		keep("stage "+a.StageName, a.Conditions, b.Conditions, v1beta1.StageSucceeded)
		for j := range a.Clusters {
			if isRetried(&a.Clusters[j], was, is) {
				continue
			}
			keep("cluster "+a.Clusters[j].ClusterName, a.Clusters[j].Conditions, b.Clusters[j].Conditions, v1beta1.ClusterStarted, v1beta1.ClusterSucceeded)
			if a.Clusters[j].ClusterName != b.Clusters[j].ClusterName {
				s.violated("run %s: targets are not frozen", current.GetName())
			}
		}
		for j := range a.BeforeStageTaskStatus {
			keep("task", a.BeforeStageTaskStatus[j].Conditions, b.BeforeStageTaskStatus[j].Conditions, v1beta1.TaskApprovalRequestApproved)
		}
		final := []string{v1beta1.TaskApprovalRequestApproved, v1beta1.TaskWaitTimeElapsed}
		if slices.ContainsFunc(a.Clusters, func(c v1beta1.ClusterUpdatingStatus) bool { return isRetried(&c, was, is) }) {
			// The wait counts from the last cluster.
			final = final[:1]
		}
		for j := range a.AfterStageTaskStatus {
			keep("task", a.AfterStageTaskStatus[j].Conditions, b.AfterStageTaskStatus[j].Conditions, final...)
		}
	}
}

// checkConcurrency holds that no more clusters than allowed are in flight.
func (s *simulation) checkConcurrency(run v1beta1.UpdateRunObject, stage *v1beta1.StageUpdatingStatus) {
	inFlight := 0
	for j := range stage.Clusters {
		if startedOf(&stage.Clusters[j]) && !doneOf(&stage.Clusters[j]) {
			inFlight++
		}
	}
	if limit := s.limit(stage); inFlight > limit {
		s.violated("run %s: %d clusters of stage %s in flight, at most %d are allowed", run.GetName(), inFlight, stage.StageName, limit)
	}
}

// config is what the strategy says about a stage. A rollback has the same ones in another order, and the delete stage is as fast and
// patient as the last one.
func (s *simulation) config(stage *v1beta1.StageUpdatingStatus) *v1beta1.StageConfig {
	stages := s.strategy.StrategySpec().Stages
	if stage.StageName == wellknown.DeleteStageName {
		last := stages[len(stages)-1]
		return &v1beta1.StageConfig{MaxConcurrency: last.MaxConcurrency, FailurePolicy: last.FailurePolicy}
	}
	return &stages[slices.IndexFunc(stages, func(c v1beta1.StageConfig) bool { return c.Name == stage.StageName })]
}

func (s *simulation) limit(stage *v1beta1.StageUpdatingStatus) int {
	limit, err := intstr.GetScaledValueFromIntOrPercent(s.config(stage).MaxConcurrency, len(stage.Clusters), false)
	if err != nil {
		panic(err)
	}
	return max(limit, 1)
}

// checkStarts holds that clusters are started only while the run is to run, holds the placement, and in their order. It says
// whether any was.
func (s *simulation) checkStarts(run v1beta1.UpdateRunObject, i int, was, is *v1beta1.StageUpdatingStatus, view map[string]object) bool {
	started := false
	for j := range is.Clusters {
		c := &is.Clusters[j]
		if startedOf(&was.Clusters[j]) || !startedOf(c) {
			continue
		}
		started = true
		s.checkMayStart(run, is, c)
		s.checkOutside(run, is, c, view)
		if b := boundTo(view, c.ClusterName); b != nil && was.Clusters[j].PreviousResourceSnapshotIndex == nil {
			s.checkPrevious(run, c, b)
		}
		for k := range j {
			before := &is.Clusters[k]
			// One that is not picked cannot be started, and is waited for where policies hold the run.
			if !startedOf(before) && !doneOf(before) && !leftBehind(view, c.ClusterName) && isPickedIn(view, before.ClusterName) {
				s.violated("run %s: cluster %s started before %s", run.GetName(), c.ClusterName, before.ClusterName)
			}
		}
	}
	return started
}

// checkMayStart holds what must be so whenever a cluster of a stage is started.
func (s *simulation) checkMayStart(run v1beta1.UpdateRunObject, stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus) {
	if failed, allowed := s.failures(run, stage); failed > allowed {
		s.violated("run %s: cluster %s started though %d have failed and %d may", run.GetName(), c.ClusterName, failed, allowed)
	}
	if state := run.RunSpec().State; state != v1beta1.StateRun {
		s.violated("run %s: cluster %s started in state %s", run.GetName(), c.ClusterName, state)
	}
	if turn := run.RunStatus().Turn; turn == nil || turn.Number == 0 {
		s.violated("run %s: cluster %s started without a turn", run.GetName(), c.ClusterName)
	}
}

// failures are how many clusters of a stage have failed and nobody has decided to go on without, and how many may.
func (s *simulation) failures(run v1beta1.UpdateRunObject, stage *v1beta1.StageUpdatingStatus) (failed, allowed int) {
	policy := s.config(stage).FailurePolicy
	if policy == nil || run.RunSpec().RollbackOf != "" {
		return 0, 0
	}
	for i := range stage.Clusters {
		if reasonOfDone(&stage.Clusters[i]) == "ClusterUpdatingFailed" {
			failed++
		}
	}
	return failed, policy.MaxFailures.IntValue()
}

// boundTo is the one binding of a cluster, nil where it has none or several.
func boundTo(view map[string]object, cluster string) (found v1beta1.BindingObject) {
	for _, o := range view {
		if b := o.(v1beta1.BindingObject); b.BindingSpec().TargetCluster == cluster {
			if found != nil {
				return nil
			}
			found = b
		}
	}
	return found
}

// checkPrevious holds that a run takes a cluster back to what its Works held, and to nothing that another run asked for in vain.
func (s *simulation) checkPrevious(run v1beta1.UpdateRunObject, c *v1beta1.ClusterUpdatingStatus, b v1beta1.BindingObject) {
	snapshot, overrides := "", []v1beta1.NamespacedName{}
	if held := b.BindingStatus().SynchronizedVersion; held != nil {
		snapshot = held.ResourceSnapshotName
		overrides = overridesIn(held.ClusterResourceOverrideSnapshots, held.ResourceOverrideSnapshots)
	}
	if got := runrules.PreviousOverrideSnapshotsOf(c); !slices.Equal(got, overrides) {
		s.violated("run %s: cluster %s had the overrides %v, not %v", run.GetName(), c.ClusterName, overrides, got)
	}
	if got := *c.PreviousResourceSnapshotIndex; got != "" && run.RunSpec().PlacementName+"-"+got+"-snapshot" != snapshot || got == "" && snapshot != "" {
		s.violated("run %s: cluster %s had %s, not %q", run.GetName(), c.ClusterName, snapshot, got)
	}
}

// leftBehind reports whether a cluster was seen in flight: such a one may come before its turn.
func leftBehind(view map[string]object, cluster string) bool {
	for _, o := range view {
		b := o.(v1beta1.BindingObject)
		if b.BindingSpec().TargetCluster == cluster && b.BindingSpec().State == v1beta1.BindingStateBound && !bindingrules.IsReady(b) {
			return true
		}
	}
	return false
}

// checkGates holds that what comes before a cluster is done: the stages, their tasks, and the approval of its own stage.
func (s *simulation) checkGates(run v1beta1.UpdateRunObject, i int) {
	stages := allStages(run.RunStatus())
	removes := len(run.RunStatus().DeletionStageStatus.Clusters) > 0
	for k := range i {
		if !meta.IsStatusConditionTrue(stages[k].Conditions, v1beta1.StageSucceeded) {
			s.violated("run %s: a cluster of stage %s started before stage %s was over", run.GetName(), stages[i].StageName, stages[k].StageName)
		}
		if run.RunSpec().RollbackOf != "" {
			continue
		}
		config, empty := s.config(stages[k]), len(stages[k].Clusters) == 0
		if len(config.BeforeStageTasks) > 0 && empty && removes {
			s.checkApproved(run, wellknown.BeforeStageApprovalName(run.GetName(), stages[k].StageName))
		}
		for _, task := range config.AfterStageTasks {
			if task.Type == v1beta1.StageTaskTypeApproval && (!empty || removes) {
				s.checkApproved(run, wellknown.AfterStageApprovalName(run.GetName(), stages[k].StageName))
			}
		}
	}
	if len(s.config(stages[i]).BeforeStageTasks) > 0 && run.RunSpec().RollbackOf == "" {
		s.checkApproved(run, wellknown.BeforeStageApprovalName(run.GetName(), stages[i].StageName))
	}
}

func (s *simulation) checkApproved(run v1beta1.UpdateRunObject, request string) {
	if !s.approved[string(run.GetUID())+"/"+request] {
		s.violated("run %s: went past %s, which nobody approved", run.GetName(), request)
	}
}

func stageID(run v1beta1.UpdateRunObject, i int) string { return fmt.Sprintf("%s/%d", run.GetUID(), i) }

// checkWait holds that a timed wait lasts from the moment when the stage's last cluster was seen to be done, which never moves.
func (s *simulation) checkWait(run v1beta1.UpdateRunObject, i int) {
	stage := &run.RunStatus().StagesStatus[i]
	id := stageID(run, i)
	for j := range stage.Clusters {
		if !doneOf(&stage.Clusters[j]) {
			return
		}
	}
	if stage.UpdatedTime == nil || run.RunSpec().RollbackOf != "" {
		return
	}
	updated, ok := s.updated[id]
	if !ok {
		s.updated[id] = stage.UpdatedTime.Time
		return
	}
	if !updated.Equal(stage.UpdatedTime.Time) {
		s.violated("run %s: the clock of stage %s moved from %s to %s", run.GetName(), stage.StageName, updated, stage.UpdatedTime)
	}
	if !meta.IsStatusConditionTrue(stage.Conditions, v1beta1.StageSucceeded) || s.waited[id] {
		return
	}
	s.waited[id] = true
	for j, task := range s.config(stage).AfterStageTasks {
		if c := meta.FindStatusCondition(stage.AfterStageTaskStatus[j].Conditions, v1beta1.TaskWaitTimeElapsed); c != nil && (c.Reason == "StageTaskWaitSkipped" || c.LastTransitionTime.Time.Before(updated)) {
			// It was skipped, or was over before a retry.
			continue
		}
		// What is written now may have been decided before the clock was set back.
		if waited := max(s.store.now.Sub(updated), s.latest.Sub(updated)); task.Type == v1beta1.StageTaskTypeTimedWait && waited < task.WaitTime.Duration {
			s.violated("run %s: stage %s waited %s instead of %s", run.GetName(), stage.StageName, waited, task.WaitTime.Duration)
		}
	}
}

// checkBinding holds a write to a binding against the invariants.
func (s *simulation) checkBinding(run v1beta1.UpdateRunObject, old, next v1beta1.BindingObject) {
	before, _ := strconv.Atoi(old.GetAnnotations()[wellknown.UpdateRunTurnAnnotation])
	after, _ := strconv.Atoi(next.GetAnnotations()[wellknown.UpdateRunTurnAnnotation])
	if after < before {
		s.violated("run %s: turn %d overwrites turn %d on %s", run.GetName(), after, before, next.GetName())
	}
	s.checkEvasion(run, old, next)
	if s.twoLeaders {
		// One that lost its lease may be a write behind; the resource versions keep it from doing harm.
		return
	}
	stored, ok := s.store.objects[simRuns][run.GetName()].(v1beta1.UpdateRunObject)
	if !ok || stored.GetUID() != run.GetUID() {
		return
	}
	if turn := stored.RunStatus().Turn; turn.State != v1beta1.TurnHeld && !runrules.IsOver(stored.RunStatus()) {
		s.violated("run %s: wrote %s without holding the placement", run.GetName(), next.GetName())
	}
	s.checkDisturbed(stored, old, next)
}

// checkDisturbed holds that a run does not disturb more clusters of a stage than allowed, those that others left behind included.
func (s *simulation) checkDisturbed(run v1beta1.UpdateRunObject, old, next v1beta1.BindingObject) {
	if old.BindingSpec().State == v1beta1.BindingStateBound && !bindingrules.IsReady(old) {
		return
	}
	unsettled := map[string]bool{}
	for _, b := range s.store.bindings() {
		if b.BindingSpec().State == v1beta1.BindingStateBound && !bindingrules.IsReady(b) && b.GetDeletionTimestamp() == nil && s.store.members[b.BindingSpec().TargetCluster] &&
			!s.flapped[b.GetName()] && !s.tampered[b.BindingSpec().TargetCluster] {
			unsettled[b.BindingSpec().TargetCluster] = true
		}
	}
	for i := range run.RunStatus().StagesStatus {
		stage := &run.RunStatus().StagesStatus[i]
		n, mine := 0, false
		for j := range stage.Clusters {
			c := &stage.Clusters[j]
			mine = mine || c.ClusterName == next.BindingSpec().TargetCluster
			// One that was given up made room for the next; it still waits when it is to be tried once more.
			waits := !startedOf(c) && c.PreviousResourceSnapshotIndex != nil
			if reason := reasonOfDone(c); unsettled[c.ClusterName] && !waits && (reason == "" || reason == "ClusterUpdatingSucceeded") {
				n++
			}
		}
		if limit := s.limit(stage); mine && n > limit {
			s.violated("run %s: %d clusters of stage %s are disturbed, at most %d are allowed", run.GetName(), n, stage.StageName, limit)
		}
	}
}

// checkWaits holds that every run that is not over tells what it waits for.
func (s *simulation) checkWaits() {
	for _, run := range s.store.runs() {
		status := run.RunStatus()
		progressing := meta.FindStatusCondition(status.Conditions, v1beta1.RunProgressing)
		switch state := run.RunSpec().State; {
		case runrules.IsOver(status):
		case !runrules.IsPlanned(status):
			s.violated("run %s: is neither initialized nor given up", run.GetName())
		case state == v1beta1.StateInitialize:
			// It waits to be started.
		case progressing == nil || progressing.Status != metav1.ConditionFalse || progressing.Message == "",
			state == v1beta1.StateRun && !slices.Contains([]string{"UpdateRunWaiting", "UpdateRunStuck", "UpdateRunPaused"}, progressing.Reason),
			state == v1beta1.StateStop && progressing.Reason != "UpdateRunStopped":
			s.violated("run %s: does not tell what it waits for: %v", run.GetName(), progressing)
		}
	}
}

// checkEnd holds that every run that could come to an end did.
func (s *simulation) checkEnd() {
	var last v1beta1.UpdateRunObject
	for _, run := range s.store.runs() {
		status := run.RunStatus()
		progressing := meta.FindStatusCondition(status.Conditions, v1beta1.RunProgressing)
		succeeded := meta.FindStatusCondition(status.Conditions, v1beta1.RunSucceeded)
		switch {
		case run.GetDeletionTimestamp() != nil:
			continue
		case !runrules.IsPlanned(status):
			if !runrules.IsOver(status) {
				s.violated("run %s: is neither initialized nor given up", run.GetName())
			}
		case succeeded == nil && run.RunSpec().State == v1beta1.StateRun:
			s.violated("run %s: did not end: %v", run.GetName(), progressing)
		case succeeded == nil && run.RunSpec().State == v1beta1.StateStop && (progressing == nil || progressing.Reason != "UpdateRunStopped"):
			s.violated("run %s: did not stop: %v", run.GetName(), progressing)
		case succeeded != nil && succeeded.Status == metav1.ConditionFalse && !s.mayFail(succeeded):
			s.violated("run %s: failed: %s", run.GetName(), succeeded.Message)
		}
		if last := len(status.History) - 1; runrules.IsPlanned(status) && last >= 0 {
			for _, entry := range status.History {
				if entry.Operation != "" && entry.Number > status.ObservedOperation {
					s.violated("run %s: operation %d was never acted on", run.GetName(), entry.Number)
				}
			}
		}
		if by := status.RolledBackBy; by != nil && by.UID == "" {
			s.violated("run %s: %s was never created", run.GetName(), by.Name)
		}
		if status.Turn != nil && (last == nil || status.Turn.Number > last.RunStatus().Turn.Number) {
			last = run
		}
	}
	if last == nil || !meta.IsStatusConditionTrue(last.RunStatus().Conditions, v1beta1.RunSucceeded) || s.store.version == 0 {
		return
	}
	s.checkOutcome(last)
}

func (s *simulation) mayFail(c *metav1.Condition) bool {
	return c.Reason == "UpdateRunRejected" || c.Reason == "UpdateRunApprovalExpired" || c.Reason == "UpdateRunRolledBack" ||
		s.policies.some && c.Reason == "UpdateRunPolicyChanged" ||
		strings.Contains(c.Message, "; create a run with the resourceSnapshotIndex that the clusters are to have") ||
		strings.Contains(c.Message, "failed to update, at most") ||
		strings.Contains(c.Message, "since this run was stopped; create a new run") ||
		strings.Contains(c.Message, "since this run was planned; create a new run") ||
		s.placementGone && strings.Contains(c.Message, "parent placement not found")
}

// checkOutcome holds that the clusters of the last run have what it rolled out.
func (s *simulation) checkOutcome(run v1beta1.UpdateRunObject) {
	status := run.RunStatus()
	have := map[string]string{}
	overrides := map[string][]v1beta1.NamespacedName{}
	moved := map[string]int64{}
	for _, b := range s.store.bindings() {
		if b.BindingSpec().State == v1beta1.BindingStateBound {
			have[b.BindingSpec().TargetCluster] = b.BindingSpec().ResourceSnapshotName
			overrides[b.BindingSpec().TargetCluster] = overridesOn(b)
			moved[b.BindingSpec().TargetCluster], _ = strconv.ParseInt(b.GetAnnotations()[wellknown.UpdateRunTurnAnnotation], 10, 64)
		}
	}
	for i := range status.DeletionStageStatus.Clusters {
		c := &status.DeletionStageStatus.Clusters[i]
		if reasonOfDone(c) == "ClusterUpdatingSucceeded" && hasUnpicked(s.store.objects[simBindings], c.ClusterName) {
			s.violated("run %s: cluster %s counts as cleaned up, and is not", run.GetName(), c.ClusterName)
		}
	}
	for _, stage := range status.StagesStatus {
		for j := range stage.Clusters {
			c := &stage.Clusters[j]
			want := run.RunSpec().PlacementName + "-" + cmp.Or(c.ResourceSnapshotIndex, status.ResourceSnapshotIndexUsed) + "-snapshot"
			got, ok := have[c.ClusterName]
			if !ok || s.tampered[c.ClusterName] || reasonOfDone(c) != "ClusterUpdatingSucceeded" || moved[c.ClusterName] > status.Turn.Number {
				continue
			}
			if got != want {
				s.violated("run %s: cluster %s has %s instead of %s", run.GetName(), c.ClusterName, got, want)
			}
			if got, want := overrides[c.ClusterName], runrules.OverrideSnapshotsOf(c); !slices.Equal(got, want) {
				s.violated("run %s: cluster %s has the overrides %v instead of %v", run.GetName(), c.ClusterName, got, want)
			}
		}
	}
}

func startedOf(c *v1beta1.ClusterUpdatingStatus) bool {
	return meta.IsStatusConditionTrue(c.Conditions, v1beta1.ClusterStarted)
}

func doneOf(c *v1beta1.ClusterUpdatingStatus) bool { return reasonOfDone(c) != "" }

func reasonOfDone(c *v1beta1.ClusterUpdatingStatus) string {
	if done := meta.FindStatusCondition(c.Conditions, v1beta1.ClusterSucceeded); done != nil {
		return done.Reason
	}
	return ""
}
