// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// statusStrategy is for the status subresource: a client writes the status and nothing else.
type statusStrategy[O Object, S, T any] struct {
	base
	family Family[O, S, T]
}

// PrepareForUpdate keeps the stored spec and metadata, and what is the server's own of the status.
func (s *statusStrategy[O, S, T]) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	o, was := obj.(O), old.(O)
	*s.family.Spec(o) = *s.family.Spec(was)
	metav1.ResetObjectMetaForStatus(o, was)
	if s.family.Keep != nil {
		s.family.Keep(ctx, s.family.Status(o), s.family.Status(was))
	}
}

// ValidateUpdate checks the status as the family asks.
func (s *statusStrategy[O, S, T]) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	if s.family.ValidateStatusUpdate == nil {
		return nil
	}
	return s.family.ValidateStatusUpdate(obj.(O), old.(O))
}

// WarningsOnUpdate is empty: whoever writes a status cannot mend the spec.
func (s *statusStrategy[O, S, T]) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// GetResetFields are the fields that a write to the status cannot own.
func (s *statusStrategy[O, S, T]) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return s.reset("metadata", "spec")
}
