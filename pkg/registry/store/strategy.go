// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
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

// strategy is for the objects themselves: a client writes the spec and, with every change of it, makes a new generation.
type strategy[O Object, S, T any] struct {
	base
	kind   string
	family Family[O, S, T]
}

// PrepareForCreate starts the generations at 1 and drops a status, which is not the client's to write.
func (s *strategy[O, S, T]) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	o := obj.(O)
	o.SetGeneration(1)
	if s.family.Status == nil {
		return
	}
	var none T
	sent := *s.family.Status(o)
	*s.family.Status(o) = none
	if s.family.Stamp != nil {
		s.family.Stamp(ctx, o, &sent)
	}
}

// PrepareForUpdate keeps the stored status but for what the server records in it, and makes a new generation where the spec is changed.
func (s *strategy[O, S, T]) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	o, was := obj.(O), old.(O)
	if s.family.Status != nil {
		*s.family.Status(o) = *s.family.Status(was)
	}
	s.family.countGeneration(o, was)
	if s.family.Record != nil {
		s.family.Record(ctx, o, was)
	}
}

// Validate checks the name and what the family asks for. A name is a DNS subdomain, as with custom resources.
func (s *strategy[O, S, T]) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	o := obj.(O)
	errs := s.validateName(o.GetName())
	if s.family.Validate != nil {
		errs = append(errs, s.family.Validate(o)...)
	}
	if s.family.Restrict != nil {
		errs = append(errs, s.family.Restrict(ctx, o)...)
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

// WarningsOnCreate says what is probably not meant, and whether the object has any effect.
func (s *strategy[O, S, T]) WarningsOnCreate(_ context.Context, obj runtime.Object) []string {
	var warnings []string
	if s.family.Inert {
		warnings = append(warnings, fmt.Sprintf("%s is stored but has no effect: nothing acts on this kind yet", s.kind))
	}
	return append(warnings, s.warnings(obj)...)
}

// WarningsOnUpdate says what is probably not meant in a spec that is changed.
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
