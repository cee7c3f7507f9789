// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
)

// Strategy is what a store asks of the strategy of a kind.
type Strategy interface {
	rest.RESTCreateStrategy
	rest.RESTUpdateStrategy
	rest.ResetFieldsStrategy
	rest.DeclarativeValidationStrategy
}

// StatusStrategy is what a store asks of the strategy of a status.
type StatusStrategy interface {
	rest.RESTUpdateStrategy
	rest.ResetFieldsStrategy
	rest.DeclarativeValidationStrategy
}

// strategy is for writes to the objects themselves: a client writes the spec, and every change of it is a new generation.
type strategy[O Object, S, T any] struct {
	base
	kind   string
	family Family[O, S, T]
}

// PrepareForCreate sets the generation to 1 and drops the status, which a client may not write.
func (s *strategy[O, S, T]) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	o := obj.(O)
	o.SetGeneration(1)
	if s.family.Status == nil {
		return
	}
	var none T
	sent := *s.family.Status(o)
	*s.family.Status(o) = none
	if s.family.OnCreate != nil {
		s.family.OnCreate(ctx, o, &sent)
	}
}

// PrepareForUpdate keeps the stored status, except for what the server records in it, and what the writer may leave out, and counts the
// generation.
func (s *strategy[O, S, T]) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	o, was := obj.(O), old.(O)
	if s.family.Status != nil {
		*s.family.Status(o) = *s.family.Status(was)
	}
	if s.family.Keep != nil && !isPatch(ctx) {
		s.family.Keep(o, was)
	}
	if s.family.Finalizers != nil && !s.family.ServersOwn(ctx) && was.GetDeletionTimestamp().IsZero() {
		keepFinalizers(o, was, s.family.Finalizers)
	}
	s.family.countGeneration(o, was)
	if s.family.OnUpdate != nil {
		s.family.OnUpdate(ctx, o, was)
	}
}

// keepFinalizers has an object keep finalizers that it had.
func keepFinalizers(obj, old metav1.Object, server []string) {
	finalizers := obj.GetFinalizers()
	for _, finalizer := range server {
		if slices.Contains(old.GetFinalizers(), finalizer) && !slices.Contains(finalizers, finalizer) {
			finalizers = append(finalizers, finalizer)
		}
	}
	obj.SetFinalizers(finalizers)
}

// isPatch reports whether an object is changed by a patch. What a patch leaves out stays, so that what it takes away is meant.
func isPatch(ctx context.Context) bool {
	request, ok := genericapirequest.RequestInfoFrom(ctx)
	return ok && request.Verb == "patch"
}

// Validate checks the name and what the family asks for. A name is a DNS subdomain, as with custom resources.
func (s *strategy[O, S, T]) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	o := obj.(O)
	errs := s.validateName(o.GetName())
	if s.family.Validate != nil {
		errs = append(errs, s.family.Validate(o)...)
	}
	if s.family.Authorize != nil {
		errs = append(errs, s.family.Authorize(ctx, o)...)
	}
	return errs
}

// ValidateUpdate checks what the family asks for. The name cannot change, so it is not looked at again.
func (s *strategy[O, S, T]) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	if s.family.ValidateUpdate == nil {
		return nil
	}
	return s.family.ValidateUpdate(obj.(O), old.(O))
}

// WarningsOnCreate returns the family's warnings.
func (s *strategy[O, S, T]) WarningsOnCreate(_ context.Context, obj runtime.Object) []string {
	return s.warnings(obj)
}

// WarningsOnUpdate returns the family's warnings if the spec is changed.
func (s *strategy[O, S, T]) WarningsOnUpdate(_ context.Context, obj, old runtime.Object) []string {
	o, was := obj.(O), old.(O)
	if o.GetGeneration() == was.GetGeneration() {
		return nil
	}
	warnings := s.warnings(obj)
	if s.family.WarningsOnUpdate != nil {
		warnings = append(warnings, s.family.WarningsOnUpdate(o, was)...)
	}
	return warnings
}

// GetResetFields are the fields that a write to the object cannot own.
func (s *strategy[O, S, T]) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	if s.family.Status == nil {
		return nil
	}
	return s.reset("status")
}

