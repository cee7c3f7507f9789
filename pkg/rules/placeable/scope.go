// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placeable

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// NamespaceKind is the kind whose selectors bring along what is in the namespace.
var NamespaceKind = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}

// KindOf returns the kind that a selector names.
func KindOf(term *v1beta1.ResourceSelectorTerm) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: term.Group, Version: term.Version, Kind: term.Kind}
}

// Describe names what a selector of a placement selects, such as Namespace "shop" or Deployment.apps with labels app=web in namespace team-a.
func Describe(term *v1beta1.ResourceSelectorTerm, placement v1beta1.PlacementObject) string {
	gk := KindOf(term).GroupKind()
	what := gk.String()
	if term.Name != "" {
		what += fmt.Sprintf(" %q", term.Name)
	}
	if term.LabelSelector != nil {
		what += " with labels " + metav1.FormatLabelSelector(term.LabelSelector)
	}
	if namespace := placement.GetNamespace(); namespace != "" {
		what += " in namespace " + namespace
	}
	if NeverSelected(gk) {
		what += ", of a kind that is never placed"
	}
	return what
}

// WithResourceSelectors reports whether a selector picks the one namespace in which the others of a ClusterResourcePlacement find
// namespaced objects.
func WithResourceSelectors(term *v1beta1.ResourceSelectorTerm) bool {
	return KindOf(term) == NamespaceKind && term.SelectionScope == v1beta1.NamespaceWithResourceSelectors
}

// WrongScope returns why a placement cannot select a resource, named as a message has it, whose objects are in namespaces or not; nil where
// it can.
func WrongScope(placement v1beta1.PlacementObject, resource string, namespaced bool) error {
	switch {
	case placement.GetNamespace() != "" && !namespaced:
		return fmt.Errorf("cannot select cluster-scoped resource %s in a resourcePlacement", resource)
	case placement.GetNamespace() == "" && namespaced && !inOneNamespace(placement):
		return fmt.Errorf("cannot select namespace-scoped resource %s in a clusterResourcePlacement", resource)
	}
	return nil
}

func inOneNamespace(placement v1beta1.PlacementObject) bool {
	selectors := placement.PlacementSpec().ResourceSelectors
	for i := range selectors {
		if WithResourceSelectors(&selectors[i]) {
			return true
		}
	}
	return false
}
