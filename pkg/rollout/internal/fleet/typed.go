// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// typedClient is what the generated client of a kind has, P being a pointer to the kind.
type typedClient[P Object] interface {
	Create(ctx context.Context, obj P, opts metav1.CreateOptions) (P, error)
	Update(ctx context.Context, obj P, opts metav1.UpdateOptions) (P, error)
	Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error
	Get(ctx context.Context, name string, opts metav1.GetOptions) (P, error)
	Patch(ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (P, error)
}

type statusUpdater[P Object] interface {
	UpdateStatus(ctx context.Context, obj P, opts metav1.UpdateOptions) (P, error)
}

type rolloutUpdater[P Object] interface {
	UpdateRollout(ctx context.Context, name string, obj P, opts metav1.UpdateOptions) (P, error)
}

// untyped makes a generated client one for the interface that both scopes of the kind implement.
type untyped[O, P Object] struct{ typedClient typedClient[P] }

func as[O, P Object](obj P, err error) (O, error) {
	if err != nil {
		var none O
		return none, err
	}
	return any(obj).(O), nil
}

func (c untyped[O, P]) Create(ctx context.Context, obj O, opts metav1.CreateOptions) (O, error) {
	return as[O](c.typedClient.Create(ctx, any(obj).(P), opts))
}

func (c untyped[O, P]) Update(ctx context.Context, obj O, opts metav1.UpdateOptions) (O, error) {
	return as[O](c.typedClient.Update(ctx, any(obj).(P), opts))
}

func (c untyped[O, P]) UpdateStatus(ctx context.Context, obj O, opts metav1.UpdateOptions) (O, error) {
	updater, ok := c.typedClient.(statusUpdater[P])
	if !ok {
		var none O
		return none, fmt.Errorf("%T has no status", obj)
	}
	return as[O](updater.UpdateStatus(ctx, any(obj).(P), opts))
}

func (c untyped[O, P]) UpdateRollout(ctx context.Context, obj O, opts metav1.UpdateOptions) (O, error) {
	updater, ok := c.typedClient.(rolloutUpdater[P])
	if !ok {
		var none O
		return none, fmt.Errorf("%T has no rollout", obj)
	}
	return as[O](updater.UpdateRollout(ctx, obj.GetName(), any(obj).(P), opts))
}

func (c untyped[O, P]) Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error {
	return c.typedClient.Delete(ctx, name, opts)
}

func (c untyped[O, P]) Get(ctx context.Context, name string, opts metav1.GetOptions) (O, error) {
	return as[O](c.typedClient.Get(ctx, name, opts))
}

func (c untyped[O, P]) Patch(ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (O, error) {
	return as[O](c.typedClient.Patch(ctx, name, pt, data, opts, subresources...))
}
