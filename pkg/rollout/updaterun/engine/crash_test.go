// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
)

// TestACrashBetweenAnyTwoWritesChangesNothing kills the leader after each single write of a rollout in turn, and holds that all comes
// to the same end.
func TestACrashBetweenAnyTwoWritesChangesNothing(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			want, writes := rollOut(t, seed, -1)
			if writes < 2 {
				t.Fatalf("the rollout has %d writes", writes)
			}
			for crash := range writes {
				if got, _ := rollOut(t, seed, crash); cmp.Diff(want, got) != "" {
					t.Fatalf("a crash after write %d changes the outcome (-want +got):\n%s", crash+1, cmp.Diff(want, got))
				}
			}
		})
	}
}

// rollOut runs a fleet to its end with a crash after a write, and returns the end without times, and how many writes there were.
func rollOut(t *testing.T, seed uint64, crash int) (outcome []string, writes int) {
	s := newSimulation(seed, engine.Step)
	s.healthy = true
	// A run that a policy refuses has nothing to roll out.
	s.policies.objects, s.policies.asked = nil, nil
	s.newRun(v1beta1.StateRun)
	s.afterWrite = func() {
		if writes == crash {
			s.leader = newSimLeader(s)
		}
		writes++
	}
	s.rest()
	s.checkEnd()
	for _, violation := range s.violations {
		t.Fatalf("crash after write %d: %s", crash+1, violation)
	}
	note := func(what string, conditions []metav1.Condition) {
		for _, c := range conditions {
			outcome = append(outcome, fmt.Sprintf("%s: %s %s %s %s", what, c.Type, c.Status, c.Reason, c.Message))
		}
	}
	for _, run := range s.store.runs() {
		status := run.RunStatus()
		note(run.GetName(), status.Conditions)
		for _, stage := range append(status.StagesStatus, *status.DeletionStageStatus) {
			note(stage.StageName, stage.Conditions)
			for _, c := range stage.Clusters {
				note(stage.StageName+"/"+c.ClusterName, c.Conditions)
			}
			for _, task := range append(stage.BeforeStageTaskStatus, stage.AfterStageTaskStatus...) {
				note(stage.StageName+"/"+task.ApprovalRequestName, task.Conditions)
			}
		}
	}
	for _, b := range s.store.bindings() {
		outcome = append(outcome, fmt.Sprintf("%s %s %s %v %d", b.GetName(), b.BindingSpec().State, b.BindingSpec().ResourceSnapshotName,
			b.GetAnnotations(), b.GetGeneration()))
		note(b.GetName(), b.BindingStatus().Conditions)
	}
	for _, a := range s.store.approvals() {
		note(a.GetName(), a.RequestStatus().Conditions)
	}
	return outcome, writes
}
