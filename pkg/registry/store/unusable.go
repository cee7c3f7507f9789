// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
)

// blamesClient makes a patch that cannot be used a bad request. The library returns plain errors for lists without their keys, fields
// of another type and the like, which would be internal errors: clients retry those, and operators are paged for them.
type blamesClient struct {
	rest.UpdatedObjectInfo
}

// UpdatedObject implements rest.UpdatedObjectInfo. It does not begin to apply a patch, which may take long, that nobody waits for any
// more.
func (b blamesClient) UpdatedObject(ctx context.Context, old runtime.Object) (runtime.Object, error) {
	if err := inTime(ctx); err != nil {
		return nil, err
	}
	updated, err := b.UpdatedObjectInfo.UpdatedObject(ctx, old)
	if status := apierrors.APIStatus(nil); err == nil || errors.As(err, &status) || ctx.Err() != nil {
		return updated, err
	}
	return nil, apierrors.NewBadRequest(err.Error())
}
