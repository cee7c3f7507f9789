// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"strconv"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// A run is rolled back by another run, which names it and is like any other from then on. The run that is rolled back says its name
// first, and has it created: a crash between the two is mended at the next look. Until it is seen, nobody else gets the turn.

// rollBackAsAsked has the run rolled back, and ends it where it is not over.
func (s *step) rollBackAsAsked(entry *v1beta1.UpdateRunHistoryEntry) {
	if s.status.RolledBackBy != nil || !runrules.TakesBack(&s.status) {
		return
	}
	name := s.rollBack()
	if !runrules.IsOver(&s.status) {
		message := fmt.Sprintf("The updateRun is rolled back %s; %s %s brings the clusters back", by(entry), runrules.RunKind(s.run), name)
		s.end(reasonRunRolledBack, message, message)
	}
	s.event(eventRolledBack, fmt.Sprintf("%s %s brings the clusters back", runrules.RunKind(s.run), name))
}

// failAndRollBack ends the run, and has the clusters brought back to what they had.
func (s *step) failAndRollBack(message string) {
	if !runrules.TakesBack(&s.status) {
		s.fail(message + "; there is no version to roll back to")
		return
	}
	name := s.rollBack()
	s.fail(fmt.Sprintf("%s; %s %s brings the clusters back", message, runrules.RunKind(s.run), name))
}

// rollBack names the run that rolls this one back.
func (s *step) rollBack() string {
	name := wellknown.RollbackName(s.run.GetName(), string(s.run.GetUID()), "")
	putAt(&s.draft, &s.status.RolledBackBy, v1beta1.UpdateRunReference{Name: name})
	return name
}

// link has the run created that rolls this one back, until it is seen. One that somebody else has made counts once it has started: a plan
// takes nothing back.
func (s *step) link() {
	by := s.status.RolledBackBy
	if by != nil && by.UID != "" {
		return
	}
	for _, other := range s.world.Others {
		if other.RunSpec().RollbackOf != s.run.GetName() {
			continue
		}
		if by != nil && runrules.IsRollback(other, s.run) || other.RunStatus().RollbackOfUID == s.run.GetUID() && runrules.HasStarted(other.RunStatus()) {
			putAt(&s.draft, &s.status.RolledBackBy, v1beta1.UpdateRunReference{Name: other.GetName(), UID: other.GetUID()})
			return
		}
	}
	if by != nil {
		s.decision.Rollback = &Rollback{Name: by.Name, CreatedBy: whoRollsBack(&s.status)}
	}
}

// whoRollsBack is the user who asked to roll the run back, nil where it does so by itself.
func whoRollsBack(status *v1beta1.UpdateRunStatus) *v1beta1.DecisionUser {
	for i := len(status.History) - 1; i >= 0; i-- {
		if entry := status.History[i]; entry.Operation == v1beta1.OperationRollback {
			return &v1beta1.DecisionUser{Username: entry.User}
		}
	}
	return nil
}

// target is the name of the resource snapshot that a cluster gets.
func (s *step) target(c *v1beta1.ClusterUpdatingStatus) string {
	if c.ResourceSnapshotIndex != "" {
		return wellknown.ResourceSnapshotName(s.run.RunSpec().PlacementName, c.ResourceSnapshotIndex)
	}
	return s.snapshot
}

// snapshotIndex is the index in the name of one of the placement's resource snapshots, empty for none.
func snapshotIndex(run v1beta1.UpdateRunObject, name string) string {
	if index, ok := wellknown.ResourceSnapshotIndex(run.RunSpec().PlacementName, name); ok {
		return strconv.Itoa(index)
	}
	return ""
}
