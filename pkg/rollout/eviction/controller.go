// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package eviction

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	placementclient "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/binding"
	"github.com/stagegate/stagegate/pkg/rollout/internal/consistency"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	evictionrules "github.com/stagegate/stagegate/pkg/rules/eviction"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

// Name of the controller.
const Name = "eviction"

// workers is how many evictions are decided at once. With more than one, two that see the same budget could spend it twice.
const workers = 1

// Reasons of Events.
const (
	eventEvicted = "PlacementEvicted"
	eventBlocked = "PlacementEvictionBlocked"
)

// maxEvent is how many bytes of a condition an Event has, which takes 1024 in all.
const maxEvent = 900

// Controller carries out evictions.
type Controller struct {
	fleet    *fleet.Fleet
	recorder record.EventRecorder
	clock    clock.PassiveClock
	queue    *reconcile.Queue
	written  consistency.Store
}

// New makes the controller for one term of leadership.
func New(f *fleet.Fleet, recorder record.EventRecorder, t clock.WithTicker) *Controller {
	c := &Controller{fleet: f, recorder: recorder, clock: t}
	c.queue = reconcile.NewWithClock(Name, workers, c.reconcile, t)
	c.queue.Watch(f.Evictions.Informer(), reconcile.Self)
	f.Bindings.Watch(c.queue, bindingGone)
	return c
}

// Run carries out evictions until the context ends.
func (c *Controller) Run(ctx context.Context) error { return c.queue.Run(ctx) }

// bindingGone wakes the eviction that has deleted a binding, once that is gone.
func bindingGone(oldObj, newObj any) []reconcile.Key {
	if b, ok := oldObj.(v1beta1.BindingObject); ok && newObj == nil && b.GetNamespace() == "" {
		if name, _ := evictionrules.MarkedBy(b); name != "" {
			return []reconcile.Key{{Name: name}}
		}
	}
	return nil
}

func (c *Controller) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	if !c.written.Ready(key) {
		return 0, nil
	}
	cached, err := c.fleet.Evictions.Lister().Get(key.Name)
	if err != nil {
		c.written.Forget(key)
		return 0, reconcile.IgnoreNotFound(err)
	}
	if evictionrules.IsDecided(cached) {
		return c.collect(ctx)
	}
	// It may have been taken back since.
	eviction, err := c.evictions().Get(ctx, key.Name, metav1.GetOptions{})
	if err != nil {
		return 0, reconcile.IgnoreNotFound(err)
	}
	if eviction.DeletionTimestamp != nil || evictionrules.IsDecided(eviction) {
		return 0, nil
	}
	w, err := c.observe(ctx, eviction)
	if err != nil {
		return 0, fmt.Errorf("eviction %s: %w", key.Name, err)
	}
	d := evictionrules.Decide(eviction, w)
	if d.Evict != nil {
		if err := c.evict(ctx, eviction, d.Evict); err != nil {
			return 0, err
		}
	}
	updated, err := c.report(ctx, eviction, d)
	if err != nil {
		return 0, reconcile.IgnoreNotFound(err)
	}
	c.tell(w.Placement, updated, d)
	return 0, nil
}

func (c *Controller) evictions() placementclient.ClusterResourcePlacementEvictionInterface {
	return c.fleet.Clientset.PlacementV1beta1().ClusterResourcePlacementEvictions()
}

// observe asks the API for all that an eviction is decided on, and no cache: one that lags would have a budget allow what has been spent.
func (c *Controller) observe(ctx context.Context, eviction *v1beta1.ClusterResourcePlacementEviction) (evictionrules.World, error) {
	w := evictionrules.World{Now: c.clock.Now()}
	api, name := c.fleet.Clientset.PlacementV1beta1(), eviction.Spec.PlacementName
	placement, err := api.ClusterResourcePlacements().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return w, nil
	}
	if err != nil {
		return w, fmt.Errorf("reading ClusterResourcePlacement %s: %w", name, err)
	}
	w.Placement = placement
	if w.Bindings, err = c.fleet.Bindings.Client("").List(ctx, metav1.ListOptions{LabelSelector: labels.Set{wellknown.ParentPlacementLabel: name}.String()}); err != nil {
		return w, fmt.Errorf("listing the bindings of ClusterResourcePlacement %s: %w", name, err)
	}
	budget, err := api.ClusterResourcePlacementDisruptionBudgets().Get(ctx, name, metav1.GetOptions{})
	switch {
	case err == nil:
		w.Budget = budget
	case !apierrors.IsNotFound(err):
		return w, fmt.Errorf("reading ClusterResourcePlacementDisruptionBudget %s: %w", name, err)
	}
	refusal, err := c.refusal(ctx, placement, eviction.Spec.ClusterName)
	if err != nil {
		return w, err
	}
	w.Refused = func(string) string { return refusal }
	return w, nil
}

