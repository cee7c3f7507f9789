// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/metrics/testutil"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// observed is what is observed in f.
func observed(t *testing.T, h *metrics.HistogramVec, f func(), labels ...string) string {
	t.Helper()
	h.Reset()
	f()
	return histogram(t, h.WithLabelValues(labels...))
}

func counted(t *testing.T, c *metrics.CounterVec, f func(), labels ...string) float64 {
	t.Helper()
	before, err := testutil.GetCounterMetricValue(c.WithLabelValues(labels...))
	if err != nil {
		t.Fatal(err)
	}
	f()
	after, err := testutil.GetCounterMetricValue(c.WithLabelValues(labels...))
	if err != nil {
		t.Fatal(err)
	}
	return after - before
}

// at is a step from what a run was to what it is, a while after noon.
func (w *world) step(before, after func(*v1beta1.UpdateRunStatus), later time.Duration) func() {
	return func() {
		was, is := w.run("team", "shop", before), w.run("team", "shop", before)
		after(is.RunStatus())
		Moved(was, is.RunStatus(), noon.Add(later))
	}
}

func TestAnEndIsCountedOnce(t *testing.T) {
	w := newWorld(t)
	end := w.step(waiting, over, time.Minute)
	if n := counted(t, finishedTotal, end, "Namespaced", "Succeeded"); n != 1 {
		t.Errorf("%g runs have ended, want 1", n)
	}
	if got := observed(t, runDuration, end, "Namespaced", "Succeeded"); got != "1 observed, 60s" {
		t.Errorf("duration of a run: %s", got)
	}
	again := w.step(over, func(s *v1beta1.UpdateRunStatus) { s.Outcome = v1beta1.OutcomeRolledBack }, time.Minute)
	if n := counted(t, finishedTotal, again, "Namespaced", "RolledBack"); n != 0 {
		t.Errorf("a run that was over ends again")
	}
	// One that ended under a version of the server that recorded no outcome gets it now.
	told := w.step(func(s *v1beta1.UpdateRunStatus) { over(s); s.Outcome = "" }, over, time.Minute)
	if n := counted(t, finishedTotal, told, "Namespaced", "Succeeded"); n != 0 {
		t.Errorf("a run that was over ends again")
	}
}

func TestWaitingIsTold(t *testing.T) {
	w := newWorld(t)
	approve := w.step(waiting, approved, 10*time.Minute)
	if got := observed(t, waitingDuration, approve, "Namespaced", "Approval"); got != "1 observed, 600s" {
		t.Errorf("waiting for an approval: %s", got)
	}
	if got := observed(t, approvalLatency, approve, "team", "shop", "beforeStage"); got != "1 observed, 600s" {
		t.Errorf("KubeFleet's latency of an approval: %s", got)
	}
	reject := w.step(waiting, func(s *v1beta1.UpdateRunStatus) { over(s); s.Outcome = v1beta1.OutcomeRejected }, 10*time.Minute)
	if got := observed(t, waitingDuration, reject, "Namespaced", "Approval"); got != "1 observed, 600s" {
		t.Errorf("waiting for an approval that is refused: %s", got)
	}
	if got := observed(t, approvalLatency, reject, "team", "shop", "beforeStage"); got != "0 observed, 0s" {
		t.Errorf("KubeFleet's latency of an approval that is refused: %s", got)
	}
	updated := func(s *v1beta1.UpdateRunStatus) {
		approved(s)
		s.StagesStatus[0].UpdatedTime = &metav1.MicroTime{Time: noon}
	}
	elapse := w.step(updated, func(s *v1beta1.UpdateRunStatus) {
		s.StagesStatus[0].AfterStageTaskStatus = []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeTimedWait, Conditions: []metav1.Condition{
			condition(v1beta1.TaskWaitTimeElapsed, metav1.ConditionTrue, "StageTaskWaitTimeElapsed"),
		}}}
	}, time.Hour)
	if got := observed(t, waitingDuration, elapse, "Namespaced", "Timer"); got != "1 observed, 3600s" {
		t.Errorf("waiting for a timer: %s", got)
	}
	queued := func(s *v1beta1.UpdateRunStatus) {
		s.Turn = &v1beta1.UpdateRunTurn{State: v1beta1.TurnWaiting}
		s.History = []v1beta1.UpdateRunHistoryEntry{{Number: 1, Reason: wellknown.HistoryWaitingForTurn, Time: metav1.NewTime(noon)}}
	}
	hold := w.step(queued, func(s *v1beta1.UpdateRunStatus) { s.Turn = &v1beta1.UpdateRunTurn{State: v1beta1.TurnClaimed} }, time.Minute)
	if got := observed(t, waitingDuration, hold, "Namespaced", "Turn"); got != "1 observed, 60s" {
		t.Errorf("waiting for the turn: %s", got)
	}
}

