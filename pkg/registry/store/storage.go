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
)

// Storage is what is served for a kind.
type Storage struct {
	// REST serves the objects.
	REST *REST
	// Status serves their status subresource, nil where there is none.
	Status *StatusREST
	// Action is the store for subresources that do something to the objects.
	Action *genericregistry.Store

	bounds *bounds
}

// NewStorage makes the storage of a kind. The same storage serves all versions, with one watch on etcd. It refuses what is larger than
// MaxUserBytes.
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

// Exempt lets requests for which exempt returns true write objects of more than MaxUserBytes. It must be called before anything is
// served.
func (s *Storage) Exempt(exempt func(ctx context.Context) bool) { s.bounds.exempt = exempt }

// Paths are the storages by what follows the name of an object in the URL.
func (s *Storage) Paths() map[string]rest.Storage {
	paths := map[string]rest.Storage{"": s.REST}
	if s.Status != nil {
		paths["status"] = s.Status
	}
	return paths
}
