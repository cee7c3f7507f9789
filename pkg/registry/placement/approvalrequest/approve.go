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

// noun is what people call an approval request.
const noun = "approval request"

// Subresources are what stands beside an approval request, by name: the guarded status, approve and reject. The authorizer is
// asked who may decide, the clock says when it was done.
func Subresources(s *store.Storage, authz authorizer.Authorizer, clk clock.PassiveClock) map[string]rest.Storage {
	g := &gate{resource: s.Status.Store.DefaultQualifiedResource, authorizer: authz, clock: clk}
	decide := func(decision v1beta1.DecisionType) rest.Storage {
		return store.NewActionREST(s, noun, decidedByAnnotation, &deciding{gate: g, decision: decision})
	}
	return map[string]rest.Storage{
		"status":  &StatusREST{StatusREST: s.Status, gate: g},
		"approve": decide(v1beta1.DecisionApproved),
		"reject":  decide(v1beta1.DecisionRejected),
	}
}

// deciding is the action of approve or reject. All verbs take and return an Approval.
type deciding struct {
	gate     *gate
	decision v1beta1.DecisionType
}

var _ store.Action[v1beta1.ApprovalRequestObject, *v1beta1.Approval] = &deciding{}

// New implements store.Action.
func (d *deciding) New() *v1beta1.Approval { return &v1beta1.Approval{} }

// Read returns the decision taken on an approval request, with an empty status as long as there is none.
func (d *deciding) Read(request v1beta1.ApprovalRequestObject) *v1beta1.Approval {
	tally := approval.Of(request)
	return approvalOf(request, tally, tally.Closing())
}

// Clear implements store.Action.
func (d *deciding) Clear(read *v1beta1.Approval) { read.Spec = v1beta1.ApprovalSpec{} }

// Columns implements store.Action.
func (d *deciding) Columns() []store.Column[*v1beta1.Approval] { return decisionColumns() }

// Validate has nothing to add to the tags.
func (d *deciding) Validate(*v1beta1.Approval) field.ErrorList { return nil }

// Do decides.
func (d *deciding) Do(ctx context.Context, request v1beta1.ApprovalRequestObject, body *v1beta1.Approval) (*v1beta1.Approval, bool, error) {
	comment := body.Spec.Comment
	decided, err := d.gate.decide(ctx, request, statement{decision: d.decision, message: comment, comment: comment})
	if err != nil {
		return nil, false, err
	}
	tally := approval.Of(request)
	decision := tally.Closing()
	if decider, ok := genericapirequest.UserFrom(ctx); ok && decision == nil {
		decision = tally.By(registry.RecordedUser(decider), d.decision)
	}
	return approvalOf(request, tally, decision), decided, nil
}

// approvalOf shows an approval request as a decision on it.
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