func TestClustersAreTold(t *testing.T) {
	w := newWorld(t)
	started := condition(v1beta1.ClusterStarted, metav1.ConditionTrue, "ClusterUpdatingStarted")
	before := func(s *v1beta1.UpdateRunStatus) {
		s.StagesStatus[0].StartTime = &metav1.Time{Time: noon}
		s.StagesStatus[0].Clusters = []v1beta1.ClusterUpdatingStatus{{ClusterName: "one", Conditions: []metav1.Condition{started}}, {ClusterName: "two"}}
	}
	done := w.step(before, func(s *v1beta1.UpdateRunStatus) {
		s.StagesStatus[0].UpdatedTime = &metav1.MicroTime{Time: noon.Add(20 * time.Second)}
		s.StagesStatus[0].Clusters = []v1beta1.ClusterUpdatingStatus{
			{ClusterName: "one", Conditions: []metav1.Condition{started, condition(v1beta1.ClusterSucceeded, metav1.ConditionTrue, "ClusterUpdatingSucceeded")}},
			{ClusterName: "two", Conditions: []metav1.Condition{condition(v1beta1.ClusterSucceeded, metav1.ConditionTrue, wellknown.ReasonClusterSkipped)}},
		}
	}, 20*time.Second)
	if got := observed(t, clusterDuration, done, "Succeeded"); got != "1 observed, 20s" {
		t.Errorf("update of a cluster: %s", got)
	}
	if got := observed(t, clusterDuration, done, "Skipped"); got != "0 observed, 0s" {
		t.Errorf("update of a cluster that was never begun: %s", got)
	}
	if got := observed(t, stageDuration, done, "team", "shop"); got != "1 observed, 20s" {
		t.Errorf("KubeFleet's duration of a stage: %s", got)
	}
}

func TestOverridesAndDecisionsAreCountedOnce(t *testing.T) {
	w := newWorld(t)
	overridden := func(s *v1beta1.UpdateRunStatus) {
		s.Policies = []v1beta1.GoverningPolicy{{Kind: policy.KindCluster, UID: "1", Overridden: true}, {Kind: policy.KindCluster, UID: "2"}}
	}
	nothing := func(*v1beta1.UpdateRunStatus) {}
	if n := counted(t, policyOverridesTotal, w.step(nothing, overridden, 0), policy.KindCluster); n != 1 {
		t.Errorf("%g overrides, want 1", n)
	}
	if n := counted(t, policyOverridesTotal, w.step(overridden, overridden, 0), policy.KindCluster); n != 0 {
		t.Errorf("%g overrides more of the same run", n)
	}
	open, decided := &v1beta1.ApprovalRequest{}, &v1beta1.ApprovalRequest{}
	decided.Status.Decisions = []v1beta1.ApprovalDecision{{Decision: v1beta1.DecisionApproved}, {Decision: v1beta1.DecisionRejected}}
	if n := counted(t, decisionsTotal, func() { Decided(open, decided) }, "Rejected"); n != 1 {
		t.Errorf("%g rejections, want 1", n)
	}
	if n := counted(t, decisionsTotal, func() { Decided(decided, decided) }, "Rejected"); n != 0 {
		t.Errorf("%g rejections more by a write that has none", n)
	}
}

// The first failure must be an increase. No other test counts these.
func TestCountersAreThereBeforeAnythingHappens(t *testing.T) {
	newWorld(t)
	for name, label := range map[string][2]string{
		"stagegate_update_runs_finished_total": {"result", "Failed"},
		"stagegate_policy_overrides_total":     {"kind", policy.KindNamespace},
	} {
		found, err := testutil.GetCounterValuesFromGatherer(legacyregistry.DefaultGatherer, name, nil, label[0])
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, isThere := found[label[1]]; !isThere {
			t.Errorf("%s has no %s: %v", name, label[1], found)
		}
	}
}