func (s *strategy[O, S, T]) validateName(name string) field.ErrorList {
	path := field.NewPath("metadata", "name")
	var errs field.ErrorList
	for _, message := range validation.NameIsDNSSubdomain(name, false) {
		errs = append(errs, field.Invalid(path, name, message))
	}
	if limit := s.family.Name; limit.Max > 0 && len(name) > limit.Max {
		errs = append(errs, field.Invalid(path, name, limit.Message))
	}
	return errs
}

func (s *strategy[O, S, T]) warnings(obj runtime.Object) []string {
	if s.family.Warnings == nil {
		return nil
	}
	return s.family.Warnings(obj.(O))
}

// statusStrategy is for the status subresource: a client writes the status and nothing else.
type statusStrategy[O Object, S, T any] struct {
	base
	family Family[O, S, T]
}

// PrepareForUpdate keeps the stored spec, metadata and server-owned status.
func (s *statusStrategy[O, S, T]) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	o, was := obj.(O), old.(O)
	*s.family.Spec(o) = *s.family.Spec(was)
	metav1.ResetObjectMetaForStatus(o, was)
	if s.family.ResetServerOwned != nil {
		s.family.ResetServerOwned(ctx, s.family.Status(o), s.family.Status(was))
	}
}

// ValidateUpdate checks the status as the family asks.
func (s *statusStrategy[O, S, T]) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	o, was := obj.(O), old.(O)
	var errs field.ErrorList
	if s.family.ValidateStatusUpdate != nil {
		errs = s.family.ValidateStatusUpdate(o, was)
	}
	if s.family.AuthorizeStatusUpdate != nil {
		errs = append(errs, s.family.AuthorizeStatusUpdate(ctx, o, was)...)
	}
	return errs
}

// WarningsOnUpdate returns none: writers of a status cannot change the spec.
func (s *statusStrategy[O, S, T]) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// GetResetFields are the fields that a write to the status cannot own.
func (s *statusStrategy[O, S, T]) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return s.reset("metadata", "spec")
}

// actionStrategy is for actions: the server itself writes spec and status at once.
type actionStrategy[O Object, S, T any] struct {
	base
	family Family[O, S, T]
}

// PrepareForUpdate keeps the stored metadata and counts the generation.
func (s *actionStrategy[O, S, T]) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	o, was := obj.(O), old.(O)
	metav1.ResetObjectMetaForStatus(o, was)
	s.family.countGeneration(o, was)
}

// ValidateUpdate checks spec and status as the family asks.
func (s *actionStrategy[O, S, T]) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	var errs field.ErrorList
	for _, validate := range []func(obj, old O) field.ErrorList{s.family.ValidateUpdate, s.family.ValidateStatusUpdate} {
		if validate != nil {
			errs = append(errs, validate(obj.(O), old.(O))...)
		}
	}
	return errs
}

// WarningsOnUpdate returns none: the server, not the user, made the change.
func (s *actionStrategy[O, S, T]) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// base is what all strategies have in common. DeclarativeValidation validates by the tags of the types.
type base struct {
	rest.DeclarativeValidation
	names.NameGenerator

	group      string
	namespaced bool
}

func newBase(group string, namespaced bool) base {
	return base{
		DeclarativeValidation: rest.DeclarativeValidation{Scheme: scheme.Scheme},
		NameGenerator:         names.SimpleNameGenerator,
		group:                 group,
		namespaced:            namespaced,
	}
}

// NamespaceScoped reports whether objects are in a namespace.
func (b base) NamespaceScoped() bool { return b.namespaced }

// AllowCreateOnUpdate is false: as with custom resources, a PUT does not create. Server-side apply does.
func (base) AllowCreateOnUpdate(context.Context) bool { return false }

// AllowUnconditionalUpdate is false: as with custom resources, a PUT must name the resourceVersion that it replaces.
func (base) AllowUnconditionalUpdate(context.Context) bool { return false }

// Canonicalize changes nothing.
func (base) Canonicalize(runtime.Object) {}

// reset returns the top-level fields that a strategy resets, for every version that a request can come in.
func (b base) reset(fields ...string) map[fieldpath.APIVersion]*fieldpath.Set {
	set := fieldpath.NewSet()
	for _, f := range fields {
		set.Insert(fieldpath.MakePathOrDie(f))
	}
	byVersion := map[fieldpath.APIVersion]*fieldpath.Set{}
	for _, v := range Versions(b.group) {
		byVersion[fieldpath.APIVersion(b.group+"/"+v)] = set
	}
	return byVersion
}
