// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"slices"
	"time"

	"k8s.io/component-base/metrics"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
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
	before := run.RunStatus()
	countOverrides(before, after)
	for _, e := range runrules.Ended(run, after) {
		observeEnd(run, after, &e, now.Sub(e.Start).Seconds())
	}
	runrules.EachStage(before, after, func(was, is *v1beta1.StageUpdatingStatus) {
		if was.UpdatedTime == nil && is.UpdatedTime != nil && is.StartTime != nil {
			statuses.observe(stageDuration, run, now.Sub(is.StartTime.Time).Seconds())
		}
	})
}

// observeEnd counts the end of a part of a run, and how many seconds it took.
func observeEnd(run v1beta1.UpdateRunObject, after *v1beta1.UpdateRunStatus, e *runrules.Ending, seconds float64) {
	scope := scopeOf(run.GetNamespace())
	switch e.Part {
	case runrules.PartRun:
		finishedTotal.WithLabelValues(scope, string(after.Outcome)).Inc()
		runDuration.WithLabelValues(scope, string(after.Outcome)).Observe(seconds)
	case runrules.PartTurn:
		waitingDuration.WithLabelValues(scope, waitsForTurn).Observe(seconds)
	case runrules.PartCluster:
		if runrules.IsClusterDone(e.Cluster) {
			clusterDuration.WithLabelValues(clusterState(e.Cluster)).Observe(seconds)
		}
	case runrules.PartApproval:
		done, refused := runrules.IsTaskDone(e.Task), after.Outcome == v1beta1.OutcomeRejected || after.Outcome == v1beta1.OutcomeExpired
		if done || refused {
			waitingDuration.WithLabelValues(scope, waitsForApproval).Observe(seconds)
		}
		if done {
			statuses.observe(approvalLatency, run, seconds, e.TaskType)
		}
	case runrules.PartTimer:
		if runrules.IsTaskDone(e.Task) {
			waitingDuration.WithLabelValues(scope, waitsForTimer).Observe(seconds)
		}
	case runrules.PartStage:
		// KubeFleet's metric of stages is about their clusters alone.
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
