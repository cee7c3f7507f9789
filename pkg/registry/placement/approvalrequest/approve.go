// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/rules/approval"
)

// noun names an approval request in messages.
const noun = "approval request"

// Paths returns the storages of a resource of this package: the requests, their guarded status, and the subresources approve and reject.
// The authorizer decides who may use those, the clock dates the decisions.
func Paths(s *store.Storage, authz authorizer.Authorizer, clk clock.PassiveClock) map[string]rest.Storage {
	d := &decider{resource: s.Status.Store.DefaultQualifiedResource, authorizer: authz, clock: clk}
	action := func(decision v1beta1.DecisionType) rest.Storage {
		return store.NewActionREST(s, noun, decidedByAnnotation, &decisionAction{decider: d, decision: decision})
	}
	paths := s.Paths()
	paths["status"] = &StatusREST{StatusREST: s.Status, decider: d}
	paths["approve"] = action(v1beta1.DecisionApproved)
	paths["reject"] = action(v1beta1.DecisionRejected)
	return paths
}

// decisionAction is the action of approve or reject. All verbs take and return an Approval.
type decisionAction struct {
	decider  *decider
	decision v1beta1.DecisionType
}

var _ store.Action[v1beta1.ApprovalRequestObject, *v1beta1.Approval] = &decisionAction{}

// New implements store.Action.
func (d *decisionAction) New() *v1beta1.Approval { return &v1beta1.Approval{} }

// Read returns the decision on an approval request, with an empty status until there is one.
func (d *decisionAction) Read(request v1beta1.ApprovalRequestObject) *v1beta1.Approval {
	tally := approval.Of(request)
	return approvalOf(request, tally, tally.Closing())
}

// Clear implements store.Action.
func (d *decisionAction) Clear(read *v1beta1.Approval) { read.Spec = v1beta1.ApprovalSpec{} }

// Columns implements store.Action.
func (d *decisionAction) Columns() []store.Column[*v1beta1.Approval] { return decisionColumns() }

// Validate adds nothing to the tags of the type.
func (d *decisionAction) Validate(*v1beta1.Approval) field.ErrorList { return nil }

// Do records the decision of the user.
func (d *decisionAction) Do(ctx context.Context, request v1beta1.ApprovalRequestObject, body *v1beta1.Approval) (*v1beta1.Approval, bool, error) {
	comment := body.Spec.Comment
	decided, err := d.decider.decide(ctx, request, decisionRequest{decision: d.decision, message: comment, comment: comment})
	if err != nil {
		return nil, false, err
	}
	tally := approval.Of(request)
	decision := tally.Closing()
	if info, ok := genericapirequest.UserFrom(ctx); ok && decision == nil {
		decision = tally.By(registry.RecordedUser(info), d.decision)
	}
	return approvalOf(request, tally, decision), decided, nil
}

// approvalOf returns the body for a decision, with what is missing while the request is open. A nil decision leaves the rest empty.
func approvalOf(request v1beta1.ApprovalRequestObject, tally approval.Tally, decision *v1beta1.ApprovalDecision) *v1beta1.Approval {
	shown := &v1beta1.Approval{}
	if len(tally.Decisions) > 0 && tally.Closing() == nil {
		shown.Status.Missing = tally.Missing()
	}
	if decision == nil {
		return shown
	}
	decision = decision.DeepCopy()
	shown.Spec.Comment = decision.Comment
	shown.Status.Decision = decision.Decision
	shown.Status.DecidedBy = &decision.User
	shown.Status.DecidedAt = &decision.Time
	shown.Status.AuditID = decision.AuditID
	if condition := meta.FindStatusCondition(request.RequestStatus().Conditions, v1beta1.RequestApproved); condition != nil {
		shown.Status.ObservedGeneration = condition.ObservedGeneration
	}
	return shown
}
