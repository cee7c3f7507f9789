// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/registry/cluster/membercluster"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Config is what the resources of the group need of the server.
type Config struct {
	// RESTOptions says where and how objects are stored.
	RESTOptions generic.RESTOptionsGetter
}

// NewAPIGroupInfo makes the storages of the group, which all versions share.
func NewAPIGroupInfo(c Config) (genericapiserver.APIGroupInfo, error) {
	group := store.NewGroup(v1beta1.GroupName)
	for _, resource := range membercluster.Resources() {
		s, err := store.NewStorage(resource, c.RESTOptions)
		if err != nil {
			return genericapiserver.APIGroupInfo{}, err
		}
		s.ForControllers(registry.IsController)
		group.Add(resource, s.Paths())
	}
	return group.Info(), nil
}

// Resources are the names of all resources of the group.
func Resources() []schema.GroupResource {
	var names []schema.GroupResource
	for _, r := range membercluster.Resources() {
		names = append(names, r.GroupResource())
	}
	return names
}
