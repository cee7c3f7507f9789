// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/resources"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
)

// SnapshotSource makes snapshots of what a placement selects.
type SnapshotSource interface {
	// Snapshot reads what the placement selects on the hub now, and returns it with the index of the resource snapshot that holds
	// it: an existing one, or one that it makes. A dry run makes nothing and returns the index that it would be. An error is a
	// UserError where only the user can mend it; any other is worth another try.
	Snapshot(ctx context.Context, placement v1beta1.PlacementObject, dryRun bool) (resources.Selection, error)
}

// UserError is an error that trying again does not mend.
type UserError interface {
	error
	// IsUserError says whether it is one.
	IsUserError() bool
}

func isUserError(err error) bool {
	var user UserError
	return errors.As(err, &user) && user.IsUserError()
}

// eventWarning is the reason of Events that tell of something legal but suspicious in a plan.
const eventWarning = "SuspiciousPlan"

// initialize plans a run.
func (c *Controller) initialize(ctx context.Context, run v1beta1.UpdateRunObject) (time.Duration, error) {
	now := c.clock.Now()
	p, err := attempt(ctx, c.fleet, c.snapshots, run, now, false)
	if err != nil {
		return 0, err
	}
	if err := c.perform(ctx, run, p.outcome.Decision); err != nil {
		return 0, err
	}
	if p.outcome.Result == engine.ResultInitialized {
		for _, warning := range p.warnings {
			c.recorder.Event(run, corev1.EventTypeWarning, eventWarning, warning)
		}
	}
	wake := until(p.outcome.Decision.WakeAt, now)
	if p.retry != nil && p.outcome.Result == engine.ResultWaiting {
		// No event tells when the hub can be read again.
		c.loop.EnqueueAfter(keyOf(run), wake)
		return 0, p.retry
	}
	return wake, nil
}

// planned is what an attempt to plan a run came to.
type planned struct {
	outcome  engine.Outcome
	warnings []string
	// retry is why a snapshot could not be taken, where trying again may help.
	retry error
}

// attempt plans a run from the caches, with a snapshot of what is selected now where it names none. It is the one way to plan, for
// real and for a dry run.
func attempt(ctx context.Context, f *fleet.Fleet, snapshots SnapshotSource, run v1beta1.UpdateRunObject, now time.Time, dryRun bool) (planned, error) {
	world, err := initWorld(f, run)
	if err != nil {
		return planned{}, err
	}
	p := planned{outcome: engine.Initialize(run, world, now)}
	selected := func() []resources.Resource {
		return resources.At(world.Snapshots, run.RunSpec().ResourceSnapshotIndex)
	}
	if p.outcome.Result == engine.ResultNeedsSnapshot {
		selection, err := snapshots.Snapshot(ctx, world.Placement, dryRun)
		if err != nil && ctx.Err() != nil {
			return planned{}, err
		}
		world.Live = &plan.LiveSnapshot{Index: selection.Index, Nothing: selection.Nothing, Err: err, Final: isUserError(err)}
		p = planned{outcome: engine.Initialize(run, world, now), warnings: selection.Warnings}
		switch {
		case err != nil && !isUserError(err):
			p.retry = err
		case selection.Nothing != "":
			p.retry = fmt.Errorf("update run %s: %s", keyOf(run), selection.Nothing)
		}
		selected = func() []resources.Resource { return selection.Resources }
	}
	if p.outcome.Result == engine.ResultNeedsOverrides {
		if world.Overrides, err = overridesFor(ctx, f, run, &world, selected); err != nil {
			return planned{}, err
		}
		p.outcome = engine.Initialize(run, world, now)
	}
	if p.outcome.Result == engine.ResultInitialized && world.Live == nil {
		p.warnings = removals(f, world.Placement, p.outcome.Decision.Status.ResourceSnapshotIndexUsed)
	}
	p.warnings = append(p.outcome.Warnings, p.warnings...)
	return p, nil
}
