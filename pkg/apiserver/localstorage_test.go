// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/feature"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/apiserver/etcd"
)

const testPatience = 30 * time.Second

// localStores starts an etcd, and returns what makes the store of a resource in it, after a change of the options.
func localStores(t *testing.T, change func(*Options)) (*etcd.Server, *localRESTOptions, func(resource string) storage.Interface) {
	t.Helper()
	member, err := etcd.Start(t.Context(), etcd.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(member.Close)
	o := NewOptions()
	o.Recommended.Etcd.StorageConfig.Transport.ServerList = []string{member.Endpoint()}
	if change != nil {
		change(o)
	}
	config := genericapiserver.NewRecommendedConfig(scheme.Codecs)
	if err := applyStorage(o.Recommended.Etcd, &config.Config); err != nil {
		t.Fatal(err)
	}
	local, ok := config.RESTOptionsGetter.(ownRESTOptions).RESTOptionsGetter.(*localRESTOptions)
	if !ok {
		t.Fatal("storage does not call the etcd in this process")
	}
	return member, local, func(resource string) storage.Interface {
		t.Helper()
		options, err := local.GetRESTOptions(schema.GroupResource{Group: v1beta1.GroupName, Resource: resource}, &v1beta1.ClusterStagedUpdateRun{})
		if err != nil {
			t.Fatal(err)
		}
		store, destroy, err := options.Decorator(options.StorageConfig, "/"+options.ResourcePrefix,
			func(obj runtime.Object) (string, error) { return storage.NoNamespaceKeyFunc(storedRuns, obj) },
			func() runtime.Object { return &v1beta1.ClusterStagedUpdateRun{} }, func() runtime.Object { return &v1beta1.ClusterStagedUpdateRunList{} },
			storage.DefaultClusterScopedAttr, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(destroy)
		until(t, "the store is ready", func(context.Context) (bool, error) { return store.ReadinessCheck() == nil, nil })
		return store
	}
}

func until(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, testPatience, true, condition); err != nil {
		t.Fatalf("not until now: %s: %v", what, err)
	}
}

const storedRuns = "/" + v1beta1.GroupName + "/clusterstagedupdateruns/"

func createRun(t *testing.T, store storage.Interface, name string) *v1beta1.ClusterStagedUpdateRun {
	t.Helper()
	out := &v1beta1.ClusterStagedUpdateRun{}
	if err := store.Create(t.Context(), storedRuns+name, &v1beta1.ClusterStagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: name}}, out, 0); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestStorageOfTheEmbeddedEtcdIsCachedAsTheFlagsHaveIt(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Options)
		cached bool
	}{
		"by default":     {nil, true},
		"without caches": {func(o *Options) { o.Recommended.Etcd.EnableWatchCache = false }, false},
		"without that cache": {func(o *Options) {
			o.Recommended.Etcd.WatchCacheSizes = []string{"clusterstagedupdateruns." + v1beta1.GroupName + "#0"}
		}, false},
		"without another cache": {func(o *Options) { o.Recommended.Etcd.WatchCacheSizes = []string{"works." + v1beta1.GroupName + "#0"} }, true},
		"with a size of the cache": {func(o *Options) {
			o.Recommended.Etcd.WatchCacheSizes = []string{"clusterstagedupdateruns." + v1beta1.GroupName + "#10"}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, open := localStores(t, test.change)
			store := open("clusterstagedupdateruns")
			if _, cached := store.(*cacher.CacheDelegator); cached != test.cached {
				t.Errorf("the store is a %T, want a cache: %v", store, test.cached)
			}
			watch, err := store.Watch(t.Context(), storedRuns, storage.ListOptions{ResourceVersion: "0", Recursive: true, Predicate: storage.Everything})
			if err != nil {
				t.Fatal(err)
			}
			defer watch.Stop()
			run := createRun(t, store, "run")
			select {
			case event := <-watch.ResultChan():
				object := event.Object
				if cached, ok := object.(runtime.CacheableObject); ok {
					object = cached.GetObject()
				}
				if got, _ := object.(*v1beta1.ClusterStagedUpdateRun); got == nil || got.ResourceVersion != run.ResourceVersion {
					t.Errorf("the watch has %v, want the run of version %s", event.Object, run.ResourceVersion)
				}
			case <-time.After(testPatience):
				t.Error("the watch has nothing")
			}
			list := &v1beta1.ClusterStagedUpdateRunList{}
			if err := store.GetList(t.Context(), storedRuns, storage.ListOptions{Recursive: true, Predicate: storage.Everything}, list); err != nil || len(list.Items) != 1 {
				t.Errorf("%d runs listed, error %v", len(list.Items), err)
			}
		})
	}
}

// TestCachesOfTheEmbeddedEtcdAnswerConsistentReads as those of an external one do, which is asked by its version.
func TestCachesOfTheEmbeddedEtcdAnswerConsistentReads(t *testing.T) {
	_, _, open := localStores(t, nil)
	open("clusterstagedupdateruns")
	until(t, "the etcd tells the progress of watches", func(context.Context) (bool, error) {
		return feature.DefaultFeatureSupportChecker.Supports(storage.RequestWatchProgress), nil
	})
}

func TestTheEmbeddedEtcdIsCompactedByOneForAllStores(t *testing.T) {
	member, local, open := localStores(t, func(o *Options) { o.Recommended.Etcd.StorageConfig.CompactionInterval = 50 * time.Millisecond })
	store := open("clusterstagedupdateruns")
	one := local.compactor
	open("works")
	if one == nil || local.compactor != one || local.users != 2 {
		t.Errorf("compactors %v and %v for %d stores, want one for two", one, local.compactor, local.users)
	}
	first := createRun(t, store, "first")
	createRun(t, store, "second")
	revision, err := storage.APIObjectVersioner{}.ParseResourceVersion(first.ResourceVersion)
	if err != nil {
		t.Fatal(err)
	}
	client := member.Client()
	defer func() { _ = client.Close() }()
	until(t, "the first write is compacted away", func(ctx context.Context) (bool, error) {
		_, err := client.KV.Get(ctx, "/", clientv3.WithRev(int64(revision)))
		if errors.Is(err, rpctypes.ErrCompacted) {
			return true, nil
		}
		return false, err
	})
}
