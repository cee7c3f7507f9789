// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// ValidateApprovalRequest returns what is wrong with a new approval request.
func ValidateApprovalRequest(object v1beta1.ApprovalRequestObject) field.ErrorList {
	return validateApprovalPolicy(object.RequestSpec().Policy, specPath.Child("policy"))
}

// ValidateApprovalRequestUpdate refuses to let an approval request ask something else, or ask it for another run: the approvals of one
// run would open the gates of the other.
func ValidateApprovalRequestUpdate(object, old v1beta1.ApprovalRequestObject) field.ErrorList {
	return append(immutable(object.RequestSpec(), old.RequestSpec()), noOwnerAdded(object, old)...)
}

// noOwnerAdded lets owners go, as garbage collection wants it, and none come.
func noOwnerAdded(object, old metav1.Object) field.ErrorList {
	var errs field.ErrorList
	for i, owner := range object.GetOwnerReferences() {
		if !slices.ContainsFunc(old.GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.UID == owner.UID }) {
			errs = append(errs, field.Forbidden(field.NewPath("metadata", "ownerReferences").Index(i),
				"an approval request belongs to the run that made it, and no other owner can be added"))
		}
	}
	return errs
}

// ValidateApprovalRequestStatusUpdate returns what is wrong with an approval request's new status. Who may decide is the
// registry's to ask.
func ValidateApprovalRequestStatusUpdate(object, old v1beta1.ApprovalRequestObject) field.ErrorList {
	return validateConditions(object.RequestStatus().Conditions, old.RequestStatus().Conditions, statusPath.Child("conditions"))
}
