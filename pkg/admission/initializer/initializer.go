// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package initializer

import (
	"errors"

	"k8s.io/apiserver/pkg/admission"

	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
)

// WantsFleetInformers is a plugin that reads the fleet's API from caches. It asks the factory for its informers when it is given
// one; whoever made the factory starts it. A plugin that wants the client as well is given the client first.
type WantsFleetInformers interface {
	SetFleetInformers(externalversions.SharedInformerFactory)
	admission.InitializationValidator
}

// WantsFleetClient is a plugin that asks the fleet's API itself, where a cache that lags would make it wrong somebody.
type WantsFleetClient interface {
	SetFleetClient(versioned.Interface)
	admission.InitializationValidator
}

// FleetClient is what a plugin embeds that asks the fleet's API and wants nothing else.
type FleetClient struct{ Client versioned.Interface }

// SetFleetClient implements WantsFleetClient.
func (c *FleetClient) SetFleetClient(client versioned.Interface) { c.Client = client }

// ValidateInitialization implements admission.InitializationValidator.
func (c *FleetClient) ValidateInitialization() error {
	if c.Client == nil {
		return errors.New("missing a client of the fleet's API")
	}
	return nil
}

// New makes an initializer that hands out the client and the informers.
func New(client versioned.Interface, informers externalversions.SharedInformerFactory) admission.PluginInitializer {
	return &initializer{client: client, informers: informers}
}

type initializer struct {
	client    versioned.Interface
	informers externalversions.SharedInformerFactory
}

// Initialize implements admission.PluginInitializer.
func (i *initializer) Initialize(plugin admission.Interface) {
	if wants, ok := plugin.(WantsFleetClient); ok {
		wants.SetFleetClient(i.client)
	}
	if wants, ok := plugin.(WantsFleetInformers); ok {
		wants.SetFleetInformers(i.informers)
	}
}
