// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// One run at a time moves a placement. A run asks for the turn by a claim in its status, and has it once it has seen its own claim
// with no other beside it. Runs of a placement are of one kind and their changes are seen in the order in which they were written:
// of two claims the later one is made by a run that goes on to see the earlier, and does not take the turn. That holds for two
// leaders as well.

// holds reports whether the run has the turn.
func (d *draft) holds() bool {
	return d.turn().State == v1beta1.TurnHeld
}

// resuming reports whether the run had the turn and gave it up.
func (d *draft) resuming() bool {
	return d.turn().Number > 0 && !d.holds()
}

// takeTurn reports whether the run has the turn, and asks for it where it has not. The stage is the one that waits, nil for none.
func (s *step) takeTurn(stage *v1beta1.StageUpdatingStatus) bool {
	if s.holds() {
		return true
	}
	if message := s.overtaken(); message != "" {
		s.fail(message)
		return false
	}
	first, moves := s.rival()
	switch claimed, next := s.turn().State == v1beta1.TurnClaimed, s.nextTurn(); {
	case first == nil && claimed && s.turn().Claim >= next:
		s.hold()
		return true
	case first == nil:
		// A claim from before the run was stopped may have been passed by the turns of others.
		s.setTurn(v1beta1.UpdateRunTurn{State: v1beta1.TurnClaimed, Number: s.turn().Number, Claim: next})
		return false
	case claimed && !moves && precedes(s.run, first):
		// The other one sees this claim too, and withdraws its own.
		return false
	}
	s.queue(stage, first, moves)
	return false
}

// rival is the run that keeps this one from taking the turn, nil for none, and whether it has the turn already.
func (s *step) rival() (first v1beta1.UpdateRunObject, moves bool) {
	claimed := s.turn().State == v1beta1.TurnClaimed
	for _, other := range s.world.Others {
		if runrules.IsBeingRolledBack(other) && runrules.IsRollback(s.run, other) {
			// It keeps the place for this run.
			continue
		}
		switch runrules.TurnOf(other) {
		case v1beta1.TurnHeld:
			return other, true
		case v1beta1.TurnClaimed:
		case v1beta1.TurnWaiting:
			if claimed || !precedes(other, s.run) {
				continue
			}
		default:
			continue
		}
		if first == nil || precedes(other, first) {
			first = other
		}
	}
	return first, false
}

// precedes says which of two runs comes first: one that rolls another back, or else the older one.
func precedes(a, b v1beta1.UpdateRunObject) bool {
	if back, other := a.RunSpec().RollbackOf != "", b.RunSpec().RollbackOf != ""; back != other {
		return back
	}
	created, other := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if !created.Equal(&other) {
		return created.Before(&other)
	}
	return a.GetUID() < b.GetUID()
}

// hold begins the run's turn.
func (s *step) hold() {
	turn := s.turn()
	if turn.Number > 0 {
		s.event(eventResumed, "The update run is resumed")
		s.restartClocks()
	} else {
		s.tellOverridden(s.governing, s.status.Policies)
		s.tellViolated()
		s.event(eventStarted, fmt.Sprintf("The update run has started to %s %s", s.purpose(), wording.Count(s.status.PolicyObservedClusterCount, "cluster")))
	}
	s.setTurn(v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: turn.Claim})
}

// queue makes the run wait for others, and withdraws a claim.
func (s *step) queue(stage *v1beta1.StageUpdatingStatus, first v1beta1.UpdateRunObject, moves bool) {
	message := fmt.Sprintf("The updateRun is waiting for its turn: %s %s comes first", runrules.RunKind(first), first.GetName())
	if moves {
		message = fmt.Sprintf("The updateRun is waiting for its turn: %s %s is moving placement %s; stop or delete it to take over",
			runrules.RunKind(first), first.GetName(), s.run.RunSpec().PlacementName)
	}
	if letting := LettingGo(first); moves && letting != "" {
		message = fmt.Sprintf("The updateRun is waiting for its turn: %s %s %s", runrules.RunKind(first), first.GetName(), letting)
	}
	if runrules.IsBeingRolledBack(first) {
		message = fmt.Sprintf("The updateRun is waiting for its turn: %s %s is about to be rolled back by %s, which is not there yet; see the Events of %s, or delete it to take over",
			runrules.RunKind(first), first.GetName(), first.RunStatus().RolledBackBy.Name, first.GetName())
	}
	if s.turn().State != v1beta1.TurnWaiting {
		s.event(eventWaitingForTurn, message)
	}
	s.setTurn(v1beta1.UpdateRunTurn{State: v1beta1.TurnWaiting, Number: s.turn().Number, WaitingFor: first.GetName()})
	if stage != nil {
		s.setStageTurn(stage)
	}
	s.runWaits(message)
}

