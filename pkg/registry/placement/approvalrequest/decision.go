// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/rules/approval"
)

// decidedByAnnotation is the audit annotation that names who decided, on the request that did.
const decidedByAnnotation = v1beta1.GroupName + "/decided-by"

// reasonApprovalsMissing is the reason of an Unknown condition Approved: somebody has approved, and others have to.
const reasonApprovalsMissing = "ApprovalsMissing"

// gate is the one place where approval requests are decided, whichever way the decision comes in.
type gate struct {
	resource   schema.GroupResource
	authorizer authorizer.Authorizer
	clock      clock.PassiveClock
}

// statement is what a user says about an approval request.
type statement struct {
	decision v1beta1.DecisionType
	// reason and message are those of the condition. Empty ones are filled in.
	reason, message string
	comment         string
}

// decide records what the user of the request says, and reports whether it did. A user who has said the same before leaves it as it
// is. A request that is decided, is being deleted or has expired is a conflict; an approval that the policy does not count is refused.
func (g *gate) decide(ctx context.Context, request v1beta1.ApprovalRequestObject, said statement) (bool, error) {
	info, err := registry.AuthorizeUpdate(ctx, g.authorizer, g.resource, request, subresourceFor(said.decision))
	if err != nil {
		return false, err
	}
	conflict := func(format string, args ...any) error {
		return apierrors.NewConflict(g.resource, request.GetName(), fmt.Errorf(format, args...))
	}
	if request.GetDeletionTimestamp() != nil {
		return false, conflict("the approval request is being deleted")
	}
	tally := approval.Of(request)
	decider := registry.RecordedUser(info, groupsOf(request)...)
	closing, same := tally.Closing(), tally.By(decider, said.decision)
	expiry := tally.Expiry()
	switch {
	case closing != nil && (closing.Decision != said.decision || same == nil):
		return false, conflict("already %s by %s at %s", strings.ToLower(string(closing.Decision)), closing.User.Username, closing.Time.UTC().Format(time.RFC3339))
	case closing == nil && !expiry.IsZero() && !g.clock.Now().Before(expiry):
		return false, conflict("expired at %s without the approvals that it takes", expiry.UTC().Format(time.RFC3339))
	case same != nil:
		return false, nil
	}
	if said.decision == v1beta1.DecisionApproved {
		if why := tally.Refuses(decider); why != "" {
			return false, apierrors.NewForbidden(g.resource, request.GetName(), errors.New(why))
		}
	}
	g.record(ctx, decider, request, said)
	return true, nil
}

// record writes the decision, and the condition that shows how the request stands then, into the status.
func (g *gate) record(ctx context.Context, decider v1beta1.DecisionUser, request v1beta1.ApprovalRequestObject, said statement) {
	now := metav1.NewTime(g.clock.Now()).Rfc3339Copy()
	status := request.RequestStatus()
	status.Decisions = append(approval.Of(request).Decisions, v1beta1.ApprovalDecision{
		Decision:   said.decision,
		User:       decider,
		Time:       now,
		Comment:    said.comment,
		RequestUID: request.GetUID(),
		AuditID:    audit.GetAuditIDTruncated(ctx),
	})

	condition := metav1.Condition{
		Type:               v1beta1.RequestApproved,
		Status:             conditionStatusFor(said.decision),
		ObservedGeneration: request.GetGeneration(),
		LastTransitionTime: now,
		Reason:             said.reason,
		Message:            said.message,
	}
	if condition.Reason == "" {
		condition.Reason = string(said.decision)
	}
	if condition.Message == "" {
		condition.Message = fmt.Sprintf("%s by %s", said.decision, decider.Username)
	}
	if tally := approval.Of(request); tally.Closing() == nil {
		condition.Status, condition.Reason = metav1.ConditionUnknown, reasonApprovalsMissing
		condition.Message = tally.Missing()
	}
	put(&status.Conditions, condition)
}

// groupsOf are the groups that a request asks approvals of.
func groupsOf(request v1beta1.ApprovalRequestObject) []string {
	if policy := request.RequestSpec().Policy; policy != nil {
		return policy.Groups
	}
	return nil
}

func subresourceFor(decision v1beta1.DecisionType) string {
	if decision == v1beta1.DecisionRejected {
		return "reject"
	}
	return "approve"
}

func conditionStatusFor(decision v1beta1.DecisionType) metav1.ConditionStatus {
	if decision == v1beta1.DecisionRejected {
		return metav1.ConditionFalse
	}
	return metav1.ConditionTrue
}

// put replaces the condition of the same type. Unlike meta.SetStatusCondition it takes the time as given.
func put(conditions *[]metav1.Condition, condition metav1.Condition) {
	if existing := meta.FindStatusCondition(*conditions, condition.Type); existing != nil {
		*existing = condition
		return
	}
	*conditions = append(*conditions, condition)
}
