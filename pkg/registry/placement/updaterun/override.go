// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

const (
	// overrideVerb is the permission, on the ClusterRolloutPolicy of a name, to create runs that violate it.
	overrideVerb = "override"
	// overrideResource is what that permission is on.
	overrideResource = "clusterrolloutpolicies"
	// overrideAnnotation is the audit annotation that says which policies a run overrides, and why.
	overrideAnnotation = v1alpha1.GroupName + "/policy-override"
)

// overrides decide who may create and start runs that override policies. The initialization of a run trusts its spec.policyOverride, so the question
// is asked where no flag turns it off, and of all that a webhook may have added.
type overrides struct {
	resource   schema.GroupResource
	authorizer authorizer.Authorizer
}

// authorized returns a validation of new runs that refuses with Forbidden an override that the user may not make, before it goes on.
func (o overrides) authorized(validate rest.ValidateObjectFunc) rest.ValidateObjectFunc {
	return func(ctx context.Context, obj runtime.Object) error {
		if err := o.authorize(ctx, obj.(v1beta1.UpdateRunObject)); err != nil {
			return err
		}
		if validate == nil {
			return nil
		}
		return validate(ctx, obj)
	}
}

// authorizedStart returns a validation of updates that refuses with Forbidden to start a run with an override that the user may not make:
// the run may have been left to others, and its creator may have lost the permission since.
func (o overrides) authorizedStart(validate rest.ValidateObjectUpdateFunc) rest.ValidateObjectUpdateFunc {
	return func(ctx context.Context, obj, old runtime.Object) error {
		run, before := obj.(v1beta1.UpdateRunObject), old.(v1beta1.UpdateRunObject)
		if before.RunSpec().State != v1beta1.StateRun && run.RunSpec().State == v1beta1.StateRun {
			if err := o.authorizeStart(ctx, before); err != nil {
				return err
			}
		}
		if validate == nil {
			return nil
		}
		return validate(ctx, obj, old)
	}
}

// authorizeStart is authorize for a run that has moved nothing yet.
func (o overrides) authorizeStart(ctx context.Context, run v1beta1.UpdateRunObject) error {
	if runrules.HasStarted(run.RunStatus()) {
		return nil
	}
	return o.authorize(ctx, run)
}

func (o overrides) authorize(ctx context.Context, run v1beta1.UpdateRunObject) error {
	override := run.RunSpec().PolicyOverride
	if override == nil {
		return nil
	}
	info, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return apierrors.NewInternalError(errors.New("no user in the context of the request"))
	}
	attributes := authorizer.AttributesRecord{
		User:            info,
		Verb:            overrideVerb,
		APIGroup:        v1alpha1.GroupName,
		APIVersion:      v1alpha1.SchemeGroupVersion.Version,
		Resource:        overrideResource,
		ResourceRequest: true,
	}
	if request, ok := genericapirequest.RequestInfoFrom(ctx); ok {
		attributes.Path = request.Path
	}
	var missing []string
	reason := ""
	for _, name := range override.Policies {
		attributes.Name = name
		allowed, why, err := registry.Allowed(ctx, o.authorizer, attributes)
		if err != nil {
			return err
		}
		if !allowed {
			missing, reason = append(missing, name), why
		}
	}
	if len(missing) == 0 {
		return nil
	}
	// The hub's answer is remembered for ten seconds.
	refusal := fmt.Errorf("user %q needs the permission to %s %s of the name %s for the spec.policyOverride of the run; "+
		"ClusterRole stagegate-breakglass gives it, within ten seconds of its binding",
		info.GetName(), overrideVerb, v1alpha1.Resource(overrideResource), wording.List(missing))
	if reason != "" {
		refusal = fmt.Errorf("%w: %s", refusal, reason)
	}
	return apierrors.NewForbidden(o.resource, run.GetName(), refusal)
}

// annotateOverride tells in the audit event of the request what a new run overrides, and why.
func annotateOverride(ctx context.Context, run v1beta1.UpdateRunObject) {
	if override := run.RunSpec().PolicyOverride; override != nil {
		audit.AddAuditAnnotation(ctx, overrideAnnotation, fmt.Sprintf("%s: %s", strings.Join(override.Policies, ","), override.Reason))
	}
}
