// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
)

func TestARunSaysHowItEnded(t *testing.T) {
	ended := metav1.NewTime(simStart.Add(time.Hour))
	for reason, want := range map[string]v1beta1.UpdateRunOutcome{
		"UpdateRunSucceeded":             v1beta1.OutcomeSucceeded,
		"UpdateRunSucceededWithFailures": v1beta1.OutcomeSucceededWithFailures,
		"UpdateRunFailed":                v1beta1.OutcomeFailed,
		"UpdateRunRejected":              v1beta1.OutcomeRejected,
		"UpdateRunApprovalExpired":       v1beta1.OutcomeExpired,
		"UpdateRunRolledBack":            v1beta1.OutcomeRolledBack,
		"SomethingElse":                  v1beta1.OutcomeFailed,
	} {
		t.Run(reason, func(t *testing.T) {
			f := newFixture(t, 1, stage("a"))
			if f.run.Status.Outcome != "" || f.run.Status.EndTime != nil {
				t.Errorf("a run that has begun ended %s at %v", f.run.Status.Outcome, f.run.Status.EndTime)
			}
			// One that ended before statuses said how.
			f.run.Status.Conditions = append(f.run.Status.Conditions, metav1.Condition{
				Type: v1beta1.RunSucceeded, Status: metav1.ConditionFalse, Reason: reason, ObservedGeneration: 1, LastTransitionTime: ended,
			})
			f.step()
			if got := f.run.Status; got.Outcome != want || got.EndTime == nil || !got.EndTime.Equal(&ended) {
				t.Errorf("ended %q at %v, want %s at %v", got.Outcome, got.EndTime, want, ended)
			}
			if d := engine.Step(f.run, f.world, f.now); d.Status != nil {
				t.Error("what is said already is written again")
			}
		})
	}
}

func TestARunThatCannotBePlannedSaysSo(t *testing.T) {
	w := initWorld(1, stage("a"))
	w.Placement = &v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	o := initialize(newRun(), w, simStart)
	if o.Result != engine.ResultFailed {
		t.Fatalf("result %v: %s", o.Result, o.Message)
	}
	if got := o.Decision.Status; got.Outcome != v1beta1.OutcomeNotInitialized || got.EndTime == nil || !got.EndTime.Time.Equal(simStart) {
		t.Errorf("ended %q at %v", got.Outcome, got.EndTime)
	}
	w.Placement = nil
	if waiting := initialize(newRun(), w, simStart).Decision.Status; waiting == nil || waiting.Outcome != "" {
		t.Errorf("a run that still waits for its placement ended: %+v", waiting)
	}
}
