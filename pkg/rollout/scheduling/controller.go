// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	bindings "github.com/stagegate/stagegate/pkg/rollout/internal/binding"
	"github.com/stagegate/stagegate/pkg/rollout/internal/consistency"
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
	// together is how long changes of bindings are collected: most of them are this controller's own, many at a time.
	together = 100 * time.Millisecond
)

// maxValueShown is how much of an annotation a message shows.
const maxValueShown = 64

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
	// written are the bindings of a placement that the cache has yet to get.
	written consistency.Store
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

func (c *Controller) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	placement, err := c.fleet.Placements.Get(key)
	if apierrors.IsNotFound(err) {
		c.written.Forget(key)
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
	key := reconcile.KeyOf(placement)
	if !c.written.Ready(key) {
		// What is picked already is counted on bindings that the cache has yet to get.
		return nil
	}
	clusters, err := c.fleet.MemberClusters.Lister().List(labels.Everything())
	if err != nil {
		return fmt.Errorf("listing member clusters: %w", err)
	}
	number, err := numberOfClusters(snapshot)
	if err != nil {
		// Which clusters are too many is not known, so that all stay.
		return c.reportUnreadable(ctx, placement, snapshot, err)
	}
	existing := c.fleet.Bindings.ByIndex(fleet.ByPlacement, key)
	result := decide(request{
		policy: snapshot.PolicySnapshotSpec().Policy, number: number, namespace: key.Namespace, clusters: clusters,
		placed: places(existing, c.sameChoice(placement, snapshot)), now: c.clock.Now(),
	})
	p := planBindings(c.fleet.Bindings, placement, existing, snapshot.GetName(), result.selected)
	if err := c.confirm(ctx, placement, snapshot, clusters, p.unschedule); err != nil {
		return err
	}
	// Bindings come before the status: who reads that scheduling is done finds them all.
	if err := c.write(ctx, placement, p); err != nil || p.waiting {
		return err
	}
	return c.report(ctx, placement, snapshot, result)
}

// numberOfClusters returns how many clusters a policy snapshot of PickN picks.
func numberOfClusters(snapshot v1beta1.PolicySnapshotObject) (int, error) {
	if placementType(snapshot.PolicySnapshotSpec().Policy) != v1beta1.PickNPlacementType {
		return 0, nil
	}
	value := snapshot.GetAnnotations()[wellknown.NumberOfClustersAnnotation]
	number, err := strconv.ParseInt(value, 10, 32)
	if err != nil || number < 0 {
		return 0, fmt.Errorf("the annotation %s of policy snapshot %s is %q, which is no number of clusters: the picked clusters stay; "+
			"set it to spec.policy.numberOfClusters of the placement",
			wellknown.NumberOfClustersAnnotation, snapshot.GetName(), wording.Shorten(value, maxValueShown))
	}
	return int(number), nil
}

// sameChoice returns the policy snapshots of a placement that choose as the given one does: tolerations only let more clusters in, so that adding one
// moves nothing.
func (c *Controller) sameChoice(placement v1beta1.PlacementObject, snapshot v1beta1.PolicySnapshotObject) sets.Set[string] {
	same := sets.New(snapshot.GetName())
	for _, other := range c.fleet.PolicySnapshots.ByIndex(fleet.ByPlacement, reconcile.KeyOf(placement)) {
		if choosesAlike(other.PolicySnapshotSpec().Policy, snapshot.PolicySnapshotSpec().Policy) {
			same.Insert(other.GetName())
		}
	}
	return same
}

func choosesAlike(a, b *v1beta1.PlacementPolicy) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.Tolerations, y.Tolerations = nil, nil
	return apiequality.Semantic.DeepEqual(x, y)
}

