// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
)

// maxRemaining bounds what a binding says of what its cluster has still, in bytes.
const maxRemaining = 1 << 10

// maxWhy bounds what a binding says of why nothing can be removed, in bytes: what to do about it follows.
const maxWhy = 256

// away is what a removal waits for where nothing can be done on the cluster. It goes before what the Works said last, with the time of what the
// binding says already.
func away(binding v1beta1.BindingObject, unreachable string, said *metav1.Condition, now metav1.Time) *metav1.Condition {
	c := &metav1.Condition{
		Type: v1beta1.BindingObjectsRemaining, Status: metav1.ConditionTrue, Reason: wellknown.ReasonClusterUnreachable, LastTransitionTime: now,
		Message: fmt.Sprintf("%s; the removal goes on when that is mended, and what is on the cluster stays there if MemberCluster %s is deleted",
			wording.Shorten(unreachable, maxWhy), binding.BindingSpec().TargetCluster),
	}
	if said != nil {
		c.Message = wording.Shorten(c.Message+"; "+said.Message, maxRemaining)
	}
	if before := find(binding.BindingStatus().Conditions, c.Type); before != nil {
		c.LastTransitionTime = before.LastTransitionTime
	}
	return c
}

// objectsRemaining sums up what the Works wait for that is to go from the cluster, nil where that is nothing.
func objectsRemaining(works []*v1beta1.Work) *metav1.Condition {
	var sum *metav1.Condition
	var messages []string
	for _, work := range works {
		if !conditions.IsTrue(work.Status.Conditions, v1beta1.WorkObjectsRemaining, work.Generation) {
			continue
		}
		c := find(work.Status.Conditions, v1beta1.WorkObjectsRemaining)
		messages = append(messages, c.Message)
		if sum == nil || c.LastTransitionTime.Before(&sum.LastTransitionTime) {
			sum = &metav1.Condition{Type: v1beta1.BindingObjectsRemaining, Status: metav1.ConditionTrue, Reason: c.Reason, LastTransitionTime: c.LastTransitionTime}
		}
	}
	if sum != nil {
		sum.Message = wording.Shorten(strings.Join(messages, "; "), maxRemaining)
	}
	return sum
}

// tellRemaining says in a binding that is being deleted what its Works wait for. The rest of its status is of no use any more, and stays.
func (c *Controller) tellRemaining(ctx context.Context, binding v1beta1.BindingObject, works []*v1beta1.Work) error {
	key := reconcile.KeyOf(binding)
	changed := fleet.Copy(binding)
	status := changed.BindingStatus()
	meta.RemoveStatusCondition(&status.Conditions, v1beta1.BindingObjectsRemaining)
	remaining := objectsRemaining(works)
	cluster, err := c.fleet.MemberClusters.Lister().Get(binding.BindingSpec().TargetCluster)
	if err == nil && unreachable(cluster) != "" {
		remaining = away(binding, unreachable(cluster), remaining, metav1.NewTime(c.clock.Now()).Rfc3339Copy())
	}
	if remaining != nil {
		remaining.ObservedGeneration = binding.GetGeneration()
		status.Conditions = append(status.Conditions, *remaining)
	}
	if equality.Semantic.DeepEqual(binding.BindingStatus(), status) {
		return nil
	}
	updated, err := c.fleet.Bindings.Client(key.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if err != nil {
		return reconcile.IgnoreNotFound(fmt.Errorf("writing the status of binding %s: %w", key, err))
	}
	c.wroteBinding(updated)
	return nil
}
