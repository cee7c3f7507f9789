// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"

	"k8s.io/apiserver/pkg/admission"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/metadata"

	"github.com/stagegate/stagegate/pkg/admission/initializer"
	"github.com/stagegate/stagegate/pkg/admission/objectlimit"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
)

// AdmissionInitializers gives our admission plugins the server's own API and the limits that the flags set, and starts their informers
// with the server.
func (o *Options) AdmissionInitializers(config *genericapiserver.RecommendedConfig) ([]admission.PluginInitializer, error) {
	client, err := versioned.NewForConfig(config.LoopbackClientConfig)
	if err != nil {
		return nil, fmt.Errorf("client of the fleet's API: %w", err)
	}
	metadataClient, err := metadata.NewForConfig(config.LoopbackClientConfig)
	if err != nil {
		return nil, fmt.Errorf("metadata client of the fleet's API: %w", err)
	}
	informers := externalversions.NewSharedInformerFactory(client, 0)
	err = config.AddPostStartHook("start-fleet-informers", func(hook genericapiserver.PostStartHookContext) error {
		informers.Start(hook.Done())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []admission.PluginInitializer{
		initializer.New(client, informers),
		objectlimit.NewInitializer(metadataClient, o.MaxObjects, registry.IsLoop),
	}, nil
}