// places tells what each cluster has of a placement.
func places(bindings []v1beta1.BindingObject, current sets.Set[string]) map[string]place {
	placed := make(map[string]place, len(bindings))
	for _, binding := range bindings {
		if !binding.GetDeletionTimestamp().IsZero() {
			continue
		}
		spec := binding.BindingSpec()
		p := placed[spec.TargetCluster]
		if bindingrules.IsPicked(binding) {
			p.picked = true
			if current.Has(spec.SchedulingPolicySnapshotName) {
				p.current = true
				if score := spec.ClusterDecision.ClusterScore; score != nil {
					p.spread = score.TopologySpreadScore
				}
			}
		}
		p.rolledOut = p.rolledOut || !neverRolledOut(binding)
		placed[spec.TargetCluster] = p
	}
	return placed
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
			return reconcile.IgnoreNotFound(bindings.Delete(ctx, c.fleet.Bindings, binding))
		})
	}
	for _, binding := range p.update {
		steps = append(steps, func() error {
			updated, err := client.Update(ctx, binding, metav1.UpdateOptions{})
			if err == nil {
				c.wrote(placement, updated)
			}
			return err
		})
	}
	for _, binding := range p.create {
		steps = append(steps, func() error {
			created, err := client.Create(ctx, binding, metav1.CreateOptions{})
			switch {
			case err == nil:
				c.wrote(placement, created)
			case apierrors.IsAlreadyExists(err):
				// It is ours, and on its way to the cache.
				return nil
			case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
				return nil
			}
			return err
		})
	}
	err := reconcile.FanOut(ctx, len(steps), func(i int) error { return steps[i]() })
	if len(p.create)+len(p.update)+len(p.remove) > 0 {
		klog.FromContext(ctx).V(2).Info("Scheduled", "created", len(p.create), "updated", len(p.update), "removed", len(p.remove))
	}
	return err
}

func (c *Controller) wrote(placement v1beta1.PlacementObject, binding v1beta1.BindingObject) {
	c.written.Wrote(reconcile.KeyOf(placement), c.fleet.Bindings.Cache(binding.GetNamespace()), binding)
}

func (c *Controller) report(ctx context.Context, placement v1beta1.PlacementObject, snapshot v1beta1.PolicySnapshotObject, result outcome) error {
	condition := metav1.Condition{
		Status:  metav1.ConditionTrue,
		Reason:  reasonFulfilled,
		Message: fmt.Sprintf("found all cluster needed as specified by the scheduling policy, found %d cluster(s)", len(result.selected)),
	}
	if !result.fulfilled {
		condition.Status, condition.Reason = metav1.ConditionFalse, reasonUnfulfilled
		condition.Message = fmt.Sprintf("could not find all clusters needed as specified by the scheduling policy, found %d cluster(s) instead", len(result.selected))
		if len(result.selected) > 0 && len(result.unselected) > 0 {
			condition.Message += "; the reasons of the others are in placementStatuses of the placement's status"
		}
	}
	if nobody := result.nobody(snapshot.PolicySnapshotSpec().Policy); nobody != "" {
		condition.Message += "; " + nobody
	}
	return c.writeStatus(ctx, placement, snapshot, condition, func(status *v1beta1.SchedulingPolicySnapshotStatus) {
		status.ObservedCRPGeneration = placement.GetGeneration()
		status.SelectedClusters = int32(len(result.selected))
		if decisions := result.decisions(); !sameDecisions(status.ClusterDecisions, decisions) {
			status.ClusterDecisions = decisions
		}
	})
}

// reportUnreadable tells why nothing is decided. The decisions that there are stay.
func (c *Controller) reportUnreadable(ctx context.Context, placement v1beta1.PlacementObject, snapshot v1beta1.PolicySnapshotObject, why error) error {
	condition := metav1.Condition{Status: metav1.ConditionFalse, Reason: reasonUnfulfilled, Message: why.Error()}
	return c.writeStatus(ctx, placement, snapshot, condition, func(status *v1beta1.SchedulingPolicySnapshotStatus) {
		status.ObservedCRPGeneration = placement.GetGeneration()
	})
}

func (c *Controller) writeStatus(ctx context.Context, placement v1beta1.PlacementObject, snapshot v1beta1.PolicySnapshotObject, condition metav1.Condition, change func(*v1beta1.SchedulingPolicySnapshotStatus)) error {
	condition.Type, condition.ObservedGeneration = v1beta1.PolicySnapshotScheduled, snapshot.GetGeneration()
	condition.LastTransitionTime = metav1.NewTime(c.clock.Now())
	reported := fleet.Copy(snapshot)
	status := reported.PolicySnapshotStatus()
	change(status)
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

// sameDecisions reports whether decisions differ at most in times that pass by themselves: they are worth no write.
func sameDecisions(a, b []v1beta1.ClusterDecision) bool {
	return slices.EqualFunc(a, b, func(a, b v1beta1.ClusterDecision) bool {
		a.Reason, b.Reason = withoutTime(a.Reason), withoutTime(b.Reason)
		return apiequality.Semantic.DeepEqual(a, b)
	})
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
