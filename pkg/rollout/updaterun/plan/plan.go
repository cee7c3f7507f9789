// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// Plan is what a run is to do, frozen when it is initialized.
type Plan struct {
	// Status has the plan. Where there is none, it has what was found before the obstacle was met.
	Status v1beta1.UpdateRunStatus
	// Warnings are legal but suspicious: what the user may not have meant.
	Warnings []string
}

// New plans a run. It changes neither the run nor the world.
func New(run v1beta1.UpdateRunObject, world World) (Plan, *Obstacle) {
	p := planner{run: run, world: world}
	o := p.plan()
	return Plan{Status: p.status, Warnings: p.warnings}, o
}

// planner is the making of a run's plan.
type planner struct {
	run   v1beta1.UpdateRunObject
	world World

	status   v1beta1.UpdateRunStatus
	warnings []string

	policy   v1beta1.PolicySnapshotObject
	targets  []string
	unpicked []string
}

// Need is what must be found out before a run can be planned.
type Need int

const (
	// NeedsNothing is a run for which everything is known.
	NeedsNothing Need = iota
	// NeedsSnapshot asks for a snapshot of what is selected now; everything before it is in place.
	NeedsSnapshot
	// NeedsOverrides asks for the overrides of what is rolled out; everything else is in place.
	NeedsOverrides
)

// Obstacle is why there is no plan.
type Obstacle struct {
	Message string
	// MayPass says that the obstacle may go away by itself, or because the user has more to create.
	MayPass bool
	// Needs is what must be found out first.
	Needs Need
}

func final(parts ...string) *Obstacle { return &Obstacle{Message: runrules.Wrap(parts...)} }

func passing(parts ...string) *Obstacle {
	return &Obstacle{Message: runrules.Wrap(parts...), MayPass: true}
}

// plan goes through everything that a run rests on. Taking a snapshot leaves a trace, so it comes
// late; which overrides matter depends on what is in it.
func (p *planner) plan() *Obstacle {
	parts := []func() *Obstacle{
		p.planPlacement,
		p.planPolicy,
		p.planTargets,
		p.planStrategy,
		p.planStages,
		p.planDeletion,
		p.planSnapshot,
		p.planOverrides,
		p.planSize,
	}
	if p.run.RunSpec().RollbackOf != "" {
		parts = []func() *Obstacle{p.planPlacement, p.planRollback, p.planSize}
	}
	for _, part := range parts {
		if o := part(); o != nil {
			return o
		}
	}
	return nil
}

// CheckPlacement returns why the clusters of a placement cannot be moved by a run, nil where they can.
func CheckPlacement(placement v1beta1.PlacementObject) *Obstacle {
	if placement == nil || placement.GetDeletionTimestamp() != nil {
		return passing(runrules.Invalid, runrules.ClientError, "parent placement not found")
	}
	if err := runrules.CheckExternal(placement); err != nil {
		return final(runrules.Invalid, runrules.ClientError, err.Error())
	}
	return nil
}

func (p *planner) planPlacement() *Obstacle {
	placement := p.world.Placement
	if o := CheckPlacement(placement); o != nil {
		return o
	}
	p.status.PlacementUID = placement.GetUID()
	p.status.ApplyStrategy = placement.PlacementSpec().Strategy.ApplyStrategy.WithDefaults()
	return nil
}
