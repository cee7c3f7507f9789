// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
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
		s.turnIs(v1beta1.TurnClaimed, func(turn *v1beta1.UpdateRunTurn) { turn.Claim = next })
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
	isFirst, number := s.turn().Number == 0, s.turn().Claim
	if !isFirst {
		s.event(eventResumed, "The update run is resumed")
		s.restartClocks()
	}
	s.turnIs(v1beta1.TurnHeld, func(turn *v1beta1.UpdateRunTurn) { turn.Number, turn.AwaitsStart = number, turn.AwaitsStart || isFirst })
}

// start has a run that has its turn begin to move clusters, and records which policies govern it from now on.
func (s *step) start() {
	if !s.turn().AwaitsStart {
		return
	}
	s.tellOverridden(s.governing, s.status.Policies)
	s.tellViolated()
	if !equality.Semantic.DeepEqual(s.status.Policies, s.governing) {
		s.status.Policies, s.changed = s.governing, true
	}
	s.event(eventStarted, fmt.Sprintf("The update run has started to %s %s", s.purpose(), wording.Count(s.status.PolicyObservedClusterCount, "cluster")))
	s.turnIs(s.turn().State, func(turn *v1beta1.UpdateRunTurn) { turn.AwaitsStart = false })
}

// queue makes the run wait for others, and withdraws a claim.
func (s *step) queue(stage *v1beta1.StageUpdatingStatus, first v1beta1.UpdateRunObject, moves bool) {
	message := fmt.Sprintf("The updateRun is waiting for its turn: %s %s comes first", runrules.RunKind(first), first.GetName())
	if moves {
		message = fmt.Sprintf("The updateRun is waiting for its turn: %s %s is moving placement %s; stop or delete it to take over",
			runrules.RunKind(first), first.GetName(), s.run.RunSpec().PlacementName)
	}
	if moves && runrules.AwaitsStart(first) {
		message = fmt.Sprintf("The updateRun is waiting for its turn: %s %s has its turn and waits for approval to move placement %s; stop or delete it to take over",
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
	s.turnIs(v1beta1.TurnWaiting, func(turn *v1beta1.UpdateRunTurn) { turn.WaitingFor = first.GetName() })
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
		d.turnIs(v1beta1.TurnReleased, func(*v1beta1.UpdateRunTurn) {})
	}
}

func (d *draft) turn() v1beta1.UpdateRunTurn {
	if d.status.Turn == nil {
		return v1beta1.UpdateRunTurn{}
	}
	return *d.status.Turn
}

// turnIs brings the turn into another state, with what else there is to say of it. Of what was said before, its number stays, and whether the
// run has started.
func (d *draft) turnIs(state v1beta1.TurnState, say func(*v1beta1.UpdateRunTurn)) {
	turn := v1beta1.UpdateRunTurn{State: state, Number: d.turn().Number, AwaitsStart: d.turn().AwaitsStart}
	say(&turn)
	putAt(d, &d.status.Turn, turn)
}

// nextTurn is a number that no turn had of which the run, the others or a binding know. A run that was deleted may have had a later one that
// nothing tells of any more.
func (s *step) nextTurn() int64 {
	last := s.turn().Number
	for _, other := range s.world.Others {
		if turn := other.RunStatus().Turn; turn != nil {
			last = max(last, turn.Number, turn.Claim)
		}
	}
	for _, b := range s.world.Bindings {
		last = max(last, bindingrules.LastMove(b).Turn)
	}
	return last + 1
}

// overtaken refuses the turn to a run where another one has moved a cluster since this one, or the one that it rolls back, did. A run that
// policies hold gives up as well where what it was approved for, or has waited for, is gone.
func (s *step) overtaken() string {
	switch {
	case runrules.HasHadTurn(&s.status):
		for _, stage := range runrules.Stages(&s.status) {
			for i := range stage.Clusters {
				if moved := s.movedSince(stage, &stage.Clusters[i]); moved != "" {
					return refused(moved + " since this run was stopped; create a new run instead of resuming this one")
				}
			}
		}
	case s.run.RunSpec().RollbackOf != "":
		if s.status.RollbackOfUID != "" && s.rolledBackRun() == nil {
			return refused(fmt.Sprintf("%s %s was deleted since this run was planned to roll it back, so that nothing tells which clusters have their version from it; "+
				"create a run with the resourceSnapshotIndex that the clusters are to have", runrules.RunKind(s.run), s.run.RunSpec().RollbackOf))
		}
		if message := s.outgrown(); message != "" {
			return message
		}
		return s.movedInstead(s.planned())
	}
	return ""
}

// CheckResume returns why a run that is stopped, and that world knows as one that is to run, would fail once it is resumed: the rollout policies
// of now refuse it, or another run has moved its clusters. It is empty where it would not fail for that.
func CheckResume(run v1beta1.UpdateRunObject, world World, now time.Time) string {
	s := newStep(run, world, now)
	if !runrules.IsPlanned(&s.status) || runrules.IsOver(&s.status) || s.broken()+s.orphaned() != "" {
		return ""
	}
	if !s.mayStart() {
		if failed := meta.FindStatusCondition(s.status.Conditions, v1beta1.RunSucceeded); failed != nil && failed.Status == metav1.ConditionFalse {
			return failed.Message
		}
		return ""
	}
	if !s.resuming() {
		return ""
	}
	return s.overtaken()
}

func refused(message string) string {
	return runrules.Wrap(runrules.Aborted, runrules.ClientError, message)
}

// isHeld reports whether rollout policies hold the run: those that govern it, or will as it starts.
func (s *step) isHeld() bool {
	if runrules.HasStarted(&s.status) {
		return runrules.IsGoverned(&s.status)
	}
	return runrules.IsGoverned(&v1beta1.UpdateRunStatus{Policies: s.governing})
}

// movedSince tells what has become of a cluster of the run since its last turn, wherever the placement has it by now; empty for nothing. The
// bindings of clusters that the placement does not pick remember who moved them, and those that are removed and picked again do not.
func (s *step) movedSince(stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus) string {
	bindings := s.bindings.every(c.ClusterName)
	for _, b := range bindings {
		if other := bindingrules.MovedSince(b, s.run, s.turn().Number); other != "" {
			return fmt.Sprintf("%s %s has moved cluster %s", runrules.RunKind(s.run), other, c.ClusterName)
		}
	}
	if !s.isHeld() || s.run.RunSpec().RollbackOf != "" || s.world.Left[c.ClusterName] {
		return ""
	}
	hasIt := !s.removes(stage) && runrules.IsStarted(c) && !runrules.IsSkipped(c)
	isThere := func(b v1beta1.BindingObject) bool { return b.GetDeletionTimestamp() == nil }
	if s.isRenewed(bindings) || hasIt && !slices.ContainsFunc(bindings, isThere) {
		return fmt.Sprintf("cluster %s was removed from the placement", c.ClusterName)
	}
	return ""
}

// isRenewed reports whether a binding of a cluster was created after the run was planned. A plan has bindings only that are there.
func (s *step) isRenewed(bindings []v1beta1.BindingObject) bool {
	planned := timeOf(s.status.Conditions, v1beta1.RunInitialized)
	return slices.ContainsFunc(bindings, func(b v1beta1.BindingObject) bool {
		created := b.GetCreationTimestamp()
		return created.Unix() > planned.Unix()
	})
}

// replaced refuses to start clusters of a stage which are not what the run was planned for. It is asked while the run has its turn, when no
// other one moves clusters.
func (s *step) replaced(stage *v1beta1.StageUpdatingStatus) string {
	open := runrules.Clusters(stage, func(c *v1beta1.ClusterUpdatingStatus) bool {
		return !runrules.IsStarted(c) && !runrules.IsClusterDone(c)
	})
	if s.run.RunSpec().RollbackOf != "" {
		return s.movedInstead(open)
	}
	if !s.isHeld() {
		return ""
	}
	for _, c := range open {
		if !s.world.Left[c.ClusterName] && s.isRenewed(s.bindings.every(c.ClusterName)) {
			return refused(fmt.Sprintf("cluster %s was removed from the placement and picked again since this run was planned; create a new run", c.ClusterName))
		}
	}
	return ""
}

// planned are the clusters that the run updates.
func (s *step) planned() []*v1beta1.ClusterUpdatingStatus {
	var all []*v1beta1.ClusterUpdatingStatus
	for i := range s.status.StagesStatus {
		all = append(all, runrules.Clusters(&s.status.StagesStatus[i], func(*v1beta1.ClusterUpdatingStatus) bool { return true })...)
	}
	return all
}

// movedInstead refuses to bring clusters back that have their version from another run than the one that is rolled back.
func (s *step) movedInstead(clusters []*v1beta1.ClusterUpdatingStatus) string {
	earlier := s.rolledBackRun()
	if earlier == nil {
		return ""
	}
	for _, c := range clusters {
		if mover, _ := plan.MovedInstead(s.bindings.every(c.ClusterName), s.run, earlier, c); mover != "" {
			return refused(runrules.MessageMovedSince(s.run, mover, c.ClusterName, earlier.GetName()))
		}
	}
	return ""
}

// hasNothing reports whether nothing of what the run is to take back is on a cluster, which was removed from the placement and picked again.
func (s *step) hasNothing(c *v1beta1.ClusterUpdatingStatus) bool {
	earlier := s.rolledBackRun()
	if earlier == nil {
		return false
	}
	_, isNew := plan.MovedInstead(s.bindings.every(c.ClusterName), s.run, earlier, c)
	return isNew
}

// outgrown refuses to roll back what the earlier run had done when this one was planned, and leave what it has done since.
func (s *step) outgrown() string {
	earlier := s.rolledBackRun()
	if earlier == nil {
		return ""
	}
	planned := map[string]bool{}
	for _, c := range s.planned() {
		planned[c.ClusterName] = true
	}
	for _, stage := range runrules.TakenBack(earlier.RunStatus()) {
		for _, c := range stage.Clusters {
			if !planned[c.ClusterName] && !s.hasNothing(&c) {
				return runrules.Wrap(runrules.Aborted, runrules.ClientError, fmt.Sprintf("%s %s has moved cluster %s since this run was planned; create a new run to roll it back",
					runrules.RunKind(s.run), earlier.GetName(), c.ClusterName))
			}
		}
	}
	return ""
}

// rolledBackRun is the run that this one rolls back, nil where there is none.
func (s *step) rolledBackRun() v1beta1.UpdateRunObject {
	if s.status.RollbackOfUID == "" {
		return nil
	}
	for _, other := range s.world.Others {
		if other.GetUID() == s.status.RollbackOfUID {
			return other
		}
	}
	return nil
}
