// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/operation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/audit"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/util/dryrun"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
)

// Action is what a subresource such as approve does to an object O. B is the kind of its body: what a user says with it, and what was
// recorded. The metadata of a body is that of the object, and not the action's to fill in.
type Action[O, B Object] interface {
	// New is an empty body.
	New() B
	// Read is the body that says what was done to an object, as long as that is nothing an empty one.
	Read(obj O) B
	// Clear takes what a user has said out of a body, for a patch to fill in: nobody repeats what was said before without saying it.
	Clear(body B)
	// Columns are what kubectl get prints of a body after its name.
	Columns() []Column[B]
	// Validate checks what a user says beyond the tags of its type.
	Validate(body B) field.ErrorList
	// Do does to obj, which is then stored, what the user of the request says. It returns the body that answers them, and whether
	// anything was done: repeating what is done already is no error. Errors are API errors.
	Do(ctx context.Context, obj O, body B) (answer B, done bool, err error)
}

// ActionREST serves an action as a subresource: whatever is written does it, and what is read is what was done. All verbs take and
// return the same kind of body.
type ActionREST[O, B Object] struct {
	rest.TableConvertor
	store      *genericregistry.Store
	action     Action[O, B]
	noun       string
	annotation string
}

var (
	_ rest.Storage                        = &ActionREST[Object, Object]{}
	_ rest.Patcher                        = &ActionREST[Object, Object]{}
	_ rest.NamedCreater                   = &ActionREST[Object, Object]{}
	_ rest.TableConvertor                 = &ActionREST[Object, Object]{}
	_ rest.SubresourceObjectMetaPreserver = &ActionREST[Object, Object]{}
)

// NewActionREST serves an action on the objects of a storage. The noun is what people call such an object, and the annotation the key
// under which the audit event of a request that has done something names the user.
func NewActionREST[O, B Object](s *Storage, noun, annotation string, action Action[O, B]) *ActionREST[O, B] {
	return &ActionREST[O, B]{
		TableConvertor: tableConvertor[B]{columns: action.Columns()},
		store:          s.Action,
		action:         action,
		noun:           noun,
		annotation:     annotation,
	}
}

// New implements rest.Storage.
func (r *ActionREST[O, B]) New() runtime.Object { return r.action.New() }

// Destroy does nothing: the store belongs to the objects.
func (r *ActionREST[O, B]) Destroy() {}

// PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate keeps uid and resourceVersion of the body, which are preconditions.
func (r *ActionREST[O, B]) PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate() bool {
	return true
}

// Get returns what was done to an object.
func (r *ActionREST[O, B]) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	obj, err := r.store.Get(ctx, name, options)
	if err != nil {
		return nil, err
	}
	return r.read(obj.(O)), nil
}

// Create does what the body says.
func (r *ActionREST[O, B]) Create(ctx context.Context, name string, obj runtime.Object, createValidation rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	body, err := r.body(obj)
	if err != nil {
		return nil, err
	}
	return r.write(ctx, name, &metav1.UpdateOptions{DryRun: options.DryRun}, func(B) (B, error) {
		if createValidation != nil {
			if err := createValidation(ctx, body.DeepCopyObject()); err != nil {
				return body, err
			}
		}
		return body, nil
	})
}

// Update does what the body says, for PUT and PATCH. What is patched is what Get returns without what was said. It never creates an object.
func (r *ActionREST[O, B]) Update(ctx context.Context, name string, objInfo rest.UpdatedObjectInfo, _ rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	result, err := r.write(ctx, name, options, func(current B) (B, error) {
		obj, err := blamesClient{objInfo}.UpdatedObject(ctx, current.DeepCopyObject())
		if err != nil {
			return current, err
		}
		body, err := r.body(obj)
		if err != nil {
			return current, err
		}
		if updateValidation != nil {
			if err := updateValidation(ctx, body.DeepCopyObject(), current); err != nil {
				return current, err
			}
		}
		return body, nil
	})
	return result, false, err
}

func (r *ActionREST[O, B]) body(obj runtime.Object) (B, error) {
	body, ok := obj.(B)
	if !ok {
		return body, apierrors.NewBadRequest(fmt.Sprintf("not a %T: %T", r.action.New(), obj))
	}
	return body, nil
}

