// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// World is what a plan is made from, besides the run. Nothing in it is changed.
type World struct {
	// Placement of the run, nil where there is none.
	Placement v1beta1.PlacementObject
	// PolicySnapshots of the placement.
	PolicySnapshots []v1beta1.PolicySnapshotObject
	// Bindings of the placement.
	Bindings []v1beta1.BindingObject
	// Strategy that the run names, nil where there is none.
	Strategy v1beta1.UpdateStrategyObject
	// Snapshots of the placement.
	Snapshots []v1beta1.ResourceSnapshotObject
	// RolledBack is the run that the run is to roll back, nil where there is none.
	RolledBack v1beta1.UpdateRunObject
	// Governance has the members of the fleet, and the policies that the plan must meet.
	Governance
}

// Member is a cluster of the fleet.
type Member struct {
	Name   string
	Labels map[string]string
}

// Inputs is what is asked for only once everything in the world is in place: taking a snapshot leaves a trace on the hub, and which overrides
// matter depends on what is in it. A plan asks for each of them once at most.
//
// A Pending or a Final error becomes the reason why there is no plan. With any other, nothing is known, and the attempt counts as none.
type Inputs interface {
	// Snapshot returns a snapshot of what the placement selects right now. It is asked by a run that names no version.
	Snapshot() (LiveSnapshot, error)
	// Overrides returns those that matter to what the run rolls out, as they are right now.
	Overrides() (Overrides, error)
	// Misfits returns which versions of overrides, in the order in which they are applied, do not fit what is rolled out to a member and
	// are left out there, and as an error why one does not fit that is not left out. It changes nothing.
	Misfits(member Member, inForce []v1beta1.OverrideSnapshotObject) ([]overrides.LeftOut, error)
	// Handovers returns what clusters let go of and other placements wait for there. It is asked only where rollout policies protect clusters,
	// and after all else.
	Handovers(changes []policy.Change) ([]policy.Handover, error)
}

// LiveSnapshot is a snapshot of what is selected right now.
type LiveSnapshot struct {
	// Index of the snapshot.
	Index int
	// Nothing tells why nothing is selected; empty where something is.
	Nothing string
	// Unusable is why envelopes in it cannot be placed, nil where they can.
	Unusable error
}

// Overrides are those that matter to a run.
type Overrides struct {
	// Objects are the overrides that are for the placement and change something that is rolled out. A rollback asks for none.
	Objects []v1beta1.OverrideObject
	// Snapshots are the versions of Objects that there are, or those of a rollback that clusters had before.
	Snapshots []v1beta1.OverrideSnapshotObject
}
