// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"context"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Resources are the kinds of the family in both scopes.
func Resources() []store.Resource {
	return []store.Resource{
		store.NewResource[v1beta1.ClusterApprovalRequest, v1beta1.ClusterApprovalRequestList](
			v1beta1.GroupName, registry.ClusterScoped("clusterapprovalrequests", "careq"), family("Update-Run")),
		store.NewResource[v1beta1.ApprovalRequest, v1beta1.ApprovalRequestList](
			v1beta1.GroupName, registry.Namespaced("approvalrequests", "areq"), family("Staged-Update-Run")),
	}
}

// family differs between the scopes in the header of the column with the run.
func family(runHeader string) store.Family[v1beta1.ApprovalRequestObject, v1beta1.ApprovalRequestSpec, v1beta1.ApprovalRequestStatus] {
	return store.Family[v1beta1.ApprovalRequestObject, v1beta1.ApprovalRequestSpec, v1beta1.ApprovalRequestStatus]{
		Spec:                 v1beta1.ApprovalRequestObject.RequestSpec,
		Status:               v1beta1.ApprovalRequestObject.RequestStatus,
		Validate:             validation.ValidateApprovalRequest,
		Authorize:            restrictToControllers,
		ValidateUpdate:       validation.ValidateApprovalRequestUpdate,
		ValidateStatusUpdate: validation.ValidateApprovalRequestStatusUpdate,
		Columns:              columns(runHeader),
		Fields: map[string]func(v1beta1.ApprovalRequestObject) string{
			"spec.parentStageRollout": targetUpdateRun,
			"spec.targetStage":        targetStage,
		},
	}
}

// restrictToControllers lets only the controllers create a request that belongs to a run, or that describes a rollout: an approver must
// be able to believe both.
func restrictToControllers(ctx context.Context, request v1beta1.ApprovalRequestObject) field.ErrorList {
	if registry.IsController(ctx) {
		return nil
	}
	var errs field.ErrorList
	if len(request.GetOwnerReferences()) > 0 {
		errs = append(errs, field.Forbidden(field.NewPath("metadata", "ownerReferences"),
			"an approval request that belongs to a run is made by the server, when the run asks for it"))
	}
	if request.RequestSpec().Rollout != nil {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "rollout"),
			"what a run does is told by the server, when the run asks for the approval; leave it out"))
	}
	return errs
}