// write does the action in one write of the object; submitted makes the body out of the current one.
func (r *ActionREST[O, B]) write(ctx context.Context, name string, options *metav1.UpdateOptions, submitted func(current B) (B, error)) (runtime.Object, error) {
	var answer B
	var done bool
	same := SameObject(r.store.DefaultQualifiedResource, r.noun)
	transform := func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		obj := old.DeepCopyObject().(O)
		if err := same(obj); err != nil {
			return nil, err
		}
		current := r.read(obj)
		r.action.Clear(current)
		body, err := submitted(current)
		if err != nil {
			return nil, err
		}
		if err := r.validate(ctx, body, obj); err != nil {
			return nil, err
		}
		answer, done, err = r.action.Do(ctx, obj, body)
		return obj, err
	}
	result, _, err := r.store.Update(asWriteOfObject(ctx), name, rest.DefaultUpdatedObjectInfo(nil, transform), nil, nil, false, options)
	if err != nil {
		return nil, err
	}
	if done {
		AnnotateUser(ctx, r.annotation, options.DryRun)
	}
	identify(answer, result.(O))
	return answer, nil
}

// validate checks what the body says about the object, then the body itself.
func (r *ActionREST[O, B]) validate(ctx context.Context, body B, obj O) error {
	mismatch := func(what string, given, actual any) error {
		return apierrors.NewConflict(r.store.DefaultQualifiedResource, obj.GetName(), fmt.Errorf("the %s in the precondition (%v) does not match the %s in record (%v)", what, given, what, actual))
	}
	switch {
	case body.GetName() != "" && body.GetName() != obj.GetName():
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", body.GetName(), obj.GetName()))
	case body.GetUID() != "" && body.GetUID() != obj.GetUID():
		return mismatch("uid", body.GetUID(), obj.GetUID())
	case body.GetResourceVersion() != "" && body.GetResourceVersion() != obj.GetResourceVersion():
		return mismatch("resourceVersion", body.GetResourceVersion(), obj.GetResourceVersion())
	}
	declarative := rest.DeclarativeValidation{Scheme: scheme.Scheme}
	errs := declarative.ValidateDeclaratively(ctx, body, nil, nil, operation.Create, rest.DeclarativeValidationConfig{})
	errs = append(errs, r.action.Validate(body)...)
	if len(errs) == 0 {
		return nil
	}
	kinds, _, err := scheme.Scheme.ObjectKinds(body)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	return apierrors.NewInvalid(kinds[0].GroupKind(), obj.GetName(), errs)
}

// SameObject refuses all objects but the first that it is given, in the words that people have for one. A write that meets another is
// tried again, on what is stored then: what is meant for an object must not be done to one that has taken its name.
func SameObject(resource schema.GroupResource, noun string) func(metav1.Object) error {
	var first types.UID
	return func(obj metav1.Object) error {
		uid := obj.GetUID()
		if first == "" {
			first = uid
		}
		// What is not there has no uid, and is the store's to refuse.
		if uid == first || uid == "" {
			return nil
		}
		return apierrors.NewConflict(resource, obj.GetName(), fmt.Errorf("the %s was deleted and recreated meanwhile", noun))
	}
}

func (r *ActionREST[O, B]) read(obj O) B {
	body := r.action.Read(obj)
	identify(body, obj)
	return body
}

// identify gives a body the metadata of its object. Without it a patch would take the body for absent.
func identify[O, B Object](body B, obj O) {
	body.SetName(obj.GetName())
	body.SetNamespace(obj.GetNamespace())
	body.SetUID(obj.GetUID())
	body.SetResourceVersion(obj.GetResourceVersion())
}

// asWriteOfObject presents the write of an action as what it is to the object: the object is written. Generated validation goes by the
// subresource in the request.
func asWriteOfObject(ctx context.Context) context.Context {
	info, ok := genericapirequest.RequestInfoFrom(ctx)
	if !ok {
		return ctx
	}
	object := *info
	object.Subresource = ""
	return genericapirequest.WithRequestInfo(ctx, &object)
}

// AnnotateUser names the user in the audit event of their request, unless it was a dry run.
func AnnotateUser(ctx context.Context, annotation string, dryRun []string) {
	if info, ok := genericapirequest.UserFrom(ctx); ok && !dryrun.IsDryRun(dryRun) {
		audit.AddAuditAnnotation(ctx, annotation, info.GetName())
	}
}
