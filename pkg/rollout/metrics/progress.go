// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/component-base/metrics"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

var (
	minute = time.Minute.Seconds()
	hour   = time.Hour.Seconds()
	day    = 24 * hour
	// longBuckets are for what people and timers take.
	longBuckets = []float64{1, 5, 15, minute, 5 * minute, 15 * minute, hour, 4 * hour, 12 * hour, day, 2 * day, 4 * day, 7 * day}
)

var (
	finishedTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "stagegate", Name: "update_runs_finished_total", StabilityLevel: metrics.ALPHA,
		Help: "Runs that have ended, by their outcome.",
	}, []string{"scope", "result"})

	runDuration = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Namespace: "stagegate", Name: "update_run_duration_seconds", StabilityLevel: metrics.ALPHA,
		Help:    "How long runs take from their creation to their end, all waiting included, in seconds.",
		Buckets: longBuckets,
	}, []string{"scope", "result"})

	waitingDuration = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Namespace: "stagegate", Name: "update_run_waiting_seconds", StabilityLevel: metrics.ALPHA,
		Help:    "How long runs wait for an approval, for the time after a stage, or for another run of their placement, in seconds.",
		Buckets: longBuckets,
	}, []string{"scope", "cause"})

	// Times in a status are whole seconds, so that smaller buckets would tell nothing.
	clusterDuration = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Namespace: "stagegate", Name: "cluster_update_duration_seconds", StabilityLevel: metrics.ALPHA,
		Help:    "How long the update of a cluster takes in a run, from its start until it is available or given up, in seconds.",
		Buckets: []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600},
	}, []string{"result"})

	decisionsTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "stagegate", Name: "approval_decisions_total", StabilityLevel: metrics.ALPHA,
		Help: "Decisions of users on approval requests.",
	}, []string{"decision"})

	policyOverridesTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "stagegate", Name: "policy_overrides_total", StabilityLevel: metrics.ALPHA,
		Help: "Rollout policies that runs were allowed to violate by their policyOverride.",
	}, []string{"kind"})
)

// Causes of waiting.
const (
	waitsForApproval = "Approval"
	waitsForTimer    = "Timer"
	waitsForTurn     = "Turn"
)

var (
	outcomes = []v1beta1.UpdateRunOutcome{
		v1beta1.OutcomeSucceeded, v1beta1.OutcomeSucceededWithFailures, v1beta1.OutcomeFailed, v1beta1.OutcomeRejected,
		v1beta1.OutcomeExpired, v1beta1.OutcomeRolledBack, v1beta1.OutcomeNotInitialized,
	}
	decisions   = []v1beta1.DecisionType{v1beta1.DecisionApproved, v1beta1.DecisionRejected}
	policyKinds = []string{policy.KindCluster, policy.KindNamespace}
)

// zero has all there before there is something to count: the first failure would be no increase otherwise.
func zero() {
	for _, scope := range []string{scopeCluster, scopeNamespaced} {
		for _, outcome := range outcomes {
			finishedTotal.WithLabelValues(scope, string(outcome))
			runDuration.WithLabelValues(scope, string(outcome))
		}
		for _, cause := range []string{waitsForApproval, waitsForTimer, waitsForTurn} {
			waitingDuration.WithLabelValues(scope, cause)
		}
	}
	for _, result := range []string{clusterSucceeded, clusterFailed, clusterSkipped} {
		clusterDuration.WithLabelValues(result)
	}
	for _, cause := range []string{causeApproval, causeOperation, causeTimer, causeClusterDone, causeCreated} {
		orchestrationLatency.WithLabelValues(cause)
	}
	for _, decision := range decisions {
		decisionsTotal.WithLabelValues(string(decision))
	}
	for _, kind := range policyKinds {
		policyOverridesTotal.WithLabelValues(kind)
	}
}

// Moved counts what has happened to a run between its status as stored before and the one that was written over it at a time.
func Moved(run v1beta1.UpdateRunObject, after *v1beta1.UpdateRunStatus, now time.Time) {
	before, scope := run.RunStatus(), scopeOf(run.GetNamespace())
	countOverrides(before, after)
	observeTurn(scope, before, after, now)
	eachTask(before, after, func(taskType string, stage *v1beta1.StageUpdatingStatus, was, is *v1beta1.StageTaskStatus) {
		observeTask(run, taskType, stage, was, is, after, now)
	})
	eachStage(before, after, func(was, is *v1beta1.StageUpdatingStatus) {
		if was.UpdatedTime == nil && is.UpdatedTime != nil && is.StartTime != nil {
			statuses.observe(stageDuration, run, now.Sub(is.StartTime.Time).Seconds())
		}
		observeClusters(was, is, now)
	})
	if after.Outcome != "" && before.Outcome == "" && !runrules.IsOver(before) {
		finishedTotal.WithLabelValues(scope, string(after.Outcome)).Inc()
		runDuration.WithLabelValues(scope, string(after.Outcome)).Observe(now.Sub(run.GetCreationTimestamp().Time).Seconds())
	}
}

