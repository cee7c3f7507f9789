// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

func TestOneRunAtATimeMovesAPlacement(t *testing.T) {
	const earlier, later = -time.Hour, time.Hour
	comesFirst := "False UpdateRunWaiting: The updateRun is waiting for its turn: ClusterStagedUpdateRun other comes first"
	moving := "False UpdateRunWaiting: The updateRun is waiting for its turn: ClusterStagedUpdateRun other is moving placement p; stop or delete it to take over"
	lettingGo := func(what string) string {
		return "False UpdateRunWaiting: The updateRun is waiting for its turn: ClusterStagedUpdateRun other is " + what
	}
	tests := map[string]struct {
		created time.Duration
		turn    v1beta1.UpdateRunTurn
		change  func(other *v1beta1.ClusterStagedUpdateRun)
		// message is empty where the run takes the turn.
		message string
		number  int64
	}{
		"another one holds it":         {created: later, turn: v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 3}, message: moving},
		"an earlier one claims it":     {created: earlier, turn: v1beta1.UpdateRunTurn{State: v1beta1.TurnClaimed, Claim: 1}, message: comesFirst},
		"a later one claims it":        {created: later, turn: v1beta1.UpdateRunTurn{State: v1beta1.TurnClaimed, Claim: 1}, message: comesFirst},
		"an earlier one waits":         {created: earlier, turn: v1beta1.UpdateRunTurn{State: v1beta1.TurnWaiting}, message: comesFirst},
		"a later one waits":            {created: later, turn: v1beta1.UpdateRunTurn{State: v1beta1.TurnWaiting}, number: 1},
		"another one has let go of it": {created: earlier, turn: v1beta1.UpdateRunTurn{State: v1beta1.TurnReleased, Number: 3}, number: 4},
		"an earlier one waits and is stopped": {
			created: earlier, turn: v1beta1.UpdateRunTurn{State: v1beta1.TurnWaiting}, number: 1,
			change: func(other *v1beta1.ClusterStagedUpdateRun) { other.Spec.State = v1beta1.StateStop },
		},
		"another one holds it and is stopping": {
			turn: v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 3}, message: lettingGo("stopping"),
			change: func(other *v1beta1.ClusterStagedUpdateRun) { other.Spec.State = v1beta1.StateStop },
		},
		"another one is stopping and waits for a cluster": {
			turn: v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 3}, message: lettingGo("stopping, and waits for 1 cluster in stage s, for 5m at most: c2"),
			change: func(other *v1beta1.ClusterStagedUpdateRun) {
				other.Spec.State = v1beta1.StateStop
				started := metav1.Condition{Type: v1beta1.ClusterStarted, Status: metav1.ConditionTrue}
				done := metav1.Condition{Type: v1beta1.ClusterSucceeded, Status: metav1.ConditionTrue}
				other.Status.StagesStatus = []v1beta1.StageUpdatingStatus{{StageName: "s", Clusters: []v1beta1.ClusterUpdatingStatus{
					{ClusterName: "c1", Conditions: []metav1.Condition{started, done}}, {ClusterName: "c2", Conditions: []metav1.Condition{started}}, {ClusterName: "c3"},
				}}}
			},
		},
		"another one held it and is over": {
			turn: v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 3}, number: 4,
			change: func(other *v1beta1.ClusterStagedUpdateRun) {
				other.Status.Conditions = append(other.Status.Conditions, metav1.Condition{Type: v1beta1.RunSucceeded, Status: metav1.ConditionFalse})
			},
		},
		"another one held it and is deleted": {
			turn: v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 3}, number: 4,
			change: func(other *v1beta1.ClusterStagedUpdateRun) { other.DeletionTimestamp = &metav1.Time{Time: simStart} },
		},
		"another one holds it and is being deleted": {
			turn: v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 3}, message: lettingGo("being deleted, and waits until its approval requests are gone"),
			change: func(other *v1beta1.ClusterStagedUpdateRun) {
				other.DeletionTimestamp = &metav1.Time{Time: simStart}
				other.Finalizers = []string{wellknown.UpdateRunFinalizer}
			},
		},
		"an earlier one waits and is being deleted": {
			created: earlier, turn: v1beta1.UpdateRunTurn{State: v1beta1.TurnWaiting}, number: 1,
			change: func(other *v1beta1.ClusterStagedUpdateRun) {
				other.DeletionTimestamp = &metav1.Time{Time: simStart}
				other.Finalizers = []string{wellknown.UpdateRunFinalizer}
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a"))
			other := f.other("other", tt.created, tt.turn)
			if tt.change != nil {
				tt.change(other)
			}
			f.steps()
			if tt.message != "" {
				f.wantClusters("a1")
				f.wantCondition(v1beta1.RunProgressing, tt.message)
				if got := f.run.Status.Turn.WaitingFor; got != "other" {
					t.Errorf("the turn waits for %q, want other", got)
				}
				// It goes on once the other one has let go.
				other.Status.Turn.State = v1beta1.TurnReleased
				f.steps()
				f.wantClusters("a1 Started")
				return
			}
			f.wantClusters("a1 Started")
			if diff := cmp.Diff(&v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: tt.number}, f.run.Status.Turn); diff != "" {
				t.Errorf("turn (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOfTwoClaimsOneIsWithdrawn(t *testing.T) {
	tests := map[string]struct {
		created time.Duration
		state   v1beta1.TurnState
		want    v1beta1.TurnState
	}{
		"the other one is earlier":  {-time.Hour, v1beta1.TurnClaimed, v1beta1.TurnWaiting},
		"the other one is later":    {time.Hour, v1beta1.TurnClaimed, v1beta1.TurnClaimed},
		"the other one has it":      {time.Hour, v1beta1.TurnHeld, v1beta1.TurnWaiting},
		"the other one only waits":  {-time.Hour, v1beta1.TurnWaiting, v1beta1.TurnHeld},
		"the same time, lower uid":  {0, v1beta1.TurnClaimed, v1beta1.TurnWaiting},
		"the other one has let go":  {0, v1beta1.TurnReleased, v1beta1.TurnHeld},
		"the other one never asked": {0, "", v1beta1.TurnHeld},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a"))
			f.step()
			if f.run.Status.Turn.State != v1beta1.TurnClaimed || len(f.last.Bindings) > 0 {
				t.Fatalf("turn is %+v, bindings written %v", f.run.Status.Turn, f.last.Bindings)
			}
			turn := v1beta1.UpdateRunTurn{State: tt.state}
			if tt.state == v1beta1.TurnClaimed {
				turn.Claim = 1
			}
			f.other("a-uid", tt.created, turn)
			f.step()
			if got := f.run.Status.Turn.State; got != tt.want {
				t.Errorf("turn is %s, want %s", got, tt.want)
			}
		})
	}
}

