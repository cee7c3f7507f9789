// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/operation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/util/dryrun"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/scheme"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Subresources are what stands beside an approval request, by name: the guarded status, approve and reject. The authorizer is
// asked who may decide, the clock says when it was done.
func Subresources(s *store.Storage, authz authorizer.Authorizer, clk clock.PassiveClock) map[string]rest.Storage {
	g := &gate{resource: s.Status.Store.DefaultQualifiedResource, authorizer: authz, clock: clk}
	decide := func(decision placement.DecisionType) *DecisionREST {
		return &DecisionREST{TableConvertor: rest.NewDefaultTableConvertor(g.resource), status: s.Status, gate: g, decision: decision}
	}
	return map[string]rest.Storage{
		"status":  &StatusREST{StatusREST: s.Status, gate: g},
		"approve": decide(placement.DecisionApproved),
		"reject":  decide(placement.DecisionRejected),
	}
}

// DecisionREST serves the subresource approve or reject of an approval request: whatever is written decides, and what is read is
// the decision. All verbs take and return an Approval.
type DecisionREST struct {
	rest.TableConvertor
	status   *store.StatusREST
	gate     *gate
	decision placement.DecisionType
}

var (
	_ rest.Storage                        = &DecisionREST{}
	_ rest.Patcher                        = &DecisionREST{}
	_ rest.NamedCreater                   = &DecisionREST{}
	_ rest.TableConvertor                 = &DecisionREST{}
	_ rest.SubresourceObjectMetaPreserver = &DecisionREST{}
)

// New implements rest.Storage.
func (r *DecisionREST) New() runtime.Object { return &placement.Approval{} }

// Destroy does nothing: the store belongs to the approval requests.
func (r *DecisionREST) Destroy() {}

// PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate keeps uid and resourceVersion of the body, which are preconditions.
func (r *DecisionREST) PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate() bool { return true }

// Get returns the decision taken on an approval request, with an empty status as long as there is none.
func (r *DecisionREST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	obj, err := r.status.Get(ctx, name, options)
	if err != nil {
		return nil, err
	}
	request := obj.(placement.ApprovalRequestObject)
	return approvalOf(request, decisionOn(request)), nil
}

// Create decides.
func (r *DecisionREST) Create(ctx context.Context, name string, obj runtime.Object, createValidation rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	approval, ok := obj.(*placement.Approval)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not an Approval: %T", obj))
	}
	return r.decide(ctx, name, &metav1.UpdateOptions{DryRun: options.DryRun}, func(*placement.Approval) (*placement.Approval, error) {
		if createValidation != nil {
			if err := createValidation(ctx, approval.DeepCopyObject()); err != nil {
				return nil, err
			}
		}
		return approval, nil
	})
}

// Update decides, for PUT and PATCH. The object to patch is what Get returns. It never creates an approval request.
func (r *DecisionREST) Update(ctx context.Context, name string, objInfo rest.UpdatedObjectInfo, _ rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	result, err := r.decide(ctx, name, options, func(current *placement.Approval) (*placement.Approval, error) {
		obj, err := objInfo.UpdatedObject(ctx, current.DeepCopyObject())
		if err != nil {
			return nil, err
		}
		approval, ok := obj.(*placement.Approval)
		if !ok {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("not an Approval: %T", obj))
		}
		if updateValidation != nil {
			if err := updateValidation(ctx, approval.DeepCopyObject(), current); err != nil {
				return nil, err
			}
		}
		return approval, nil
	})
	return result, false, err
}

// decide takes the decision in one write of the request's status; submitted makes the Approval out of the current one.
func (r *DecisionREST) decide(ctx context.Context, name string, options *metav1.UpdateOptions, submitted func(current *placement.Approval) (*placement.Approval, error)) (runtime.Object, error) {
	decided := false
	same := r.gate.sameRequest()
	transform := func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		request := old.DeepCopyObject().(placement.ApprovalRequestObject)
		if err := same(request); err != nil {
			return nil, err
		}
		approval, err := submitted(approvalOf(request, decisionOn(request)))
		if err != nil {
			return nil, err
		}
		if err := r.validate(ctx, approval, request); err != nil {
			return nil, err
		}
		comment := approval.Spec.Comment
		decided, err = r.gate.decide(ctx, request, statement{decision: r.decision, message: comment, comment: comment})
		return request, err
	}
	result, _, err := r.status.Update(asStatusWrite(ctx), name, rest.DefaultUpdatedObjectInfo(nil, transform), nil, nil, false, options)
	if err != nil {
		return nil, err
	}
	if decided {
		annotateDecision(ctx, options.DryRun)
	}
	request := result.(placement.ApprovalRequestObject)
	decision := decisionOn(request)
	if decider, ok := genericapirequest.UserFrom(ctx); ok && decision == nil {
		decision = decisionOf(request, registry.RecordedUser(decider), r.decision)
	}
	return approvalOf(request, decision), nil
}

// validate checks what the body says about the approval request, then the body itself.
func (r *DecisionREST) validate(ctx context.Context, approval *placement.Approval, request placement.ApprovalRequestObject) error {
	conflict := func(what string, given, actual any) error {
		return r.gate.conflict(request, fmt.Errorf("the %s in the precondition (%v) does not match the %s in record (%v)", what, given, what, actual))
	}
	switch {
	case approval.Name != "" && approval.Name != request.GetName():
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", approval.Name, request.GetName()))
	case approval.UID != "" && approval.UID != request.GetUID():
		return conflict("uid", approval.UID, request.GetUID())
	case approval.ResourceVersion != "" && approval.ResourceVersion != request.GetResourceVersion():
		return conflict("resourceVersion", approval.ResourceVersion, request.GetResourceVersion())
	}
	declarative := rest.DeclarativeValidation{Scheme: scheme.Scheme}
	errs := declarative.ValidateDeclaratively(ctx, approval, nil, nil, operation.Create, rest.DeclarativeValidationConfig{})
	if len(errs) > 0 {
		return apierrors.NewInvalid(placement.SchemeGroupVersion.WithKind("Approval").GroupKind(), request.GetName(), errs)
	}
	return nil
}

// approvalOf shows an approval request as a decision on it. Without the metadata a patch would take the Approval for absent.
func approvalOf(request placement.ApprovalRequestObject, decision *placement.ApprovalDecision) *placement.Approval {
	approval := &placement.Approval{ObjectMeta: metav1.ObjectMeta{
		Name:            request.GetName(),
		Namespace:       request.GetNamespace(),
		UID:             request.GetUID(),
		ResourceVersion: request.GetResourceVersion(),
	}}
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

// asStatusWrite presents the write of a decision as what it is to the approval request: its status is written. Generated validation
// goes by the subresource in the request.
func asStatusWrite(ctx context.Context) context.Context {
	info, ok := genericapirequest.RequestInfoFrom(ctx)
	if !ok {
		return ctx
	}
	status := *info
	status.Subresource = "status"
	return genericapirequest.WithRequestInfo(ctx, &status)
}

// annotateDecision names the decider in the audit event, unless nothing was stored.
func annotateDecision(ctx context.Context, dryRun []string) {
	if decider, ok := genericapirequest.UserFrom(ctx); ok && !dryrun.IsDryRun(dryRun) {
		audit.AddAuditAnnotation(ctx, decidedByAnnotation, decider.GetName())
	}
}
