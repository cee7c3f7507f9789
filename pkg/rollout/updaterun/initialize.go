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
	"github.com/stagegate/stagegate/pkg/rollout/internal/handover"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// SnapshotSource makes snapshots of what a placement selects.
type SnapshotSource interface {
	// Snapshot reads what the placement selects on the hub now, and returns it with the index of the resource snapshot that holds
	// it: an existing one, or one that it makes. A dry run makes nothing and returns the index that it would be. An error is a
	// reconcile.TerminalError where only the user can mend it; any other is worth another try.
	Snapshot(ctx context.Context, placement v1beta1.PlacementObject, dryRun bool) (snapshotrules.Selection, error)
}

// eventWarning is the reason of Events that tell of something legal but suspicious in a plan.
const eventWarning = "SuspiciousPlan"

// initialize plans a run.
func (c *Controller) initialize(ctx context.Context, run v1beta1.UpdateRunObject) (time.Duration, error) {
	end := c.beginPlan(keyOf(run))
	if end == nil {
		return 0, nil
	}
	defer end()
	now, heard := c.clock.Now(), c.latency.Look(keyOf(run))
	p, err := attempt(ctx, c.fleet, c.snapshots, run, now, false)
	if err != nil {
		c.latency.Heard(keyOf(run), heard)
		return 0, err
	}
	if err := c.perform(ctx, run, p.outcome.Decision, heard); err != nil {
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
		c.queue.EnqueueAfter(keyOf(run), wake)
		return 0, p.retry
	}
	return wake, nil
}

// beginPlan counts the plan of a run until its end. It returns nil where the run must wait: the end of another plan has it looked at again.
func (c *Controller) beginPlan(run reconcile.Key) (end func()) {
	share, all := plansOfNamespace, plansOfNamespaces
	if run.Namespace == "" {
		share, all = workers, workers
	}
	// It waits before it tries, so that a plan that ends meanwhile wakes it.
	c.waiting.Store(run, true)
	done, _ := c.planning.Begin(run.Namespace, share, all)
	if done == nil {
		return nil
	}
	c.waiting.Delete(run)
	return func() {
		done()
		c.waiting.Range(func(key, _ any) bool {
			c.waiting.Delete(key)
			c.queue.Enqueue(key.(reconcile.Key))
			return true
		})
	}
}

// planned is what an attempt to plan a run came to.
type planned struct {
	outcome  engine.Outcome
	warnings []string
	// retry is why a snapshot could not be taken, where trying again may help.
	retry error
}

// attempt plans a run from the caches and, unless it is a dry run, from its placement and strategy as they are stored, with a snapshot of what is selected now where it names none. It is the one way to plan, for
// real and for a dry run.
func attempt(ctx context.Context, f *fleet.Fleet, snapshots SnapshotSource, run v1beta1.UpdateRunObject, now time.Time, dryRun bool) (planned, error) {
	world, err := initWorld(f, run)
	if err != nil {
		return planned{}, err
	}
	if !dryRun {
		if err := refresh(ctx, f, run, &world); err != nil {
			return planned{}, err
		}
	}
	in := &inputs{ctx: ctx, fleet: f, snapshots: snapshots, run: run, world: &world, dryRun: dryRun}
	outcome, err := engine.Initialize(run, world, in, now)
	if err != nil {
		return planned{}, err
	}
	p := planned{outcome: outcome, warnings: append(outcome.Warnings, in.warnings...), retry: in.retry}
	if outcome.Result == engine.ResultInitialized && !in.live {
		p.warnings = append(p.warnings, removals(f, world.Placement, outcome.Decision.Status.ResourceSnapshotIndexUsed)...)
	}
	return p, nil
}

// inputs answers what one attempt to plan a run asks for, from the hub.
type inputs struct {
	ctx       context.Context
	fleet     *fleet.Fleet
	snapshots SnapshotSource
	run       v1beta1.UpdateRunObject
	world     *plan.World
	dryRun    bool

	// live reports that a snapshot was asked for, and selected is what is rolled out, once it is known.
	live     bool
	selected []snapshotrules.Resource
	// leftOut has the overrides that do not fit what is selected, by what is alike of clusters. They name the first of these clusters.
	leftOut map[string][]overrides.LeftOut
	// resources are all of the snapshot that was asked for.
	resources []snapshotrules.Resource
	// warnings tell of what is selected.
	warnings []string
	// retry is why a snapshot could not be taken, where trying again may help.
	retry error
}

// Handovers implements plan.Inputs.
func (in *inputs) Handovers(changes []policy.Change) ([]policy.Handover, error) {
	found, err := handover.Find(in.fleet, placementOf(in.run), changes, func() []snapshotrules.Resource {
		if in.live {
			return in.resources
		}
		return snapshotrules.Resources(in.world.Snapshots, in.run.RunSpec().ResourceSnapshotIndex)
	})
	var incomplete *handover.IncompleteError
	if errors.As(err, &incomplete) {
		return nil, &plan.Pending{Message: err.Error()}
	}
	return found, err
}

// Snapshot implements plan.Inputs.
func (in *inputs) Snapshot() (plan.LiveSnapshot, error) {
	selection, err := in.snapshots.Snapshot(in.ctx, in.world.Placement, in.dryRun)
	in.live, in.selected, in.resources, in.warnings = true, selection.Resources, selection.Resources, selection.Warnings
	switch {
	case err == nil:
	case in.ctx.Err() != nil:
		return plan.LiveSnapshot{}, err
	case reconcile.IsTerminal(err):
		return plan.LiveSnapshot{}, &plan.Final{Message: err.Error()}
	default:
		in.retry = err
		return plan.LiveSnapshot{}, &plan.Pending{Message: err.Error()}
	}
	if selection.Nothing != "" {
		in.retry = fmt.Errorf("update run %s: %s", keyOf(in.run), selection.Nothing)
	}
	return plan.LiveSnapshot{Index: selection.Index, Nothing: selection.Nothing, Unusable: snapshotrules.Unusable(selection.Resources)}, nil
}
