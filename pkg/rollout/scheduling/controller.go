// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"context"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// Name of the controller.
const Name = "scheduling"

const (
	// workers is how many placements are scheduled at once.
	workers = 4
	// writers is how many bindings of one placement are written at once.
	writers = 16
	// together is how long changes of bindings are collected: most of them are this controller's own, many at a time.
	together = 100 * time.Millisecond
)

// Reasons of the Scheduled condition of a policy snapshot.
const (
	reasonFulfilled   = "SchedulingPolicyFulfilled"
	reasonUnfulfilled = "SchedulingPolicyUnfulfilled"
)

// Controller schedules placements.
type Controller struct {
	fleet    *fleet.Fleet
	recorder record.EventRecorder
	clock    clock.PassiveClock
	queue    *reconcile.Queue
}

// New makes the controller for one term of leadership.
func New(f *fleet.Fleet, recorder record.EventRecorder, c clock.WithTicker) *Controller {
	controller := &Controller{fleet: f, recorder: recorder, clock: c}
	controller.queue = reconcile.NewWithClock(Name, workers, controller.reconcile, c)
	f.Placements.Watch(controller.queue, reconcile.Self)
	f.PolicySnapshots.Watch(controller.queue, reconcile.ByLabel(wellknown.ParentPlacementLabel))
	for _, informer := range f.Bindings.Informers() {
		controller.queue.WatchCoalesced(informer, together, bindingChanged)
	}
	controller.queue.Watch(f.MemberClusters.Informer(), controller.memberChanged)
	return controller
}

// Run schedules until the context ends.
func (c *Controller) Run(ctx context.Context) error { return c.queue.Run(ctx) }

// bindingChanged lets the scheduler sleep through the changes that rolling out makes to a binding.
func bindingChanged(oldObj, newObj any) []reconcile.Key {
	before, wasThere := oldObj.(v1beta1.BindingObject)
	after, isThere := newObj.(v1beta1.BindingObject)
	if wasThere && isThere && before.GetDeletionTimestamp().IsZero() == after.GetDeletionTimestamp().IsZero() &&
		before.BindingSpec().SchedulingPolicySnapshotName == after.BindingSpec().SchedulingPolicySnapshotName &&
		before.BindingSpec().State == after.BindingSpec().State {
		return nil
	}
	return reconcile.ByLabel(wellknown.ParentPlacementLabel)(oldObj, newObj)
}

// memberChanged has every placement scheduled anew when a cluster changes in a way that a policy can see.
func (c *Controller) memberChanged(oldObj, newObj any) []reconcile.Key {
	before, wasThere := oldObj.(*clusterv1beta1.MemberCluster)
	after, isThere := newObj.(*clusterv1beta1.MemberCluster)
	if wasThere && isThere && sameForScheduling(before, after) {
		return nil
	}
	var keys []reconcile.Key
	for _, placement := range c.fleet.Placements.All() {
		keys = append(keys, reconcile.KeyOf(placement))
	}
	return keys
}

func sameForScheduling(a, b *clusterv1beta1.MemberCluster) bool {
	return a.DeletionTimestamp.IsZero() == b.DeletionTimestamp.IsZero() &&
		apiequality.Semantic.DeepEqual(a.Labels, b.Labels) &&
		apiequality.Semantic.DeepEqual(a.Spec.Taints, b.Spec.Taints) &&
		apiequality.Semantic.DeepEqual(a.Status.Properties, b.Status.Properties) &&
		apiequality.Semantic.DeepEqual(a.Status.ResourceUsage, b.Status.ResourceUsage) &&
		sameCondition(a, b, clusterv1beta1.ConditionTypeMemberClusterJoined) &&
		sameCondition(a, b, clusterv1beta1.ConditionTypeMemberClusterHealthy)
}

func sameCondition(a, b *clusterv1beta1.MemberCluster, conditionType string) bool {
	return meta.IsStatusConditionTrue(a.Status.Conditions, conditionType) == meta.IsStatusConditionTrue(b.Status.Conditions, conditionType)
}

func (c *Controller) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	placement, err := c.fleet.Placements.Get(key)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if !placement.GetDeletionTimestamp().IsZero() {
		return 0, c.cleanUp(ctx, placement)
	}
	if claimed := fleet.Copy(placement); reconcile.AddFinalizer(claimed, wellknown.SchedulerCleanupFinalizer) {
		// The write comes back as an event, and with it the rest is done.
		_, err := c.fleet.Placements.Client(key.Namespace).Update(ctx, claimed, metav1.UpdateOptions{})
		return 0, err
	}
	snapshot := c.latestPolicy(placement)
	if snapshot == nil {
		return 0, nil
	}
	return 0, c.schedule(ctx, placement, snapshot)
}

// latestPolicy is the policy snapshot made for the placement as it is, or nil as long as there is none.
func (c *Controller) latestPolicy(placement v1beta1.PlacementObject) v1beta1.PolicySnapshotObject {
	for _, snapshot := range c.fleet.PolicySnapshots.ByIndex(fleet.ByPlacement, reconcile.KeyOf(placement)) {
		if snapshotrules.IsInForce(snapshot) &&
			snapshot.GetAnnotations()[wellknown.PlacementGenerationAnnotation] == strconv.FormatInt(placement.GetGeneration(), 10) {
			return snapshot
		}
	}
	return nil
}

