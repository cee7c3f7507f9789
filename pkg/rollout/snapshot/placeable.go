// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// Kind is a kind that the hub serves and whose objects can be listed and watched, which is what a placement can select.
type Kind struct {
	schema.GroupVersionKind
	// Resource is its plural, such as deployments.
	Resource string
	// Namespaced reports whether its objects are in namespaces.
	Namespaced bool
	// InNamespaces reports whether a namespace that is placed with its resources brings objects of the kind along, in this version.
	InNamespaces bool
}

// Kinds are the kinds of the hub at one time.
type Kinds struct {
	// Served has each version of each kind.
	Served []Kind
	// Failed are the group versions whose kinds are unknown, with the reason. Groups of which nothing is ever placed are left out.
	Failed map[schema.GroupVersion]string
}

// KindReader asks the hub for its kinds, for those who must know what a placement would take without selecting it.
type KindReader struct {
	discovery discoverer
	metadata  metadata.Interface
}

// NewKindReader makes a reader that asks the hub as the given client. It asks nothing yet.
func NewKindReader(hub *rest.Config) (*KindReader, error) {
	discoveryClient, err := discovery.NewDiscoveryClientForConfig(hub)
	if err != nil {
		return nil, fmt.Errorf("discovery client of the hub: %w", err)
	}
	metadataClient, err := metadata.NewForConfig(hub)
	if err != nil {
		return nil, fmt.Errorf("metadata client of the hub: %w", err)
	}
	return &KindReader{discovery: discoveryClient, metadata: metadataClient}, nil
}

// Kinds returns the kinds that the hub has now. The error is that of a hub which does not tell any.
func (r *KindReader) Kinds(ctx context.Context) (Kinds, error) {
	found := discover(ctx, r.discovery, r.metadata)
	if found.err != nil {
		return Kinds{}, fmt.Errorf("the kinds of the hub: %w", found.err)
	}
	answer := Kinds{Failed: map[schema.GroupVersion]string{}}
	for gv, why := range found.failed {
		if matters(gv.Group) {
			answer.Failed[gv] = why
		}
	}
	inNamespaces := make(map[schema.GroupVersionResource]bool, len(found.inNamespaces))
	for _, k := range found.inNamespaces {
		inNamespaces[k.gvr()] = true
	}
	for _, k := range found.served {
		answer.Served = append(answer.Served, Kind{k.GroupVersionKind, k.resource, k.namespaced, inNamespaces[k.gvr()]})
	}
	return answer, nil
}
