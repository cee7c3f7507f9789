// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

// AuthorizeUpdate returns the user of the request if they may update a subresource of an object, and Forbidden if not. Every way to do
// what the subresource does needs this permission, beside that for its own path.
func AuthorizeUpdate(ctx context.Context, authz authorizer.Authorizer, resource schema.GroupResource, object metav1.Object, subresource string) (user.Info, error) {
	info, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return nil, apierrors.NewInternalError(errors.New("no user in the context of the request"))
	}
	attributes := authorizer.AttributesRecord{
		User:            info,
		Verb:            "update",
		Namespace:       object.GetNamespace(),
		APIGroup:        resource.Group,
		Resource:        resource.Resource,
		Subresource:     subresource,
		Name:            object.GetName(),
		ResourceRequest: true,
	}
	if request, ok := genericapirequest.RequestInfoFrom(ctx); ok {
		attributes.APIVersion = request.APIVersion
		attributes.Path = request.Path
	}
	allowed, why, err := Allowed(ctx, authz, attributes)
	switch {
	case err != nil:
		return nil, err
	case allowed:
		return info, nil
	}
	refusal := fmt.Errorf("user %q needs the permission to update %s/%s", info.GetName(), resource, subresource)
	if why != "" {
		refusal = fmt.Errorf("%w: %s", refusal, why)
	}
	return nil, apierrors.NewForbidden(resource, object.GetName(), refusal)
}

// Allowed reports whether an authorizer allows what the attributes describe. If not, why is the authorizer's reason, if it gives one. An
// authorizer that fails is an internal error, which names the user and the permission, and never counts as a yes.
func Allowed(ctx context.Context, authz authorizer.UnconditionalAuthorizer, attributes authorizer.Attributes) (allowed bool, why string, err error) {
	decision, why, err := authz.Authorize(ctx, attributes)
	switch {
	case decision == authorizer.DecisionAllow:
		return true, "", nil
	case err != nil:
		resource := schema.GroupResource{Group: attributes.GetAPIGroup(), Resource: attributes.GetResource()}.String()
		if attributes.GetSubresource() != "" {
			resource += "/" + attributes.GetSubresource()
		}
		return false, "", apierrors.NewInternalError(fmt.Errorf("asking whether %q may %s %s: %w",
			attributes.GetUser().GetName(), attributes.GetVerb(), resource, err))
	}
	return false, why, nil
}
