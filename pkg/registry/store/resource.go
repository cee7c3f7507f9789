// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
)

// Versions returns the versions that every kind of a group is served in, the preferred one first.
func Versions(group string) []string {
	var versions []string
	for _, gv := range scheme.Scheme.PrioritizedVersionsForGroup(group) {
		versions = append(versions, gv.Version)
	}
	return versions
}

// Object is what every kind is.
type Object interface {
	metav1.Object
	runtime.Object
}

// Names are the names by which users address a resource.
type Names struct {
	// Plural is the name in URLs and RBAC rules. The singular is the kind in lower case.
	Plural string
	// ShortNames are aliases for kubectl.
	ShortNames []string
	// Categories are the groups of resources that kubectl lists it in.
	Categories []string
	// Namespaced is true if objects are in a namespace.
	Namespaced bool
}

// Resource is one entry of the table of resources: all that NewStorage needs to know of a kind.
type Resource struct {
	Names
	// Group and Kind are those of the objects, in each version of the group.
	Group, Kind string
	// FieldLabels are what field selectors may ask for beyond name and namespace.
	FieldLabels []string

	// New and NewList return an empty object and an empty list.
	New, NewList func() runtime.Object
	// Strategy is for writes to the objects.
	Strategy Strategy
	// StatusStrategy is for writes to their status; nil if they have none.
	StatusStrategy StatusStrategy
	// ActionStrategy is for what actions do to the objects.
	ActionStrategy rest.RESTUpdateStrategy
	// TableConvertor prints objects and lists.
	TableConvertor rest.TableConvertor
	// Attributes returns what selectors match on. Nil stands for labels, name and namespace only.
	Attributes storage.AttrFunc

	// measure returns the size of an object.
	measure func(obj runtime.Object) (size, error)
}

// NewResource returns the entry of kind K with list kind L, which behaves as its family says. It panics if *K does not implement O or
// the scheme does not know K: both are mistakes in a table that is written by hand.
func NewResource[K, L any, PK pointer[K], PL pointer[L], O Object, S, T any](group string, names Names, family Family[O, S, T]) Resource {
	if _, ok := any(PK(new(K))).(O); !ok {
		panic(fmt.Sprintf("%T does not belong to the family of %s", PK(nil), names.Plural))
	}
	gvks, _, err := scheme.Scheme.ObjectKinds(PK(new(K)))
	if err != nil {
		panic(fmt.Sprintf("%s: %v", names.Plural, err))
	}

	r := Resource{
		Names:          names,
		Group:          group,
		Kind:           gvks[0].Kind,
		FieldLabels:    family.fieldLabels(),
		New:            func() runtime.Object { return PK(new(K)) },
		NewList:        func() runtime.Object { return PL(new(L)) },
		TableConvertor: tableConvertor[O]{columns: family.Columns},
		measure:        measure(group, family),
	}
	base := newBase(group, names.Namespaced)
	r.Strategy = &strategy[O, S, T]{base: base, kind: r.Kind, family: family}
	r.ActionStrategy = &actionStrategy[O, S, T]{base: base, family: family}
	if family.Status != nil {
		r.StatusStrategy = &statusStrategy[O, S, T]{base: base, family: family}
	}
	if len(family.Fields) > 0 {
		r.Attributes = attributes(names.Namespaced, family.Fields)
	}
	return r
}

// GroupResource returns the plural and the group.
func (r Resource) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: r.Group, Resource: r.Plural}
}

// Singular returns the name of the resource for one object.
func (r Resource) Singular() string { return strings.ToLower(r.Kind) }

// pointer is the pointer type of a kind.
type pointer[T any] interface {
	*T
	runtime.Object
}

// attributes returns what selectors match on: labels, name, namespace and the given fields.
func attributes[O Object](namespaced bool, values map[string]func(obj O) string) storage.AttrFunc {
	return func(obj runtime.Object) (labels.Set, fields.Set, error) {
		o, ok := obj.(O)
		if !ok {
			return nil, nil, fmt.Errorf("cannot select on %T", obj)
		}
		set := make(fields.Set, len(values)+2)
		for label, value := range values {
			set[label] = value(o)
		}
		set["metadata.name"] = o.GetName()
		if namespaced {
			set["metadata.namespace"] = o.GetNamespace()
		}
		return labels.Set(o.GetLabels()), set, nil
	}
}
