// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/rollout/members"
)

// clients of one member, with one generation of its credentials. They share connections.
type clients struct {
	generation string
	kube       kubernetes.Interface
	discovery  discovery.DiscoveryInterfaceWithContext
	crds       clientset.Interface
	fleet      versioned.Interface
	metadata   metadata.Interface
	// err is why there are none.
	err error
}

func connect(member *members.Member) *clients {
	c := &clients{generation: member.Generation}
	http, err := rest.HTTPClientFor(member.Config)
	if err != nil {
		c.err = err
		return c
	}
	if c.kube, c.err = kubernetes.NewForConfigAndClient(member.Config, http); c.err != nil {
		return c
	}
	c.discovery = discovery.ToDiscoveryInterfaceWithContext(c.kube.Discovery())
	if c.crds, c.err = clientset.NewForConfigAndClient(member.Config, http); c.err != nil {
		return c
	}
	if c.fleet, c.err = versioned.NewForConfigAndClient(member.Config, http); c.err != nil {
		return c
	}
	c.metadata, c.err = metadata.NewForConfigAndClient(metadata.ConfigFor(member.Config), http)
	return c
}
