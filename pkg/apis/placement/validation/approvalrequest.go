// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement"
)

// ValidateApprovalRequest returns what is wrong with a new approval request.
func ValidateApprovalRequest(object placement.ApprovalRequestObject) field.ErrorList {
	return validateApprovalPolicy(object.RequestSpec().Policy, specPath.Child("policy"))
}

// ValidateApprovalRequestUpdate refuses to let an approval request ask something else.
func ValidateApprovalRequestUpdate(object, old placement.ApprovalRequestObject) field.ErrorList {
	return immutable(object.RequestSpec(), old.RequestSpec())
}

// ValidateApprovalRequestStatusUpdate returns what is wrong with an approval request's new status. Who may decide is the
// registry's to ask.
func ValidateApprovalRequestStatusUpdate(object, old placement.ApprovalRequestObject) field.ErrorList {
	return validateConditions(object.RequestStatus().Conditions, old.RequestStatus().Conditions, statusPath.Child("conditions"))
}
