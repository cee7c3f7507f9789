// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/consistency"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

// Name of the controller.
const Name = "work"

const (
	workers = 8
	// patience is how long a binding's status waits for what is about to follow: the RolloutStarted condition of whoever rolls out,
	// and the answer of a member that applies at once. One write then says it all.
	patience = 300 * time.Millisecond
)

// Controller is the controller.
type Controller struct {
	fleet    *fleet.Fleet
	hub      kubernetes.Interface
	recorder record.EventRecorder
	clock    clock.WithTicker
	queue    *reconcile.Queue

	// written has, by binding, what was written to it and to its Works.
	written consistency.Store
	waits   waits
	checks  checks
}

// New makes the controller for one term of leadership. What the limits keep from being placed
// becomes no Work. Events about bindings that cannot be turned into Works go to the recorder.
func New(f *fleet.Fleet, hub kubernetes.Interface, limits *placeable.Limits, recorder record.EventRecorder, c clock.WithTicker) *Controller {
	controller := &Controller{fleet: f, hub: hub, recorder: recorder, clock: c, checks: newChecks(limits)}
	controller.queue = reconcile.NewWithClock(Name, workers, controller.reconcile, c)
	f.Bindings.Watch(controller.queue, reconcile.Self)
	f.Snapshots.Watch(controller.queue, controller.bindingsOfSnapshot)
	f.OverrideSnapshots.Watch(controller.queue, controller.bindingsOfOverride)
	f.Placements.Watch(controller.queue, controller.bindingsOfPlacement)
	controller.queue.Watch(f.Works.Informer(), controller.bindingsOfWork)
	controller.queue.Watch(f.MemberClusters.Informer(), controller.bindingsOfMember)
	return controller
}

// Run reconciles until the context ends.
func (c *Controller) Run(ctx context.Context) error { return c.queue.Run(ctx) }

// bindingsOfWork are the binding that a Work belongs to and, when the Work is gone, those that wait for its name.
func (c *Controller) bindingsOfWork(oldObj, newObj any) []reconcile.Key {
	keys := reconcile.ByObject(bindingOfWork)(oldObj, newObj)
	gone, ok := oldObj.(*v1beta1.Work)
	if !ok || newObj != nil {
		return keys
	}
	placement := reconcile.Key{
		Namespace: gone.Labels[wellknown.ParentNamespaceLabel],
		Name:      gone.Labels[wellknown.ParentPlacementLabel],
	}
	return append(keys, c.bindingsOf(placement, func(b v1beta1.BindingObject) bool {
		return wellknown.MemberNamespace(b.BindingSpec().TargetCluster) == gone.Namespace
	})...)
}

func bindingOfWork(work metav1.Object) []reconcile.Key {
	name := work.GetLabels()[wellknown.ParentBindingLabel]
	if name == "" {
		return nil
	}
	return []reconcile.Key{{Namespace: work.GetLabels()[wellknown.ParentNamespaceLabel], Name: name}}
}

// bindingsOfSnapshot are the bindings that wait for a snapshot, or for a part of one.
func (c *Controller) bindingsOfSnapshot(oldObj, newObj any) []reconcile.Key {
	snapshot, ok := newObj.(v1beta1.ResourceSnapshotObject)
	if !ok || oldObj != nil {
		// A snapshot's resources never change, and one that goes takes nothing along.
		return nil
	}
	return c.bindingsOf(placementOf(snapshot), func(b v1beta1.BindingObject) bool {
		return b.BindingSpec().ResourceSnapshotName != ""
	})
}

// bindingsOfPlacement are the bindings whose Works carry what has changed in a placement.
func (c *Controller) bindingsOfPlacement(oldObj, newObj any) []reconcile.Key {
	before, okBefore := oldObj.(v1beta1.PlacementObject)
	after, okAfter := newObj.(v1beta1.PlacementObject)
	if !okBefore || !okAfter || equality.Semantic.DeepEqual(
		before.PlacementSpec().Strategy.ReportBackStrategy, after.PlacementSpec().Strategy.ReportBackStrategy) &&
		equality.Semantic.DeepEqual(before.PlacementStatus().Prune, after.PlacementStatus().Prune) {
		return nil
	}
	return c.bindingsOf(reconcile.KeyOf(after), func(v1beta1.BindingObject) bool { return true })
}

func (c *Controller) bindingsOf(placement reconcile.Key, wanted func(v1beta1.BindingObject) bool) []reconcile.Key {
	var keys []reconcile.Key
	for _, b := range c.fleet.Bindings.ByIndex(fleet.ByPlacement, placement) {
		if wanted(b) {
			keys = append(keys, reconcile.KeyOf(b))
		}
	}
	return keys
}

// placementOf is the placement of a binding or a snapshot.
func placementOf(o metav1.Object) reconcile.Key {
	return reconcile.Key{Namespace: o.GetNamespace(), Name: o.GetLabels()[wellknown.ParentPlacementLabel]}
}

