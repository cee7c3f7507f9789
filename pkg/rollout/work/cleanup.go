// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	evictionrules "github.com/stagegate/stagegate/pkg/rules/eviction"
)

// cleanUp deletes the Works of a binding that is being deleted, and releases it when they are gone: each that goes is an event.
func (c *Controller) cleanUp(ctx context.Context, binding v1beta1.BindingObject) error {
	if !reconcile.HasFinalizer(binding, wellknown.WorkCleanupFinalizer) {
		return nil
	}
	_, err := c.fleet.MemberClusters.Lister().Get(binding.BindingSpec().TargetCluster)
	// Without its cluster there is nobody who could empty a Work.
	if !apierrors.IsNotFound(err) {
		works, err := c.deleteWorks(ctx, binding)
		if err != nil {
			return err
		}
		if len(works) > 0 {
			return c.tellRemaining(ctx, binding, works)
		}
	}
	key := reconcile.KeyOf(binding)
	binding = fleet.Copy(binding)
	reconcile.RemoveFinalizer(binding, wellknown.WorkCleanupFinalizer)
	updated, err := c.fleet.Bindings.Client(key.Namespace).Update(ctx, binding, metav1.UpdateOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("removing the finalizer of binding %s: %w", key, err)
	}
	c.wroteBinding(updated)
	klog.FromContext(ctx).V(2).Info("Works are gone, binding released", "cluster", binding.BindingSpec().TargetCluster)
	return nil
}

// deleteWorks returns the Works that a binding has still. It asks the API, since a cache may not have the last one yet. All Works
// are marked before the first is deleted: the applier would hand over what one has to another that is about to go as well.
func (c *Controller) deleteWorks(ctx context.Context, binding v1beta1.BindingObject) ([]*v1beta1.Work, error) {
	list, err := c.fleet.Clientset.PlacementV1beta1().Works(wellknown.MemberNamespace(binding.BindingSpec().TargetCluster)).
		List(ctx, metav1.ListOptions{LabelSelector: selectorOf(binding).String()})
	if err != nil {
		return nil, fmt.Errorf("listing the Works of binding %s: %w", reconcile.KeyOf(binding), err)
	}
	if len(list.Items) == 0 {
		return nil, nil
	}
	policy, err := c.fateOf(ctx, binding)
	if err != nil {
		return nil, err
	}
	var works, marked []*v1beta1.Work
	for i := range list.Items {
		works = append(works, &list.Items[i])
		work, err := c.mark(ctx, binding, &list.Items[i], policy)
		switch {
		case err != nil:
			return nil, err
		case work != nil && work.DeletionTimestamp == nil:
			marked = append(marked, work)
		}
	}
	for _, work := range marked {
		if err := c.delete(ctx, work); err != nil {
			return nil, err
		}
	}
	return works, nil
}

// fateOf decides what becomes on the cluster of what was placed there by a binding that is being deleted. It goes where the placement no
// longer picks the cluster or was evicted from it, and with the placement unless that wants it to stay. A cluster that leaves the fleet keeps
// it. Where nothing of this is so, somebody has deleted the binding by itself, which nothing asks for: it stays.
func (c *Controller) fateOf(ctx context.Context, binding v1beta1.BindingObject) (v1beta1.DeletePropagationPolicy, error) {
	if cluster, err := c.fleet.MemberClusters.Lister().Get(binding.BindingSpec().TargetCluster); err == nil && cluster.DeletionTimestamp != nil {
		// That is why the placement picks it no more.
		return v1beta1.DeletePropagationPolicyAbandon, nil
	}
	key := placementOf(binding)
	placement, err := c.fleet.Placements.Get(key)
	if err != nil && !apierrors.IsNotFound(err) {
		return "", err
	}
	isGoing := func() bool { return err == nil && placement.GetDeletionTimestamp() != nil }
	if !isGoing() {
		if binding.BindingSpec().State == v1beta1.BindingStateUnscheduled {
			return v1beta1.DeletePropagationPolicyDelete, nil
		}
		// The cache may lag behind.
		if placement, err = c.fleet.Placements.Client(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return "", fmt.Errorf("reading placement %s: %w", key, err)
		}
	}
	if isGoing() {
		return policyOf(placement), nil
	}
	if evicted, err := c.isEvicted(ctx, binding); err != nil || evicted {
		return v1beta1.DeletePropagationPolicyDelete, err
	}
	if key.Namespace != "" && err == nil {
		namespace, err := c.hub.CoreV1().Namespaces().Get(ctx, key.Namespace, metav1.GetOptions{})
		switch {
		case err != nil && !apierrors.IsNotFound(err):
			return "", fmt.Errorf("reading namespace %s on the hub: %w", key.Namespace, err)
		case err == nil && namespace.DeletionTimestamp != nil:
			// The placement is about to go as well.
			return policyOf(placement), nil
		}
	}
	c.recorder.Eventf(binding, corev1.EventTypeWarning, "ObjectsKept", "The binding was deleted while its placement picks cluster %s: "+
		"what was placed on the cluster stays there", binding.BindingSpec().TargetCluster)
	return v1beta1.DeletePropagationPolicyAbandon, nil
}

// isEvicted reports whether a binding is being deleted by an eviction. The one that it names is asked for, and counts as it is now.
func (c *Controller) isEvicted(ctx context.Context, binding v1beta1.BindingObject) (bool, error) {
	name, _ := evictionrules.MarkedBy(binding)
	if name == "" {
		return false, nil
	}
	eviction, err := c.fleet.Clientset.PlacementV1beta1().ClusterResourcePlacementEvictions().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return false, fmt.Errorf("reading eviction %s of binding %s: %w", name, reconcile.KeyOf(binding), err)
	}
	return evictionrules.Takes(eviction, binding), nil
}

// policyOf is what becomes of what a placement has placed when the placement is deleted.
func policyOf(placement v1beta1.PlacementObject) v1beta1.DeletePropagationPolicy {
	if strategy := placement.PlacementSpec().Strategy.DeleteStrategy; strategy != nil && strategy.PropagationPolicy != "" {
		return strategy.PropagationPolicy
	}
	return v1beta1.DeletePropagationPolicyDelete
}
