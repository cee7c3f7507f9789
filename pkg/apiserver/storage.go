// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	basecompatibility "k8s.io/component-base/compatibility"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/apiserver/etcd"
	"github.com/stagegate/stagegate/pkg/apiserver/storagecodec"
	"github.com/stagegate/stagegate/pkg/apiserver/transformer"
	cluster "github.com/stagegate/stagegate/pkg/registry/cluster/rest"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	placement "github.com/stagegate/stagegate/pkg/registry/placement/rest"
	rollout "github.com/stagegate/stagegate/pkg/registry/rollout/rest"
)

// storagePrefix begins every key in etcd.
const storagePrefix = "/registry/kubernetes-fleet.io"

// stored are the resources of every group by the version in which they are stored.
var stored = map[schema.GroupVersion]func() []schema.GroupResource{
	v1beta1.SchemeGroupVersion:         placement.Resources,
	clusterv1beta1.SchemeGroupVersion:  cluster.Resources,
	rolloutv1alpha1.SchemeGroupVersion: rollout.Resources,
}

// applyStorage makes the configuration store objects in etcd.
func applyStorage(options *genericoptions.EtcdOptions, config *genericapiserver.Config) error {
	o := *options
	o.StorageConfig.StorageObjectCountTracker = config.StorageObjectCountTracker
	o.StorageConfig.Transport.TracerProvider = config.TracerProvider
	if config.EgressSelector != nil {
		o.StorageConfig.Transport.EgressLookup = config.EgressSelector.Lookup
	}
	factory := newStorageFactory(&o, config.EffectiveVersion)
	if err := o.ApplyWithStorageFactoryTo(factory, config); err != nil {
		return err
	}
	config.RESTOptionsGetter = o.CreateRESTOptionsGetter(factory, transformer.Resources(config.ResourceTransformers, placement.CompressedResources()))
	if member := etcd.Local(o.StorageConfig.Transport.ServerList); member != nil {
		config.RESTOptionsGetter = &localRESTOptions{RESTOptionsGetter: config.RESTOptionsGetter, member: member, options: &o}
	}
	config.RESTOptionsGetter = ownRESTOptions{config.RESTOptionsGetter, storagecodec.NewRecent()}
	return nil
}

// newStorageFactory stores every resource in the version of its group under a key with that group: resources of two groups may share a name.
func newStorageFactory(o *genericoptions.EtcdOptions, version basecompatibility.EffectiveVersion) *serverstorage.DefaultStorageFactory {
	encodings := serverstorage.NewDefaultResourceEncodingConfigForEffectiveVersion(scheme.Scheme, version)
	factory := serverstorage.NewDefaultStorageFactory(o.StorageConfig, o.DefaultStorageMediaType, storagecodec.Serializer(scheme.Codecs, scheme.Scheme),
		encodings, serverstorage.NewResourceConfig(), nil)
	for version, resources := range stored {
		for _, r := range resources() {
			encodings.SetResourceEncoding(r, version, schema.GroupVersion{Group: r.Group, Version: runtime.APIVersionInternal})
			factory.SetResourceEtcdPrefix(r, r.Group+"/"+r.Resource)
		}
	}
	return factory
}

// ownRESTOptions makes storage answer the user when an object is too large, and decode once what was written here.
type ownRESTOptions struct {
	generic.RESTOptionsGetter

	recent *storagecodec.Recent
}

// GetRESTOptions returns the options of a resource.
func (g ownRESTOptions) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	options, err := g.RESTOptionsGetter.GetRESTOptions(resource, example)
	if err != nil {
		return generic.RESTOptions{}, err
	}
	options.Decorator = transformer.Decorate(options.Decorator, registry.IsController)
	options.StorageConfig.Codec = g.recent.Codec(options.StorageConfig.Codec)
	return options, nil
}
