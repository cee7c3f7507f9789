// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"
	"net/http"
	"path"
	"time"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	genericapi "k8s.io/apiserver/pkg/endpoints"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/stagegate/stagegate/pkg/client/inprocess"
)

// leadControllers puts the handlers for the server's own clients beside those for everybody, behind all filters.
func leadControllers(config *genericapiserver.Config, network *inprocess.Network) {
	build := config.BuildHandlerChainFunc
	config.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
		return build(network.Route(api), c)
	}
}

// installInProcess serves groups that are installed already once more, for the server's own clients: the same storage, admission and checks,
// with the codecs that pass objects by reference.
func (c CompletedConfig) installInProcess(server *genericapiserver.GenericAPIServer, groups []*genericapiserver.APIGroupInfo) error {
	container := restful.NewContainer()
	container.Router(restful.CurlyRouter{})
	for _, group := range groups {
		types, err := managedfields.NewTypeConverter(group.StaticOpenAPISpec, false)
		if err != nil {
			return fmt.Errorf("types of %s: %w", group.PrioritizedVersions[0].Group, err)
		}
		versions := map[string][]string{}
		for version, resources := range group.VersionedResourcesStorageMap {
			for resource := range resources {
				versions[resource] = append(versions[resource], path.Join(group.PrioritizedVersions[0].Group, version))
			}
		}
		for _, gv := range group.PrioritizedVersions {
			// As the generic server fills it in.
			api := &genericapi.APIGroupVersion{
				Root:                        genericapiserver.APIGroupPrefix,
				GroupVersion:                gv,
				Storage:                     group.VersionedResourcesStorageMap[gv.Version],
				AllServedVersionsByResource: versions,
				OptionsExternalVersion:      group.OptionsExternalVersion,
				MetaGroupVersion:            group.MetaGroupVersion,
				ParameterCodec:              group.ParameterCodec,
				Serializer:                  inprocess.Serializer(group.NegotiatedSerializer),
				Creater:                     group.Scheme,
				Convertor:                   group.Scheme,
				ConvertabilityChecker:       group.Scheme,
				UnsafeConvertor:             runtime.UnsafeObjectConvertor(group.Scheme),
				Defaulter:                   group.Scheme,
				Typer:                       group.Scheme,
				Namer:                       runtime.Namer(meta.NewAccessor()),
				TypeConverter:               types,
				EquivalentResourceRegistry:  server.EquivalentResourceRegistry,
				Admit:                       c.generic.AdmissionControl,
				Authorizer:                  server.Authorizer,
				MinRequestTimeout:           time.Duration(c.generic.MinRequestTimeout) * time.Second,
				MaxRequestBodyBytes:         c.generic.MaxRequestBodyBytes,
			}
			if _, _, err := api.InstallREST(container); err != nil {
				return fmt.Errorf("handlers of %s for the controllers: %w", gv, err)
			}
		}
	}
	c.extra.network.ServeObjects(http.HandlerFunc(container.Dispatch))
	return nil
}
