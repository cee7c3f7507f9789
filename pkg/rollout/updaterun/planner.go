// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/handover"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// Planner says what a run would do, without doing it. It works on every replica, from the caches.
type Planner struct {
	fleet     *fleet.Fleet
	snapshots SnapshotSource
	clock     clock.PassiveClock
}

// NewPlanner makes a planner.
func NewPlanner(f *fleet.Fleet, snapshots SnapshotSource) *Planner {
	return &Planner{fleet: f, snapshots: snapshots, clock: clock.RealClock{}}
}

// Plan is the status that a run would have once it is initialized, with stages, clusters and their order, or Initialized False and
// why. Warnings tell what in it is probably not meant, and that there is no plan: of a dry run most commands show nothing else. It changes neither the run nor anything else. The error is ServiceUnavailable
// while the caches are not filled.
func (p *Planner) Plan(ctx context.Context, run v1beta1.UpdateRunObject) (*v1beta1.UpdateRunStatus, []string, error) {
	if !p.hasSynced() {
		return nil, nil, apierrors.NewServiceUnavailable("the caches that a plan is made from are not filled yet, try again")
	}
	// What the client sent as status is no part of the plan.
	fresh := fleet.Copy(run)
	*fresh.RunStatus() = v1beta1.UpdateRunStatus{}
	planned, err := attempt(ctx, p.fleet, p.snapshots, fresh, p.clock.Now(), true)
	if err != nil {
		return nil, nil, apierrors.NewServiceUnavailable(fmt.Sprintf("planning the run: %v", err))
	}
	status, warnings := planned.outcome.Decision.Status, planned.warnings
	// Nothing has happened.
	status.History = nil
	switch why := runrules.Plainly(planned.outcome.Message); planned.outcome.Result {
	case engine.ResultWaiting:
		status.InitializationStartTime = nil
		meta.FindStatusCondition(status.Conditions, v1beta1.RunInitialized).Message = planned.outcome.Message
		warnings = append(warnings, fmt.Sprintf("the run cannot be initialized now and would be tried again for one minute: %s", why))
	case engine.ResultFailed:
		warnings = append(warnings, fmt.Sprintf("the run cannot be initialized: %s", why))
	}
	return status, warnings, nil
}

// Obstacle returns why a run could not be initialized, and empty where it could, where nobody can tell, or where what is missing may come by
// itself. As Judge it makes less of a plan than Plan does: it asks the hub for nothing.
func (p *Planner) Obstacle(_ context.Context, run v1beta1.UpdateRunObject) string {
	if !p.hasSynced() {
		return ""
	}
	fresh := fleet.Copy(run)
	*fresh.RunStatus() = v1beta1.UpdateRunStatus{}
	world, err := initWorld(p.fleet, fresh)
	if err != nil {
		return ""
	}
	var final *plan.Final
	if err := plan.Outline(fresh, world); errors.As(err, &final) {
		return runrules.Plainly(final.Message)
	}
	return ""
}

// Judge returns what the rollout policies that bind a run say of the plan that it would have now. It makes less of a plan than Plan does:
// it asks the hub for nothing. known is false where there is no plan yet. The error is ServiceUnavailable while nobody can judge.
func (p *Planner) Judge(_ context.Context, run v1beta1.UpdateRunObject) (verdict policy.Verdict, known bool, err error) {
	if !p.hasSynced() {
		return policy.Verdict{}, false, apierrors.NewServiceUnavailable("the caches that a run is judged from are not filled yet, try again")
	}
	world, err := initWorld(p.fleet, run)
	if err == nil {
		verdict, known, err = plan.Judge(run, world)
	}
	if err != nil {
		return policy.Verdict{}, false, apierrors.NewServiceUnavailable(fmt.Sprintf("judging the run by rollout policies: %s", runrules.Plainly(err.Error())))
	}
	return verdict, known, nil
}

// RemovalHandovers returns what a placement hands over to others once its resources are taken off clusters. The error is ServiceUnavailable while
// nobody can tell.
func (p *Planner) RemovalHandovers(_ context.Context, placement v1beta1.PlacementObject, clusters []string) ([]policy.Handover, error) {
	if !p.hasSynced() {
		return nil, apierrors.NewServiceUnavailable("the caches that tell what other placements wait for are not filled yet, try again")
	}
	found, err := handover.OfRemoval(p.fleet, keyOf(placement), clusters)
	if err != nil {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("looking for what other placements wait for: %s", runrules.Plainly(err.Error())))
	}
	return found, nil
}

// CheckRollback returns why a run that rolls this one back could not be planned, for the user, and nil where it could. The run is as it is
// stored; all else is from the caches. The error is ServiceUnavailable while they are not filled.
func (p *Planner) CheckRollback(_ context.Context, run v1beta1.UpdateRunObject) error {
	if !p.hasSynced() {
		return apierrors.NewServiceUnavailable("the caches that a rollback is planned from are not filled yet, try again")
	}
	name := wellknown.RollbackName(run.GetName(), string(run.GetUID()), "")
	rollback := newRollback(p.fleet, run, name)
	world, err := initWorld(p.fleet, rollback)
	if err != nil {
		return apierrors.NewServiceUnavailable(fmt.Sprintf("planning the rollback: %v", err))
	}
	// A run that is rolled back ends by that.
	earlier := fleet.Copy(run)
	earlier.RunStatus().RolledBackBy = &v1beta1.UpdateRunReference{Name: name}
	world.RolledBack = earlier
	if err := plan.CheckRollback(rollback, world); err != nil {
		return errors.New(runrules.Plainly(err.Error()))
	}
	return nil
}

// CheckResume returns why a run that is stopped would fail once it is resumed, since another run has moved its clusters, and nil where none has.
// The run is as it is stored; all else is from the caches. The error is ServiceUnavailable while they are not filled.
func (p *Planner) CheckResume(_ context.Context, run v1beta1.UpdateRunObject) error {
	if !p.hasSynced() {
		return apierrors.NewServiceUnavailable("the caches that tell who has moved the clusters of the run are not filled yet, try again")
	}
	resumed := fleet.Copy(run)
	resumed.RunSpec().State = v1beta1.StateRun
	world, err := world(p.fleet, resumed)
	if err != nil {
		return apierrors.NewServiceUnavailable(fmt.Sprintf("looking for who has moved the clusters of the run: %v", err))
	}
	if message := engine.CheckResume(resumed, world, p.clock.Now()); message != "" {
		return errors.New(runrules.Plainly(message))
	}
	return nil
}

func (p *Planner) hasSynced() bool {
	return p.fleet.Policies.HasSynced() &&
		(p.fleet.Namespaces == nil || p.fleet.Namespaces.Informer().HasSynced()) &&
		p.fleet.Placements.HasSynced() &&
		p.fleet.PolicySnapshots.HasSynced() &&
		p.fleet.Bindings.HasSynced() &&
		p.fleet.Strategies.HasSynced() &&
		p.fleet.Snapshots.HasSynced() &&
		p.fleet.OverrideSnapshots.HasSynced() &&
		p.fleet.Runs.HasSynced() &&
		p.fleet.MemberClusters.Informer().HasSynced()
}