// refusal is why rollout policies keep a placement on a cluster, as they keep it from being deleted, or nothing. Admission refuses such an
// eviction; this holds for one that was there before, or came past admission. A cluster that leaves, or has left, the fleet is never kept.
func (c *Controller) refusal(ctx context.Context, placement *v1beta1.ClusterResourcePlacement, cluster string) (string, error) {
	objects, err := c.fleet.Policies.Client("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("listing the ClusterRolloutPolicies: %w", err)
	}
	binding := policy.Binding(policy.NewAll(objects), policy.Subject{PlacementLabels: placement.Labels})
	if len(binding) == 0 {
		return "", nil
	}
	member, err := c.fleet.Clientset.ClusterV1beta1().MemberClusters().Get(ctx, cluster, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && member.DeletionTimestamp != nil {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading MemberCluster %s: %w", cluster, err)
	}
	verdict := policy.JudgeRemoval(binding, placement, []strategy.Cluster{{Name: cluster, Labels: member.Labels}})
	return verdict.Refusal(), nil
}

// evict deletes a binding as it was seen when it was decided, so that what it has placed goes from its cluster. It is marked first: without
// a mark, and the eviction that it names, a binding that is deleted leaves everything where it is. Killed in between, the controller
// decides again.
func (c *Controller) evict(ctx context.Context, eviction *v1beta1.ClusterResourcePlacementEviction, b v1beta1.BindingObject) error {
	client := c.fleet.Bindings.Client(b.GetNamespace())
	if evictionrules.Mark(b, eviction) {
		var err error
		if b, err = client.Update(ctx, b, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("marking a binding for eviction %s: %w", eviction.Name, err)
		}
	}
	if err := binding.Delete(ctx, c.fleet.Bindings, b); err != nil {
		return fmt.Errorf("deleting binding %s for eviction %s: %w", b.GetName(), eviction.Name, err)
	}
	klog.FromContext(ctx).V(2).Info("Placement evicted", "placement", eviction.Spec.PlacementName, "cluster", eviction.Spec.ClusterName)
	return nil
}

func (c *Controller) report(ctx context.Context, eviction *v1beta1.ClusterResourcePlacementEviction, d evictionrules.Decision) (*v1beta1.ClusterResourcePlacementEviction, error) {
	eviction = eviction.DeepCopy()
	for _, condition := range d.Conditions {
		condition.ObservedGeneration, condition.LastTransitionTime = eviction.Generation, metav1.NewTime(c.clock.Now())
		meta.SetStatusCondition(&eviction.Status.Conditions, condition)
	}
	updated, err := c.evictions().UpdateStatus(ctx, eviction, metav1.UpdateOptions{})
	if err != nil {
		return nil, fmt.Errorf("writing the status of eviction %s: %w", eviction.Name, err)
	}
	c.written.Wrote(reconcile.KeyOf(updated), c.fleet.Evictions.Informer().GetStore(), updated)
	return updated, nil
}

// tell has the placement tell that it was evicted, and the eviction that it was not.
func (c *Controller) tell(placement *v1beta1.ClusterResourcePlacement, eviction *v1beta1.ClusterResourcePlacementEviction, d evictionrules.Decision) {
	last := d.Conditions[len(d.Conditions)-1]
	switch {
	case last.Status != metav1.ConditionTrue && last.Type == v1beta1.EvictionValid:
		c.recorder.Event(eviction, corev1.EventTypeWarning, eventBlocked, wording.Shorten(last.Message, maxEvent))
	case last.Status != metav1.ConditionTrue:
		c.recorder.Event(eviction, corev1.EventTypeWarning, eventBlocked, wording.Shorten(
			fmt.Sprintf("ClusterResourcePlacement %s stays on cluster %s: %s", eviction.Spec.PlacementName, eviction.Spec.ClusterName, last.Message), maxEvent))
	case d.Evict != nil:
		c.recorder.Eventf(placement, corev1.EventTypeNormal, eventEvicted, "Eviction %s takes the placement off cluster %s", eviction.Name, eviction.Spec.ClusterName)
	}
}

// collect deletes the evictions that are over for long enough, or of which there are too many, and returns when to look again.
func (c *Controller) collect(ctx context.Context) (time.Duration, error) {
	all, err := c.fleet.Evictions.Lister().List(labels.Everything())
	if err != nil {
		return 0, fmt.Errorf("listing the evictions: %w", err)
	}
	marked := map[string]v1beta1.BindingObject{}
	for _, object := range c.fleet.Bindings.Cache("").List() {
		b := object.(v1beta1.BindingObject)
		if name, _ := evictionrules.MarkedBy(b); name != "" {
			marked[name] = b
		}
	}
	var ended []*v1beta1.ClusterResourcePlacementEviction
	for _, e := range all {
		// The removal of what a binding has placed counts on its eviction.
		b := marked[e.Name]
		if isWorking := b != nil && evictionrules.Takes(e, b); e.DeletionTimestamp == nil && evictionrules.IsDecided(e) && !isWorking {
			ended = append(ended, e)
		}
	}
	expired, next := evictionrules.Collect(ended, c.clock.Now())
	for _, e := range expired {
		err := c.evictions().Delete(ctx, e.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &e.UID}})
		if err := reconcile.IgnoreNotFound(err); err != nil && !apierrors.IsConflict(err) {
			return 0, fmt.Errorf("deleting eviction %s, which is over: %w", e.Name, err)
		}
		klog.FromContext(ctx).V(2).Info("Eviction collected", "eviction", e.Name)
	}
	return next, nil
}