func (c *Controller) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	if !c.written.Ready(key) {
		return 0, nil
	}
	binding, err := c.fleet.Bindings.Get(key)
	if apierrors.IsNotFound(err) {
		c.waits.forget(key)
		c.written.Forget(key)
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if binding.GetDeletionTimestamp() != nil {
		c.waits.forget(key)
		return 0, c.cleanUp(ctx, binding)
	}
	if added, err := c.addFinalizer(ctx, binding); added || err != nil {
		return 0, err
	}
	spec := binding.BindingSpec()
	if !isRolledOut(spec) {
		return 0, nil
	}
	cluster, err := c.fleet.MemberClusters.Lister().Get(spec.TargetCluster)
	if err != nil || cluster.DeletionTimestamp != nil {
		// A cluster that leaves gets nothing more.
		return 0, nil
	}

	outcome := c.sync(ctx, binding)
	outcome.unreachable = unreachable(cluster)
	if outcome.pending || apierrors.IsConflict(outcome.err) || apierrors.IsAlreadyExists(outcome.err) {
		return 0, outcome.err
	}
	again, err := c.report(ctx, binding, outcome)
	if err == nil {
		err = outcome.again()
	}
	return again, err
}

// isRolledOut reports whether a cluster is to have, or has had, a version by a binding. One without a state is none that a rollout has written.
func isRolledOut(spec *v1beta1.ResourceBindingSpec) bool {
	return (spec.State == v1beta1.BindingStateBound || spec.State == v1beta1.BindingStateUnscheduled) && spec.ResourceSnapshotName != ""
}

// addFinalizer holds a binding until its Works are gone. It is there before the binding is bound, so that it does not get into the
// way of a rollout's writes.
func (c *Controller) addFinalizer(ctx context.Context, binding v1beta1.BindingObject) (bool, error) {
	if reconcile.HasFinalizer(binding, wellknown.WorkCleanupFinalizer) {
		return false, nil
	}
	binding = fleet.Copy(binding)
	reconcile.AddFinalizer(binding, wellknown.WorkCleanupFinalizer)
	updated, err := c.fleet.Bindings.Client(binding.GetNamespace()).Update(ctx, binding, metav1.UpdateOptions{})
	if err != nil {
		return false, fmt.Errorf("adding the finalizer to binding %s: %w", reconcile.KeyOf(binding), err)
	}
	c.wroteBinding(updated)
	return true, nil
}

// report writes what the Works say into the binding, as soon as there is something worth a write.
func (c *Controller) report(ctx context.Context, binding v1beta1.BindingObject, outcome outcome) (time.Duration, error) {
	key := reconcile.KeyOf(binding)
	status := statusOf(binding, outcome, metav1.NewTime(c.clock.Now()).Rfc3339Copy())
	if equality.Semantic.DeepEqual(*binding.BindingStatus(), status) {
		c.waits.forget(key)
		return 0, nil
	}
	if unfinished(binding, status) {
		if left := c.waits.left(key, binding.GetGeneration(), c.clock.Now()); left > 0 {
			return left, nil
		}
	}
	c.announce(binding, status)

	binding = fleet.Copy(binding)
	*binding.BindingStatus() = status
	updated, err := c.fleet.Bindings.Client(key.Namespace).UpdateStatus(ctx, binding, metav1.UpdateOptions{})
	if err != nil {
		return 0, fmt.Errorf("writing the status of binding %s: %w", key, err)
	}
	c.wroteBinding(updated)
	klog.FromContext(ctx).V(2).Info("Binding status written", "cluster", binding.BindingSpec().TargetCluster,
		"generation", binding.GetGeneration(), "summary", summary(status))
	return 0, nil
}

// unfinished reports whether more is about to be said about the binding's generation soon.
func unfinished(binding v1beta1.BindingObject, status v1beta1.ResourceBindingStatus) bool {
	generation := binding.GetGeneration()
	if conditions.Status(status.Conditions, v1beta1.BindingRolloutStarted, generation) == "" {
		return true
	}
	for _, t := range []string{v1beta1.BindingWorkSynchronized, v1beta1.BindingApplied, v1beta1.BindingDiffReported} {
		switch reasonOf(status.Conditions, t) {
		case reasonGoing, reasonApplyInProgress, reasonDiffReportInProgress:
			return true
		}
	}
	return false
}

// announce tells of what only a user can mend.
func (c *Controller) announce(binding v1beta1.BindingObject, status v1beta1.ResourceBindingStatus) {
	for _, t := range []string{v1beta1.BindingOverridden, v1beta1.BindingWorkSynchronized} {
		now, before := find(status.Conditions, t), find(binding.BindingStatus().Conditions, t)
		if now == nil || now.Status != metav1.ConditionFalse || now.Reason == reasonNotBegun || now.Reason == reasonGoing || before != nil && before.Message == now.Message {
			continue
		}
		c.recorder.Event(binding, corev1.EventTypeWarning, now.Reason, now.Message)
	}
}

func (c *Controller) wroteBinding(binding v1beta1.BindingObject) {
	c.written.Wrote(reconcile.KeyOf(binding), c.fleet.Bindings.Cache(binding.GetNamespace()), binding)
}

// wroteWork records a write of a Work that goes with a binding.
func (c *Controller) wroteWork(binding v1beta1.BindingObject, work *v1beta1.Work) {
	c.written.Wrote(reconcile.KeyOf(binding), c.fleet.Works.Informer().GetStore(), work)
}
