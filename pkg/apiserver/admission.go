// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apiserver/pkg/admission"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/admission/hubkinds"
	"github.com/stagegate/stagegate/pkg/admission/initializer"
	"github.com/stagegate/stagegate/pkg/admission/objectlimit"
	"github.com/stagegate/stagegate/pkg/admission/placementvalidation"
	"github.com/stagegate/stagegate/pkg/client/inprocess"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/rollout/snapshot"
)

// AdmissionInitializers gives our admission plugins the server's own API, the kinds of the hub, the limits that the flags set and who judges runs, and starts
// their informers with the server.
func (o *Options) AdmissionInitializers(config *genericapiserver.RecommendedConfig) ([]admission.PluginInitializer, error) {
	client, err := inprocess.NewClientset(o.network.Config(config.LoopbackClientConfig))
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
	kinds, err := hubKinds(config.ClientConfig)
	if err != nil {
		return nil, err
	}
	hub, err := hubObjects(config.ClientConfig)
	if err != nil {
		return nil, err
	}
	return []admission.PluginInitializer{
		initializer.New(client, informers),
		initializer.NewPolicyJudge(o.judge),
		objectlimit.NewInitializer(metadataClient, o.MaxObjects, registry.IsController),
		placementvalidation.NewInitializer(hub, o.Rollout.Limits),
		hubkinds.NewInitializer(hubkinds.New(kinds, clock.RealClock{})),
	}, nil
}

// hubKinds has admission ask for the kinds that placements take. A server that was put together without a hub has none to ask.
func hubKinds(hub *rest.Config) (hubkinds.Read, error) {
	if hub == nil {
		return func(context.Context) (hubkinds.Kinds, error) {
			return hubkinds.Kinds{}, errors.New("the server has no hub")
		}, nil
	}
	hub = rest.CopyConfig(hub)
	hub.WarningHandler = rest.NoWarnings{}
	reader, err := snapshot.NewKindReader(hub)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (hubkinds.Kinds, error) {
		found, err := reader.Kinds(ctx)
		if err != nil {
			return hubkinds.Kinds{}, err
		}
		kinds := hubkinds.Kinds{Failed: found.Failed}
		for _, k := range found.Served {
			kinds.Served = append(kinds.Served, hubkinds.Kind(k))
		}
		return kinds, nil
	}, nil
}

// hubObjects has admission look for objects of the hub. How many it looks for at once the plugin bounds, and its priority and fairness.
func hubObjects(hub *rest.Config) (metadata.Interface, error) {
	if hub == nil {
		return nil, nil
	}
	hub = rest.CopyConfig(hub)
	hub.WarningHandler = rest.NoWarnings{}
	hub.QPS = -1
	objects, err := metadata.NewForConfig(hub)
	if err != nil {
		return nil, fmt.Errorf("metadata client of the hub: %w", err)
	}
	return objects, nil
}
