// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/placement/approvalrequest"
	"github.com/stagegate/stagegate/pkg/registry/placement/binding"
	"github.com/stagegate/stagegate/pkg/registry/placement/envelope"
	"github.com/stagegate/stagegate/pkg/registry/placement/eviction"
	"github.com/stagegate/stagegate/pkg/registry/placement/override"
	"github.com/stagegate/stagegate/pkg/registry/placement/placementstatus"
	"github.com/stagegate/stagegate/pkg/registry/placement/policysnapshot"
	"github.com/stagegate/stagegate/pkg/registry/placement/resourceplacement"
	"github.com/stagegate/stagegate/pkg/registry/placement/resourcesnapshot"
	"github.com/stagegate/stagegate/pkg/registry/placement/updaterun"
	"github.com/stagegate/stagegate/pkg/registry/placement/updatestrategy"
	"github.com/stagegate/stagegate/pkg/registry/placement/work"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Config is what the resources of the group need of the server.
type Config struct {
	// RESTOptions says where and how objects are stored.
	RESTOptions generic.RESTOptionsGetter
	// Planner plans runs that a dry run would create. Without it they come back with an empty status.
	Planner updaterun.Planner
	// Authorizer is asked whether a user may decide an approval request, stop a run and the like, or prune a placement.
	Authorizer authorizer.Authorizer
	// Clock says when they did.
	Clock clock.PassiveClock
}

// NewAPIGroupInfo makes the storages of the group, which all versions share.
func NewAPIGroupInfo(c Config) (genericapiserver.APIGroupInfo, error) {
	group := store.NewGroup(v1beta1.GroupName)
	for _, family := range families(c) {
		for _, resource := range family.resources {
			s, err := store.NewStorage(resource, c.RESTOptions)
			if err != nil {
				return genericapiserver.APIGroupInfo{}, err
			}
			s.ForControllers(registry.IsController)
			group.Add(resource, family.paths(s))
		}
	}
	return group.Info(), nil
}

// Resources are the names of all resources of the group.
func Resources() []schema.GroupResource {
	var names []schema.GroupResource
	for _, r := range Table() {
		names = append(names, r.GroupResource())
	}
	return names
}

// CompressedResources are the names of the resources whose objects are stored compressed if they are large: what grows with the number
// of clusters or of objects that are placed. All others are stored as they are, within what etcd takes.
func CompressedResources() []schema.GroupResource {
	var names []schema.GroupResource
	for _, resources := range [][]store.Resource{
		resourceplacement.Resources(),
		placementstatus.Resources(),
		resourcesnapshot.Resources(),
		policysnapshot.Resources(),
		binding.Resources(),
		work.Resources(),
		override.SnapshotResources(),
		updaterun.Resources(nil),
	} {
		for _, r := range resources {
			names = append(names, r.GroupResource())
		}
	}
	return names
}

// family is the resources of a package, and what is served beside their storage.
type family struct {
	resources []store.Resource
	paths     func(*store.Storage) map[string]rest.Storage
}

func families(c Config) []family {
	plain := (*store.Storage).Paths
	return []family{
		{resourceplacement.Resources(), func(s *store.Storage) map[string]rest.Storage {
			return resourceplacement.Paths(s, c.Authorizer, c.Clock)
		}},
		{placementstatus.Resources(), plain},
		{resourcesnapshot.Resources(), plain},
		{policysnapshot.Resources(), plain},
		{binding.Resources(), binding.Paths},
		{work.Resources(), plain},
		{override.Resources(), plain},
		{updaterun.Resources(c.Clock), func(s *store.Storage) map[string]rest.Storage {
			return updaterun.Paths(s, c.Planner, c.Authorizer, c.Clock)
		}},
		{updatestrategy.Resources(), plain},
		{approvalrequest.Resources(), func(s *store.Storage) map[string]rest.Storage {
			return approvalrequest.Paths(s, c.Authorizer, c.Clock)
		}},
		{eviction.Resources(), plain},
		{envelope.Resources(), plain},
	}
}

// Table is all resources of the group in one list.
func Table() []store.Resource {
	var all []store.Resource
	for _, f := range families(Config{}) {
		all = append(all, f.resources...)
	}
	return all
}
