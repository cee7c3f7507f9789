// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/features"
	"k8s.io/apiserver/pkg/registry/generic"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/etcd3"
	"k8s.io/apiserver/pkg/storage/feature"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	plaintext "k8s.io/apiserver/pkg/storage/value/encrypt/identity"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apiserver/etcd"
)

// localRESTOptions has storage call the etcd in this process, to which the generic server would send messages. Apart from the client, storage is
// made as the generic server makes it.
type localRESTOptions struct {
	generic.RESTOptionsGetter

	member  *etcd.Server
	options *genericoptions.EtcdOptions

	compaction sync.Mutex
	compactor  etcd3.Compactor
	// users are the stores that the compactor works for, and stop ends it.
	users int
	stop  func()
}

// GetRESTOptions returns the options of a resource.
func (g *localRESTOptions) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	options, err := g.RESTOptionsGetter.GetRESTOptions(resource, example)
	if err != nil {
		return generic.RESTOptions{}, err
	}
	sizes, err := genericoptions.ParseWatchCacheSizes(g.options.WatchCacheSizes)
	if err != nil {
		return generic.RESTOptions{}, err
	}
	options.Decorator = g.uncached
	if size, ok := sizes[resource]; g.options.EnableWatchCache && (!ok || size > 0) {
		options.Decorator = g.cached
	}
	return options, nil
}

// cached is a generic.StorageDecorator, as registry.StorageWithCacher makes one.
func (g *localRESTOptions) cached(
	config *storagebackend.ConfigForResource,
	resourcePrefix string,
	keyFunc func(obj runtime.Object) (string, error),
	newFunc func() runtime.Object,
	newListFunc func() runtime.Object,
	getAttrs storage.AttrFunc,
	trigger storage.IndexerFuncs,
	indexers *cache.Indexers,
) (storage.Interface, factory.DestroyFunc, error) {
	store, destroy, err := g.uncached(config, resourcePrefix, keyFunc, newFunc, newListFunc, getAttrs, trigger, indexers)
	if err != nil {
		return nil, nil, err
	}
	c, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage:             store,
		Versioner:           storage.APIObjectVersioner{},
		GroupResource:       config.GroupResource,
		EventsHistoryWindow: config.EventsHistoryWindow,
		ResourcePrefix:      resourcePrefix,
		KeyFunc:             keyFunc,
		NewFunc:             newFunc,
		NewListFunc:         newListFunc,
		GetAttrsFunc:        getAttrs,
		IndexerFuncs:        trigger,
		Indexers:            indexers,
		Codec:               config.Codec,
	})
	if err != nil {
		destroy()
		return nil, nil, fmt.Errorf("cache of %s: %w", config.GroupResource, err)
	}
	delegator := cacher.NewCacheDelegator(c, store)
	return delegator, sync.OnceFunc(func() {
		delegator.Stop()
		c.Stop()
		destroy()
	}), nil
}

// uncached is a generic.StorageDecorator, as generic.UndecoratedStorage is one.
func (g *localRESTOptions) uncached(
	config *storagebackend.ConfigForResource,
	resourcePrefix string,
	_ func(obj runtime.Object) (string, error),
	newFunc func() runtime.Object,
	newListFunc func() runtime.Object,
	_ storage.AttrFunc,
	_ storage.IndexerFuncs,
	_ *cache.Indexers,
) (storage.Interface, factory.DestroyFunc, error) {
	client := g.member.Client()
	// Consistent reads from the cache need it. The library would ask the client's endpoints, and this one has none.
	feature.DefaultFeatureSupportChecker.CheckClient(client.Ctx(), g.member, storage.RequestWatchProgress)
	client.KV = etcd3.NewETCDLatencyTracker(client.KV)
	versioner := storage.APIObjectVersioner{}
	decoder, objects := etcd3.NewDefaultDecoder(config.Codec, versioner), config.Transformer
	if objects == nil {
		objects = plaintext.NewEncryptCheckTransformer()
	}
	deletesCorrupt := utilfeature.DefaultFeatureGate.Enabled(features.AllowUnsafeMalformedObjectDeletion)
	if deletesCorrupt {
		decoder, objects = etcd3.WithCorruptObjErrorHandlingDecoder(decoder), etcd3.WithCorruptObjErrorHandlingTransformer(objects)
	}
	compactor, release := g.compact(config.CompactionInterval)
	store, err := etcd3.New(client, compactor, config.Codec, newFunc, newListFunc, config.Prefix, resourcePrefix, config.GroupResource,
		objects, config.LeaseManagerConfig, decoder, versioner)
	if err != nil {
		release()
		_ = client.Close()
		return nil, nil, fmt.Errorf("store of %s: %w", config.GroupResource, err)
	}
	destroy := sync.OnceFunc(func() {
		release()
		store.Close()
		_ = client.Close()
	})
	if deletesCorrupt {
		return etcd3.NewStoreWithUnsafeCorruptObjectDeletion(store, config.GroupResource), destroy, nil
	}
	return store, destroy, nil
}

// compact returns the compactor, which is one for all stores, and a function that a store calls when it is done with it. There is none if the
// interval is 0.
func (g *localRESTOptions) compact(interval time.Duration) (compactor etcd3.Compactor, release func()) {
	if interval == 0 {
		return nil, func() {}
	}
	g.compaction.Lock()
	defer g.compaction.Unlock()
	if g.users == 0 {
		client := g.member.Client()
		compactor := etcd3.NewCompactor(client.Client, interval, clock.RealClock{}, func() {})
		g.compactor = compactor
		g.stop = func() {
			compactor.Stop()
			_ = client.Close()
		}
	}
	g.users++
	return g.compactor, sync.OnceFunc(func() {
		g.compaction.Lock()
		defer g.compaction.Unlock()
		if g.users--; g.users == 0 {
			g.stop()
		}
	})
}
