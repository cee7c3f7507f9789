// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/view"
)

var update = flag.Bool("update", false, "rewrite testdata")

var now = time.Date(2026, 3, 1, 14, 12, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

func condition(conditionType string, status metav1.ConditionStatus, reason string, since time.Duration, message string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: status, Reason: reason, LastTransitionTime: ago(since), Message: message}
}

// started is a cluster whose update began some time ago.
func started(name, message string, since time.Duration, more ...metav1.Condition) v1beta1.ClusterUpdatingStatus {
	return v1beta1.ClusterUpdatingStatus{
		ClusterName: name, Message: message,
		Conditions: append([]metav1.Condition{condition(v1beta1.ClusterStarted, metav1.ConditionTrue, "ClusterUpdatingStarted", since, "")}, more...),
	}
}

func updated(name string) v1beta1.ClusterUpdatingStatus {
	return started(name, "", time.Hour, condition(v1beta1.ClusterSucceeded, metav1.ConditionTrue, wellknown.ReasonClusterSucceeded, time.Hour, ""))
}

func failed(name, message string) v1beta1.ClusterUpdatingStatus {
	return started(name, message, 14*time.Minute, condition(v1beta1.ClusterSucceeded, metav1.ConditionFalse, wellknown.ReasonClusterFailed, time.Minute, ""))
}

func many(n int, one func(name string) v1beta1.ClusterUpdatingStatus) (clusters []v1beta1.ClusterUpdatingStatus) {
	for i := range n {
		clusters = append(clusters, one(fmt.Sprintf("c%d", i)))
	}
	return clusters
}

func run(change func(*v1beta1.UpdateRunStatus)) *v1beta1.ClusterStagedUpdateRun {
	r := &v1beta1.ClusterStagedUpdateRun{}
	r.Name, r.UID, r.CreationTimestamp = "checkout-12", "uid-1", ago(time.Hour)
	r.Spec = v1beta1.UpdateRunSpec{PlacementName: "checkout", StagedUpdateStrategyName: "three-rings", State: v1beta1.StateRun}
	r.Status = v1beta1.UpdateRunStatus{
		CreatedBy: &v1beta1.DecisionUser{Username: "ci-bot"}, ResourceSnapshotIndexUsed: "4",
		Conditions: []metav1.Condition{condition(v1beta1.RunInitialized, metav1.ConditionTrue, "UpdateRunInitializedSuccessfully", time.Hour, "initialized")},
		History: []v1beta1.UpdateRunHistoryEntry{
			{Number: 1, Time: ago(time.Hour), Reason: "Initialized", Message: "Planned to roll out resource snapshot 4 to 100 clusters in 3 stages"},
			{Number: 2, Time: ago(50 * time.Minute), Reason: "StartRequested", Operation: v1beta1.OperationStart, User: "jo"},
		},
		UpdateStrategySnapshot: &v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{
			{Name: "staging", AfterStageTasks: []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeTimedWait, WaitTime: &metav1.Duration{Duration: time.Minute}}}},
			{Name: "canary"},
			{Name: "prod", MaxConcurrency: &intstr.IntOrString{Type: intstr.String, StrVal: "20%"}},
		}},
		DeletionStageStatus: &v1beta1.StageUpdatingStatus{StageName: wellknown.DeleteStageName},
	}
	change(&r.Status)
	return r
}

// underWay has one stage that is over, one that waits for an approval or updates, and one that is to come.
func underWay(s *v1beta1.UpdateRunStatus, second []v1beta1.ClusterUpdatingStatus, before ...v1beta1.StageTaskStatus) {
	start, end, done := ago(40*time.Minute), ago(38*time.Minute), metav1.NewMicroTime(now.Add(-39*time.Minute))
	s.StagesStatus = []v1beta1.StageUpdatingStatus{
		{StageName: "staging", Clusters: many(20, updated), StartTime: &start, EndTime: &end, UpdatedTime: &done,
			AfterStageTaskStatus: []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeTimedWait, Conditions: []metav1.Condition{condition(v1beta1.TaskWaitTimeElapsed, metav1.ConditionTrue, "x", 0, "")}}},
			Conditions: []metav1.Condition{
				condition(v1beta1.StageProgressing, metav1.ConditionFalse, "StageUpdatingSucceeded", time.Hour, ""),
				condition(v1beta1.StageSucceeded, metav1.ConditionTrue, "StageUpdatingSucceeded", time.Hour, ""),
			}},
		{StageName: "canary", Clusters: second, StartTime: &end, BeforeStageTaskStatus: before,
			Conditions: []metav1.Condition{condition(v1beta1.StageProgressing, metav1.ConditionTrue, "StageUpdatingStarted", time.Hour, "")}},
		{StageName: "prod", Clusters: many(50, func(name string) v1beta1.ClusterUpdatingStatus {
			return v1beta1.ClusterUpdatingStatus{ClusterName: name}
		}),
			BeforeStageTaskStatus: []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeApproval, ApprovalRequestName: "checkout-12-before-prod"}}},
	}
}

