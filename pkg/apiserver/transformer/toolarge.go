// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package transformer

import (
	"context"
	"errors"
	"fmt"
	"path"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
)

// TooLargeError refuses an object that etcd would not take, or the server not hold.
type TooLargeError struct {
	// Size in bytes of the object as JSON.
	Size int
	// Stored is its size in bytes as it would be stored, compressed and encrypted if that is configured. Zero means that Size alone is
	// too large.
	Stored int
	// Compressed is whether it is.
	Compressed bool
}

// Error names the sizes and the limit.
func (e *TooLargeError) Error() string {
	switch {
	case e.Stored == 0:
		return fmt.Sprintf("%d bytes as JSON, of which at most %d can be stored", e.Size, MaxDecoded)
	case e.Compressed:
		return fmt.Sprintf("%d bytes as JSON and %d bytes compressed, of which at most %d can be stored", e.Size, e.Stored, Limit)
	}
	return fmt.Sprintf("%d bytes as JSON, %d as it is stored, of which at most %d can be", e.Size, e.Stored, Limit)
}

// Decorate makes storage answer writes that are too large with a RequestEntityTooLarge error in place of an internal one. What an older
// version stored and is too large to read can be got by its name, as a stub that has the metadata and UnreadableAnnotation, and
// deleted; lists and watches fail with its key. Requests for which whole returns true get no stub but an error: they would take it for
// the object.
func Decorate(decorator generic.StorageDecorator, whole func(ctx context.Context) bool) generic.StorageDecorator {
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
		return &sized{Interface: inner, resource: config.GroupResource, codec: config.Codec, whole: whole}, destroy, nil
	}
}

type sized struct {
	storage.Interface

	resource schema.GroupResource
	codec    runtime.Codec
	whole    func(ctx context.Context) bool
}

// Create stores an object unless it is too large.
func (s *sized) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	return s.explain(key, s.Interface.Create(ctx, key, obj, out, ttl))
}

// Get reads an object, or a stub of one that is too large.
func (s *sized) Get(ctx context.Context, key string, options storage.GetOptions, out runtime.Object) error {
	ctx, _ = s.access(ctx)
	return s.Interface.Get(ctx, key, options, out)
}

// Delete removes an object, whether it can be read or not.
func (s *sized) Delete(ctx context.Context, key string, out runtime.Object, preconditions *storage.Preconditions,
	validate storage.ValidateObjectFunc, cached runtime.Object, options storage.DeleteOptions,
) error {
	ctx, _ = s.access(ctx)
	return s.Interface.Delete(ctx, key, out, preconditions, validate, cached, options)
}

// GuaranteedUpdate stores an object unless it is too large. One that is too large to read is changed only where it is being deleted:
// what is written in its place is the stub.
func (s *sized) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *storage.Preconditions, tryUpdate storage.UpdateFunc, cachedExistingObject runtime.Object,
) error {
	ctx, access := s.access(ctx)
	try := func(existing runtime.Object, found storage.ResponseMeta) (runtime.Object, *uint64, error) {
		access.existing = existing
		updated, ttl, err := tryUpdate(existing, found)
		if err == nil && access.stub && !isDeleted(updated) {
			err = apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("%s %q is too large to be read, and can only be deleted", s.resource, path.Base(key)))
		}
		return updated, ttl, err
	}
	return s.explain(key, s.Interface.GuaranteedUpdate(ctx, key, destination, ignoreNotFound, preconditions, try, cachedExistingObject))
}

func (s *sized) access(ctx context.Context) (context.Context, *access) {
	a := &access{stubs: !s.whole(ctx), size: func(obj runtime.Object) int {
		data, err := runtime.Encode(s.codec, obj)
		if err != nil {
			return 0
		}
		return len(data)
	}}
	return context.WithValue(ctx, accessKey{}, a), a
}

func isDeleted(obj runtime.Object) bool {
	o, err := meta.Accessor(obj)
	return err == nil && o.GetDeletionTimestamp() != nil
}

func (s *sized) explain(key string, err error) error {
	var tooLarge *TooLargeError
	if !errors.As(err, &tooLarge) {
		return err
	}
	return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("%s %q is too large to store: %s", s.resource, path.Base(key), tooLarge))
}

// accessKey finds what a request for one object and the transformer tell each other.
type accessKey struct{}

type access struct {
	// stubs is whether a stub may be returned, and stub whether the last one read was one.
	stubs, stub bool
	// existing is the object that is being changed.
	existing runtime.Object
	// size returns the size in bytes of an object as JSON.
	size func(runtime.Object) int
}

func accessOf(ctx context.Context) *access {
	a, _ := ctx.Value(accessKey{}).(*access)
	return a
}

// wasLarger reports whether what is changed is beyond Limit already. An older version compressed it, whatever its kind: finalizers can
// be taken off it still.
func wasLarger(ctx context.Context) bool {
	a := accessOf(ctx)
	return a != nil && a.existing != nil && a.size(a.existing) > Limit
}
