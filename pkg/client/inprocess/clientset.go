// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inprocess

import (
	"fmt"
	"net/http"
	"net/url"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"

	clusterapiv1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1"
	clusterapiv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	placementapiv1 "github.com/stagegate/stagegate/pkg/apis/placement/v1"
	placementapiv1beta1 "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	rolloutapiv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/scheme"
	clusterv1 "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/cluster/v1"
	clusterv1beta1 "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/cluster/v1beta1"
	placementv1 "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/placement/v1"
	placementv1beta1 "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/placement/v1beta1"
	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/rollout/v1alpha1"
)

// NewClientset returns clients of the fleet's API. Those for the configuration of a Network share objects with its server; for any other
// they are as those of versioned.NewForConfig.
//
// The generated clientset cannot be configured for this: it sets its codecs itself, and the same for all requests. Here every request has
// codecs of its own, which find the objects of that request and of no other.
func NewClientset(config *rest.Config) (versioned.Interface, error) {
	if _, ok := config.Transport.(*Network); !ok {
		return versioned.NewForConfig(config)
	}
	config = rest.CopyConfig(config)
	if config.UserAgent == "" {
		config.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	if config.RateLimiter == nil && config.QPS > 0 {
		config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(config.QPS, config.Burst)
	}
	connection, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	c := &clientset{}
	if c.DiscoveryClient, err = discovery.NewDiscoveryClientForConfigAndClient(config, connection); err != nil {
		return nil, err
	}
	for version, client := range map[schema.GroupVersion]*rest.Interface{
		clusterapiv1.SchemeGroupVersion:        &c.clusterV1,
		clusterapiv1beta1.SchemeGroupVersion:   &c.clusterV1beta1,
		placementapiv1.SchemeGroupVersion:      &c.placementV1,
		placementapiv1beta1.SchemeGroupVersion: &c.placementV1beta1,
		rolloutapiv1alpha1.SchemeGroupVersion:  &c.rolloutV1alpha1,
	} {
		if *client, err = newClient(config, connection, version); err != nil {
			return nil, fmt.Errorf("client of %s: %w", version, err)
		}
	}
	return c, nil
}

// clientset implements versioned.Interface.
type clientset struct {
	*discovery.DiscoveryClient

	clusterV1, clusterV1beta1, placementV1, placementV1beta1, rolloutV1alpha1 rest.Interface
}

var _ versioned.Interface = &clientset{}

// Discovery implements versioned.Interface.
func (c *clientset) Discovery() discovery.DiscoveryInterfaces { return c.DiscoveryClient }

// ClusterV1 implements versioned.Interface.
func (c *clientset) ClusterV1() clusterv1.ClusterV1Interface { return clusterv1.New(c.clusterV1) }

// ClusterV1beta1 implements versioned.Interface.
func (c *clientset) ClusterV1beta1() clusterv1beta1.ClusterV1beta1Interface {
	return clusterv1beta1.New(c.clusterV1beta1)
}

// PlacementV1 implements versioned.Interface.
func (c *clientset) PlacementV1() placementv1.PlacementV1Interface {
	return placementv1.New(c.placementV1)
}

// PlacementV1beta1 implements versioned.Interface.
func (c *clientset) PlacementV1beta1() placementv1beta1.PlacementV1beta1Interface {
	return placementv1beta1.New(c.placementV1beta1)
}

// RolloutV1alpha1 implements versioned.Interface.
func (c *clientset) RolloutV1alpha1() rolloutv1alpha1.RolloutV1alpha1Interface {
	return rolloutv1alpha1.New(c.rolloutV1alpha1)
}

// client begins requests of one group and version, each with an exchange of its own.
type client struct {
	config     *rest.Config
	base       *url.URL
	path       string
	connection *http.Client
	limiter    flowcontrol.RateLimiter
	// others are the codecs of all other media types.
	others runtime.ClientNegotiator
}

var _ rest.Interface = &client{}

func newClient(of *rest.Config, connection *http.Client, version schema.GroupVersion) (*client, error) {
	config := rest.CopyConfig(of)
	config.GroupVersion, config.APIPath = &version, "/apis"
	codecs := scheme.Codecs.WithoutConversion()
	config.NegotiatedSerializer = codecs
	base, path, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	// It knows what limit the configuration means.
	like, err := rest.RESTClientForConfigAndClient(config, connection)
	if err != nil {
		return nil, err
	}
	return &client{
		config: config, base: base, path: path, connection: connection,
		limiter: like.GetRateLimiter(), others: runtime.NewClientNegotiator(codecs, version),
	}, nil
}

// Verb implements rest.Interface.
func (c *client) Verb(verb string) *rest.Request {
	e := &exchange{next: c.connection.Transport}
	content := rest.ClientContentConfig{
		AcceptContentTypes: MediaType + "," + runtime.ContentTypeJSON, ContentType: MediaType, GroupVersion: c.APIVersion(),
		Negotiator: negotiator{e, c.others},
	}
	through := &http.Client{Transport: e, Timeout: c.connection.Timeout}
	request := rest.NewRequestWithClient(c.base, c.path, content, through).Verb(verb)
	if c.limiter != nil {
		request.Throttle(c.limiter)
	}
	switch {
	case c.config.WarningHandlerWithContext != nil:
		request.WarningHandlerWithContext(c.config.WarningHandlerWithContext)
	case c.config.WarningHandler != nil:
		request.WarningHandler(c.config.WarningHandler)
	}
	return request
}

// GetRateLimiter implements rest.Interface.
func (c *client) GetRateLimiter() flowcontrol.RateLimiter { return c.limiter }

// Post implements rest.Interface.
func (c *client) Post() *rest.Request { return c.Verb(http.MethodPost) }

// Put implements rest.Interface.
func (c *client) Put() *rest.Request { return c.Verb(http.MethodPut) }

// Patch implements rest.Interface.
func (c *client) Patch(t types.PatchType) *rest.Request {
	return c.Verb(http.MethodPatch).SetHeader("Content-Type", string(t))
}

// Get implements rest.Interface.
func (c *client) Get() *rest.Request { return c.Verb(http.MethodGet) }

// Delete implements rest.Interface.
func (c *client) Delete() *rest.Request { return c.Verb(http.MethodDelete) }

// APIVersion implements rest.Interface.
func (c *client) APIVersion() schema.GroupVersion { return *c.config.GroupVersion }

// negotiator has the codecs of one exchange.
type negotiator struct {
	exchange *exchange
	others   runtime.ClientNegotiator
}

var _ runtime.ClientNegotiator = negotiator{}

// Encoder implements runtime.ClientNegotiator.
func (n negotiator) Encoder(contentType string, params map[string]string) (runtime.Encoder, error) {
	if contentType == MediaType {
		return n.exchange, nil
	}
	return n.others.Encoder(contentType, params)
}

// Decoder implements runtime.ClientNegotiator.
func (n negotiator) Decoder(contentType string, params map[string]string) (runtime.Decoder, error) {
	if contentType == MediaType {
		return n.exchange, nil
	}
	return n.others.Decoder(contentType, params)
}

// StreamDecoder implements runtime.ClientNegotiator.
func (n negotiator) StreamDecoder(contentType string, params map[string]string) (runtime.Decoder, runtime.Serializer, runtime.Framer, error) {
	if contentType == MediaType {
		return n.exchange, events{}, framer{}, nil
	}
	return n.others.StreamDecoder(contentType, params)
}