func TestAClaimThatOthersHavePassedIsMadeAnew(t *testing.T) {
	f := newFixture(t, 1, stage("a"))
	f.step()
	// While the run was not to run, which nobody looked at, another one had its turn.
	f.other("other", 0, v1beta1.UpdateRunTurn{State: v1beta1.TurnReleased, Number: 1})
	f.steps()
	if diff := cmp.Diff(&v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 2}, f.run.Status.Turn); diff != "" {
		t.Errorf("turn (-want +got):\n%s", diff)
	}
}

func TestResuming(t *testing.T) {
	overtaken := "False UpdateRunFailed: cannot continue the updateRun: failed to process the request due to a client error: " +
		"ClusterStagedUpdateRun rollback has moved cluster %s since this run was stopped; create a new run instead of resuming this one"
	tests := map[string]struct {
		moved, by, turn string
		want            string
	}{
		"nothing was moved":                      {},
		"a cluster that was done was moved":      {moved: "a1", by: "rollback", turn: "2", want: "a1"},
		"a cluster that was to come was moved":   {moved: "a3", by: "rollback", turn: "2", want: "a3"},
		"a cluster was moved before this run":    {moved: "a3", by: "rollback", turn: "1"},
		"a cluster was moved by this run itself": {moved: "a1", by: "run", turn: "2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 3, stage("a"))
			f.steps()
			f.available("a1")
			f.steps()
			f.setState(v1beta1.StateStop)
			f.available("a2")
			f.steps()
			f.wantCondition(v1beta1.RunProgressing, "False UpdateRunStopped: The update run has been stopped")
			if tt.moved != "" {
				f.binding(tt.moved).Annotations = map[string]string{wellknown.UpdateRunAnnotation: tt.by, wellknown.UpdateRunTurnAnnotation: tt.turn}
			}
			f.setState(v1beta1.StateRun)
			f.steps()
			if tt.want != "" {
				f.wantCondition(v1beta1.RunSucceeded, replace(overtaken, tt.want))
				return
			}
			f.wantClusters("a1 Succeeded", "a2 Succeeded", "a3 Started")
			if got := f.run.Status.Turn; got.State != v1beta1.TurnHeld || got.Number < 2 {
				t.Errorf("turn is %+v, want a new one", got)
			}
		})
	}
}
