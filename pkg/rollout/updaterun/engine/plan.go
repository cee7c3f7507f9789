// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// plan is the making of a run's plan.
type plan struct {
	run   v1beta1.UpdateRunObject
	world InitWorld

	status   v1beta1.UpdateRunStatus
	warnings []string

	policy   v1beta1.PolicySnapshotObject
	targets  []string
	unpicked []string
}

// obstacle is why there is no plan.
type obstacle struct {
	message string
	// mayPass says that the obstacle may go away by itself, or because the user has more to create.
	mayPass bool
	// needs is what has to be found out first, ResultInitialized for nothing.
	needs Result
}

func final(parts ...string) *obstacle { return &obstacle{message: wrap(parts...)} }

func passing(parts ...string) *obstacle { return &obstacle{message: wrap(parts...), mayPass: true} }

// make goes through everything that a run rests on. Taking a snapshot leaves a trace, so it comes
// late; which overrides matter depends on what is in it.
func (p *plan) make() *obstacle {
	parts := []func() *obstacle{
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
		parts = []func() *obstacle{p.planPlacement, p.planRollback, p.planSize}
	}
	for _, part := range parts {
		if o := part(); o != nil {
			return o
		}
	}
	return nil
}

const messageNoPlacement = "parent placement not found"

func missing(placement v1beta1.PlacementObject) bool {
	return placement == nil || placement.GetDeletionTimestamp() != nil
}

func (p *plan) planPlacement() *obstacle {
	placement := p.world.Placement
	if missing(placement) {
		return passing(invalid, clientError, messageNoPlacement)
	}
	if err := runrules.CheckExternal(placement); err != nil {
		return final(invalid, clientError, err.Error())
	}
	p.status.PlacementUID = placement.GetUID()
	p.status.ApplyStrategy = placement.PlacementSpec().Strategy.ApplyStrategy.WithDefaults()
	return nil
}