// LettingGo returns what a run that is asked to give up its turn does, and waits for, as the message of the next one has it. It is empty for
// any other run.
func LettingGo(run v1beta1.UpdateRunObject) string {
	switch {
	case run.GetDeletionTimestamp() != nil:
		return "is being deleted, and waits until its approval requests are gone"
	case run.RunSpec().State != v1beta1.StateStop:
		return ""
	}
	if stage := runrules.CurrentStage(run.RunStatus()); stage != nil {
		if moving := runrules.Names(runrules.Clusters(stage, runrules.IsInFlight)); len(moving) > 0 {
			return fmt.Sprintf("is stopping, and waits for %s in stage %s, for %s at most: %s",
				wording.Count(len(moving), "cluster"), stage.StageName, wording.Duration(stuckAfter), wording.FirstNames(moving))
		}
	}
	return "is stopping"
}

// release lets go of the turn.
func (d *draft) release() {
	if d.status.Turn != nil {
		d.setTurn(v1beta1.UpdateRunTurn{State: v1beta1.TurnReleased, Number: d.turn().Number})
	}
}

func (d *draft) turn() v1beta1.UpdateRunTurn {
	if d.status.Turn == nil {
		return v1beta1.UpdateRunTurn{}
	}
	return *d.status.Turn
}

func (d *draft) setTurn(turn v1beta1.UpdateRunTurn) {
	// A run without a turn is not given an empty one.
	if d.turn() != turn {
		putAt(d, &d.status.Turn, turn)
	}
}

// nextTurn is a number that no turn of the placement had.
func (s *step) nextTurn() int64 {
	last := s.turn().Number
	for _, other := range s.world.Others {
		if turn := other.RunStatus().Turn; turn != nil {
			last = max(last, turn.Number, turn.Claim)
		}
	}
	for _, b := range s.world.Bindings {
		_, turn := bindingrules.LastMove(b)
		last = max(last, turn)
	}
	return last + 1
}

// overtaken refuses to resume a run where another one has moved one of its targets since it had the turn.
func (s *step) overtaken() string {
	number, name := s.turn().Number, s.run.GetName()
	if number == 0 {
		number, name = s.rolledBackTurn()
	}
	if number == 0 {
		return ""
	}
	if message := s.outgrown(); message != "" {
		return message
	}
	for i := range s.status.StagesStatus {
		for _, c := range s.status.StagesStatus[i].Clusters {
			b := s.bindings.of(c.ClusterName)
			if b == nil {
				continue
			}
			if other := bindingrules.MovedSince(b, name, number); other != "" {
				if name != s.run.GetName() {
					return runrules.Wrap(runrules.Aborted, runrules.ClientError, runrules.MessageMovedSince(s.run, other, c.ClusterName, name))
				}
				return runrules.Wrap(runrules.Aborted, runrules.ClientError, fmt.Sprintf("%s %s has moved cluster %s since this run was stopped; create a new run instead of resuming this one",
					runrules.RunKind(s.run), other, c.ClusterName))
			}
		}
	}
	return ""
}

// outgrown refuses to roll back what the earlier run had done when this one was planned, and leave what it has done since.
func (s *step) outgrown() string {
	earlier := s.rolledBackRun()
	if earlier == nil || s.turn().Number > 0 {
		return ""
	}
	planned := map[string]bool{}
	for i := range s.status.StagesStatus {
		for _, c := range s.status.StagesStatus[i].Clusters {
			planned[c.ClusterName] = true
		}
	}
	for _, stage := range runrules.TakenBack(earlier.RunStatus()) {
		for _, c := range stage.Clusters {
			if !planned[c.ClusterName] {
				return runrules.Wrap(runrules.Aborted, runrules.ClientError, fmt.Sprintf("%s %s has moved cluster %s since this run was planned; create a new run to roll it back",
					runrules.RunKind(s.run), earlier.GetName(), c.ClusterName))
			}
		}
	}
	return ""
}

// rolledBackTurn is the last turn of the run that this one rolls back, and its name; 0 where there is none. What somebody else has moved
// since is not taken back.
func (s *step) rolledBackTurn() (number int64, name string) {
	if earlier := s.rolledBackRun(); earlier != nil && earlier.RunStatus().Turn != nil {
		return earlier.RunStatus().Turn.Number, earlier.GetName()
	}
	return 0, ""
}

// rolledBackRun is the run that this one rolls back, nil where there is none.
func (s *step) rolledBackRun() v1beta1.UpdateRunObject {
	for _, other := range s.world.Others {
		if other.GetUID() == s.status.RollbackOfUID {
			return other
		}
	}
	return nil
}
