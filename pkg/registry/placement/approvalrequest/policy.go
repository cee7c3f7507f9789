// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"slices"
	"time"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/quorum"
)

// policyOf is the policy of an approval request. Without one, a single approval by anybody is enough.
func policyOf(request v1beta1.ApprovalRequestObject) quorum.Policy {
	if policy := request.RequestSpec().Policy; policy != nil {
		return quorum.Policy(*policy)
	}
	return quorum.Policy{}
}

// requesterOf is who created the run, nil where that is not known.
func requesterOf(request v1beta1.ApprovalRequestObject) *quorum.User {
	if requester := request.RequestSpec().Requester; requester != nil {
		user := quorum.User(*requester)
		return &user
	}
	return nil
}

// expiryOf is when an approval request cannot be decided any more, zero for never.
func expiryOf(request v1beta1.ApprovalRequestObject) time.Time {
	return policyOf(request).Expiry(request.GetCreationTimestamp().Time)
}

// decisionsOn are the decisions that the server recorded for this very request.
func decisionsOn(request v1beta1.ApprovalRequestObject) []v1beta1.ApprovalDecision {
	return slices.DeleteFunc(slices.Clone(request.RequestStatus().Decisions), func(d v1beta1.ApprovalDecision) bool {
		return d.RequestUID != request.GetUID()
	})
}

func approversOf(request v1beta1.ApprovalRequestObject) []quorum.User {
	var approvers []quorum.User
	for _, d := range decisionsOn(request) {
		if d.Decision == v1beta1.DecisionApproved {
			approvers = append(approvers, quorum.User(d.User))
		}
	}
	return approvers
}

// decisionOn is the decision that closed an approval request, or nil: the rejection, or the last of the approvals that it takes.
func decisionOn(request v1beta1.ApprovalRequestObject) *v1beta1.ApprovalDecision {
	decisions := decisionsOn(request)
	for i := range decisions {
		if decisions[i].Decision == v1beta1.DecisionRejected {
			return &decisions[i]
		}
	}
	if len(decisions) == 0 || missing(request) != "" {
		return nil
	}
	return &decisions[len(decisions)-1]
}

// decisionOf is what a user has decided, or nil.
func decisionOf(request v1beta1.ApprovalRequestObject, decider v1beta1.DecisionUser, decision v1beta1.DecisionType) *v1beta1.ApprovalDecision {
	decisions := decisionsOn(request)
	for i := range decisions {
		if decisions[i].Decision == decision && quorum.User(decisions[i].User).Is(quorum.User(decider)) {
			return &decisions[i]
		}
	}
	return nil
}

// missing says what the approvals of a request lack, or nothing.
func missing(request v1beta1.ApprovalRequestObject) string {
	return policyOf(request).Missing(requesterOf(request), approversOf(request))
}