func end(s *v1beta1.UpdateRunStatus, outcome v1beta1.UpdateRunOutcome, status metav1.ConditionStatus, reason, message string) {
	s.Outcome = outcome
	s.Conditions = append(s.Conditions, condition(v1beta1.RunSucceeded, status, reason, 2*time.Minute, message))
}

// request is what a run waits for.
func request() *v1beta1.ClusterApprovalRequest {
	r := &v1beta1.ClusterApprovalRequest{}
	r.Name, r.UID, r.CreationTimestamp = "checkout-12-before-canary", "uid-2", ago(14*time.Minute)
	r.Spec.TargetUpdateRun, r.Spec.TargetStage = "checkout-12", "canary"
	r.Spec.Policy = &v1beta1.ApprovalPolicy{Required: 2, Groups: []string{"sre"}, ExpiresAfter: &metav1.Duration{Duration: 24 * time.Hour}}
	r.Status.Decisions = []v1beta1.ApprovalDecision{{Decision: v1beta1.DecisionApproved, User: v1beta1.DecisionUser{Username: "jo"}, Time: ago(time.Minute), RequestUID: "uid-2"}}
	return r
}

const hostile = "\x1b]0;owned\a\x1b[2J\u202egnp\u202c\x9b31m\nnext\tline\xff"

var pictures = map[string]struct {
	run      func() *v1beta1.ClusterStagedUpdateRun
	requests []v1beta1.ApprovalRequestObject
}{
	"waiting": {
		run: func() *v1beta1.ClusterStagedUpdateRun {
			return run(func(s *v1beta1.UpdateRunStatus) {
				underWay(s, many(30, func(name string) v1beta1.ClusterUpdatingStatus {
					return v1beta1.ClusterUpdatingStatus{ClusterName: name}
				}),
					v1beta1.StageTaskStatus{Type: v1beta1.StageTaskTypeApproval, ApprovalRequestName: "checkout-12-before-canary", Conditions: []metav1.Condition{
						condition(v1beta1.TaskApprovalRequestCreated, metav1.ConditionTrue, "x", 14*time.Minute, ""),
					}})
				s.Conditions = append(s.Conditions, condition(v1beta1.RunProgressing, metav1.ConditionFalse, wellknown.ReasonRunWaiting, time.Hour, "The updateRun is waiting for after-stage tasks in stage staging to complete"))
			})
		},
		requests: []v1beta1.ApprovalRequestObject{request()},
	},
	"updating": {run: func() *v1beta1.ClusterStagedUpdateRun {
		return run(func(s *v1beta1.UpdateRunStatus) {
			underWay(s, append(many(22, updated),
				failed("eu-7", "Deployment shop/web: 1 of 3 replicas are available, ImagePullBackOff of registry.example.com/shop/web:v4 since the registry does not answer"),
				started("eu-8", "", 30*time.Second), v1beta1.ClusterUpdatingStatus{ClusterName: "eu-9", Message: "another run has moved the cluster"},
				v1beta1.ClusterUpdatingStatus{ClusterName: "東京-1"}))
			s.Conditions = append(s.Conditions, condition(v1beta1.RunProgressing, metav1.ConditionTrue, "UpdateRunProgressing", 3*time.Minute, ""))
		})
	}},
	"rejected": {run: func() *v1beta1.ClusterStagedUpdateRun {
		return run(func(s *v1beta1.UpdateRunStatus) {
			underWay(s, nil)
			end(s, v1beta1.OutcomeRejected, metav1.ConditionFalse, "UpdateRunRejected", `cannot continue the updateRun: ClusterApprovalRequest checkout-12-before-canary was rejected by jo: "errors"`)
		})
	}},
	"succeeded": {run: func() *v1beta1.ClusterStagedUpdateRun {
		return run(func(s *v1beta1.UpdateRunStatus) {
			underWay(s, nil)
			s.StagesStatus = s.StagesStatus[:1]
			end(s, v1beta1.OutcomeSucceeded, metav1.ConditionTrue, "UpdateRunSucceeded", "All stages are completed successfully")
		})
	}},
	"planned": {run: func() *v1beta1.ClusterStagedUpdateRun {
		r := run(func(s *v1beta1.UpdateRunStatus) { underWay(s, nil) })
		r.Spec.State = v1beta1.StateInitialize
		return r
	}},
	"huge": {run: func() *v1beta1.ClusterStagedUpdateRun { return huge() }},
	"hostile": {run: func() *v1beta1.ClusterStagedUpdateRun {
		r := run(func(s *v1beta1.UpdateRunStatus) {
			underWay(s, []v1beta1.ClusterUpdatingStatus{failed("eu-7"+hostile, hostile)})
			s.StagesStatus[1].StageName += hostile
			s.CreatedBy.Username += hostile
			s.History[1].User += hostile
			s.History[1].Message = hostile
			s.ResourceSnapshotIndexUsed += hostile
			s.Conditions = append(s.Conditions, condition(v1beta1.RunProgressing, metav1.ConditionFalse, wellknown.ReasonRunStuck, time.Minute, hostile))
		})
		r.Spec.PlacementName += hostile
		r.Spec.StagedUpdateStrategyName += hostile
		return r
	}},
}

