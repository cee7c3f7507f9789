// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// data is what an envelope has in place of a spec.
type data = map[string]runtime.RawExtension

// Resources are the envelopes of both scopes.
func Resources() []store.Resource {
	return []store.Resource{
		store.NewResource[placement.ClusterResourceEnvelope, placement.ClusterResourceEnvelopeList](
			placement.GroupName, registry.ClusterScoped("clusterresourceenvelopes"),
			store.Family[*placement.ClusterResourceEnvelope, data, struct{}]{
				Spec:           func(o *placement.ClusterResourceEnvelope) *data { return &o.Data },
				Validate:       validation.ValidateClusterResourceEnvelope,
				ValidateUpdate: validation.ValidateClusterResourceEnvelopeUpdate,
				Warnings:       warnings[*placement.ClusterResourceEnvelope],
				Columns: []store.Column[*placement.ClusterResourceEnvelope]{
					store.Age[*placement.ClusterResourceEnvelope](),
				},
			}),
		store.NewResource[placement.ResourceEnvelope, placement.ResourceEnvelopeList](
			placement.GroupName, registry.Namespaced("resourceenvelopes"),
			store.Family[*placement.ResourceEnvelope, data, struct{}]{
				Spec:           func(o *placement.ResourceEnvelope) *data { return &o.Data },
				Validate:       validation.ValidateResourceEnvelope,
				ValidateUpdate: validation.ValidateResourceEnvelopeUpdate,
				Warnings:       warnings[*placement.ResourceEnvelope],
				Columns: []store.Column[*placement.ResourceEnvelope]{
					store.Age[*placement.ResourceEnvelope](),
				},
			}),
	}
}

// warnings tells that an envelope does harm where it is placed: nothing unwraps it yet, and it is not placed as it is.
func warnings[O store.Object](O) []string {
	return []string{"envelopes are not supported yet: a version of a placement that has one is applied on no cluster"}
}