func (c *Controller) schedule(ctx context.Context, placement v1beta1.PlacementObject, snapshot v1beta1.PolicySnapshotObject) error {
	clusters, err := c.fleet.MemberClusters.Lister().List(labels.Everything())
	if err != nil {
		return fmt.Errorf("listing member clusters: %w", err)
	}
	existing := c.fleet.Bindings.ByIndex(fleet.ByPlacement, reconcile.KeyOf(placement))
	held := map[string]bool{}
	for _, binding := range existing {
		spec := binding.BindingSpec()
		if bindingrules.IsPicked(binding) && spec.SchedulingPolicySnapshotName == snapshot.GetName() {
			held[spec.TargetCluster] = true
		}
	}
	result, err := decide(snapshot.PolicySnapshotSpec().Policy, clusters, held, c.clock.Now())
	if err != nil {
		return fmt.Errorf("placement %s: %w", reconcile.KeyOf(placement), err)
	}
	p := planBindings(c.fleet.Bindings, placement, existing, snapshot.GetName(), result.selected)
	// Bindings come before the status: who reads that scheduling is done finds them all.
	if err := c.write(ctx, placement, p); err != nil || p.waiting {
		return err
	}
	return c.report(ctx, placement, snapshot, result)
}

// write carries out a plan, all of it where it can, and joins the errors.
func (c *Controller) write(ctx context.Context, placement v1beta1.PlacementObject, p plan) error {
	client := c.fleet.Bindings.Client(placement.GetNamespace())
	var steps []func() error
	for _, binding := range p.release {
		steps = append(steps, func() error { return c.release(ctx, binding) })
	}
	for _, binding := range p.remove {
		steps = append(steps, func() error {
			return client.Delete(ctx, binding.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: new(binding.GetUID())}})
		})
	}
	for _, binding := range p.update {
		steps = append(steps, func() error {
			_, err := client.Update(ctx, binding, metav1.UpdateOptions{})
			return err
		})
	}
	for _, binding := range p.create {
		steps = append(steps, func() error {
			_, err := client.Create(ctx, binding, metav1.CreateOptions{})
			switch {
			case apierrors.IsAlreadyExists(err):
				// It is ours, and on its way to the cache.
				return nil
			case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
				return nil
			}
			return err
		})
	}
	err := reconcile.InParallel(ctx, writers, len(steps), func(i int) error { return steps[i]() })
	if len(p.create)+len(p.update)+len(p.remove) > 0 {
		klog.FromContext(ctx).V(2).Info("Scheduled", "created", len(p.create), "updated", len(p.update), "removed", len(p.remove))
	}
	return err
}

func (c *Controller) report(ctx context.Context, placement v1beta1.PlacementObject, snapshot v1beta1.PolicySnapshotObject, result outcome) error {
	reported := fleet.Copy(snapshot)
	status := reported.PolicySnapshotStatus()
	status.ObservedCRPGeneration = placement.GetGeneration()
	status.ClusterDecisions = result.decisions()
	status.SelectedClusters = int32(len(result.selected))
	condition := metav1.Condition{
		Type:               v1beta1.PolicySnapshotScheduled,
		Status:             metav1.ConditionTrue,
		Reason:             reasonFulfilled,
		Message:            fmt.Sprintf("found all cluster needed as specified by the scheduling policy, found %d cluster(s)", len(result.selected)),
		ObservedGeneration: snapshot.GetGeneration(),
	}
	if !result.fulfilled {
		condition.Status, condition.Reason = metav1.ConditionFalse, reasonUnfulfilled
		condition.Message = fmt.Sprintf("could not find all clusters needed as specified by the scheduling policy, found %d cluster(s) instead", len(result.selected))
		if result.message != "" {
			condition.Message = result.message
		}
	}
	if nobody := result.nobody(snapshot.PolicySnapshotSpec().Policy); nobody != "" && result.message == "" {
		condition.Message += "; " + nobody
	}
	condition.LastTransitionTime = metav1.NewTime(c.clock.Now())
	if meta.SetStatusCondition(&status.Conditions, condition); apiequality.Semantic.DeepEqual(snapshot, reported) {
		return nil
	}
	if _, err := c.fleet.PolicySnapshots.Client(snapshot.GetNamespace()).UpdateStatus(ctx, reported, metav1.UpdateOptions{}); err != nil {
		return reconcile.IgnoreNotFound(err)
	}
	if condition.Status == metav1.ConditionFalse {
		c.recorder.Event(placement, corev1.EventTypeWarning, reasonUnfulfilled, condition.Message)
	}
	return nil
}

// cleanUp deletes the bindings of a placement that is being deleted, and lets it go when they are gone.
func (c *Controller) cleanUp(ctx context.Context, placement v1beta1.PlacementObject) error {
	if !reconcile.HasFinalizer(placement, wellknown.SchedulerCleanupFinalizer) {
		return nil
	}
	existing := c.fleet.Bindings.ByIndex(fleet.ByPlacement, reconcile.KeyOf(placement))
	if len(existing) > 0 {
		var p plan
		for _, binding := range existing {
			if binding.GetDeletionTimestamp().IsZero() {
				p.remove = append(p.remove, binding)
			} else if reconcile.HasFinalizer(binding, wellknown.SchedulerBindingFinalizer) {
				p.release = append(p.release, binding)
			}
		}
		return c.write(ctx, placement, p)
	}
	released := fleet.Copy(placement)
	reconcile.RemoveFinalizer(released, wellknown.SchedulerCleanupFinalizer)
	_, err := c.fleet.Placements.Client(placement.GetNamespace()).Update(ctx, released, metav1.UpdateOptions{})
	return reconcile.IgnoreNotFound(err)
}

// release lets go of a binding that is being deleted.
func (c *Controller) release(ctx context.Context, binding v1beta1.BindingObject) error {
	released := fleet.Copy(binding)
	reconcile.RemoveFinalizer(released, wellknown.SchedulerBindingFinalizer)
	_, err := c.fleet.Bindings.Client(binding.GetNamespace()).Update(ctx, released, metav1.UpdateOptions{})
	return err
}
