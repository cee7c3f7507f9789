// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// data is what an envelope has in place of a spec.
type data = map[string]runtime.RawExtension

// Resources are the envelopes of both scopes.
func Resources() []store.Resource {
	return []store.Resource{
		store.NewResource[v1beta1.ClusterResourceEnvelope, v1beta1.ClusterResourceEnvelopeList](
			v1beta1.GroupName, registry.ClusterScoped("clusterresourceenvelopes"),
			store.Family[*v1beta1.ClusterResourceEnvelope, data, struct{}]{
				Spec:           func(o *v1beta1.ClusterResourceEnvelope) *data { return &o.Data },
				Validate:       validation.ValidateClusterResourceEnvelope,
				ValidateUpdate: validation.ValidateClusterResourceEnvelopeUpdate,
				Warnings:       warnings[*v1beta1.ClusterResourceEnvelope],
				Columns: []store.Column[*v1beta1.ClusterResourceEnvelope]{
					store.Age[*v1beta1.ClusterResourceEnvelope](),
				},
			}),
		store.NewResource[v1beta1.ResourceEnvelope, v1beta1.ResourceEnvelopeList](
			v1beta1.GroupName, registry.Namespaced("resourceenvelopes"),
			store.Family[*v1beta1.ResourceEnvelope, data, struct{}]{
				Spec:           func(o *v1beta1.ResourceEnvelope) *data { return &o.Data },
				Validate:       validation.ValidateResourceEnvelope,
				ValidateUpdate: validation.ValidateResourceEnvelopeUpdate,
				Warnings:       warnings[*v1beta1.ResourceEnvelope],
				Columns: []store.Column[*v1beta1.ResourceEnvelope]{
					store.Age[*v1beta1.ResourceEnvelope](),
				},
			}),
	}
}

// warnings tells that an envelope does harm where it is placed: nothing unwraps it yet, and it is not placed as it is.
func warnings[O store.Object](O) []string {
	return []string{"envelopes are not supported yet: a version of a placement that has one is applied on no cluster"}
}
