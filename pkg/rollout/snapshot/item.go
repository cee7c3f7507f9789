// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

// item is one object as it goes into a snapshot.
type item struct {
	id  v1beta1.ResourceIdentifier
	raw []byte
	// earlier is what KubeFleet and earlier versions have for raw: with the object's finalizers. Nil where that is the same.
	earlier []byte
}

func (i *item) groupKind() schema.GroupKind {
	return schema.GroupKind{Group: i.id.Group, Kind: i.id.Kind}
}

// object names what an item is, in whichever version it was read.
type object struct {
	schema.GroupKind
	namespace, name string
}

func (i *item) object() object { return object{i.groupKind(), i.id.Namespace, i.id.Name} }

// newItem makes an item of an object of the hub, which it changes. An object that is never selected makes none.
func newItem(source *unstructured.Unstructured) (*item, error) {
	gvk := source.GroupVersionKind()
	if placeable.Excluded(gvk.GroupKind(), source) || excludedContent(source) {
		return nil, nil
	}
	finalizers := source.GetFinalizers()
	strip(source)
	raw, err := source.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encoding %s %s: %w", gvk.Kind, source.GetName(), err)
	}
	var earlier []byte
	if len(finalizers) > 0 {
		source.SetFinalizers(finalizers)
		if earlier, err = source.MarshalJSON(); err != nil {
			return nil, fmt.Errorf("encoding %s %s with its finalizers: %w", gvk.Kind, source.GetName(), err)
		}
	}
	return &item{
		id: v1beta1.ResourceIdentifier{
			Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind, Namespace: source.GetNamespace(), Name: source.GetName(),
		},
		raw:     bytes.TrimSpace(raw),
		earlier: bytes.TrimSpace(earlier),
	}, nil
}
