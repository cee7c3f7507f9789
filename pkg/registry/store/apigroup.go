// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
)

// Group collects the storages of an API group.
type Group struct {
	name  string
	paths map[string]rest.Storage
}

// NewGroup is an empty group.
func NewGroup(name string) *Group {
	return &Group{name: name, paths: map[string]rest.Storage{}}
}

// Add serves the storages of a resource, given by what follows the name of an object in the URL.
func (g *Group) Add(r Resource, paths map[string]rest.Storage) {
	for sub, storage := range paths {
		path := r.Plural
		if sub != "" {
			path += "/" + sub
		}
		g.paths[path] = storage
	}
}

// Info is the group ready to be installed: every version serves the same storages.
func (g *Group) Info() genericapiserver.APIGroupInfo {
	info := genericapiserver.NewDefaultAPIGroupInfo(g.name, scheme.Scheme, scheme.ParameterCodec, scheme.Codecs)
	for _, v := range Versions {
		info.VersionedResourcesStorageMap[v] = g.paths
	}
	return info
}
