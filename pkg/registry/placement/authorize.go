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

// AuthorizeUpdate returns the user of the request if they may update a subresource of an object. It is the one permission that every
// way to what the subresource stands for needs, beyond that for its own path.
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
	allowed, why, err := authz.Authorize(ctx, attributes)
	switch {
	case allowed == authorizer.DecisionAllow:
		return info, nil
	case err != nil:
		return nil, apierrors.NewInternalError(fmt.Errorf("asking whether %q may update %s/%s: %w", info.GetName(), resource, subresource, err))
	}
	refusal := fmt.Errorf("user %q needs the permission to update %s/%s", info.GetName(), resource, subresource)
	if why != "" {
		refusal = fmt.Errorf("%w: %s", refusal, why)
	}
	return nil, apierrors.NewForbidden(resource, object.GetName(), refusal)
}
