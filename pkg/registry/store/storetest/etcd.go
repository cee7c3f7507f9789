// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	"k8s.io/apiserver/pkg/storage/storagebackend"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
)

// Etcd starts an etcd that ends with the test, and stores every resource in it without a cache.
func Etcd(t testing.TB) Getter {
	t.Helper()
	return Getter{endpoints: testserver.RunEtcd(t, nil).Endpoints()}
}

// Getter has the options of every resource in that etcd, below the prefix /registry.
type Getter struct {
	endpoints []string
}

var _ generic.RESTOptionsGetter = Getter{}

// Endpoints are where the etcd listens.
func (g Getter) Endpoints() []string { return g.endpoints }

// GetRESTOptions implements generic.RESTOptionsGetter.
func (g Getter) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	codec := scheme.Codecs.LegacyCodec(storageVersion(example))
	config := storagebackend.NewDefaultConfig("/registry", codec)
	config.Transport.ServerList = g.endpoints
	return generic.RESTOptions{
		StorageConfig:           config.ForResource(resource),
		Decorator:               generic.UndecoratedStorage,
		EnableGarbageCollection: true,
		DeleteCollectionWorkers: 1,
		ResourcePrefix:          resource.Group + "/" + resource.Resource,
	}, nil
}

// storageVersion is the version that an object is stored in: its hub version, which the scheme names first.
func storageVersion(object runtime.Object) schema.GroupVersion {
	kinds, _, err := scheme.Scheme.ObjectKinds(object)
	if err != nil {
		panic(err)
	}
	return kinds[0].GroupVersion()
}
