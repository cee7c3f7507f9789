// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// look is one look of the controller at a run that changed from one status to the next.
type look struct {
	before, after func(*v1beta1.UpdateRunStatus)
	approved      []v1beta1.ApprovalRequestObject
	writes        bool
}

// latency has a run looked at some times, a second apart, for a change that came 100 ms before the first look.
func (w *world) latency(cause string, looks ...look) string {
	w.Helper()
	orchestrationLatency.Reset()
	l := NewLatency(w.clock)
	key := reconcile.Key{Namespace: "team", Name: "shop"}
	l.Heard(key, noon)
	for i, at := range looks {
		w.clock.SetTime(noon.Add(100*time.Millisecond + time.Duration(i)*time.Second))
		run := w.run("team", "shop", at.before)
		after := w.run("team", "shop", at.before).RunStatus()
		at.after(after)
		wrote := l.Decided(run, after, at.approved, l.Look(key), at.writes)
		if at.writes {
			wrote()
			wrote()
		}
	}
	if len(l.heard)+len(l.open) > 0 {
		w.Errorf("kept in mind after the last look: %v, %v", l.heard, l.open)
	}
	return histogram(w, orchestrationLatency.WithLabelValues(cause))
}

func request(decided time.Time) []v1beta1.ApprovalRequestObject {
	r := &v1beta1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Name: "shop-before-canary"}}
	r.Status.Decisions = []v1beta1.ApprovalDecision{{Decision: v1beta1.DecisionApproved, Time: metav1.NewTime(decided)}}
	return []v1beta1.ApprovalRequestObject{r}
}

func TestLatencyIsFromTheCauseToTheFirstBinding(t *testing.T) {
	w := newWorld(t)
	claims := func(s *v1beta1.UpdateRunStatus) { s.Turn = &v1beta1.UpdateRunTurn{State: v1beta1.TurnClaimed} }
	unplanned := func(s *v1beta1.UpdateRunStatus) { *s = v1beta1.UpdateRunStatus{} }
	planned := func(s *v1beta1.UpdateRunStatus) { *s = *w.run("team", "shop", nil).RunStatus() }
	nothing := func(*v1beta1.UpdateRunStatus) {}
	started := func(s *v1beta1.UpdateRunStatus) {
		s.StagesStatus[0].Clusters[0].Conditions = []metav1.Condition{condition(v1beta1.ClusterStarted, metav1.ConditionTrue, "ClusterUpdatingStarted")}
	}
	done := func(s *v1beta1.UpdateRunStatus) {
		s.StagesStatus[0].Clusters = []v1beta1.ClusterUpdatingStatus{{ClusterName: "one", Conditions: []metav1.Condition{
			condition(v1beta1.ClusterSucceeded, metav1.ConditionTrue, "ClusterUpdatingSucceeded"),
		}}, s.StagesStatus[0].Clusters[1]}
	}
	operated := func(s *v1beta1.UpdateRunStatus) {
		s.ObservedOperation = 1
		s.History = []v1beta1.UpdateRunHistoryEntry{{Number: 1, Operation: v1beta1.OperationRetry, Time: metav1.NewTime(noon)}}
	}
	waits := func(s *v1beta1.UpdateRunStatus) {
		approved(s)
		s.StagesStatus[0].UpdatedTime = &metav1.MicroTime{Time: noon.Add(-time.Hour)}
		s.UpdateStrategySnapshot = &v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{{
			Name: "canary", AfterStageTasks: []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeTimedWait, WaitTime: &metav1.Duration{Duration: time.Hour}}},
		}}}
	}
	elapsed := func(s *v1beta1.UpdateRunStatus) {
		s.StagesStatus[0].AfterStageTaskStatus = []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeTimedWait, Conditions: []metav1.Condition{
			condition(v1beta1.TaskWaitTimeElapsed, metav1.ConditionTrue, "StageTaskWaitTimeElapsed"),
		}}}
	}
	for name, c := range map[string]struct {
		cause string
		looks []look
		want  string
	}{
		"approved":                {"Approval", []look{{waiting, approved, request(noon), true}}, "1 observed, 0.1s"},
		"approved, turn to claim": {"Approval", []look{{waiting, func(s *v1beta1.UpdateRunStatus) { approved(s); claims(s) }, request(noon), false}, {claims, nothing, nil, true}}, "1 observed, 1.1s"},
		// The leader has come late.
		"approved while nobody led":      {"Approval", []look{{waiting, approved, request(noon.Add(-10 * time.Second)), true}}, "1 observed, 9.1s"},
		"approved, and waits for others": {"Approval", []look{{waiting, approved, request(noon), false}, {nothing, started, nil, true}}, "0 observed, 0s"},
		"cluster done":                   {"ClusterDone", []look{{started, done, nil, true}}, "1 observed, 0.1s"},
		"retry":                          {"Operation", []look{{nothing, operated, nil, true}}, "1 observed, 0.1s"},
		"time is up":                     {"Timer", []look{{waits, elapsed, nil, true}}, "1 observed, 0.1s"},
		"created":                        {"Created", []look{{unplanned, planned, nil, false}, {nothing, claims, nil, false}, {claims, nothing, nil, true}}, "1 observed, 2.1s"},
		"written again for nothing new":  {"ClusterDone", []look{{started, started, nil, true}}, "0 observed, 0s"},
	} {
		if got := w.latency(c.cause, c.looks...); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestAChangeIsHeardOfOnce(t *testing.T) {
	w := newWorld(t)
	l := NewLatency(w.clock)
	key := reconcile.Key{Name: "shop"}
	hear := l.Hearing(func(_, _ any) []reconcile.Key { return []reconcile.Key{key} })
	hear(nil, nil)
	w.clock.SetTime(noon.Add(time.Second))
	hear(nil, nil)
	if at := l.Look(key); !at.Equal(noon) {
		t.Errorf("the oldest change came at %s, want %s", at, noon)
	}
	if at := l.Look(key); !at.Equal(noon.Add(time.Second)) {
		t.Errorf("the next look is for what came at %s, want now", at)
	}
	hear(nil, nil)
	l.Forget(key)
	if len(l.heard)+len(l.open) > 0 {
		t.Error("a run that moves no clusters any more is kept in mind")
	}
}
