// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"context"
	"slices"
	"strconv"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/consistency"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/internal/wanted"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// Name of the controller.
const Name = "placementstatus"

const (
	// workers is how many placements are summed up at once.
	workers = 4
	// together is how long changes of bindings are collected: a placement's status lists all clusters, so that a write for each
	// would cost the square of their number.
	together = 50 * time.Millisecond
	// rest is how many times as long as a write took there is none, unless somebody may be waiting for it: a status lists all clusters, so that
	// twenty writes of it cost as much as moving them all, and some fifteen of them a sixth of a rollout.
	rest = 50
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
	wanted   *wanted.Source
	written  consistency.Store
}

// New makes the controller for one term of leadership.
func New(f *fleet.Fleet, recorder record.EventRecorder, t clock.WithTicker) *Controller {
	c := &Controller{fleet: f, recorder: recorder, clock: t, pace: reconcile.Pace{Rest: rest, Longest: longestRest}, wanted: wanted.NewSource(f)}
	c.queue = reconcile.NewWithClock(Name, workers, c.reconcile, t)
	f.Placements.Watch(c.queue, reconcile.Self)
	f.PolicySnapshots.Watch(c.queue, reconcile.ByLabel(wellknown.ParentPlacementLabel))
	f.Snapshots.Watch(c.queue, reconcile.ByLabel(wellknown.ParentPlacementLabel))
	for _, informer := range f.Bindings.Informers() {
		c.queue.WatchCoalesced(informer, together, reconcile.ByLabel(wellknown.ParentPlacementLabel))
	}
	for _, informer := range slices.Concat(f.Overrides.Informers(), f.OverrideSnapshots.Informers()) {
		c.queue.WatchCoalesced(informer, together, c.wanted.OverrideChanged)
	}
	c.queue.WatchCoalesced(f.MemberClusters.Informer(), together, c.memberChanged)
	c.queue.Watch(f.Mirrors.Informer(), mirrorChanged)
	return c
}

// Run writes statuses until the context ends.
func (c *Controller) Run(ctx context.Context) error { return c.queue.Run(ctx) }

// memberChanged wakes the placements of which a cluster may be to have another version now.
func (c *Controller) memberChanged(oldObj, newObj any) []reconcile.Key {
	if len(c.fleet.Overrides.All()) == 0 || !wanted.Relabeled(oldObj, newObj) {
		return nil
	}
	var keys []reconcile.Key
	for _, placement := range c.wanted.Rolling() {
		keys = append(keys, reconcile.KeyOf(placement))
	}
	return keys
}

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
	w := c.observe(placement)
	if left := c.pace.Left(key, c.clock.Now()); left > 0 && !urgent(placement, w) {
		return left, nil
	}
	end, err := reconcile.BeginLarge(ctx, len(w.bindings))
	if err != nil {
		return 0, err
	}
	defer end()
	start := c.clock.Now()
	status := summarize(placement, w, metav1.NewTime(start))
	// What keeps the mirror from being written is in the status, and is tried again.
	unsynced := c.mirror(ctx, placement, status, metav1.NewTime(start))
	if apierrors.IsConflict(unsynced) {
		return 0, unsynced
	}
	if same(placement.PlacementStatus(), status) {
		return 0, unsynced
	}
	removed := removedBy(placement, status, w)
	if err := c.write(ctx, placement, status); err != nil {
		return 0, reconcile.IgnoreNotFound(err)
	}
	c.pace.Worked(key, start, c.clock.Now())
	c.tell(placement, status, removed)
	return 0, unsynced
}

// same compares the conditions first, which are few and tell of most changes.
func same(a, b *v1beta1.PlacementStatus) bool {
	return apiequality.Semantic.DeepEqual(a.Conditions, b.Conditions) && apiequality.Semantic.DeepEqual(a, b)
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
	w.wanted = c.wantedOf(placement, w.latest)
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

// wantedOf is what the clusters of a placement with RollingUpdate are to hold. As long as that is not known they are to hold the latest
// snapshot, with whatever they have besides.
func (c *Controller) wantedOf(placement v1beta1.PlacementObject, latest string) func(cluster string) bindingrules.Version {
	if latest == "" || runrules.IsExternal(placement.PlacementSpec()) {
		return nil
	}
	versions, err := c.wanted.Versions(placement)
	if err == nil && versions != nil && versions.Version.ResourceSnapshot == latest {
		return versions.On
	}
	return wantsOwn(c.fleet.Bindings.ByIndex(fleet.ByPlacement, reconcile.KeyOf(placement)), latest)
}

// wantsOwn has clusters be to hold a snapshot, with what their bindings ask for besides.
func wantsOwn(bindings []v1beta1.BindingObject, snapshot string) func(cluster string) bindingrules.Version {
	versions := make(map[string]bindingrules.Version, len(bindings))
	for _, b := range bindings {
		spec := b.BindingSpec()
		versions[spec.TargetCluster] = bindingrules.Version{
			ResourceSnapshot: snapshot, ClusterOverrides: spec.ClusterResourceOverrideSnapshots, Overrides: spec.ResourceOverrideSnapshots, ApplyStrategy: spec.ApplyStrategy,
		}
	}
	return func(cluster string) bindingrules.Version { return versions[cluster] }
}
