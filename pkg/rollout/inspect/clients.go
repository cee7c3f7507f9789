// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"

	placementv1beta1 "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
)

// clients of one member. They share connections.
type clients struct {
	kube      kubernetes.Interface
	discovery discovery.DiscoveryInterfaceWithContext
	crds      clientset.Interface
	fleet     versioned.Interface
	metadata  metadata.Interface
	// err is why there are none.
	err error
}

// appliedWorksPage is so small that the largest objects there can be do not make an answer that is refused as too large.
const appliedWorksPage = 20

// eachAppliedWork calls f for each AppliedWork on the member.
func (c *clients) eachAppliedWork(ctx context.Context, f func(*placementv1beta1.AppliedWork) error) error {
	var failed error
	pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.fleet.PlacementV1beta1().AppliedWorks().List(ctx, options)
	})
	pages.PageSize = appliedWorksPage
	err := pages.EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		failed = f(object.(*placementv1beta1.AppliedWork))
		return failed
	})
	if failed != nil || err == nil {
		return failed
	}
	return fmt.Errorf("listing AppliedWorks: %w", err)
}

func connect(config *rest.Config) *clients {
	c := &clients{}
	http, err := rest.HTTPClientFor(config)
	if err != nil {
		c.err = err
		return c
	}
	if c.kube, c.err = kubernetes.NewForConfigAndClient(config, http); c.err != nil {
		return c
	}
	c.discovery = discovery.ToDiscoveryInterfaceWithContext(c.kube.Discovery())
	if c.crds, c.err = clientset.NewForConfigAndClient(config, http); c.err != nil {
		return c
	}
	if c.fleet, c.err = versioned.NewForConfigAndClient(config, http); c.err != nil {
		return c
	}
	c.metadata, c.err = metadata.NewForConfigAndClient(metadata.ConfigFor(config), http)
	return c
}
