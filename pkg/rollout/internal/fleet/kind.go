// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// Object is what every API object is.
type Object interface {
	metav1.Object
	runtime.Object
}

// Client writes and reads objects of one kind in one namespace, or of one cluster-scoped kind.
type Client[O Object] interface {
	Create(ctx context.Context, obj O, opts metav1.CreateOptions) (O, error)
	Update(ctx context.Context, obj O, opts metav1.UpdateOptions) (O, error)
	// UpdateStatus fails for a kind without a status.
	UpdateStatus(ctx context.Context, obj O, opts metav1.UpdateOptions) (O, error)
	// UpdateRollout fails for a kind without the subresource rollout.
	UpdateRollout(ctx context.Context, obj O, opts metav1.UpdateOptions) (O, error)
	Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error
	Get(ctx context.Context, name string, opts metav1.GetOptions) (O, error)
	Patch(ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (O, error)
}

// Kind is the two scopes of one kind seen as one: an empty namespace means the cluster-scoped kind, any other the namespaced one.
// Reads come from the informers' caches and must not be changed; use Copy.
type Kind[O Object] struct {
	cluster, namespaced scope[O]
}

type scope[O Object] struct {
	kind     string
	resource string
	informer cache.SharedIndexInformer
	client   func(namespace string) Client[O]
	empty    func() O
}

func (k Kind[O]) scope(namespace string) scope[O] {
	if namespace == "" {
		return k.cluster
	}
	return k.namespaced
}

// GroupVersionKind is that of the kind in a namespace, for owner references and Events.
func (k Kind[O]) GroupVersionKind(namespace string) schema.GroupVersionKind {
	return v1beta1.SchemeGroupVersion.WithKind(k.scope(namespace).kind)
}

// New makes an empty object with a key, type included.
func (k Kind[O]) New(key reconcile.Key) O {
	obj := k.scope(key.Namespace).empty()
	obj.GetObjectKind().SetGroupVersionKind(k.GroupVersionKind(key.Namespace))
	obj.SetNamespace(key.Namespace)
	obj.SetName(key.Name)
	return obj
}

// Client writes objects in a namespace.
func (k Kind[O]) Client(namespace string) Client[O] { return k.scope(namespace).client(namespace) }

// Informers are those of both scopes.
func (k Kind[O]) Informers() []cache.SharedIndexInformer {
	return []cache.SharedIndexInformer{k.cluster.informer, k.namespaced.informer}
}

// Cache is the store of the informer that a namespace's objects are read from.
func (k Kind[O]) Cache(namespace string) cache.Store { return k.scope(namespace).informer.GetStore() }

// HasSynced says whether both caches are filled.
func (k Kind[O]) HasSynced() bool {
	return k.cluster.informer.HasSynced() && k.namespaced.informer.HasSynced()
}

// Watch feeds a loop from both scopes.
func (k Kind[O]) Watch(loop *reconcile.Loop, f reconcile.MapFunc) {
	for _, informer := range k.Informers() {
		loop.Watch(informer, f)
	}
}

// Get reads an object from the cache; a missing one is a NotFound error.
func (k Kind[O]) Get(key reconcile.Key) (O, error) {
	var none O
	s := k.scope(key.Namespace)
	obj, found, err := s.informer.GetIndexer().GetByKey(cache.NewObjectName(key.Namespace, key.Name).String())
	if err != nil {
		return none, fmt.Errorf("reading %s %s from the cache: %w", s.kind, key, err)
	}
	if !found {
		return none, apierrors.NewNotFound(v1beta1.Resource(s.resource), key.Name)
	}
	return obj.(O), nil
}

// List reads the objects of a namespace, or the cluster-scoped ones, from the cache.
func (k Kind[O]) List(namespace string, selector labels.Selector) []O {
	var found []O
	add := func(obj any) { found = append(found, obj.(O)) }
	indexer := k.scope(namespace).informer.GetIndexer()
	// The only error is that of a missing index, in which case all objects are looked at.
	_ = cache.ListAllByNamespace(indexer, namespace, selector, add)
	return found
}

// All reads the objects of both scopes and every namespace from the cache.
func (k Kind[O]) All() []O {
	var found []O
	for _, informer := range k.Informers() {
		for _, obj := range informer.GetIndexer().List() {
			found = append(found, obj.(O))
		}
	}
	return found
}

// ByIndex reads the objects that an index of this package finds, from the cache. The value is a key: its namespace picks the scope.
func (k Kind[O]) ByIndex(index string, value reconcile.Key) []O {
	objs, err := k.scope(value.Namespace).informer.GetIndexer().ByIndex(index, value.String())
	if err != nil {
		// A missing index is a programming error.
		panic(err)
	}
	found := make([]O, 0, len(objs))
	for _, obj := range objs {
		found = append(found, obj.(O))
	}
	return found
}

// Copy makes an object from the cache one that may be changed.
func Copy[O Object](obj O) O { return obj.DeepCopyObject().(O) }
