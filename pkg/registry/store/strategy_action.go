// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// actionStrategy is for subresources that do something to an object: the server itself writes spec and status at once.
type actionStrategy[O Object, S, T any] struct {
	base
	family Family[O, S, T]
}

// PrepareForUpdate keeps the stored metadata and makes a new generation where the spec is changed.
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

// WarningsOnUpdate is empty: what is written is the server's own.
func (s *actionStrategy[O, S, T]) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}
