// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"

	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

var errStoreChanged = errors.New("somebody else has written to the store, or works on this import: nothing in the store was deleted. End the other one, and run the command again")

// maxNamed is how many objects a message names.
const maxNamed = 10

// target is the store into which an import goes.
type target struct {
	client *clientv3.Client
	prefix string
	// options of the server, so that what is written here is what the server reads, compressed and encrypted as it has it.
	options  generic.RESTOptionsGetter
	storages map[schema.GroupResource]*store.Storage
}

// storage of a resource, as the server has it but for the cache.
func (t *target) storage(r store.Resource) (*store.Storage, error) {
	if s := t.storages[r.GroupResource()]; s != nil {
		return s, nil
	}
	s, err := store.NewStorage(r, uncached{t.options})
	if err != nil {
		return nil, err
	}
	t.storages[r.GroupResource()] = s
	return s, nil
}

func (t *target) destroy() {
	for _, s := range t.storages {
		s.REST.Destroy()
	}
}

// create writes an object as it is: neither strategies nor admission see it.
func (t *target) create(ctx context.Context, i imported) error {
	s, err := t.storage(i.resource)
	if err != nil {
		return err
	}
	ctx = request(ctx, i.resource, i.object.GetNamespace(), "")
	key, err := s.REST.KeyFunc(ctx, i.object.GetName())
	if err != nil {
		return fmt.Errorf("writing %s: %w", i, err)
	}
	if err := s.REST.Storage.Create(ctx, key, i.object.DeepCopyObject(), i.resource.New(), 0, false); err != nil {
		return fmt.Errorf("writing %s: %w", i, err)
	}
	return nil
}

// compare returns an error unless an object is stored as it was to be.
func (t *target) compare(ctx context.Context, i imported) error {
	s, err := t.storage(i.resource)
	if err != nil {
		return err
	}
	ctx = request(ctx, i.resource, i.object.GetNamespace(), "")
	key, err := s.REST.KeyFunc(ctx, i.object.GetName())
	if err != nil {
		return fmt.Errorf("reading %s back: %w", i, err)
	}
	stored := i.resource.New().(store.Object)
	if err := s.REST.Storage.Get(ctx, key, storage.GetOptions{}, stored); err != nil {
		return fmt.Errorf("reading %s back: %w", i, err)
	}
	stored.SetResourceVersion("")
	codec := scheme.Codecs.LegacyCodec(storageVersion(i.resource.Group))
	want, err := runtime.Encode(codec, i.object)
	if err != nil {
		return fmt.Errorf("reading %s back: %w", i, err)
	}
	got, err := runtime.Encode(codec, stored)
	if err != nil {
		return fmt.Errorf("reading %s back: %w", i, err)
	}
	if !bytes.Equal(want, got) {
		return fmt.Errorf("%s is not stored as it was read", i)
	}
	return nil
}

// count returns how many objects of a resource are stored.
func (t *target) count(ctx context.Context, resource schema.GroupResource) (int, error) {
	response, err := t.client.Get(ctx, path.Join(t.prefix, resource.Group, resource.Resource)+"/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, fmt.Errorf("counting %s in the store: %w", resource, err)
	}
	return int(response.Count), nil
}

// objects returns some of the objects of the server that are stored, by their keys, and how many there are. Options may leave some out.
func (t *target) objects(ctx context.Context, options ...clientv3.OpOption) (names []string, count int, err error) {
	for _, group := range append([]string{rolloutv1alpha1.GroupName}, groups...) {
		prefix := path.Join(t.prefix, group) + "/"
		response, err := t.client.Get(ctx, prefix, append([]clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(maxNamed)}, options...)...)
		if err != nil {
			return nil, 0, fmt.Errorf("reading the store: %w", err)
		}
		for _, kv := range response.Kvs {
			names = append(names, strings.TrimPrefix(string(kv.Key), t.prefix+"/"))
		}
		// Count is of all that is below the prefix, whatever the options leave out.
		all, err := t.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			return nil, 0, fmt.Errorf("reading the store: %w", err)
		}
		count += int(all.Count)
	}
	return names[:min(len(names), maxNamed)], count, nil
}

// empty deletes all objects that an import writes, in one transaction with the question whether the record is still the one that the caller has put,
// and whether nothing was written since its revision, where it has one. Otherwise nothing is deleted, and errStoreChanged returned.
func (t *target) empty(ctx context.Context, record *Record) error {
	unchanged := []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(path.Join(t.prefix, recordKey)), "=", record.version)}
	var deletions []clientv3.Op
	for _, group := range groups {
		prefix := path.Join(t.prefix, group) + "/"
		if record.Revision > 0 {
			unchanged = append(unchanged, clientv3.Compare(clientv3.ModRevision(prefix), "<", record.Revision+1).WithPrefix())
		}
		deletions = append(deletions, clientv3.OpDelete(prefix, clientv3.WithPrefix()))
	}
	response, err := t.client.Txn(ctx).If(unchanged...).Then(deletions...).Commit()
	if err != nil {
		return fmt.Errorf("emptying the store: %w", err)
	}
	if !response.Succeeded {
		return errStoreChanged
	}
	return nil
}

// revision is that of the last write to the store.
func (t *target) revision(ctx context.Context) (int64, error) {
	response, err := t.client.Get(ctx, path.Join(t.prefix, recordKey), clientv3.WithCountOnly())
	if err != nil {
		return 0, fmt.Errorf("reading the store: %w", err)
	}
	return response.Header.Revision, nil
}

// uncached has a storage without a cache: an import reads what it has written, once.
type uncached struct{ generic.RESTOptionsGetter }

// GetRESTOptions returns the options of a resource.
func (g uncached) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	options, err := g.RESTOptionsGetter.GetRESTOptions(resource, example)
	options.Decorator = generic.UndecoratedStorage
	return options, err
}
