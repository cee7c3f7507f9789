// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
)

// Reasons of the ResourcesSelected condition of a placement.
const (
	// ReasonInvalidSelectors is a selection that the user has to mend.
	ReasonInvalidSelectors = "InvalidResourceSelectors"
	// ReasonIncomplete is a hub of which not everything that is selected can be seen.
	ReasonIncomplete = "ResourcesIncomplete"
	// ReasonNothingSelected is a placement that selects nothing.
	ReasonNothingSelected = wellknown.ReasonNothingSelected
	// ReasonSelectorsFindNothing is a placement that selects something, with some of its selectors only.
	ReasonSelectorsFindNothing = "SelectorsFindNothing"
)

// fail says on the placement, and in an Event, why there is no new snapshot, or nothing in it.
func (c *Controller) fail(ctx context.Context, placement v1beta1.PlacementObject, reason, message string) error {
	return c.report(ctx, placement, metav1.ConditionFalse, reason, message)
}

// warn says on the placement, and in an Event, what of a selection is probably not meant.
func (c *Controller) warn(ctx context.Context, placement v1beta1.PlacementObject, reason, message string) error {
	return c.report(ctx, placement, metav1.ConditionTrue, reason, message)
}

func (c *Controller) report(ctx context.Context, placement v1beta1.PlacementObject, status metav1.ConditionStatus, reason, message string) error {
	changed := fleet.Copy(placement)
	conditionType := v1beta1.PlacementConditionType(placement.GetNamespace(), v1beta1.PlacementResourcesSelected)
	before := meta.FindStatusCondition(placement.PlacementStatus().Conditions, conditionType)
	if !meta.SetStatusCondition(&changed.PlacementStatus().Conditions, metav1.Condition{
		Type:               conditionType,
		Status:             status,
		Reason:             reason,
		Message:            message,
		ObservedGeneration: placement.GetGeneration(),
		LastTransitionTime: metav1.NewTime(c.clock.Now()),
	}) {
		return nil
	}
	if err := c.updateStatus(ctx, changed); err != nil {
		return err
	}
	if before == nil || before.Reason != reason || before.Message != message {
		c.recorder.Event(placement, corev1.EventTypeWarning, reason, message)
	}
	return nil
}

// succeed takes the condition away.
func (c *Controller) succeed(ctx context.Context, placement v1beta1.PlacementObject) error {
	conditionType := v1beta1.PlacementConditionType(placement.GetNamespace(), v1beta1.PlacementResourcesSelected)
	if meta.FindStatusCondition(placement.PlacementStatus().Conditions, conditionType) == nil {
		return nil
	}
	changed := fleet.Copy(placement)
	meta.RemoveStatusCondition(&changed.PlacementStatus().Conditions, conditionType)
	return c.updateStatus(ctx, changed)
}

func (c *Controller) updateStatus(ctx context.Context, placement v1beta1.PlacementObject) error {
	if _, err := c.fleet.Placements.Client(placement.GetNamespace()).UpdateStatus(ctx, placement, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("status of placement %s: %w", nameOf(placement), err)
	}
	return nil
}
