// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
)

// What is to go from a cluster may be held there. The placement says which cluster and which object that is: while it is being deleted,
// when it does not pick the cluster any more, and when a version lacks the object.

const (
	// maxHeld is how many clusters are named, and maxHeldMessage how many bytes each may have for what it says.
	maxHeld        = 10
	maxHeldMessage = 512

	// eventRemaining is the reason of the Event that tells of objects which are held, once for each time that there are some.
	eventRemaining = "ObjectsRemaining"
)

// setRemaining says in a status what clusters have still that is to go, or nothing.
func setRemaining(placement v1beta1.PlacementObject, status *v1beta1.PlacementStatus, bindings []v1beta1.BindingObject, now metav1.Time) {
	conditionType := v1beta1.PlacementConditionType(placement.GetNamespace(), v1beta1.PlacementObjectsRemaining)
	reason, message := remaining(bindings)
	if message == "" {
		conditions.Remove(&status.Conditions, conditionType)
		return
	}
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: conditionType, Status: metav1.ConditionTrue, Reason: reason, Message: message,
		ObservedGeneration: placement.GetGeneration(), LastTransitionTime: now,
	})
}

// remaining sums up what the clusters of bindings have still, with the reason of the first; nothing where that is nothing.
func remaining(bindings []v1beta1.BindingObject) (reason, message string) {
	var held []v1beta1.BindingObject
	for _, b := range bindings {
		if conditions.IsTrue(b.BindingStatus().Conditions, v1beta1.BindingObjectsRemaining, b.GetGeneration()) {
			held = append(held, b)
		}
	}
	if len(held) == 0 {
		return "", ""
	}
	slices.SortFunc(held, func(a, b v1beta1.BindingObject) int {
		return cmp.Compare(a.BindingSpec().TargetCluster, b.BindingSpec().TargetCluster)
	})
	var clusters []string
	for _, b := range held[:min(len(held), maxHeld)] {
		c := meta.FindStatusCondition(b.BindingStatus().Conditions, v1beta1.BindingObjectsRemaining)
		reason = cmp.Or(reason, c.Reason)
		clusters = append(clusters, fmt.Sprintf("cluster %s: %s", b.BindingSpec().TargetCluster, wording.Shorten(c.Message, maxHeldMessage)))
	}
	return reason, "The removal waits for " + wording.Clauses(clusters, len(held))
}

// leave says in a placement that is being deleted what its deletion waits for. The rest of its status stays as it was.
func (c *Controller) leave(ctx context.Context, placement v1beta1.PlacementObject) (time.Duration, error) {
	key := reconcile.KeyOf(placement)
	start := time.Now()
	status := placement.PlacementStatus().DeepCopy()
	setRemaining(placement, status, c.fleet.Bindings.ByIndex(fleet.ByPlacement, key), metav1.Now())
	if same(placement.PlacementStatus(), status) {
		return 0, nil
	}
	if left := c.pace.Left(key, start); left > 0 {
		return left, nil
	}
	if err := c.write(ctx, placement, status); err != nil {
		return 0, reconcile.IgnoreNotFound(err)
	}
	c.pace.Worked(key, start, time.Now())
	c.tellRemaining(placement, status)
	return 0, nil
}

// tellRemaining tells in an Event that objects are held which are to go, once they are.
func (c *Controller) tellRemaining(before v1beta1.PlacementObject, after *v1beta1.PlacementStatus) {
	conditionType := v1beta1.PlacementConditionType(before.GetNamespace(), v1beta1.PlacementObjectsRemaining)
	now := meta.FindStatusCondition(after.Conditions, conditionType)
	if now == nil || meta.IsStatusConditionTrue(before.PlacementStatus().Conditions, conditionType) {
		return
	}
	c.recorder.Event(before, corev1.EventTypeWarning, eventRemaining, wording.Shorten(now.Message, maxEvent))
}

// maxEvent is how many bytes the API takes in the message of an Event.
const maxEvent = 1 << 10
