// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"
)

func TestAPatchThatCannotBeUsedIsTheClientsFault(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "runs"}, "a", errors.New("changed"))
	ending, end := context.WithCancel(t.Context())
	defer end()
	tests := map[string]struct {
		ctx  context.Context
		err  error
		want func(error) bool
	}{
		"a plain error":          {t.Context(), errors.New("list element types are not identical"), apierrors.IsBadRequest},
		"an API error":           {t.Context(), conflict, apierrors.IsConflict},
		"an API error within":    {t.Context(), fmt.Errorf("patching: %w", conflict), apierrors.IsConflict},
		"a request that is over": {ending, context.Canceled, func(err error) bool { return errors.Is(err, context.Canceled) }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			patch := rest.DefaultUpdatedObjectInfo(nil, func(context.Context, runtime.Object, runtime.Object) (runtime.Object, error) {
				if errors.Is(tt.err, context.Canceled) {
					end()
				}
				return nil, tt.err
			})
			if _, err := (badPatchAsBadRequest{patch}).UpdatedObject(tt.ctx, nil); !tt.want(err) {
				t.Errorf("error is %#v", err)
			}
		})
	}
}

func TestAPatchIsNotAppliedOnceTheTimeOfItsRequestIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	applied := false
	patch := rest.DefaultUpdatedObjectInfo(nil, func(context.Context, runtime.Object, runtime.Object) (runtime.Object, error) {
		applied = true
		return nil, nil
	})
	if _, err := (badPatchAsBadRequest{patch}).UpdatedObject(ctx, nil); !apierrors.IsTimeout(err) || applied {
		t.Errorf("got %v, applied %v, want a timeout", err, applied)
	}
}
