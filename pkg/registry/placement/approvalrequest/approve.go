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

	"github.com/stagegate/stagegate/pkg/apis/placement"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// noun is what people call an approval request.
const noun = "approval request"

// Subresources are what stands beside an approval request, by name: the guarded status, approve and reject. The authorizer is
// asked who may decide, the clock says when it was done.
func Subresources(s *store.Storage, authz authorizer.Authorizer, clk clock.PassiveClock) map[string]rest.Storage {
	g := &gate{resource: s.Status.Store.DefaultQualifiedResource, authorizer: authz, clock: clk}
	decide := func(decision placement.DecisionType) rest.Storage {
		return store.NewActionREST(s, noun, decidedByAnnotation, &deciding{gate: g, decision: decision})
	}
	return map[string]rest.Storage{
		"status":  &StatusREST{StatusREST: s.Status, gate: g},
		"approve": decide(placement.DecisionApproved),
		"reject":  decide(placement.DecisionRejected),
	}
}

// deciding is the action of approve or reject. All verbs take and return an Approval.
type deciding struct {
	gate     *gate
	decision placement.DecisionType
}

var _ store.Action[placement.ApprovalRequestObject, *placement.Approval] = &deciding{}

// New implements store.Action.
func (d *deciding) New() *placement.Approval { return &placement.Approval{} }

// Read returns the decision taken on an approval request, with an empty status as long as there is none.
func (d *deciding) Read(request placement.ApprovalRequestObject) *placement.Approval {
	return approvalOf(request, decisionOn(request))
}

// Clear implements store.Action.
func (d *deciding) Clear(read *placement.Approval) { read.Spec = placement.ApprovalSpec{} }

// Columns implements store.Action.
func (d *deciding) Columns() []store.Column[*placement.Approval] { return decisionColumns() }

// Validate has nothing to add to the tags.
func (d *deciding) Validate(*placement.Approval) field.ErrorList { return nil }

// Do decides.
func (d *deciding) Do(ctx context.Context, request placement.ApprovalRequestObject, approval *placement.Approval) (*placement.Approval, bool, error) {
	comment := approval.Spec.Comment
	decided, err := d.gate.decide(ctx, request, statement{decision: d.decision, message: comment, comment: comment})
	if err != nil {
		return nil, false, err
	}
	decision := decisionOn(request)
	if decider, ok := genericapirequest.UserFrom(ctx); ok && decision == nil {
		decision = decisionOf(request, registry.RecordedUser(decider), d.decision)
	}
	return approvalOf(request, decision), decided, nil
}

// approvalOf shows an approval request as a decision on it.
func approvalOf(request placement.ApprovalRequestObject, decision *placement.ApprovalDecision) *placement.Approval {
	approval := &placement.Approval{}
	if len(decisionsOn(request)) > 0 && decisionOn(request) == nil {
		approval.Status.Missing = missing(request)
	}
	if decision == nil {
		return approval
	}
	decision = decision.DeepCopy()
	approval.Spec.Comment = decision.Comment
	approval.Status.Decision = decision.Decision
	approval.Status.DecidedBy = &decision.User
	approval.Status.DecidedAt = &decision.Time
	approval.Status.AuditID = decision.AuditID
	if condition := meta.FindStatusCondition(request.RequestStatus().Conditions, placement.RequestApproved); condition != nil {
		approval.Status.ObservedGeneration = condition.ObservedGeneration
	}
	return approval
}
