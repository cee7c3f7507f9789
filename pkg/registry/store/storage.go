// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
)

// Storage is what is served for a kind.
type Storage struct {
	// REST serves the objects.
	REST *REST
	// Status serves their status subresource; nil if they have none.
	Status *StatusREST
	// Action is the store for NewActionREST.
	Action *genericregistry.Store

	bounds *bounds
	// controllers reports whether one of the server's own controllers makes a request. Nil means that none does.
	controllers func(ctx context.Context) bool
}

// NewStorage returns the storage of a kind. The same storage serves all versions, with one watch on etcd. It refuses objects of users
// that are larger than MaxUserBytes.
func NewStorage(r Resource, optsGetter generic.RESTOptionsGetter) (*Storage, error) {
	s := &Storage{bounds: &bounds{kind: r.Kind, measure: r.measure}}
	main := &genericregistry.Store{
		NewFunc:                   r.New,
		NewListFunc:               r.NewList,
		DefaultQualifiedResource:  r.GroupResource(),
		SingularQualifiedResource: schema.GroupResource{Group: r.Group, Resource: r.Singular()},

		CreateStrategy:      r.Strategy,
		UpdateStrategy:      r.Strategy,
		DeleteStrategy:      r.Strategy,
		ResetFieldsStrategy: r.Strategy,
		TableConvertor:      r.TableConvertor,

		BeginCreate: s.beginCreate,
		BeginUpdate: s.bounds.update,
	}
	if err := main.CompleteWithOptions(&generic.StoreOptions{RESTOptions: optsGetter, AttrFunc: r.Attributes}); err != nil {
		return nil, fmt.Errorf("completing the store of %s: %w", r.GroupResource(), err)
	}

	action := *main
	action.UpdateStrategy = r.ActionStrategy
	action.BeginUpdate = ofAction
	s.REST, s.Action = &REST{Store: main, shortNames: r.ShortNames, categories: r.Categories}, &action
	if r.StatusStrategy != nil {
		status := *main
		status.UpdateStrategy = r.StatusStrategy
		status.ResetFieldsStrategy = r.StatusStrategy
		s.Status = &StatusREST{Store: &status}
	}
	return s, nil
}

// ForControllers treats requests for which controllers returns true as those of the server's own controllers: they may write objects larger
// than MaxUserBytes, what they create begins without managedFields, and what they write to a status is not in any. It must be called before anything
// is served.
func (s *Storage) ForControllers(controllers func(ctx context.Context) bool) {
	s.controllers, s.bounds.exempt = controllers, controllers
	if s.Status != nil {
		s.Status.controllers = controllers
	}
}

// beginCreate is a genericregistry.Store's BeginCreate. An object without managedFields gets none until it is first applied by server-side
// apply. Who applies it then has conflicts with a manager "before-first-apply", as the library calls it, over all that is there already. Until
// then nobody pays for the managedFields at each write, copy and event.
func (s *Storage) beginCreate(ctx context.Context, obj runtime.Object, options *metav1.CreateOptions) (genericregistry.FinishFunc, error) {
	if s.controllers != nil && s.controllers(ctx) {
		if o := obj.(Object); !applied(o) {
			o.SetManagedFields(nil)
		}
	}
	return s.bounds.create(ctx, obj, options)
}

// applied reports whether somebody owns fields of an object by having applied them.
func applied(o metav1.Object) bool {
	return slices.ContainsFunc(o.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Operation == metav1.ManagedFieldsOperationApply
	})
}

// Paths returns the storages by what follows the name of an object in the URL.
func (s *Storage) Paths() map[string]rest.Storage {
	paths := map[string]rest.Storage{"": s.REST}
	if s.Status != nil {
		paths["status"] = s.Status
	}
	return paths
}

// Group collects the storages of an API group.
type Group struct {
	name  string
	paths map[string]rest.Storage
}

// NewGroup returns an empty group.
func NewGroup(name string) *Group {
	return &Group{name: name, paths: map[string]rest.Storage{}}
}

// Add adds the storages of a resource, by what follows the name of an object in the URL.
func (g *Group) Add(r Resource, paths map[string]rest.Storage) {
	for sub, storage := range paths {
		path := r.Plural
		if sub != "" {
			path += "/" + sub
		}
		g.paths[path] = storage
	}
}

// Info returns the group ready to be installed: every version serves the same storages.
func (g *Group) Info() genericapiserver.APIGroupInfo {
	info := genericapiserver.NewDefaultAPIGroupInfo(g.name, scheme.Scheme, scheme.ParameterCodec, scheme.Codecs)
	for _, v := range Versions(g.name) {
		info.VersionedResourcesStorageMap[v] = g.paths
	}
	return info
}
