// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollingupdate

import (
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/binding"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/internal/wanted"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// Name of the controller.
const Name = "rollingupdate"

// workers is how many placements are moved at once.
const workers = 4

// What a binding's RolloutStarted condition says.
const (
	messageStarted    = "Detected the new changes on the resources and started the rollout process"
	messageRestrained = "Detected an apply strategy that writes less and started the rollout process"
	reasonNotStarted  = "RolloutNotStartedYet"
	messageHeld       = "The rollout is being blocked by the rollout strategy"
)

// Controller moves clusters.
type Controller struct {
	fleet    *fleet.Fleet
	recorder record.EventRecorder
	clock    clock.PassiveClock
	queue    *reconcile.Queue
	wanted   *wanted.Source
}

// New makes the controller for one term of leadership.
func New(f *fleet.Fleet, recorder record.EventRecorder, c clock.WithTicker) *Controller {
	controller := &Controller{fleet: f, recorder: recorder, clock: c, wanted: wanted.NewSource(f)}
	controller.queue = reconcile.NewWithClock(Name, workers, controller.reconcile, c)
	f.Placements.Watch(controller.queue, reconcile.Self)
	f.Snapshots.Watch(controller.queue, reconcile.ByLabel(wellknown.ParentPlacementLabel))
	f.Bindings.Watch(controller.queue, reconcile.ByLabel(wellknown.ParentPlacementLabel))
	f.Bindings.Watch(controller.queue, reconcile.ByObject(controller.mayWaitNoMore))
	f.Overrides.Watch(controller.queue, controller.wanted.OverrideChanged)
	f.OverrideSnapshots.Watch(controller.queue, controller.wanted.OverrideChanged)
	f.Policies.Watch(controller.queue, controller.policyChanged)
	if f.Namespaces != nil {
		controller.queue.Watch(f.Namespaces.Informer(), controller.namespaceChanged)
	}
	controller.queue.Watch(f.MemberClusters.Informer(), controller.memberChanged)
	return controller
}

// Run moves clusters until the context ends.
func (c *Controller) Run(ctx context.Context) error { return c.queue.Run(ctx) }

func (c *Controller) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	placement, err := c.fleet.Placements.Get(key)
	if err != nil {
		return 0, reconcile.IgnoreNotFound(err)
	}
	spec := placement.PlacementSpec()
	if !placement.GetDeletionTimestamp().IsZero() || runrules.IsExternal(spec) {
		return 0, nil
	}
	want, err := c.wanted.Versions(placement)
	if err != nil || want == nil {
		return 0, err
	}
	bindings := c.fleet.Bindings.ByIndex(fleet.ByPlacement, key)
	refused, err := c.refusals(placement, bindings)
	if err != nil {
		return 0, err
	}
	free, kept := refused.divide(bindings, want.On)
	if steps := c.restrain(ctx, free, want.Version.ApplyStrategy); len(steps) > 0 {
		// The bindings tell of it, and are looked at again.
		return 0, reconcile.FanOut(ctx, len(steps), func(i int) error { return steps[i]() })
	}
	m, err := budget(free, spec.Strategy.RollingUpdate.WithDefaults(), want.On, c.leaves, c.clock.Now())
	if err != nil {
		return 0, err
	}
	steps := slices.Concat(c.move(ctx, m, want), c.keep(ctx, kept, refused))
	if len(steps) == 0 {
		return m.again, nil
	}
	klog.FromContext(ctx).V(2).Info("Rolling out", "snapshot", want.Version.ResourceSnapshot, "started", len(m.start), "held", len(m.held), "removed", len(m.remove), "kept", len(kept))
	return m.again, reconcile.FanOut(ctx, len(steps), func(i int) error { return steps[i]() })
}

// leaves reports whether a cluster leaves the fleet, or has left it.
func (c *Controller) leaves(cluster string) bool {
	member, err := c.fleet.MemberClusters.Lister().Get(cluster)
	return err != nil || member.DeletionTimestamp != nil
}

// restrain returns the writes that give clusters an apply strategy which only restrains what is written to them. It counts at once and for
// the version that a cluster has, outside any budget: whoever asks for restraint must not wait for clusters to become available. A strategy
// by which more is written is part of a version, and so is every strategy for what rollout policies keep.
func (c *Controller) restrain(ctx context.Context, bindings []v1beta1.BindingObject, strategy *v1beta1.ApplyStrategy) (steps []func() error) {
	for _, b := range bindings {
		spec := b.BindingSpec()
		if !b.GetDeletionTimestamp().IsZero() || spec.ResourceSnapshotName == "" || spec.State == v1beta1.BindingStateScheduled ||
			bindingrules.SameApplyStrategy(spec.ApplyStrategy, strategy) || !bindingrules.OnlyRestrains(spec.ApplyStrategy, strategy) {
			continue
		}
		steps = append(steps, func() error {
			return binding.Restrain(ctx, c.fleet.Bindings, b, strategy, messageRestrained, c.clock.Now())
		})
	}
	return steps
}

// keep returns the writes that tell why bindings are left as they are.
func (c *Controller) keep(ctx context.Context, kept []v1beta1.BindingObject, refused refusals) (steps []func() error) {
	for _, b := range kept {
		message := refused[b.BindingSpec().TargetCluster]
		told := conditions.Find(b.BindingStatus().Conditions, v1beta1.BindingRolloutStarted, b.GetGeneration())
		if told != nil && told.Reason == wellknown.ReasonRolloutPolicyViolated && told.Message == message {
			continue
		}
		steps = append(steps, func() error {
			return binding.Hold(ctx, c.fleet.Bindings, b, wellknown.ReasonRolloutPolicyViolated, message, c.clock.Now())
		})
	}
	return steps
}

// move returns the writes that the moves come to.
func (c *Controller) move(ctx context.Context, m moves, want *wanted.Versions) (steps []func() error) {
	for _, b := range m.start {
		steps = append(steps, func() error {
			return binding.Start(ctx, c.fleet.Bindings, b, want.On(b.BindingSpec().TargetCluster), messageStarted, c.clock.Now())
		})
	}
	for _, b := range m.held {
		// A cluster that goes on with the version it has keeps its conditions; only one that has none is told to wait. What policies kept is
		// not kept by them any more.
		told := conditions.Find(b.BindingStatus().Conditions, v1beta1.BindingRolloutStarted, b.GetGeneration())
		if wasKept := told != nil && told.Reason == wellknown.ReasonRolloutPolicyViolated; !wasKept &&
			(told != nil && told.Status == metav1.ConditionFalse || b.BindingSpec().State == v1beta1.BindingStateBound) {
			continue
		}
		steps = append(steps, func() error {
			return binding.Hold(ctx, c.fleet.Bindings, b, reasonNotStarted, messageHeld, c.clock.Now())
		})
	}
	for _, b := range m.remove {
		steps = append(steps, func() error {
			return binding.Delete(ctx, c.fleet.Bindings, b)
		})
	}
	return steps
}
