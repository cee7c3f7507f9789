// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"context"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/consistency"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// Name of the controller.
const Name = "placementstatus"

const (
	// workers is how many placements are summed up at once.
	workers = 4
	// together is how long changes of bindings are collected: a placement's status lists all clusters, so that a write for each
	// would cost the square of their number.
	together = 50 * time.Millisecond
	// rest is how many times as long as a write took there is none, unless somebody may be waiting for it: a status lists all clusters,
	// so that twenty writes of it cost as much as moving them all.
	rest = 20
	// longestRest is how old the progress of a rollout may be.
	longestRest = 30 * time.Second
)

// Controller writes the status of placements.
type Controller struct {
	fleet    *fleet.Fleet
	recorder record.EventRecorder
	clock    clock.PassiveClock
	queue    *reconcile.Queue
	pace     reconcile.Pace
	written  consistency.Store
}

// New makes the controller for one term of leadership.
func New(f *fleet.Fleet, recorder record.EventRecorder, t clock.WithTicker) *Controller {
	c := &Controller{fleet: f, recorder: recorder, clock: t, pace: reconcile.Pace{Rest: rest, Longest: longestRest}}
	c.queue = reconcile.NewWithClock(Name, workers, c.reconcile, t)
	f.Placements.Watch(c.queue, reconcile.Self)
	f.PolicySnapshots.Watch(c.queue, reconcile.ByLabel(wellknown.ParentPlacementLabel))
	f.Snapshots.Watch(c.queue, reconcile.ByLabel(wellknown.ParentPlacementLabel))
	for _, informer := range f.Bindings.Informers() {
		c.queue.WatchCoalesced(informer, together, reconcile.ByLabel(wellknown.ParentPlacementLabel))
	}
	return c
}

// Run writes statuses until the context ends.
func (c *Controller) Run(ctx context.Context) error { return c.queue.Run(ctx) }

func (c *Controller) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	if !c.written.Ready(key) {
		// Another write would only be a conflict.
		return 0, nil
	}
	placement, err := c.fleet.Placements.Get(key)
	if err != nil {
		c.written.Forget(key)
		c.pace.Forget(key)
		return 0, reconcile.IgnoreNotFound(err)
	}
	if !placement.GetDeletionTimestamp().IsZero() {
		return c.leave(ctx, placement)
	}
	start := c.clock.Now()
	w := c.observe(placement)
	if left := c.pace.Left(key, start); left > 0 && !urgent(placement, w) {
		return left, nil
	}
	status := summarize(placement, w, metav1.NewTime(start))
	if apiequality.Semantic.DeepEqual(placement.PlacementStatus(), status) {
		return 0, nil
	}
	removed := removedBy(placement, status, w)
	if err := c.write(ctx, placement, status); err != nil {
		return 0, reconcile.IgnoreNotFound(err)
	}
	c.pace.Worked(key, start, c.clock.Now())
	c.tell(placement, status, removed)
	return 0, nil
}

func (c *Controller) write(ctx context.Context, placement v1beta1.PlacementObject, status *v1beta1.PlacementStatus) error {
	key := reconcile.KeyOf(placement)
	changed := fleet.Copy(placement)
	*changed.PlacementStatus() = *status
	updated, err := c.fleet.Placements.Client(key.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	c.written.Wrote(key, c.fleet.Placements.Cache(key.Namespace), updated)
	klog.FromContext(ctx).V(2).Info("Placement status written")
	return nil
}

func (c *Controller) observe(placement v1beta1.PlacementObject) world {
	key := reconcile.KeyOf(placement)
	w := world{
		bindings: c.fleet.Bindings.ByIndex(fleet.ByPlacement, key),
		index:    map[string]string{},
	}
	for _, policy := range c.fleet.PolicySnapshots.ByIndex(fleet.ByPlacement, key) {
		if snapshotrules.IsInForce(policy) {
			w.policy = policy
		}
	}
	snapshots := c.fleet.Snapshots.ByIndex(fleet.ByPlacement, key)
	for _, snapshot := range snapshots {
		if snapshotrules.IsMaster(snapshot) {
			w.index[snapshot.GetName()] = snapshotrules.Index(snapshot)
		}
	}
	if latest := snapshotrules.Latest(snapshots); latest != nil {
		w.latest = latest.GetName()
	}
	w.resources = func(name string) []v1beta1.ResourceIdentifier {
		return snapshotrules.IDs(snapshotrules.Resources(snapshots, w.index[name]))
	}
	w.contents = func(index string) []v1beta1.ResourceIdentifier {
		return snapshotrules.IDs(snapshotrules.Contents(snapshotrules.Resources(snapshots, index)))
	}
	w.neverAnything = func(index string) bool {
		n, err := strconv.Atoi(index)
		return err == nil && placeable.NeverAnything(placement, n, snapshots, w.bindings)
	}
	w.onClusters = func() []v1beta1.ResourceIdentifier { return snapshotrules.OnClusters(w.bindings, snapshots) }
	return w
}

// told are the conditions whose turning True is an Event.
var told = []struct{ conditionType, reason, message string }{
	{v1beta1.PlacementRolloutStarted, "PlacementRolloutStarted", "Started rolling out the latest resources"},
	{v1beta1.PlacementWorkSynchronized, "PlacementWorkSynchronized", "Work(s) have been created or updated successfully for the selected cluster(s)"},
	{v1beta1.PlacementApplied, "PlacementApplied", "Resources have been applied to the selected cluster(s)"},
	{v1beta1.PlacementAvailable, "PlacementAvailable", "Resources are available on the selected cluster(s)"},
	{v1beta1.PlacementDiffReported, "PlacementDiffReported", "Configuration differences have been reported on the selected cluster(s)"},
}

// eventRemoved is the reason of the Event that names what a new version removes from members.
const eventRemoved = "ObjectsRemoved"

func (c *Controller) tell(before v1beta1.PlacementObject, after *v1beta1.PlacementStatus, removed string) {
	if removed != "" {
		c.recorder.Event(before, corev1.EventTypeWarning, eventRemoved, "Rolling out "+removed)
	}
	c.tellRemaining(before, after)
	for _, t := range told {
		conditionType := v1beta1.PlacementConditionType(before.GetNamespace(), t.conditionType)
		if meta.IsStatusConditionTrue(after.Conditions, conditionType) && !meta.IsStatusConditionTrue(before.PlacementStatus().Conditions, conditionType) {
			c.recorder.Event(before, corev1.EventTypeNormal, t.reason, t.message)
		}
	}
	conditionType := v1beta1.PlacementConditionType(before.GetNamespace(), v1beta1.PlacementScheduled)
	failed := meta.FindStatusCondition(after.Conditions, conditionType)
	if failed.Status == metav1.ConditionFalse && !meta.IsStatusConditionFalse(before.PlacementStatus().Conditions, conditionType) {
		c.recorder.Event(before, corev1.EventTypeWarning, "PlacementNotScheduled", fmt.Sprintf("%s: %s", failed.Reason, failed.Message))
	}
}