// Decided counts the decisions that an approval request has got.
func Decided(before, after v1beta1.ApprovalRequestObject) {
	had := before.RequestStatus().Decisions
	for _, decision := range after.RequestStatus().Decisions[min(len(had), len(after.RequestStatus().Decisions)):] {
		decisionsTotal.WithLabelValues(string(decision.Decision)).Inc()
	}
}

func countOverrides(before, after *v1beta1.UpdateRunStatus) {
	for _, p := range after.Policies {
		isSame := func(other v1beta1.GoverningPolicy) bool { return other.UID == p.UID && other.Overridden }
		if p.Overridden && !slices.ContainsFunc(before.Policies, isSame) {
			policyOverridesTotal.WithLabelValues(p.Kind).Inc()
		}
	}
}

// observeTurn tells how long a run has waited for others. A history so long that its beginning is dropped does not tell since when.
func observeTurn(scope string, before, after *v1beta1.UpdateRunStatus, now time.Time) {
	isWaiting := func(s *v1beta1.UpdateRunStatus) bool { return s.Turn != nil && s.Turn.State == v1beta1.TurnWaiting }
	if !isWaiting(before) || isWaiting(after) {
		return
	}
	for _, entry := range slices.Backward(before.History) {
		if entry.Reason == wellknown.HistoryWaitingForTurn {
			waitingDuration.WithLabelValues(scope, waitsForTurn).Observe(now.Sub(entry.Time.Time).Seconds())
			return
		}
	}
}

// observeTask tells how long a run has waited for a task that is done by now, or for an approval that it does not get any more.
func observeTask(run v1beta1.UpdateRunObject, taskType string, stage *v1beta1.StageUpdatingStatus, was, is *v1beta1.StageTaskStatus,
	after *v1beta1.UpdateRunStatus, now time.Time) {
	refused := after.Outcome == v1beta1.OutcomeRejected || after.Outcome == v1beta1.OutcomeExpired
	done := runrules.IsTaskDone(is)
	if runrules.IsTaskDone(was) || !done && !refused {
		return
	}
	scope := scopeOf(run.GetNamespace())
	switch is.Type {
	case v1beta1.StageTaskTypeApproval:
		created := meta.FindStatusCondition(is.Conditions, v1beta1.TaskApprovalRequestCreated)
		if created == nil || refused && runrules.IsOver(run.RunStatus()) {
			return
		}
		waited := now.Sub(created.LastTransitionTime.Time).Seconds()
		waitingDuration.WithLabelValues(scope, waitsForApproval).Observe(waited)
		if done {
			statuses.observe(approvalLatency, run, waited, taskType)
		}
	case v1beta1.StageTaskTypeTimedWait:
		if done && stage.UpdatedTime != nil {
			waitingDuration.WithLabelValues(scope, waitsForTimer).Observe(now.Sub(stage.UpdatedTime.Time).Seconds())
		}
	}
}

func observeClusters(was, is *v1beta1.StageUpdatingStatus, now time.Time) {
	for i := range is.Clusters {
		c := &is.Clusters[i]
		if !runrules.IsClusterDone(c) || i < len(was.Clusters) && runrules.IsClusterDone(&was.Clusters[i]) {
			continue
		}
		// One that was left out before its update began took no time.
		if started := meta.FindStatusCondition(c.Conditions, v1beta1.ClusterStarted); started != nil {
			clusterDuration.WithLabelValues(clusterState(c)).Observe(now.Sub(started.LastTransitionTime.Time).Seconds())
		}
	}
}

// eachStage calls f with each stage of a run as it was and as it is. One that was not planned before was empty.
func eachStage(before, after *v1beta1.UpdateRunStatus, f func(was, is *v1beta1.StageUpdatingStatus)) {
	had := runrules.Stages(before)
	for i, is := range runrules.Stages(after) {
		was := &v1beta1.StageUpdatingStatus{}
		if i < len(had) {
			was = had[i]
		}
		f(was, is)
	}
}

// eachTask calls f with each task of a run as it was and as it is.
func eachTask(before, after *v1beta1.UpdateRunStatus, f func(taskType string, stage *v1beta1.StageUpdatingStatus, was, is *v1beta1.StageTaskStatus)) {
	eachStage(before, after, func(was, is *v1beta1.StageUpdatingStatus) {
		pairs := func(taskType string, was, tasks []v1beta1.StageTaskStatus) {
			for i := range tasks {
				had := &v1beta1.StageTaskStatus{Type: tasks[i].Type}
				if i < len(was) {
					had = &was[i]
				}
				f(taskType, is, had, &tasks[i])
			}
		}
		pairs(wellknown.BeforeStageTask, was.BeforeStageTaskStatus, is.BeforeStageTaskStatus)
		pairs(wellknown.AfterStageTask, was.AfterStageTaskStatus, is.AfterStageTaskStatus)
	})
}
