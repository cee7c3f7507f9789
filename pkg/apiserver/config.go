// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"

	apimachineryversion "k8s.io/apimachinery/pkg/version"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/rest"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/client/inprocess"
	"github.com/stagegate/stagegate/pkg/generated/openapi"
	"github.com/stagegate/stagegate/pkg/rollout"
	"github.com/stagegate/stagegate/pkg/version"
)

// ExtraConfig is what this server has beyond any other.
type ExtraConfig struct {
	// Clock stamps decisions; nil means the real one.
	Clock clock.PassiveClock
	// Rollout are the options of what runs beside the API.
	Rollout rollout.Options
	// NewManager makes what runs beside the API, from clients of the server's own API and of the hub; nil means that nothing does.
	NewManager func(api, hub *rest.Config, options rollout.Options) (Manager, error)

	judge   *judge
	imports *imports
	network *inprocess.Network
}

// Config makes a server.
type Config struct {
	Generic *genericapiserver.RecommendedConfig
	Extra   ExtraConfig

	// kinds of bodies are known once the API is installed.
	kinds kindsOfBodies
}

// Config applies the options. Etcd must be up, since its clients are made here.
func (o *Options) Config() (*Config, error) {
	config := genericapiserver.NewRecommendedConfig(scheme.Codecs)
	namer := openapinamer.NewDefinitionNamer(scheme.Scheme)
	config.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, namer)
	config.OpenAPIConfig.Info.Title, config.OpenAPIConfig.Info.Version = "Stagegate", version.String()
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, namer)
	config.OpenAPIV3Config.Info.Title, config.OpenAPIV3Config.Info.Version = "Stagegate", version.String()
	offerNoStrategicMerge(&config.Config)

	if err := o.ServerRun.ApplyTo(&config.Config); err != nil {
		return nil, err
	}
	// Etcd comes last, since it takes the tracing that the others set up.
	recommended := *o.Recommended
	recommended.Etcd = nil
	recommended.FeatureGate = utilfeature.DefaultFeatureGate
	if err := recommended.ApplyTo(config); err != nil {
		return nil, err
	}
	config.EffectiveVersion = ownVersion{config.EffectiveVersion}
	boundBodies(&config.Config)
	beStrictWithActions(&config.Config)
	if o.imports != nil {
		o.imports.gate(&config.Config)
	}
	kinds := kindsOfBodies{}
	tellMistyped(&config.Config, kinds)
	awaitFrontProxy(&config.Config)
	// Last, so that it is behind all the others.
	leadControllers(&config.Config, o.network)
	if err := applyStorage(o.Recommended.Etcd, &config.Config); err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	extra := ExtraConfig{Rollout: o.Rollout.Options, NewManager: newManager, judge: o.judge, network: o.network}
	extra.Rollout.HubRecord = hubRecord{o.Recommended.Etcd.StorageConfig}
	if o.imports != nil {
		extra.imports, extra.Rollout.MayLead = o.imports, o.imports.begin
	}
	var err error
	if extra.Rollout.Traces, err = tracesOfRuns(o.Recommended.Traces, &config.Config); err != nil {
		return nil, err
	}
	return &Config{Generic: config, kinds: kinds, Extra: extra}, nil
}

// ownVersion has /version tell the version of this server. Everything else, such as which feature gates there are, goes by the version of
// the library, which is Kubernetes'.
type ownVersion struct {
	basecompatibility.EffectiveVersion
}

// Info implements basecompatibility.EffectiveVersion.
func (ownVersion) Info() *apimachineryversion.Info {
	info := version.Get()
	return &info
}

// CompletedConfig is a Config with all defaults.
type CompletedConfig struct {
	generic genericapiserver.CompletedConfig
	extra   ExtraConfig
	hub     *rest.Config
	kinds   kindsOfBodies
}

// Complete fills in what is not set.
func (c *Config) Complete() CompletedConfig {
	if c.Extra.Clock == nil {
		c.Extra.Clock = clock.RealClock{}
	}
	hub := c.Generic.ClientConfig
	generic := c.Generic.Complete()
	authenticateControllers(generic)
	return CompletedConfig{generic: generic, extra: c.Extra, hub: hub, kinds: c.kinds}
}
