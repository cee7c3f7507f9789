// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/audit"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/util/dryrun"
)

// badPatchAsBadRequest turns the error of a patch that cannot be applied into a bad request. The library returns plain errors for lists
// without their keys, fields of another type and the like. They would be internal errors, which clients retry and operators are paged for.
type badPatchAsBadRequest struct {
	rest.UpdatedObjectInfo
}

// UpdatedObject implements rest.UpdatedObjectInfo. It does not start to apply a patch, which may take long, if the client no longer waits.
func (b badPatchAsBadRequest) UpdatedObject(ctx context.Context, old runtime.Object) (runtime.Object, error) {
	if err := inTime(ctx); err != nil {
		return nil, err
	}
	updated, err := b.UpdatedObjectInfo.UpdatedObject(ctx, old)
	if status := apierrors.APIStatus(nil); err == nil || errors.As(err, &status) || ctx.Err() != nil {
		return updated, err
	}
	return nil, apierrors.NewBadRequest(err.Error())
}

// SameObject returns a function that refuses all objects but the first that it is given; the noun is what people call one. A write that
// meets a conflict is tried again on what is stored then: it must not change another object that was created under the same name.
func SameObject(resource schema.GroupResource, noun string) func(metav1.Object) error {
	var first types.UID
	return func(obj metav1.Object) error {
		uid := obj.GetUID()
		if first == "" {
			first = uid
		}
		// An object that does not exist has no uid. The store refuses that.
		if uid == first || uid == "" {
			return nil
		}
		return apierrors.NewConflict(resource, obj.GetName(), fmt.Errorf("the %s was deleted and recreated meanwhile", noun))
	}
}

// AnnotateUser names the user in the audit event of their request, unless it was a dry run.
func AnnotateUser(ctx context.Context, annotation string, dryRun []string) {
	if info, ok := genericapirequest.UserFrom(ctx); ok && !dryrun.IsDryRun(dryRun) {
		audit.AddAuditAnnotation(ctx, annotation, info.GetName())
	}
}

// asWriteOfObject returns a context in which the request has no subresource. An action writes the object itself, and generated validation
// depends on the subresource of the request.
func asWriteOfObject(ctx context.Context) context.Context {
	info, ok := genericapirequest.RequestInfoFrom(ctx)
	if !ok {
		return ctx
	}
	object := *info
	object.Subresource = ""
	return genericapirequest.WithRequestInfo(ctx, &object)
}

// inTime returns an error once the request has timed out or its client is gone.
func inTime(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return apierrors.NewTimeoutError(fmt.Sprintf("the time of the request was over before anything was written: %v", err), 0)
	}
	return nil
}

// untracked has an update leave an object's managedFields as they are. Statuses belong to the controllers, which write them often and do not apply
// them: whom their fields are from is known without.
type untracked struct {
	rest.UpdatedObjectInfo
}

// UpdatedObject implements rest.UpdatedObjectInfo. The library tracks nothing of an object without managedFields.
func (u untracked) UpdatedObject(ctx context.Context, old runtime.Object) (runtime.Object, error) {
	before, err := meta.Accessor(old)
	if err != nil {
		return nil, err
	}
	fields := before.GetManagedFields()
	before.SetManagedFields(nil)
	defer before.SetManagedFields(fields)
	obj, err := u.UpdatedObjectInfo.UpdatedObject(ctx, old)
	if err != nil {
		return nil, err
	}
	after, err := meta.Accessor(obj)
	if err != nil {
		return nil, err
	}
	after.SetManagedFields(fields)
	return obj, nil
}