func huge() *v1beta1.ClusterStagedUpdateRun {
	return run(func(s *v1beta1.UpdateRunStatus) {
		underWay(s, append(many(9000, updated), many(1000, func(name string) v1beta1.ClusterUpdatingStatus { return started("u"+name, "", time.Minute) })...))
	})
}

func TestPictures(t *testing.T) {
	for name, p := range pictures {
		for size, options := range map[string]Options{
			"80": {Width: 80}, "120": {Width: 120}, "notty": {}, "ascii": {Width: 80, ASCII: true}, "color": {Width: 80, Color: true},
		} {
			t.Run(name+"-"+size, func(t *testing.T) {
				options.Now = now
				lines := Run(view.Build(p.run(), p.requests, now), options)
				for _, line := range lines {
					if columns := Width(withoutColor(line)); options.Width > 0 && columns > options.Width {
						t.Errorf("%d columns: %q", columns, line)
					}
				}
				compare(t, name+"-"+size+".txt", strings.Join(lines, "\n")+"\n")
			})
		}
	}
}

func TestPlan(t *testing.T) {
	r := run(func(s *v1beta1.UpdateRunStatus) { underWay(s, many(2, updated)) })
	r.Status.StagesStatus[1].Clusters[0].ClusterResourceOverrideSnapshots = []string{"o-1"}
	r.Status.Policies = []v1beta1.GoverningPolicy{{Kind: "ClusterRolloutPolicy", Name: "prod-guard", Stages: []string{"prod"}, Warns: true}}
	lines := Plan(view.BuildPlan(r, now), Options{Now: now, Width: 80})
	compare(t, "plan.txt", strings.Join(lines, "\n")+"\n")
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	file = filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got; -update rewrites %s:\n%s", file, diff)
	}
}

// withoutColor takes off what the package itself writes to the terminal.
func withoutColor(line string) string {
	for _, s := range []style{"0", bold, faint, red, green, yellow, cyan} {
		line = strings.ReplaceAll(line, "\x1b["+string(s)+"m", "")
	}
	return line
}

func TestNothingOfOthersWritesToATerminal(t *testing.T) {
	p := pictures["hostile"]
	v := view.Build(p.run(), p.requests, now)
	lines := append(Run(v, Options{Now: now, Color: true}), Plan(v, Options{Now: now, Color: true})...)
	for _, e := range v.History {
		lines = append(lines, Entry(e))
	}
	for _, line := range lines {
		if rest := withoutColor(line); rest != view.Clean(rest) {
			t.Errorf("%q", rest)
		}
	}
}

func TestATenThousandClustersArePaintedFast(t *testing.T) {
	r := huge()
	best := time.Hour
	for range 5 {
		begin := time.Now()
		if lines := Run(view.Build(r, nil, now), Options{Now: now, Width: 120}); len(lines) > 40 {
			t.Fatalf("%d lines", len(lines))
		}
		best = min(best, time.Since(begin))
	}
	t.Logf("%s", best)
	if best > 50*time.Millisecond {
		t.Errorf("takes %s", best)
	}
}

func TestThePainterRepaintsInPlace(t *testing.T) {
	var b strings.Builder
	p := NewPainter(&b)
	paint := func(width, height int, lines ...string) string {
		t.Helper()
		b.Reset()
		if err := p.Paint(lines, width, height); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for _, step := range []struct{ got, want string }{
		{paint(80, 5, "a", "b"), "\x1b[?25la\x1b[K\r\nb\x1b[K\r\n\x1b[J"},
		{paint(80, 5, "c"), "\x1b[2A\rc\x1b[K\r\n\x1b[J"},
		{paint(80, 4, "a", "b", "c", "d"), "\x1b[1A\ra\x1b[K\r\nb\x1b[K\r\nand 2 more lines\x1b[K\r\n\x1b[J"},
		{paint(40, 5, "a"), "\x1b[2J\x1b[Ha\x1b[K\r\n\x1b[J"},
	} {
		if step.got != step.want {
			t.Errorf("got %q, want %q", step.got, step.want)
		}
	}
	b.Reset()
	if err := p.Close(); err != nil || b.String() != "\x1b[?25h" {
		t.Errorf("closed with %q, %v", b.String(), err)
	}
}
