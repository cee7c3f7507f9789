// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scoped is the clients' view of the kinds of the placement group that there are twice, cluster-scoped and namespaced: both scopes
// of a kind stand behind one type, cached and live. Admission and controllers ask it; it holds no rules of theirs.
package scoped

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// Object is what every API object is.
type Object interface {
	metav1.Object
	runtime.Object
}

// Kind is the two scopes of one kind seen as one: an empty namespace means the cluster-scoped kind, any other the namespaced one.
// Reads come from the informers' caches and must not be changed.
type Kind[O Object] struct {
	cluster, namespaced scope[O]
}

type scope[O Object] struct {
	kind     schema.GroupVersionKind
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
	return k.scope(namespace).kind
}

// New makes an empty object with a key, type included.
func (k Kind[O]) New(key types.NamespacedName) O {
	obj := k.scope(key.Namespace).empty()
	obj.GetObjectKind().SetGroupVersionKind(k.GroupVersionKind(key.Namespace))
	obj.SetNamespace(key.Namespace)
	obj.SetName(key.Name)
	return obj
}

// Client reads and writes the objects of a namespace, or the cluster-scoped ones, in the API.
func (k Kind[O]) Client(namespace string) Client[O] { return k.scope(namespace).client(namespace) }

// Informers are those of both scopes.
func (k Kind[O]) Informers() []cache.SharedIndexInformer {
	return []cache.SharedIndexInformer{k.cluster.informer, k.namespaced.informer}
}

// Cache is the store of the informer that a namespace's objects are read from.
func (k Kind[O]) Cache(namespace string) cache.Store { return k.scope(namespace).informer.GetStore() }

// HasSynced reports whether both caches are filled.
func (k Kind[O]) HasSynced() bool {
	return k.cluster.informer.HasSynced() && k.namespaced.informer.HasSynced()
}

// Get reads an object from the cache; a missing one is a NotFound error.
func (k Kind[O]) Get(key types.NamespacedName) (O, error) {
	var none O
	s := k.scope(key.Namespace)
	obj, found, err := s.informer.GetIndexer().GetByKey(cache.NewObjectName(key.Namespace, key.Name).String())
	if err != nil {
		return none, fmt.Errorf("reading %s %s from the cache: %w", s.kind.Kind, key, err)
	}
	if !found {
		resource, _ := meta.UnsafeGuessKindToResource(s.kind)
		return none, apierrors.NewNotFound(resource.GroupResource(), key.Name)
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

// Covering returns the objects that are about a namespace: the cluster-scoped ones, and those in it. For an empty namespace it returns the
// cluster-scoped ones.
func (k Kind[O]) Covering(namespace string) []O {
	objects := k.List("", labels.Everything())
	if namespace != "" {
		objects = append(objects, k.List(namespace, labels.Everything())...)
	}
	return objects
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

// AllLive reads the cluster-scoped objects and the namespaced ones from the API, those of one namespace or, with an empty one, of all.
func (k Kind[O]) AllLive(ctx context.Context, namespace string) ([]O, error) {
	var found []O
	for _, s := range []scope[O]{k.cluster, k.namespaced} {
		some, err := s.client(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("listing the objects of kind %s: %w", s.kind.Kind, err)
		}
		found = append(found, some...)
	}
	return found, nil
}

// ByIndex reads the objects that an index of the informers finds, from the cache. The value is a key: its namespace picks the scope. An
// index that was not added panics.
func (k Kind[O]) ByIndex(index string, value types.NamespacedName) []O {
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

// ByValue reads the objects of both scopes that an index of the informers finds by a value that is no key, from the cache. An index that was
// not added panics.
func (k Kind[O]) ByValue(index, value string) []O {
	var found []O
	for _, informer := range k.Informers() {
		objs, err := informer.GetIndexer().ByIndex(index, value)
		if err != nil {
			panic(err)
		}
		for _, obj := range objs {
			found = append(found, obj.(O))
		}
	}
	return found
}
