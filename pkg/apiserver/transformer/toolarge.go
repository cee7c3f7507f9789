// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package transformer

import (
	"context"
	"errors"
	"fmt"
	"path"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
)

// TooLargeError refuses an object that etcd would not take.
type TooLargeError struct {
	// Size in bytes of the object as JSON.
	Size int
	// Stored is its size in bytes as it would be stored: compressed, and encrypted if that is configured.
	Stored int
}

// Error names the sizes and the limit.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%d bytes as JSON and %d bytes compressed, of which at most %d can be stored", e.Size, e.Stored, Limit)
}

// Decorate makes storage answer writes that are too large with a RequestEntityTooLarge error in place of an internal one.
func Decorate(decorator generic.StorageDecorator) generic.StorageDecorator {
	return func(
		config *storagebackend.ConfigForResource,
		resourcePrefix string,
		keyFunc func(obj runtime.Object) (string, error),
		newFunc func() runtime.Object,
		newListFunc func() runtime.Object,
		getAttrs storage.AttrFunc,
		trigger storage.IndexerFuncs,
		indexers *cache.Indexers,
	) (storage.Interface, factory.DestroyFunc, error) {
		inner, destroy, err := decorator(config, resourcePrefix, keyFunc, newFunc, newListFunc, getAttrs, trigger, indexers)
		if err != nil {
			return nil, destroy, err
		}
		return &sized{Interface: inner, resource: config.GroupResource}, destroy, nil
	}
}

type sized struct {
	storage.Interface

	resource schema.GroupResource
}

// Create stores an object unless it is too large.
func (s *sized) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	return s.explain(key, s.Interface.Create(ctx, key, obj, out, ttl))
}

// GuaranteedUpdate stores an object unless it is too large.
func (s *sized) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *storage.Preconditions, tryUpdate storage.UpdateFunc, cachedExistingObject runtime.Object,
) error {
	err := s.Interface.GuaranteedUpdate(ctx, key, destination, ignoreNotFound, preconditions, tryUpdate, cachedExistingObject)
	return s.explain(key, err)
}

func (s *sized) explain(key string, err error) error {
	var tooLarge *TooLargeError
	if !errors.As(err, &tooLarge) {
		return err
	}
	return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("%s %q is too large to store: %s", s.resource, path.Base(key), tooLarge))
}
