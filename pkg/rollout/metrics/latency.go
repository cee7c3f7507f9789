// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"sync"
	"time"

	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

var orchestrationLatency = metrics.NewHistogramVec(&metrics.HistogramOpts{
	Namespace: "stagegate", Name: "orchestration_latency_seconds", StabilityLevel: metrics.ALPHA,
	Help:    "How long it takes from what lets a run move clusters to the first binding that is written for it, in seconds.",
	Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
}, []string{"cause"})

// Causes that let a run move clusters.
const (
	causeApproval    = "Approval"
	causeOperation   = "Operation"
	causeTimer       = "Timer"
	causeClusterDone = "ClusterDone"
	causeCreated     = "Created"
)

// Latency measures how long runs take from what lets them move clusters to the first binding that is written for it, for one term of leadership.
// It holds an entry for each run that has a change to look at, or that claims its turn.
type Latency struct {
	clock clock.PassiveClock

	mu sync.Mutex
	// heard is when the oldest change came that a run has not been looked at for.
	heard map[reconcile.Key]time.Time
	// open are causes for which no binding is written yet.
	open map[reconcile.Key]cause
}

type cause struct {
	name string
	at   time.Time
}

// NewLatency begins to measure.
func NewLatency(c clock.PassiveClock) *Latency {
	return &Latency{clock: c, heard: map[reconcile.Key]time.Time{}, open: map[reconcile.Key]cause{}}
}

// Hearing is a MapFunc that notes when runs are to be looked at for a change.
func (l *Latency) Hearing(f reconcile.MapFunc) reconcile.MapFunc {
	return func(oldObj, newObj any) []reconcile.Key {
		keys, now := f(oldObj, newObj), l.clock.Now()
		for _, key := range keys {
			l.Heard(key, now)
		}
		return keys
	}
}

// Heard notes that a run is to be looked at for a change that came at a time.
func (l *Latency) Heard(key reconcile.Key, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if earlier, ok := l.heard[key]; !ok || at.Before(earlier) {
		l.heard[key] = at
	}
}

// Look returns when the oldest change came that this look at a run is for. A later one is for the next look.
func (l *Latency) Look(key reconcile.Key) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.heard[key]
	if !ok {
		return l.clock.Now()
	}
	delete(l.heard, key)
	return at
}

// Forget drops what is known of a run that moves no clusters any more.
func (l *Latency) Forget(key reconcile.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.heard, key)
	delete(l.open, key)
}

// Decided tells what was decided of a run that was looked at for changes since a time: its next status, nil where that is as stored, the requests
// whose approval is in it for the first time, and whether bindings are written. It returns what to call when one is.
func (l *Latency) Decided(run v1beta1.UpdateRunObject, after *v1beta1.UpdateRunStatus, approved []v1beta1.ApprovalRequestObject, heard time.Time,
	writes bool) (wrote func()) {
	key := reconcile.KeyOf(run)
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.open[key]; !ok && after != nil {
		if found := causeOf(run, after, approved, heard); found.name != "" {
			l.open[key] = found
		}
	}
	if after == nil {
		after = run.RunStatus()
	}
	if !writes && !goesOn(run, after) {
		// It waits for something else first.
		delete(l.open, key)
	}
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if c, ok := l.open[key]; ok {
			delete(l.open, key)
			orchestrationLatency.WithLabelValues(c.name).Observe(l.clock.Since(c.at).Seconds())
		}
	})
}

// goesOn reports whether a run that writes no binding is about to go on by itself: it has claimed its turn, or was just planned.
func goesOn(run v1beta1.UpdateRunObject, after *v1beta1.UpdateRunStatus) bool {
	if run.RunSpec().State != v1beta1.StateRun || runrules.IsOver(after) {
		return false
	}
	return runrules.ClaimsTurn(after) || runrules.IsPlanned(after) && !runrules.IsPlanned(run.RunStatus())
}

// causeOf returns what in the next status of a run lets it move clusters, and since when. The zero cause is none.
func causeOf(run v1beta1.UpdateRunObject, after *v1beta1.UpdateRunStatus, approved []v1beta1.ApprovalRequestObject, heard time.Time) cause {
	before := run.RunStatus()
	if !runrules.IsPlanned(before) {
		if !runrules.IsPlanned(after) {
			return cause{}
		}
		if before.InitializationStartTime != nil {
			// It has waited for something that it refers to.
			return cause{causeCreated, heard}
		}
		return cause{causeCreated, since(run.GetCreationTimestamp().Time, heard)}
	}
	var found cause
	eachTask(before, after, func(_ string, stage *v1beta1.StageUpdatingStatus, was, is *v1beta1.StageTaskStatus) {
		if found.name != "" || runrules.IsTaskDone(was) || !runrules.IsTaskDone(is) {
			return
		}
		switch end, known := runrules.WaitEnd(after, stage); {
		case is.Type == v1beta1.StageTaskTypeApproval:
			found = cause{causeApproval, heard}
			for _, request := range approved {
				if decisions := request.RequestStatus().Decisions; request.GetName() == is.ApprovalRequestName && len(decisions) > 0 {
					found.at = since(decisions[len(decisions)-1].Time.Time, heard)
				}
			}
		case known && after.ObservedOperation == before.ObservedOperation:
			// It elapses by itself, unless somebody has skipped it.
			found = cause{causeTimer, end}
		}
	})
	if found.name != "" {
		return found
	}
	if after.ObservedOperation > before.ObservedOperation {
		found = cause{causeOperation, heard}
		for _, entry := range after.History {
			if entry.Number == after.ObservedOperation {
				found.at = since(entry.Time.Time, heard)
			}
		}
		return found
	}
	runrules.EachStage(before, after, func(was, is *v1beta1.StageUpdatingStatus) {
		for i := range is.Clusters {
			if runrules.IsClusterDone(&is.Clusters[i]) && i < len(was.Clusters) && !runrules.IsClusterDone(&was.Clusters[i]) {
				found = cause{causeClusterDone, heard}
			}
		}
	})
	return found
}

// since returns when something has happened that the API dates in whole seconds, and that the leader has heard of at a time: when it heard of it,
// or the end of that second where it was late to.
func since(second, heard time.Time) time.Time {
	if end := second.Add(time.Second); end.Before(heard) {
		return end
	}
	return heard
}

// eachTask calls f with each task of a run as it was and as it is.
func eachTask(before, after *v1beta1.UpdateRunStatus, f func(taskType string, stage *v1beta1.StageUpdatingStatus, was, is *v1beta1.StageTaskStatus)) {
	runrules.EachStage(before, after, func(was, is *v1beta1.StageUpdatingStatus) {
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
