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
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/rules/approval"
)

// decidedByAnnotation is the audit annotation that names the user who decided.
const decidedByAnnotation = v1beta1.GroupName + "/decided-by"

// reasonApprovalsMissing is the reason of an Unknown condition Approved: somebody has approved, and others must.
const reasonApprovalsMissing = "ApprovalsMissing"

// decider decides approval requests. Every way in which a decision comes in ends here.
type decider struct {
	resource   schema.GroupResource
	authorizer authorizer.Authorizer
	clock      clock.PassiveClock
}

// decisionRequest is the decision that a user asks for.
type decisionRequest struct {
	decision v1beta1.DecisionType
	// reason and message are those of the condition Approved. Empty ones get defaults.
	reason, message string
	comment         string
}

// decide records the decision of the user, and reports whether it did: a decision that the user made before stays as it is. It returns a
// conflict if the request is decided, expired or being deleted, and Forbidden if the policy does not count the user's approval.
func (d *decider) decide(ctx context.Context, request v1beta1.ApprovalRequestObject, said decisionRequest) (bool, error) {
	info, err := registry.AuthorizeUpdate(ctx, d.authorizer, d.resource, request, subresourceFor(said.decision))
	if err != nil {
		return false, err
	}
	conflict := func(format string, args ...any) error {
		return apierrors.NewConflict(d.resource, request.GetName(), fmt.Errorf(format, args...))
	}
	if request.GetDeletionTimestamp() != nil {
		return false, conflict("the approval request is being deleted")
	}
	tally := approval.Of(request)
	user := registry.RecordedUser(info, groupsOf(request)...)
	closing, same := tally.Closing(), tally.By(user, said.decision)
	expiry := tally.Expiry()
	switch {
	case closing != nil && (closing.Decision != said.decision || same == nil):
		return false, conflict("already %s by %s at %s", strings.ToLower(string(closing.Decision)), closing.User.Username, closing.Time.UTC().Format(time.RFC3339))
	case closing == nil && !expiry.IsZero() && !d.clock.Now().Before(expiry):
		return false, conflict("expired at %s without the approvals that it takes", expiry.UTC().Format(time.RFC3339))
	case same != nil:
		if said.comment != "" && said.comment != same.Comment {
			warning.AddWarning(ctx, "", fmt.Sprintf("the comment is not recorded: you %s this at %s already, and a decision keeps its first comment",
				strings.ToLower(string(same.Decision)), same.Time.UTC().Format(time.RFC3339)))
		}
		return false, nil
	}
	if said.decision == v1beta1.DecisionApproved {
		if why := tally.Refuses(user); why != "" {
			return false, apierrors.NewForbidden(d.resource, request.GetName(), errors.New(why))
		}
	}
	d.record(ctx, user, request, said)
	return true, nil
}

// record writes the decision and the resulting condition Approved into the status.
func (d *decider) record(ctx context.Context, user v1beta1.DecisionUser, request v1beta1.ApprovalRequestObject, said decisionRequest) {
	now := metav1.NewTime(d.clock.Now()).Rfc3339Copy()
	status := request.RequestStatus()
	status.Decisions = append(approval.Of(request).Decisions, v1beta1.ApprovalDecision{
		Decision:   said.decision,
		User:       user,
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
		condition.Message = fmt.Sprintf("%s by %s", said.decision, user.Username)
	}
	if tally := approval.Of(request); tally.Closing() == nil {
		condition.Status, condition.Reason = metav1.ConditionUnknown, reasonApprovalsMissing
		condition.Message = tally.Missing()
	}
	put(&status.Conditions, condition)
}

// groupsOf returns the groups whose members must approve a request.
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
