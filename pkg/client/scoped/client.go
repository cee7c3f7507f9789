// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scoped

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// AllNamespaces as a namespace has a client list the objects of all namespaces. An empty one stands for the cluster-scoped kind.
const AllNamespaces = "*"

// Client writes and reads objects of one kind in one namespace, or of one cluster-scoped kind. It asks the API and no cache.
type Client[O Object] interface {
	Create(ctx context.Context, obj O, opts metav1.CreateOptions) (O, error)
	Update(ctx context.Context, obj O, opts metav1.UpdateOptions) (O, error)
	// UpdateStatus fails for a kind without a status.
	UpdateStatus(ctx context.Context, obj O, opts metav1.UpdateOptions) (O, error)
	// UpdateRollout fails for a kind without the subresource rollout.
	UpdateRollout(ctx context.Context, obj O, opts metav1.UpdateOptions) (O, error)
	Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error
	Get(ctx context.Context, name string, opts metav1.GetOptions) (O, error)
	// List reads the namespace, or with an empty one of a namespaced kind all of them.
	List(ctx context.Context, opts metav1.ListOptions) ([]O, error)
	Patch(ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (O, error)
}

// generated is what the generated client of a kind has: P is a pointer to the kind, and L to its list.
type generated[P Object, L runtime.Object] interface {
	Create(ctx context.Context, obj P, opts metav1.CreateOptions) (P, error)
	Update(ctx context.Context, obj P, opts metav1.UpdateOptions) (P, error)
	Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error
	Get(ctx context.Context, name string, opts metav1.GetOptions) (P, error)
	List(ctx context.Context, opts metav1.ListOptions) (L, error)
	Patch(ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (P, error)
}

type statusUpdater[P Object] interface {
	UpdateStatus(ctx context.Context, obj P, opts metav1.UpdateOptions) (P, error)
}

type rolloutUpdater[P Object] interface {
	UpdateRollout(ctx context.Context, name string, obj P, opts metav1.UpdateOptions) (P, error)
}

// client makes a generated client one for the interface that both scopes of the kind implement.
type client[O, P Object, L runtime.Object] struct{ generated generated[P, L] }

func as[O, P Object](obj P, err error) (O, error) {
	if err != nil {
		var none O
		return none, err
	}
	return any(obj).(O), nil
}

func (c client[O, P, L]) Create(ctx context.Context, obj O, opts metav1.CreateOptions) (O, error) {
	return as[O](c.generated.Create(ctx, any(obj).(P), opts))
}

func (c client[O, P, L]) Update(ctx context.Context, obj O, opts metav1.UpdateOptions) (O, error) {
	return as[O](c.generated.Update(ctx, any(obj).(P), opts))
}

func (c client[O, P, L]) UpdateStatus(ctx context.Context, obj O, opts metav1.UpdateOptions) (O, error) {
	updater, ok := c.generated.(statusUpdater[P])
	if !ok {
		var none O
		return none, fmt.Errorf("%T has no status", obj)
	}
	return as[O](updater.UpdateStatus(ctx, any(obj).(P), opts))
}

func (c client[O, P, L]) UpdateRollout(ctx context.Context, obj O, opts metav1.UpdateOptions) (O, error) {
	updater, ok := c.generated.(rolloutUpdater[P])
	if !ok {
		var none O
		return none, fmt.Errorf("%T has no rollout", obj)
	}
	return as[O](updater.UpdateRollout(ctx, obj.GetName(), any(obj).(P), opts))
}

func (c client[O, P, L]) Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error {
	return c.generated.Delete(ctx, name, opts)
}

func (c client[O, P, L]) Get(ctx context.Context, name string, opts metav1.GetOptions) (O, error) {
	return as[O](c.generated.Get(ctx, name, opts))
}

func (c client[O, P, L]) List(ctx context.Context, opts metav1.ListOptions) ([]O, error) {
	list, err := c.generated.List(ctx, opts)
	if err != nil {
		return nil, err
	}
	var found []O
	err = meta.EachListItem(list, func(obj runtime.Object) error {
		found = append(found, obj.(O))
		return nil
	})
	return found, err
}

func (c client[O, P, L]) Patch(ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (O, error) {
	return as[O](c.generated.Patch(ctx, name, pt, data, opts, subresources...))
}
