// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// cleanUp deletes the Works of a binding that is being deleted, and releases it when they are gone: each that goes is an event.
func (c *Controller) cleanUp(ctx context.Context, binding v1beta1.BindingObject) error {
	if !slices.Contains(binding.GetFinalizers(), wellknown.WorkCleanupFinalizer) {
		return nil
	}
	_, err := c.fleet.MemberClusters.Lister().Get(binding.BindingSpec().TargetCluster)
	// Without its cluster there is nobody who could empty a Work.
	if !apierrors.IsNotFound(err) {
		if gone, err := c.deleteWorks(ctx, binding); err != nil || !gone {
			return err
		}
	}
	key := reconcile.KeyOf(binding)
	binding = fleet.Copy(binding)
	binding.SetFinalizers(slices.DeleteFunc(binding.GetFinalizers(), func(f string) bool { return f == wellknown.WorkCleanupFinalizer }))
	updated, err := c.fleet.Bindings.Client(key.Namespace).Update(ctx, binding, metav1.UpdateOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("removing the finalizer of binding %s: %w", key, err)
	}
	c.written.note(bindingID(key), updated.GetResourceVersion())
	klog.FromContext(ctx).V(2).Info("Works are gone, binding released", "cluster", binding.BindingSpec().TargetCluster)
	return nil
}

// deleteWorks says whether a binding has no Works any more. It asks the API, since a cache may not have the last one yet.
func (c *Controller) deleteWorks(ctx context.Context, binding v1beta1.BindingObject) (bool, error) {
	works, err := c.worksOf(binding)
	if err != nil {
		return false, err
	}
	if len(works) == 0 {
		list, err := c.fleet.Clientset.PlacementV1beta1().Works(wellknown.MemberNamespace(binding.BindingSpec().TargetCluster)).
			List(ctx, metav1.ListOptions{LabelSelector: selectorOf(binding).String()})
		if err != nil {
			return false, fmt.Errorf("listing the Works of binding %s: %w", reconcile.KeyOf(binding), err)
		}
		for i := range list.Items {
			works = append(works, &list.Items[i])
		}
	}
	for _, work := range works {
		if work.DeletionTimestamp != nil {
			continue
		}
		if err := c.abandon(ctx, binding, work); err != nil {
			return false, err
		}
		if err := c.delete(ctx, work); err != nil {
			return false, err
		}
	}
	return len(works) == 0, nil
}

// abandon has a Work leave on the member what was applied for it, where its placement is deleted and wants that.
func (c *Controller) abandon(ctx context.Context, binding v1beta1.BindingObject, work *v1beta1.Work) error {
	placement, err := c.fleet.Placements.Get(placementOf(binding))
	if err != nil || placement.GetDeletionTimestamp() == nil {
		return nil
	}
	strategy := placement.PlacementSpec().Strategy.DeleteStrategy
	if strategy == nil || strategy.PropagationPolicy != v1beta1.DeletePropagationPolicyAbandon {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{wellknown.DeletePropagationAnnotation: string(v1beta1.DeletePropagationPolicyAbandon)},
	}})
	if err != nil {
		return err
	}
	_, err = c.fleet.Clientset.PlacementV1beta1().Works(work.Namespace).Patch(ctx, work.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("having Work %s leave its objects: %w", reconcile.KeyOf(work), err)
	}
	return nil
}
