// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package authorvalidation

import (
	"encoding/json"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/admission/initializer"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
	placementlisters "github.com/stagegate/stagegate/pkg/generated/listers/placement/v1beta1"
)

var (
	resourceEnvelopeKind        = schema.GroupKind{Group: v1beta1.GroupName, Kind: string(v1beta1.ResourceEnvelopeType)}
	clusterResourceEnvelopeKind = schema.GroupKind{Group: v1beta1.GroupName, Kind: string(v1beta1.ClusterResourceEnvelopeType)}

	resources = map[schema.GroupKind]string{resourceEnvelopeKind: "resourceenvelopes", clusterResourceEnvelopeKind: "clusterresourceenvelopes"}
)

// envelopes are all that there are, as a cache knows them, which has no more of their objects than which they are. It may lack what was
// written a moment ago, as it would if the placement had been written before.
type envelopes struct {
	namespaced    placementlisters.ResourceEnvelopeLister
	clusterScoped placementlisters.ClusterResourceEnvelopeLister
	synced        func() bool
}

func newEnvelopes(informers externalversions.SharedInformerFactory) envelopes {
	namespaced, clusterScoped := informers.Placement().V1beta1().ResourceEnvelopes(), informers.Placement().V1beta1().ClusterResourceEnvelopes()
	for _, informer := range []cache.SharedIndexInformer{namespaced.Informer(), clusterScoped.Informer()} {
		initializer.QuietStop(informer)
		// Only an informer that runs refuses.
		_ = informer.SetTransform(shrink)
	}
	return envelopes{namespaced.Lister(), clusterScoped.Lister(), func() bool {
		return namespaced.Informer().HasSynced() && clusterScoped.Informer().HasSynced()
	}}
}

// find returns the envelopes of a namespace, or of all, that a selector finds; all of them for nil.
func (e envelopes) find(gk schema.GroupKind, namespace string, s *v1beta1.ResourceSelectorTerm) ([]*contents, error) {
	if !e.synced() {
		return nil, apierrors.NewServiceUnavailable("which permissions this takes cannot be told before the server has read the envelopes: try again later")
	}
	matches := labels.Everything()
	if s != nil && s.Name == "" && s.LabelSelector != nil {
		// One that cannot be read finds nothing, and is taken for one that finds all.
		if selector, err := metav1.LabelSelectorAsSelector(s.LabelSelector); err == nil {
			matches = selector
		}
	}
	var found []*contents
	add := func(o metav1.Object) {
		// One that is on its way out is placed no more.
		if o.GetDeletionTimestamp().IsZero() && (s == nil || s.Name == "" || s.Name == o.GetName()) {
			found = append(found, contentsOf(o.(runtime.Object)))
		}
	}
	var err error
	if gk == clusterResourceEnvelopeKind {
		var all []*v1beta1.ClusterResourceEnvelope
		all, err = e.clusterScoped.List(matches)
		for _, o := range all {
			add(o)
		}
	} else {
		var all []*v1beta1.ResourceEnvelope
		all, err = e.namespaced.ResourceEnvelopes(namespace).List(matches)
		for _, o := range all {
			add(o)
		}
	}
	slices.SortFunc(found, func(a, b *contents) int { return strings.Compare(a.String(), b.String()) })
	return found, err
}

// shrink leaves of the objects in an envelope which they are, and the role of a binding: caches of all that is wrapped would take as much
// memory as the store. A manifest that cannot be read stays, since why it cannot be read is told.
func shrink(object any) (any, error) {
	var data map[string]runtime.RawExtension
	switch o := object.(type) {
	case *v1beta1.ClusterResourceEnvelope:
		data, o.ManagedFields, o.Annotations = o.Data, nil, nil
	case *v1beta1.ResourceEnvelope:
		data, o.ManagedFields, o.Annotations = o.Data, nil, nil
	}
	for key, manifest := range data {
		whole, err := parse(manifest)
		if err != nil {
			continue
		}
		metadata := map[string]any{"name": whole.GetName()}
		if namespace := whole.GetNamespace(); namespace != "" {
			metadata["namespace"] = namespace
		}
		small := map[string]any{"apiVersion": whole.GetAPIVersion(), "kind": whole.GetKind(), "metadata": metadata}
		if role := roleRefOf(whole); role != nil {
			small["roleRef"] = map[string]any{"kind": role.kind, "name": role.name}
		}
		raw, err := json.Marshal(small)
		if err != nil {
			return nil, err
		}
		data[key] = runtime.RawExtension{Raw: raw}
	}
	return object, nil
}
