// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/pager"

	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

// query finds objects of one kind. It is what is watched and what is read.
type query struct {
	kind
	// namespace is that of the objects; empty for cluster-scoped kinds.
	namespace string
	// name of the one object, or empty.
	name string
	// labels is a label selector, or empty.
	labels string
}

// String is what messages call it.
func (q query) String() string {
	s := q.gvr().GroupResource().String()
	if q.name != "" {
		s += " " + q.name
	}
	if q.labels != "" {
		s += " with " + q.labels
	}
	if q.namespace != "" {
		s += " in namespace " + q.namespace
	}
	return s
}

// narrow makes the hub answer with what the query finds alone.
func (q query) narrow(options *metav1.ListOptions) {
	options.LabelSelector = q.labels
	if q.name != "" {
		options.FieldSelector = fields.OneTermEqualSelector("metadata.name", q.name).String()
	}
}

// in is the client of the objects' place.
func (q query) in(hub dynamic.Interface) dynamic.ResourceInterface {
	return hub.Resource(q.gvr()).Namespace(q.namespace)
}

// read reads everything that the query finds from the hub.
func (q query) read(ctx context.Context, hub dynamic.Interface) ([]*unstructured.Unstructured, error) {
	if q.name != "" {
		object, err := q.in(hub).Get(ctx, q.name, metav1.GetOptions{})
		if placeable.IsGone(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return []*unstructured.Unstructured{object}, nil
	}
	options := metav1.ListOptions{}
	q.narrow(&options)
	var found []*unstructured.Unstructured
	err := pager.New(pager.SimplePageFunc(func(options metav1.ListOptions) (runtime.Object, error) {
		return q.in(hub).List(ctx, options)
	})).EachListItem(ctx, options, func(object runtime.Object) error {
		found = append(found, object.(*unstructured.Unstructured))
		return nil
	})
	return found, err
}
