// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementvalidation

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/admission/hubkinds"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	envelopes "github.com/stagegate/stagegate/pkg/rules/envelope"
)

// maxKinds is how many kinds of an envelope are warned of. Others are likely to be of the same mistake.
const maxKinds = 10

// dataOf returns what an envelope carries, false for another object.
func dataOf(object runtime.Object) (id v1beta1.EnvelopeIdentifier, data map[string]runtime.RawExtension, ok bool) {
	switch o := object.(type) {
	case *v1beta1.ClusterResourceEnvelope:
		return v1beta1.EnvelopeIdentifier{Name: o.Name, Type: v1beta1.ClusterResourceEnvelopeType}, o.Data, true
	case *v1beta1.ResourceEnvelope:
		return v1beta1.EnvelopeIdentifier{Name: o.Name, Namespace: o.Namespace, Type: v1beta1.ResourceEnvelopeType}, o.Data, true
	}
	return id, nil, false
}

// reviewEnvelope returns what of an envelope no cluster is likely to take. The hub need not have the kinds that its clusters have, so nothing is
// refused. Each kind is told once.
func (p *Plugin) reviewEnvelope(ctx context.Context, id v1beta1.EnvelopeIdentifier, data map[string]runtime.RawExtension) []string {
	var warnings []string
	told := sets.New[schema.GroupVersionKind]()
	for _, key := range slices.Sorted(maps.Keys(data)) {
		manifest, err := data[key].MarshalJSON()
		if err != nil {
			continue
		}
		object, err := envelopes.Check(id, key, manifest)
		if object == nil || err != nil {
			// The registry refuses it.
			continue
		}
		kind := schema.GroupVersionKind{Group: object.Group, Version: object.Version, Kind: object.Kind}
		if told.Has(kind) {
			continue
		}
		told.Insert(kind)
		if why := p.unlikely(ctx, kind, object); why != "" {
			warnings = append(warnings, fmt.Sprintf("%s: %s", field.NewPath("data").Key(key), why))
		}
		if len(warnings) == maxKinds {
			break
		}
	}
	return warnings
}

// unlikely returns why no cluster is likely to take an object in an envelope, empty where some may.
func (p *Plugin) unlikely(ctx context.Context, kind schema.GroupVersionKind, object *v1beta1.ResourceIdentifier) string {
	if err := p.limits.Refuse(kind.GroupKind(), object.Namespace, object.Name); err != nil {
		return fmt.Sprintf("the envelope cannot be used: %v", err)
	}
	versions, err := p.kinds.Of(ctx, kind.GroupKind())
	switch {
	case err != nil:
		return ""
	case len(versions) == 0:
		return fmt.Sprintf("the hub has no kind %s in group %q, and a cluster that has none either refuses the object: check the spelling", kind.Kind, kind.Group)
	case !slices.ContainsFunc(versions, func(k hubkinds.Kind) bool { return k.GroupVersionKind == kind }):
		return fmt.Sprintf("the hub does not serve %s in version %s, and a cluster that does not either refuses the object: use %s",
			kind.GroupKind(), kind.Version, versionsOf(versions))
	}
	return ""
}
