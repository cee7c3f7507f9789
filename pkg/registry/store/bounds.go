// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
)

const (
	// MaxUserBytes is the size in bytes of JSON of the largest object that a user may write. It counts the metadata, managedFields
	// included, and leaves out the status. Compression does not help: the server keeps several decoded copies in memory.
	MaxUserBytes = 1 << 20
	// metadataRoom is the size in bytes up to which the metadata of an object that is too large already may grow, so that labels
	// and finalizers can still be set.
	metadataRoom = 64 << 10
)

// size of an object in bytes of JSON, without its status.
type size struct{ spec, metadata int }

func (s size) total() int { return s.spec + s.metadata }

// measure returns a function that returns the size of an object of the family.
func measure[O Object, S, T any](group string, family Family[O, S, T]) func(obj runtime.Object) (size, error) {
	codec := scheme.Codecs.LegacyCodec(schema.GroupVersion{Group: group, Version: Versions(group)[0]})
	return func(obj runtime.Object) (size, error) {
		o := obj.(O)
		if family.Status != nil {
			var none T
			status := *family.Status(o)
			*family.Status(o) = none
			defer func() { *family.Status(o) = status }()
		}
		all, err := runtime.Encode(codec, o)
		if err != nil {
			return size{}, err
		}
		metadata, err := json.Marshal(obj.(metav1.ObjectMetaAccessor).GetObjectMeta())
		if err != nil {
			return size{}, err
		}
		return size{spec: len(all) - len(metadata), metadata: len(metadata)}, nil
	}
}

// bounds refuse objects larger than MaxUserBytes from users. They apply in the store, which every write to an object and its
// subresources passes, and after admission, which may have enlarged the object.
type bounds struct {
	kind    string
	measure func(obj runtime.Object) (size, error)
	// exempt returns true for requests that may write more. Nil exempts none.
	exempt func(ctx context.Context) bool
}

// create checks a new object.
func (b *bounds) create(ctx context.Context, obj runtime.Object, _ *metav1.CreateOptions) (genericregistry.FinishFunc, error) {
	return done, b.check(ctx, obj, nil)
}

// update is a genericregistry.Store's BeginUpdate.
func (b *bounds) update(ctx context.Context, obj, old runtime.Object, _ *metav1.UpdateOptions) (genericregistry.FinishFunc, error) {
	return done, b.check(ctx, obj, old)
}

func done(context.Context, bool) {}

// check refuses an object that is too large, unless it was so before and does not grow: an older version may have stored it. It also
// ends a request whose client no longer waits.
func (b *bounds) check(ctx context.Context, obj, old runtime.Object) error {
	if err := inTime(ctx); err != nil {
		return err
	}
	if b.exempt != nil && b.exempt(ctx) {
		return nil
	}
	now, err := b.measure(obj)
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("measuring %s: %w", b.describe(obj), err))
	}
	if now.total() <= MaxUserBytes {
		return nil
	}
	if old != nil {
		was, err := b.measure(old)
		if err != nil {
			return apierrors.NewInternalError(fmt.Errorf("measuring what is stored of %s: %w", b.describe(obj), err))
		}
		if was.total() > MaxUserBytes && now.spec <= was.spec && (now.metadata <= max(was.metadata, metadataRoom) || finalizes(obj, old)) {
			return nil
		}
	}
	return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf(
		"%s would have %d bytes of JSON, its managedFields among them and its status not, and a user may write at most %d (1 MiB): divide it into several objects",
		b.describe(obj), now.total(), MaxUserBytes))
}

func (b *bounds) describe(obj runtime.Object) string {
	o := obj.(Object)
	if o.GetNamespace() == "" {
		return fmt.Sprintf("%s %s", b.kind, o.GetName())
	}
	return fmt.Sprintf("%s %s/%s", b.kind, o.GetNamespace(), o.GetName())
}

// finalizes reports whether a write removes a finalizer. That adds to the managedFields, but can happen only as often as there are finalizers.
func finalizes(obj, old runtime.Object) bool {
	return len(obj.(Object).GetFinalizers()) < len(old.(Object).GetFinalizers())
}

// ofAction is the BeginUpdate of a store that the server writes on behalf of users, through actions. Their size is not limited here.
func ofAction(ctx context.Context, _, _ runtime.Object, _ *metav1.UpdateOptions) (genericregistry.FinishFunc, error) {
	return done, inTime(ctx)
}
