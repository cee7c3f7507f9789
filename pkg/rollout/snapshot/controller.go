// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// Name of the controller.
const Name = "snapshot"

const (
	// workers is how many placements are reconciled at once.
	workers = 8
	// grace is how long the hub may show less than everything before that is worth telling: at the start it always does.
	grace = 10 * time.Second
)

// Controller makes snapshots as placements and what they select change.
type Controller struct {
	fleet    *fleet.Fleet
	source   *Source
	mode     ExternalMode
	recorder record.EventRecorder
	clock    clock.WithTicker
	queue    *reconcile.Queue
	kinds    *kindWatch
	watches  *watches
	bursts   *bursts

	mu sync.Mutex
	// incompleteSince is when a placement's selection was first not completely visible.
	incompleteSince map[reconcile.Key]time.Time
}

// New makes the controller for one term of leadership.
func New(f *fleet.Fleet, source *Source, mode ExternalMode, recorder record.EventRecorder, c clock.WithTicker) *Controller {
	controller := &Controller{
		fleet: f, source: source, mode: mode, recorder: recorder, clock: c, bursts: newBursts(c), incompleteSince: map[reconcile.Key]time.Time{},
	}
	controller.queue = reconcile.NewWithClock(Name, workers, controller.reconcile, c)
	controller.kinds = newKindWatch(source.discovery, source.metadata, c, controller.kindsChanged)
	controller.watches = newWatches(source.metadata, source.dynamic, controller.selectionChanged, controller.queue.Enqueue)
	f.Placements.Watch(controller.queue, placementChanged)
	f.Snapshots.Watch(controller.queue, snapshotChanged)
	f.PolicySnapshots.Watch(controller.queue, snapshotChanged)
	return controller
}

// Run makes snapshots until the context ends.
func (c *Controller) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	c.watches.start(ctx)
	var running sync.WaitGroup
	running.Go(func() { reconcile.Forever(ctx, "kinds of the hub", c.kinds.run) })
	err := c.queue.Run(ctx)
	stop()
	running.Wait()
	c.watches.wait()
	return err
}

// placementChanged lets the controller sleep through the changes of a placement's status.
func placementChanged(oldObj, newObj any) []reconcile.Key {
	before, wasThere := oldObj.(v1beta1.PlacementObject)
	after, isThere := newObj.(v1beta1.PlacementObject)
	if wasThere && isThere && before.GetUID() == after.GetUID() && before.GetGeneration() == after.GetGeneration() &&
		before.GetDeletionTimestamp().IsZero() == after.GetDeletionTimestamp().IsZero() && slices.Equal(before.GetFinalizers(), after.GetFinalizers()) {
		return nil
	}
	return reconcile.Self(oldObj, newObj)
}

// snapshotChanged wakes the controller where somebody deletes a snapshot or moves its mark.
func snapshotChanged(oldObj, newObj any) []reconcile.Key {
	before, wasThere := oldObj.(metav1.Object)
	after, isThere := newObj.(metav1.Object)
	if !wasThere || isThere && before.GetLabels()[wellknown.LatestSnapshotLabel] == after.GetLabels()[wellknown.LatestSnapshotLabel] {
		return nil
	}
	return reconcile.ByLabel(wellknown.ParentPlacementLabel)(oldObj, newObj)
}

func (c *Controller) selectionChanged(key reconcile.Key) {
	c.bursts.changed(key)
	c.queue.EnqueueAfter(key, quiet)
}

func (c *Controller) kindsChanged() {
	for _, placement := range c.fleet.Placements.All() {
		c.queue.Enqueue(reconcile.KeyOf(placement))
	}
}

func (c *Controller) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	placement, err := c.fleet.Placements.Get(key)
	if err != nil {
		c.forget(key)
		return 0, reconcile.IgnoreNotFound(err)
	}
	if !placement.GetDeletionTimestamp().IsZero() {
		c.forget(key)
		return 0, c.cleanUp(ctx, placement)
	}
	if claimed := fleet.Copy(placement); reconcile.AddFinalizer(claimed, wellknown.PlacementCleanupFinalizer) {
		// The write comes back as an event, and with it the rest is done.
		_, err := c.fleet.Placements.Client(key.Namespace).Update(ctx, claimed, metav1.UpdateOptions{})
		return 0, err
	}
	if err := c.source.ensurePolicy(ctx, placement); err != nil {
		return 0, err
	}
	if runrules.IsExternal(placement.PlacementSpec()) && c.mode == OnRun {
		c.forget(key)
		return 0, c.succeed(ctx, placement)
	}
	if wait := c.bursts.wait(key); wait > 0 {
		return wait, nil
	}
	return c.snapshot(ctx, placement)
}

