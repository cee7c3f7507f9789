// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"context"
	"errors"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// StatusREST serves the status of approval requests. It is not a way around the subresources approve and reject: a write that sets the
// condition Approved is a decision like theirs, needs their permission and is recorded in the same way.
type StatusREST struct {
	*store.StatusREST
	decider *decider
}

var (
	_ rest.Storage             = &StatusREST{}
	_ rest.Patcher             = &StatusREST{}
	_ rest.TableConvertor      = &StatusREST{}
	_ rest.ResetFieldsStrategy = &StatusREST{}
)

// Update changes the status of an approval request. Protected parts that a client leaves out stay: a merge patch replaces the whole list
// of conditions, and older clients do not know of decisions.
func (r *StatusREST) Update(ctx context.Context, name string, objInfo rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc, forceAllowCreate bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	decided := false
	same := store.SameObject(r.decider.resource, noun)
	guarded := rest.WrapUpdatedObjectInfo(objInfo, func(ctx context.Context, obj, old runtime.Object) (runtime.Object, error) {
		request, stored := obj.(v1beta1.ApprovalRequestObject), old.(v1beta1.ApprovalRequestObject)
		err := same(stored)
		if err != nil {
			return nil, err
		}
		decided, err = r.decider.guard(ctx, request, stored)
		return request, err
	})
	result, created, err := r.StatusREST.Update(ctx, name, guarded, createValidation, updateValidation, forceAllowCreate, options)
	if err == nil && decided {
		store.AnnotateUser(ctx, decidedByAnnotation, options.DryRun)
	}
	return result, created, err
}

// guard restores the protected parts of the status that a client writes, and reports whether the write is a decision. It ignores the
// client's metadata.
func (d *decider) guard(ctx context.Context, request, stored v1beta1.ApprovalRequestObject) (bool, error) {
	status, storedStatus := request.RequestStatus(), stored.RequestStatus().DeepCopy()
	status.Decisions = storedStatus.Decisions
	if err := d.guardAccepted(ctx, status, storedStatus, stored.GetName()); err != nil {
		return false, err
	}

	wanted := meta.FindStatusCondition(status.Conditions, v1beta1.RequestApproved)
	was := meta.FindStatusCondition(storedStatus.Conditions, v1beta1.RequestApproved)
	if wanted == nil || was != nil && sameStatement(wanted, was) {
		restore(status, was)
		return false, nil
	}
	decision, err := d.statedDecision(wanted, stored.GetName())
	if err != nil {
		return false, err
	}
	subject := stored.DeepCopyObject().(v1beta1.ApprovalRequestObject)
	decided, err := d.decide(ctx, subject, decisionRequest{decision: decision, reason: wanted.Reason, message: wanted.Message, comment: wanted.Message})
	if err != nil {
		return false, err
	}
	result := subject.RequestStatus()
	status.Decisions = result.Decisions
	restore(status, meta.FindStatusCondition(result.Conditions, v1beta1.RequestApproved))
	return decided, nil
}

// guardAccepted lets only the controllers write the condition ApprovalAccepted, and not administrators, who are in the same group.
func (d *decider) guardAccepted(ctx context.Context, status, storedStatus *v1beta1.ApprovalRequestStatus, name string) error {
	wanted := meta.FindStatusCondition(status.Conditions, v1beta1.RequestApprovalAccepted)
	was := meta.FindStatusCondition(storedStatus.Conditions, v1beta1.RequestApprovalAccepted)
	if wanted == nil || was != nil && sameStatement(wanted, was) {
		restore(status, was)
		return nil
	}
	if registry.IsController(ctx) {
		return nil
	}
	return apierrors.NewForbidden(d.resource, name, errors.New("the condition ApprovalAccepted is set by the server, once the run has acted on the approval"))
}

// maxComment is the maximum length of a comment in characters, as in the spec of an Approval.
const maxComment = 1024

// statedDecision returns the decision that a condition Approved stands for. Unknown is neither an approval nor a rejection, and is refused.
// The length of the message is limited since it becomes the comment of the decision and goes into the conditions of the run.
func (d *decider) statedDecision(approved *metav1.Condition, name string) (v1beta1.DecisionType, error) {
	path := field.NewPath("status", "conditions").Key(v1beta1.RequestApproved)
	invalid := func(err *field.Error) error {
		return apierrors.NewInvalid(schema.GroupKind{Group: d.resource.Group, Kind: d.resource.Resource}, name, field.ErrorList{err})
	}
	if utf8.RuneCountInString(approved.Message) > maxComment {
		return "", invalid(field.TooLongCharacters(path.Child("message"), approved.Message, maxComment))
	}
	switch approved.Status {
	case metav1.ConditionTrue:
		return v1beta1.DecisionApproved, nil
	case metav1.ConditionFalse:
		return v1beta1.DecisionRejected, nil
	}
	return "", invalid(field.NotSupported(path.Child("status"), approved.Status, []metav1.ConditionStatus{metav1.ConditionFalse, metav1.ConditionTrue}))
}

// restore puts back a stored condition, if there is one.
func restore(status *v1beta1.ApprovalRequestStatus, condition *metav1.Condition) {
	if condition != nil {
		put(&status.Conditions, *condition)
	}
}

// sameStatement reports whether two conditions state the same. It ignores time and generation, which the server writes.
func sameStatement(a, b *metav1.Condition) bool {
	return a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message
}
