// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"slices"
	"time"

	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/quorum"
)

// policyOf is the policy of an approval request. Without one, a single approval by anybody is enough.
func policyOf(request placement.ApprovalRequestObject) quorum.Policy {
	if policy := request.RequestSpec().Policy; policy != nil {
		return quorum.Policy(*policy)
	}
	return quorum.Policy{}
}

// requesterOf is who created the run, nil where that is not known.
func requesterOf(request placement.ApprovalRequestObject) *quorum.User {
	if requester := request.RequestSpec().Requester; requester != nil {
		user := quorum.User(*requester)
		return &user
	}
	return nil
}

// expiryOf is when an approval request cannot be decided any more, zero for never.
func expiryOf(request placement.ApprovalRequestObject) time.Time {
	return policyOf(request).Expiry(request.GetCreationTimestamp().Time)
}

// decisionsOn are the decisions that the server recorded for this very request.
func decisionsOn(request placement.ApprovalRequestObject) []placement.ApprovalDecision {
	return slices.DeleteFunc(slices.Clone(request.RequestStatus().Decisions), func(d placement.ApprovalDecision) bool {
		return d.RequestUID != request.GetUID()
	})
}

func approversOf(request placement.ApprovalRequestObject) []quorum.User {
	var approvers []quorum.User
	for _, d := range decisionsOn(request) {
		if d.Decision == placement.DecisionApproved {
			approvers = append(approvers, quorum.User(d.User))
		}
	}
	return approvers
}

// decisionOn is the decision that closed an approval request, or nil: the rejection, or the last of the approvals that it takes.
func decisionOn(request placement.ApprovalRequestObject) *placement.ApprovalDecision {
	decisions := decisionsOn(request)
	for i := range decisions {
		if decisions[i].Decision == placement.DecisionRejected {
			return &decisions[i]
		}
	}
	if len(decisions) == 0 || missing(request) != "" {
		return nil
	}
	return &decisions[len(decisions)-1]
}

// decisionOf is what a user has decided, or nil.
func decisionOf(request placement.ApprovalRequestObject, decider placement.DecisionUser, decision placement.DecisionType) *placement.ApprovalDecision {
	decisions := decisionsOn(request)
	for i := range decisions {
		if decisions[i].Decision == decision && quorum.User(decisions[i].User).Is(quorum.User(decider)) {
			return &decisions[i]
		}
	}
	return nil
}

// missing says what the approvals of a request lack, or nothing.
func missing(request placement.ApprovalRequestObject) string {
	return policyOf(request).Missing(requesterOf(request), approversOf(request))
}
