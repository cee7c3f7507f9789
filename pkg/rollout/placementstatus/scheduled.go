// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
)

const (
	reasonPending          = "SchedulePending"
	reasonInvalidSelectors = "InvalidResourceSelectors"
)

// scheduled sums up the scheduling of a placement. A selection that cannot be made comes first: without it nothing reaches the
// clusters, however well they are picked.
func scheduled(placement v1beta1.PlacementObject, policy v1beta1.PolicySnapshotObject) metav1.Condition {
	condition := metav1.Condition{
		Type:               v1beta1.PlacementConditionType(placement.GetNamespace(), v1beta1.PlacementScheduled),
		Status:             metav1.ConditionUnknown,
		Reason:             reasonPending,
		Message:            "Scheduling has not completed",
		ObservedGeneration: placement.GetGeneration(),
	}
	if decided := decision(placement, policy); decided != nil {
		condition.Status, condition.Reason, condition.Message = decided.Status, decided.Reason, decided.Message
	}
	selection := meta.FindStatusCondition(placement.PlacementStatus().Conditions,
		v1beta1.PlacementConditionType(placement.GetNamespace(), v1beta1.PlacementResourcesSelected))
	if selection == nil || selection.Status != metav1.ConditionFalse {
		return condition
	}
	if selection.Reason == reasonInvalidSelectors {
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, selection.Reason, selection.Message
	} else {
		condition.Message += "; " + selection.Message
	}
	return condition
}

// decision is the Scheduled condition of the policy snapshot, or nil as long as it is not about the placement as it is.
func decision(placement v1beta1.PlacementObject, policy v1beta1.PolicySnapshotObject) *metav1.Condition {
	if policy == nil || policy.PolicySnapshotStatus().ObservedCRPGeneration < placement.GetGeneration() {
		return nil
	}
	decided := conditions.Find(policy.PolicySnapshotStatus().Conditions, v1beta1.PolicySnapshotScheduled, policy.GetGeneration())
	if decided == nil || decided.Status == metav1.ConditionUnknown {
		return nil
	}
	return decided
}
