// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
)

// Name of the controller.
const Name = "override"

const (
	// workers is how many overrides are reconciled at once.
	workers = 4
	// together is how long bindings and runs that let go of versions are collected: a rollout makes one of each cluster.
	together = time.Second
	// settle is how long the versions of an override stay once it is deleted: who took one for the one in force just before may be
	// about to write that down.
	settle = 3 * time.Second
)

// Controller keeps the versions of overrides.
type Controller struct {
	fleet *fleet.Fleet
	clock clock.PassiveClock
	queue *reconcile.Queue
}

// New makes the controller for one term of leadership.
func New(f *fleet.Fleet, c clock.WithTicker) *Controller {
	controller := &Controller{fleet: f, clock: c}
	controller.queue = reconcile.NewWithClock(Name, workers, controller.reconcile, c)
	f.Overrides.Watch(controller.queue, overrideChanged)
	f.OverrideSnapshots.Watch(controller.queue, versionChanged)
	for _, informer := range slices.Concat(f.Bindings.Informers(), f.Runs.Informers()) {
		controller.queue.WatchCoalesced(informer, together, userChanged)
	}
	return controller
}

// Run keeps versions until the context ends.
func (c *Controller) Run(ctx context.Context) error { return c.queue.Run(ctx) }

// overrideChanged lets the controller sleep through changes of metadata that say nothing.
func overrideChanged(oldObj, newObj any) []reconcile.Key {
	before, wasThere := oldObj.(v1beta1.OverrideObject)
	after, isThere := newObj.(v1beta1.OverrideObject)
	if wasThere && isThere && before.GetUID() == after.GetUID() && before.GetGeneration() == after.GetGeneration() &&
		before.GetDeletionTimestamp().IsZero() == after.GetDeletionTimestamp().IsZero() && slices.Equal(before.GetFinalizers(), after.GetFinalizers()) {
		return nil
	}
	return reconcile.Self(oldObj, newObj)
}

// versionChanged wakes the override of a version that comes or goes, or whose labels somebody moves. At the start every version
// comes, so that those of overrides that do not exist any more are looked at.
func versionChanged(oldObj, newObj any) []reconcile.Key {
	before, wasThere := oldObj.(v1beta1.OverrideSnapshotObject)
	after, isThere := newObj.(v1beta1.OverrideSnapshotObject)
	if wasThere && isThere && before.GetDeletionTimestamp().IsZero() == after.GetDeletionTimestamp().IsZero() &&
		!slices.ContainsFunc(versionLabels, func(l string) bool { return before.GetLabels()[l] != after.GetLabels()[l] }) {
		return nil
	}
	return reconcile.ByLabel(wellknown.ParentOverrideLabel)(oldObj, newObj)
}

var versionLabels = []string{wellknown.ParentOverrideLabel, wellknown.OverrideIndexLabel, wellknown.LatestSnapshotLabel}

func (c *Controller) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	override, err := c.fleet.Overrides.Get(key)
	switch {
	case apierrors.IsNotFound(err):
		if len(c.fleet.OverrideSnapshots.ByIndex(fleet.ByOverride, key)) == 0 {
			return 0, nil
		}
		return c.cleanUp(ctx, key, nil)
	case err != nil:
		return 0, err
	case !override.GetDeletionTimestamp().IsZero():
		return c.cleanUp(ctx, key, override)
	}
	if claimed := fleet.Copy(override); reconcile.AddFinalizer(claimed, wellknown.OverrideCleanupFinalizer) {
		// The write comes back as an event, and with it the rest is done.
		_, err := c.fleet.Overrides.Client(key.Namespace).Update(ctx, claimed, metav1.UpdateOptions{})
		return 0, reconcile.IgnoreNotFound(err)
	}
	return 0, c.ensure(ctx, key, override)
}

// ensure has the newest version say what the override says, and prunes old ones.
func (c *Controller) ensure(ctx context.Context, key reconcile.Key, override v1beta1.OverrideObject) error {
	versions, err := history(c.fleet).Read(ctx, key)
	if err != nil {
		return err
	}
	if newest := versions.Newest(); newest != nil && overrides.SaysTheSame(override, newest.Master) {
		if err := versions.Mark(ctx, newest); err != nil {
			return err
		}
	} else {
		// What the override said earlier must not become the newest again.
		if current, err := c.isCurrent(ctx, key, override); err != nil || !current {
			return err
		}
		if err := c.create(ctx, key, override, versions); err != nil {
			return err
		}
	}
	return versions.Prune(ctx, kept, func() func(int) bool { return c.used(key).Has })
}

// cleanUp deletes the versions that nothing uses of an override that is being deleted, and lets go of it. It is nil where it is gone.
func (c *Controller) cleanUp(ctx context.Context, key reconcile.Key, override v1beta1.OverrideObject) (time.Duration, error) {
	if current, err := c.isCurrent(ctx, key, override); err != nil || !current {
		return 0, err
	}
	versions, err := history(c.fleet).Read(ctx, key)
	if err != nil {
		return 0, err
	}
	if err := versions.Unmark(ctx); err != nil {
		return 0, err
	}
	if override != nil && versions.Len() > 0 {
		if left := settle - c.clock.Since(override.GetDeletionTimestamp().Time); left > 0 {
			return left, nil
		}
	}
	if err := versions.RemoveUnused(ctx, c.used(key).Has); err != nil || override == nil {
		return 0, err
	}
	if released := fleet.Copy(override); reconcile.RemoveFinalizer(released, wellknown.OverrideCleanupFinalizer) {
		_, err := c.fleet.Overrides.Client(key.Namespace).Update(ctx, released, metav1.UpdateOptions{})
		return 0, reconcile.IgnoreNotFound(err)
	}
	return 0, nil
}

// isCurrent reports whether an override is as the cache has it, nil for gone. A change is on its way to the cache otherwise.
func (c *Controller) isCurrent(ctx context.Context, key reconcile.Key, cached v1beta1.OverrideObject) (bool, error) {
	override, err := c.fleet.Overrides.Client(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return cached == nil, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading override %s: %w", key, err)
	}
	return cached != nil && overrideChanged(cached, override) == nil, nil
}
