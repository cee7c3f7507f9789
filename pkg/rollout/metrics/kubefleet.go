// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/metrics"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// KubeFleet's metrics of runs, with its names, labels and buckets, for dashboards and alerts that were made for them. There, a series of a label
// set that is true no more stays until the run is deleted, and so do all series of runs that are over. Here, a run has one series of its status, and
// none from a while after its end on.

// keptAfterEnd is how long a run that is over has series: long enough for every scrape and for alerts on how it ended, and no longer, since runs are
// kept for weeks.
const keptAfterEnd = 15 * time.Minute

const kubefleetPrefix = "fleet_workload_update_run_"

var runStatusDesc = metrics.NewDesc(kubefleetPrefix+"status_last_timestamp_seconds",
	"When the controller last looked at a run, in seconds since 1970, with how the run stood.",
	[]string{"namespace", "name", "state", "condition", "status", "reason", "failureType"}, nil, metrics.ALPHA, "")

var approvalLatency = metrics.NewHistogramVec(&metrics.HistogramOpts{
	Name: kubefleetPrefix + "approval_request_latency_seconds", StabilityLevel: metrics.ALPHA,
	Help:    "How long a run has waited from the creation of an approval request until it was approved, in seconds.",
	Buckets: []float64{60, 300, 900, 1800, 3600, 7200, 21600, 43200, 86400},
}, []string{"namespace", "name", "taskType"})

var stageDuration = metrics.NewHistogramVec(&metrics.HistogramOpts{
	Name: kubefleetPrefix + "stage_cluster_updating_duration_seconds", StabilityLevel: metrics.ALPHA,
	Help:    "How long a stage of a run has taken from its start until its last cluster was done, in seconds.",
	Buckets: []float64{15, 30, 60, 120, 300, 600, 1800, 3600},
}, []string{"namespace", "name"})

// runStatuses are when the controller last looked at each run that has series by its name.
type runStatuses struct {
	mu     sync.Mutex
	looked map[reconcile.Key]time.Time
}

var statuses = runStatuses{looked: map[reconcile.Key]time.Time{}}

// Looked tells that the controller has looked at a run.
func Looked(run v1beta1.UpdateRunObject, now time.Time) {
	if isPast(run, now) {
		Forget(reconcile.KeyOf(run))
		return
	}
	statuses.mu.Lock()
	defer statuses.mu.Unlock()
	if key := reconcile.KeyOf(run); statuses.mayName(key) {
		statuses.looked[key] = now
	}
}

// mayName reports whether a run may have series with its name: no more runs do than have such of ours.
func (s *runStatuses) mayName(key reconcile.Key) bool {
	_, known := s.looked[key]
	return known || len(s.looked) < maxNamedRuns
}

// observe adds to a histogram of a run, unless too many runs have one.
func (s *runStatuses) observe(histogram *metrics.HistogramVec, run v1beta1.UpdateRunObject, seconds float64, labels ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mayName(reconcile.KeyOf(run)) {
		histogram.WithLabelValues(append([]string{run.GetNamespace(), run.GetName()}, labels...)...).Observe(seconds)
	}
}

// Forget ends the series of a run.
func Forget(key reconcile.Key) {
	statuses.mu.Lock()
	defer statuses.mu.Unlock()
	statuses.forget(key)
}

func (s *runStatuses) forget(key reconcile.Key) {
	delete(s.looked, key)
	stageDuration.Delete(map[string]string{"namespace": key.Namespace, "name": key.Name})
	for _, taskType := range []string{wellknown.BeforeStageTask, wellknown.AfterStageTask} {
		approvalLatency.Delete(map[string]string{"namespace": key.Namespace, "name": key.Name, "taskType": taskType})
	}
}

// reset ends the series of all runs.
func (s *runStatuses) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.looked)
	stageDuration.Reset()
	approvalLatency.Reset()
}

// collect tells how the runs stand by the caches, and forgets those that are gone or long over.
func (s *runStatuses) collect(get func(reconcile.Key) (v1beta1.UpdateRunObject, error), now time.Time, gauge gaugeFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, looked := range s.looked {
		run, err := get(key)
		if err != nil || isPast(run, now) {
			s.forget(key)
			continue
		}
		if c := telling(run); c != nil {
			gauge(runStatusDesc, float64(looked.UnixNano())/1e9,
				key.Namespace, key.Name, string(run.RunSpec().State), c.Type, string(c.Status), c.Reason, failureType(c))
		}
	}
}

// isPast reports whether a run has been over for so long that it has no series any more.
func isPast(run v1beta1.UpdateRunObject, now time.Time) bool {
	ended := runrules.End(run.RunStatus())
	return ended != nil && now.Sub(ended.LastTransitionTime.Time) > keptAfterEnd
}

// telling is the condition that says how a run stands, nil where it has none of its generation yet.
func telling(run v1beta1.UpdateRunObject) *metav1.Condition {
	for _, conditionType := range []string{v1beta1.RunSucceeded, v1beta1.RunProgressing, v1beta1.RunInitialized} {
		if c := conditions.Find(run.RunStatus().Conditions, conditionType, run.GetGeneration()); c != nil {
			return c
		}
	}
	return nil
}

// failureType says whose fault a failure is, in the words of KubeFleet.
func failureType(c *metav1.Condition) string {
	isFailure := c.Reason == wellknown.ReasonRunFailed || c.Reason == wellknown.ReasonRunNotInitialized
	switch {
	case c.Reason == wellknown.ReasonRunStuck:
		return "internal_error"
	case c.Status != metav1.ConditionFalse || !isFailure:
		return "none"
	case strings.Contains(c.Message, runrules.ClientError):
		return "user_error"
	}
	return "internal_error"
}
