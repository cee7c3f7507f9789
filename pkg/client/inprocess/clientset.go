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

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	placementv1beta1 "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/scheme"
	clusterclient "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/cluster/v1beta1"
	placementclient "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/placement/v1beta1"
	rolloutclient "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/rollout/v1alpha1"
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
	c := &clientset{clients: map[schema.GroupVersion]rest.Interface{}}
	if c.DiscoveryClient, err = discovery.NewDiscoveryClientForConfigAndClient(config, connection); err != nil {
		return nil, err
	}
	for _, version := range scheme.Scheme.PrioritizedVersionsAllGroups() {
		if c.clients[version], err = newClient(config, connection, version); err != nil {
			return nil, fmt.Errorf("client of %s: %w", version, err)
		}
	}
	return c, nil
}

// clientset implements versioned.Interface, with a client for each version that the generated clientset knows.
type clientset struct {
	*discovery.DiscoveryClient

	clients map[schema.GroupVersion]rest.Interface
}

var _ versioned.Interface = &clientset{}

// Discovery implements versioned.Interface.
func (c *clientset) Discovery() discovery.DiscoveryInterfaces { return c.DiscoveryClient }

// ClusterV1beta1 implements versioned.Interface.
func (c *clientset) ClusterV1beta1() clusterclient.ClusterV1beta1Interface {
	return clusterclient.New(c.clients[clusterv1beta1.SchemeGroupVersion])
}

// PlacementV1beta1 implements versioned.Interface.
func (c *clientset) PlacementV1beta1() placementclient.PlacementV1beta1Interface {
	return placementclient.New(c.clients[placementv1beta1.SchemeGroupVersion])
}

// RolloutV1alpha1 implements versioned.Interface.
func (c *clientset) RolloutV1alpha1() rolloutclient.RolloutV1alpha1Interface {
	return rolloutclient.New(c.clients[rolloutv1alpha1.SchemeGroupVersion])
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
