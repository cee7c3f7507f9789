// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
	envelopes "github.com/stagegate/stagegate/pkg/rules/envelope"
)

// data is what an envelope has in place of a spec.
type data = map[string]runtime.RawExtension

// Resources are the envelopes of both scopes.
func Resources() []store.Resource {
	return []store.Resource{
		store.NewResource[v1beta1.ClusterResourceEnvelope, v1beta1.ClusterResourceEnvelopeList](
			v1beta1.GroupName, registry.ClusterScoped("clusterresourceenvelopes"),
			family(v1beta1.ClusterResourceEnvelopeType, func(o *v1beta1.ClusterResourceEnvelope) *data { return &o.Data })),
		store.NewResource[v1beta1.ResourceEnvelope, v1beta1.ResourceEnvelopeList](
			v1beta1.GroupName, registry.Namespaced("resourceenvelopes"),
			family(v1beta1.ResourceEnvelopeType, func(o *v1beta1.ResourceEnvelope) *data { return &o.Data })),
	}
}

func family[O store.Object](kind v1beta1.EnvelopeType, dataOf func(O) *data) store.Family[O, data, struct{}] {
	// What could not be unwrapped is refused when it is written.
	check := func(o O) func(key string, manifest []byte) error {
		return envelopes.Checker(v1beta1.EnvelopeIdentifier{Name: o.GetName(), Namespace: o.GetNamespace(), Type: kind})
	}
	return store.Family[O, data, struct{}]{
		Spec:     dataOf,
		Validate: func(o O) field.ErrorList { return validation.ValidateEnvelope(*dataOf(o), check(o)) },
		ValidateUpdate: func(o, old O) field.ErrorList {
			return validation.ValidateEnvelopeUpdate(*dataOf(o), *dataOf(old), check(o))
		},
		Columns: []store.Column[O]{store.Age[O]()},
	}
}
