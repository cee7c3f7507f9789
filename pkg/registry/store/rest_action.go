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
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
)

// Action is what a subresource such as approve does to an object O. B is the kind of its body: its spec is what a user asks for, its
// status what was recorded. The caller fills in the metadata of a body, from the object.
type Action[O, B Object] interface {
	// New returns an empty body.
	New() B
	// Read returns a body with what was last done to an object, an empty one if nothing was.
	Read(obj O) B
	// Clear removes what a user wrote from a body that Read returned, before a patch is applied to it: a patch must not repeat what
	// somebody wrote before.
	Clear(body B)
	// Columns returns what kubectl get prints of a body after its name.
	Columns() []Column[B]
	// Validate checks a body beyond the tags of its type.
	Validate(body B) field.ErrorList
	// Do changes obj, which is then stored, as the user of the request asks. It returns the body of the response, and reports whether
	// it changed anything: asking again for what is done already is not an error. Errors are API errors.
	Do(ctx context.Context, obj O, body B) (answer B, done bool, err error)
}

// ActionREST serves an action as a subresource: every write performs it, and a read returns what was done. All verbs take and return
// the same kind of body.
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

// NewActionREST serves an action on the objects of a storage. The noun is what people call such an object. The annotation is the key
// under which an audit event names the user, if the request changed anything.
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

// Update does what the body says, for PUT and PATCH. A patch applies to what Get returns, after Action.Clear. It never creates an object.
func (r *ActionREST[O, B]) Update(ctx context.Context, name string, objInfo rest.UpdatedObjectInfo, _ rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	result, err := r.write(ctx, name, options, func(current B) (B, error) {
		obj, err := badPatchAsBadRequest{objInfo}.UpdatedObject(ctx, current.DeepCopyObject())
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

// write performs the action in one write of the object. submitted returns the body, given the current one.
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
