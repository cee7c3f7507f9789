// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/consistency"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/metrics"
	"github.com/stagegate/stagegate/pkg/rollout/traces"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// Name of the controller.
const Name = "updaterun"

const (
	// workers is how many runs are moved on at once.
	workers = 16
	// coalesce is how long changes to bindings are gathered, so that clusters that finish together are one write to the run.
	coalesce = 30 * time.Millisecond
	// plansOfNamespace is how many runs of a namespace are planned at once. A plan takes long where many overrides change many objects: the runs of all
	// others must not wait for that. Cluster-scoped runs are the platform's, and have no such limit.
	plansOfNamespace = 4
	// plansOfNamespaces is how many there are with others already where one of a namespace begins: the rest is for the platform and for runs under way.
	plansOfNamespaces = 12
	// rest is how many times as long as a write of a run's status took there is none while clusters are under way: that of a run over
	// thousands of clusters costs as much as moving hundreds.
	rest = 10
	// longestRest is how old the progress of a run may be.
	longestRest = 10 * time.Second
	// noRest is how long a write may take without a rest after it: a small run goes on at once, unless the server is busy.
	noRest = 20 * time.Millisecond
)

// Controller moves runs on.
type Controller struct {
	fleet     *fleet.Fleet
	snapshots SnapshotSource
	recorder  record.EventRecorder
	clock     clock.PassiveClock
	queue     *reconcile.Queue
	pace      reconcile.Pace
	// written has, by run, what was written to it and to its approval requests.
	written consistency.Store
	// moved has, by placement, what was written to its bindings, since every run of the placement is judged by them.
	moved consistency.Store
	// traces records what has ended.
	traces *traces.Recorder
	// latency is how long runs take to act on what lets them move clusters.
	latency *metrics.Latency
	// planning has the plans under way by namespace, and waiting the keys of runs that cannot be planned before one of them ends.
	planning Shares
	waiting  sync.Map
	// marked has, by run, the turn in which it has marked its placement.
	marked sync.Map
	// since is when the term of leadership began.
	since time.Time
}

// New makes the controller for one term of leadership. Without a recorder of traces there are none.
func New(f *fleet.Fleet, snapshots SnapshotSource, recorder record.EventRecorder, t *traces.Recorder, c clock.WithTicker) *Controller {
	controller := &Controller{
		fleet: f, snapshots: snapshots, recorder: recorder, traces: t, clock: c, pace: reconcile.Pace{Rest: rest, Longest: longestRest, Free: noRest},
	}
	controller.latency = metrics.NewLatency(c)
	controller.queue = reconcile.NewWithClock(Name, workers, controller.reconcile, c)
	controller.watch()
	return controller
}

// Run moves runs on until the context ends.
func (c *Controller) Run(ctx context.Context) error {
	c.since = c.clock.Now()
	return c.queue.Run(ctx)
}

func (c *Controller) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	if !c.written.Ready(key) {
		return 0, nil
	}
	run, err := c.fleet.Runs.Get(key)
	if apierrors.IsNotFound(err) {
		c.written.Forget(key)
		c.pace.Forget(key)
		c.marked.Delete(key)
		c.latency.Forget(key)
		metrics.Forget(key)
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { metrics.Looked(run, c.clock.Now()) }()
	if runrules.IsOver(run.RunStatus()) || run.GetDeletionTimestamp() != nil {
		c.latency.Forget(key)
	}
	if run.GetDeletionTimestamp() != nil {
		return 0, c.finalize(ctx, run)
	}
	if runrules.IsOver(run.RunStatus()) && !runrules.IsPlanned(run.RunStatus()) {
		return 0, nil
	}
	// Runs that bindings do not matter to are not woken by them either, and must not wait for them.
	if isActive(run) && !c.moved.Ready(placementOf(run)) {
		return 0, nil
	}
	claimed, err := c.claim(ctx, run)
	if err != nil {
		return 0, err
	}
	run = claimed
	if runrules.IsPlanned(run.RunStatus()) {
		return c.step(ctx, run)
	}
	return c.initialize(ctx, run)
}

// claim puts the finalizer on a run, so that its approval requests go before it does.
func (c *Controller) claim(ctx context.Context, run v1beta1.UpdateRunObject) (v1beta1.UpdateRunObject, error) {
	if reconcile.HasFinalizer(run, wellknown.UpdateRunFinalizer) {
		return run, nil
	}
	claimed := fleet.Copy(run)
	reconcile.AddFinalizer(claimed, wellknown.UpdateRunFinalizer)
	updated, err := c.fleet.Runs.Client(run.GetNamespace()).Update(ctx, claimed, metav1.UpdateOptions{})
	if err != nil {
		return nil, err
	}
	c.written.Wrote(keyOf(run), c.fleet.Runs.Cache(run.GetNamespace()), updated)
	return updated, nil
}

// step moves a planned run on.
func (c *Controller) step(ctx context.Context, run v1beta1.UpdateRunObject) (time.Duration, error) {
	if left := c.pace.Left(keyOf(run), c.clock.Now()); left > 0 && mayRest(run, c.fleet.Bindings.ByIndex(fleet.ByPlacement, placementOf(run))) {
		return left, nil
	}
	heard := c.latency.Look(keyOf(run))
	world, err := c.world(run)
	if err != nil {
		c.latency.Heard(keyOf(run), heard)
		return 0, err
	}
	now := c.clock.Now()
	d := engine.Step(run, world, now)
	if err := c.perform(ctx, run, d, heard); err != nil {
		return 0, err
	}
	return until(d.WakeAt, now), nil
}

// until is how long to sleep, 0 where there is nothing to wake up for.
func until(wake, now time.Time) time.Duration {
	if wake.IsZero() {
		return 0
	}
	return max(wake.Sub(now), time.Millisecond)
}
