// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

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

// New plans a run. It changes neither the run nor the world. A Pending or a Final error says why there is no plan, any other that an input
// could not be read.
func New(run v1beta1.UpdateRunObject, world World, inputs Inputs) (Plan, error) {
	p := planner{run: run, world: world, inputs: inputs}
	err := p.plan()
	return Plan{Status: p.status, Warnings: p.warnings}, err
}

// Pending is why there is no plan yet: it may go away by itself, or because the user has more to create.
type Pending struct{ Message string }

// Final is why there will be no plan: only the user can mend it, in a new run.
type Final struct{ Message string }

func (p *Pending) Error() string { return p.Message }

func (f *Final) Error() string { return f.Message }

func pending(parts ...string) error { return &Pending{Message: runrules.Wrap(parts...)} }

func final(parts ...string) error { return &Final{Message: runrules.Wrap(parts...)} }

// planner is the making of a run's plan.
type planner struct {
	run    v1beta1.UpdateRunObject
	world  World
	inputs Inputs

	status   v1beta1.UpdateRunStatus
	warnings []string

	policy   v1beta1.PolicySnapshotObject
	targets  []string
	unpicked []string
	// inForce has, by cluster, the versions of overrides with which it gets what is rolled out.
	inForce map[string][]v1beta1.OverrideSnapshotObject
}

// plan goes through everything that a run rests on. The inputs that are asked for come last.
func (p *planner) plan() error {
	versions := []func() error{p.planSnapshot, p.planOverrides, p.planHandovers}
	if p.isRollback() {
		versions = []func() error{p.planOldOverrides, p.planVersions}
	}
	for _, part := range slices.Concat(p.structure(), []func() error{p.planPolicies}, versions, []func() error{p.planSize}) {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// structure are the parts that plan the stages and their clusters, for which no input is asked.
func (p *planner) structure() []func() error {
	if p.isRollback() {
		return []func() error{p.planPlacement, p.planRollback}
	}
	return []func() error{p.planPlacement, p.planPolicy, p.planTargets, p.planStrategy, p.planStages, p.planDeletion}
}

// outline plans the stages and their clusters alone.
func (p *planner) outline() error {
	for _, part := range p.structure() {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// Outline returns why a run has no stages and clusters, nil where it has: a Pending or a Final error. It needs no inputs, and leaves no trace.
func Outline(run v1beta1.UpdateRunObject, world World) error {
	p := planner{run: run, world: world}
	return p.outline()
}

func (p *planner) isRollback() bool { return p.run.RunSpec().RollbackOf != "" }

// CheckPlacement returns why the clusters of a placement cannot be moved by a run, nil where they can.
func CheckPlacement(placement v1beta1.PlacementObject) error {
	if placement == nil || placement.GetDeletionTimestamp() != nil {
		return pending(runrules.Invalid, runrules.ClientError, "parent placement not found")
	}
	if err := runrules.CheckExternal(placement); err != nil {
		return final(runrules.Invalid, runrules.ClientError, err.Error())
	}
	return nil
}

func (p *planner) planPlacement() error {
	placement := p.world.Placement
	if err := CheckPlacement(placement); err != nil {
		return err
	}
	p.status.PlacementUID = placement.GetUID()
	p.status.ApplyStrategy = placement.PlacementSpec().Strategy.ApplyStrategy.WithDefaults()
	return nil
}