// snapshot records what the placement selects. Whatever fails, the last snapshot stays as it is.
func (c *Controller) snapshot(ctx context.Context, placement v1beta1.PlacementObject) (time.Duration, error) {
	defer c.source.lock(placement)()
	found, err := c.selectItems(ctx, placement)
	var unseen *incomplete
	switch {
	case errors.As(err, &unseen):
		return c.unseen(ctx, placement, unseen)
	case reconcile.IsTerminal(err):
		return 0, c.fail(ctx, placement, ReasonInvalidSelectors, fmt.Sprintf("The resource selectors are invalid: %v", err))
	case err != nil:
		return 0, err
	}
	c.seen(reconcile.KeyOf(placement))

	selected, err := newContent(found.items)
	if err != nil {
		return 0, fmt.Errorf("resources of placement %s: %w", nameOf(placement), err)
	}
	if emptied, err := c.emptied(ctx, placement, selected); err != nil {
		return 0, err
	} else if emptied {
		return 0, c.fail(ctx, placement, ReasonNothingSelected, fmt.Sprintf("The resource selectors select nothing any more: %s. "+
			"The clusters keep what they have: delete the placement to remove it from them", found.missing()))
	}
	if _, err := c.source.ensure(ctx, placement, selected, false); err != nil {
		return 0, err
	}
	switch {
	case len(found.items) == 0:
		return 0, c.fail(ctx, placement, ReasonNothingSelected, "The resource selectors select nothing: "+found.missing())
	case len(found.nothing) > 0:
		return 0, c.warn(ctx, placement, ReasonSelectorsFindNothing, "Some resource selectors select nothing: "+found.missing())
	}
	return 0, c.succeed(ctx, placement)
}

func (c *Controller) selectItems(ctx context.Context, placement v1beta1.PlacementObject) (*selected, error) {
	served := c.kinds.current()
	if served == nil {
		return nil, &incomplete{missing: []string{"the kinds of the hub: not read yet"}}
	}
	limits, err := c.source.limitsOf(ctx, placement)
	if err != nil {
		return nil, err
	}
	key := reconcile.KeyOf(placement)
	v := &watchedView{watches: c.watches, key: key, served: served, needed: map[query]struct{}{}}
	found, err := selectItems(ctx, v, limits, placement)
	if err == nil {
		c.watches.keep(key, v.needed)
	}
	return found, err
}

// emptied says that a RollingUpdate placement, which would be rolled out by itself, no longer selects anything.
func (c *Controller) emptied(ctx context.Context, placement v1beta1.PlacementObject, selected *content) (bool, error) {
	if len(selected.items) > 0 || runrules.IsExternal(placement.PlacementSpec()) {
		return false, nil
	}
	list, err := c.source.resources.Read(ctx, reconcile.KeyOf(placement))
	if err != nil {
		return false, err
	}
	// One that is being deleted counts: clusters have it.
	last := list.Last()
	return last != nil && last.HasMaster() && len(last.Master.SnapshotSpec().SelectedResources) > 0, nil
}

// unseen tells what is missing once that lasts. Watches and discovery say when it is there; a read that failed is tried again.
func (c *Controller) unseen(ctx context.Context, placement v1beta1.PlacementObject, err *incomplete) (time.Duration, error) {
	key := reconcile.KeyOf(placement)
	c.mu.Lock()
	since, found := c.incompleteSince[key]
	if !found {
		since = c.clock.Now()
		c.incompleteSince[key] = since
	}
	c.mu.Unlock()

	left := since.Add(grace).Sub(c.clock.Now())
	if left <= 0 {
		if err := c.fail(ctx, placement, ReasonIncomplete, fmt.Sprintf("No new resource snapshot is made: %v", err)); err != nil {
			return 0, err
		}
	}
	if err.again {
		return 0, err
	}
	return max(left, 0), nil
}

func (c *Controller) seen(key reconcile.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.incompleteSince, key)
}

// forget ends all that is done for a placement.
func (c *Controller) forget(key reconcile.Key) {
	c.watches.keep(key, nil)
	c.bursts.forget(key)
	c.seen(key)
}

// cleanUp deletes the snapshots of a placement that is being deleted, and lets go of it once they are gone.
func (c *Controller) cleanUp(ctx context.Context, placement v1beta1.PlacementObject) error {
	if !reconcile.HasFinalizer(placement, wellknown.PlacementCleanupFinalizer) {
		return nil
	}
	resourcesGone, err := c.source.resources.RemoveAll(ctx, reconcile.KeyOf(placement))
	if err != nil {
		return err
	}
	policiesGone, err := c.source.policies.RemoveAll(ctx, reconcile.KeyOf(placement))
	if err != nil {
		return err
	}
	if !resourcesGone || !policiesGone {
		// The deletions come back as events.
		return nil
	}
	released := fleet.Copy(placement)
	reconcile.RemoveFinalizer(released, wellknown.PlacementCleanupFinalizer)
	if _, err = c.fleet.Placements.Client(placement.GetNamespace()).Update(ctx, released, metav1.UpdateOptions{}); err != nil {
		return reconcile.IgnoreNotFound(err)
	}
	c.recorder.Event(placement, corev1.EventTypeNormal, "PlacementCleanupFinalizerRemoved", "Deleted the snapshots and removed the placement cleanup finalizer; the placement goes once its clusters are left")
	return nil
}
