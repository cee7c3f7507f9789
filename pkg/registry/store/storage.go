// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"

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
}

// NewStorage returns the storage of a kind. The same storage serves all versions, with one watch on etcd. It refuses objects of users
// that are larger than MaxUserBytes.
func NewStorage(r Resource, optsGetter generic.RESTOptionsGetter) (*Storage, error) {
	bounds := &bounds{kind: r.Kind, measure: r.measure}
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

		BeginCreate: bounds.create,
		BeginUpdate: bounds.update,
	}
	if err := main.CompleteWithOptions(&generic.StoreOptions{RESTOptions: optsGetter, AttrFunc: r.Attributes}); err != nil {
		return nil, fmt.Errorf("completing the store of %s: %w", r.GroupResource(), err)
	}

	action := *main
	action.UpdateStrategy = r.ActionStrategy
	action.BeginUpdate = ofAction
	s := &Storage{REST: &REST{Store: main, shortNames: r.ShortNames, categories: r.Categories}, Action: &action, bounds: bounds}
	if r.StatusStrategy != nil {
		status := *main
		status.UpdateStrategy = r.StatusStrategy
		status.ResetFieldsStrategy = r.StatusStrategy
		s.Status = &StatusREST{Store: &status}
	}
	return s, nil
}

// Exempt allows requests for which exempt returns true to write objects larger than MaxUserBytes. It must be called before anything
// is served.
func (s *Storage) Exempt(exempt func(ctx context.Context) bool) { s.bounds.exempt = exempt }

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
