// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package authorvalidation

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/reportback"
)

// The verbs of what the server does for an author, as refusals have them.
const (
	place    = "place"
	report   = "report the status of"
	override = "override"
	wrap     = "wrap"
)

var (
	namespaceKind = schema.GroupKind{Kind: "Namespace"}

	// limitKinds hold those who work in a namespace to what they may use, and those read them. A placement takes over what a member has,
	// and its deletion removes it there, so that reading is not enough to place one of them by itself.
	limitKinds = sets.New(schema.GroupKind{Kind: "ResourceQuota"}, schema.GroupKind{Kind: "LimitRange"})

	readVerbs   = []string{"get", "list"}
	writeVerbs  = []string{"create", "update"}
	reportVerbs = []string{"update"}
)

// deedsOf returns what adds to a review all that the server would do for the author of an object; nil for an object that has it do
// nothing.
func deedsOf(object runtime.Object) func(context.Context, *review) error {
	switch o := object.(type) {
	case v1beta1.PlacementObject:
		return func(ctx context.Context, r *review) error { return placed(ctx, r, o) }
	case *v1beta1.ClusterResourceOverride:
		return func(ctx context.Context, r *review) error { return overriddenInFleet(ctx, r, o) }
	case *v1beta1.ResourceOverride:
		return func(ctx context.Context, r *review) error { return overriddenInNamespace(ctx, r, o) }
	case *v1beta1.ClusterResourceEnvelope:
		return func(ctx context.Context, r *review) error { return wrapped(ctx, r, metav1.NamespaceNone, o.Data) }
	case *v1beta1.ResourceEnvelope:
		return func(ctx context.Context, r *review) error { return wrapped(ctx, r, o.Namespace, o.Data) }
	}
	return nil
}

// placed is what a placement selects, and the statuses that it has written to that on the hub.
func placed(ctx context.Context, r *review, o v1beta1.PlacementObject) error {
	reporting := reports(o)
	selectors := o.PlacementSpec().ResourceSelectors
	namespaces := []string{o.GetNamespace()}
	if o.GetNamespace() == "" {
		namespaces = namespacesForSelectors(selectors)
	}
	for _, s := range selectors {
		gk := schema.GroupKind{Group: s.Group, Kind: s.Kind}
		if gk == namespaceKind && o.GetNamespace() == "" {
			if err := placedNamespace(ctx, r, s, reporting); err != nil {
				return err
			}
			continue
		}
		for _, namespace := range namespaces {
			if err := r.add(ctx, deed{does: place, kind: gk, namespace: namespace, name: s.Name, verbs: placeVerbs(gk)}); err != nil {
				return err
			}
			if !reporting || !reportback.IsReported(gk) {
				continue
			}
			if err := r.add(ctx, deed{does: report, kind: gk, namespace: namespace, name: s.Name, verbs: reportVerbs}); err != nil {
				return err
			}
		}
	}
	return nil
}

// placeVerbs is what it takes to place objects of a kind that a selector names.
func placeVerbs(gk schema.GroupKind) []string {
	if limitKinds.Has(gk) {
		return slices.Concat(readVerbs, []string{"update", "delete"})
	}
	return readVerbs
}

// placedNamespace is a Namespace of a ClusterResourcePlacement and, unless the selector wants the object alone, what is in it.
func placedNamespace(ctx context.Context, r *review, s v1beta1.ResourceSelectorTerm, reporting bool) error {
	if err := r.add(ctx, deed{does: place, kind: namespaceKind, name: s.Name, verbs: readVerbs}); err != nil {
		return err
	}
	if s.SelectionScope == v1beta1.NamespaceOnly || s.SelectionScope == v1beta1.NamespaceWithResourceSelectors {
		return nil
	}
	every := func(schema.GroupKind) bool { return true }
	if err := placedWithin(ctx, r, place, s.Name, readVerbs, every); err != nil || !reporting {
		return err
	}
	return placedWithin(ctx, r, report, s.Name, reportVerbs, reportback.IsReported)
}

// placedWithin is what is done to what is in a namespace, or in every namespace, of the kinds that count.
func placedWithin(ctx context.Context, r *review, does, namespace string, verbs []string, counts func(schema.GroupKind) bool) error {
	missing, err := r.missing(ctx, need{verbs: verbs, group: "*", resource: "*", namespace: namespace})
	if err != nil || len(missing) == 0 {
		return err
	}
	kinds, err := r.kinds.InNamespaces(ctx)
	if err != nil {
		return unavailable(err)
	}
	within := does + " what is in namespace " + namespace
	if namespace == "" {
		within = does + " what is in every namespace"
	}
	for _, k := range kinds {
		if counts(k.GroupKind()) {
			r.addKnown(deed{does: does, kind: k.GroupKind(), namespace: namespace, verbs: missing}, k, within)
		}
	}
	return nil
}

// namespacesForSelectors are those in which the selectors of a ClusterResourcePlacement find namespaced objects. It must select exactly one
// Namespace for them; by which name, only a selector that has one tells.
func namespacesForSelectors(selectors []v1beta1.ResourceSelectorTerm) []string {
	names := sets.New[string]()
	for _, s := range selectors {
		if (schema.GroupKind{Group: s.Group, Kind: s.Kind}) == namespaceKind && s.SelectionScope == v1beta1.NamespaceWithResourceSelectors {
			names.Insert(s.Name)
		}
	}
	if names.Len() == 0 {
		return []string{metav1.NamespaceAll}
	}
	return sets.List(names)
}

// overriddenInFleet is what a ClusterResourceOverride changes. Who names a Namespace changes everything in it, and what is wrapped for it
// in envelopes, of which the hub does not know the kinds.
func overriddenInFleet(ctx context.Context, r *review, o *v1beta1.ClusterResourceOverride) error {
	verbs := overrideVerbs(o.Spec.Policy)
	for _, s := range o.Spec.ClusterResourceSelectors {
		gk := schema.GroupKind{Group: s.Group, Kind: s.Kind}
		if err := r.add(ctx, deed{does: override, kind: gk, name: s.Name, verbs: verbs}); err != nil {
			return err
		}
		if gk == namespaceKind {
			r.addEverything(override, "everything in namespace "+s.Name, s.Name)
		}
	}
	return nil
}

// overriddenInNamespace is what a ResourceOverride changes.
func overriddenInNamespace(ctx context.Context, r *review, o *v1beta1.ResourceOverride) error {
	verbs := overrideVerbs(o.Spec.Policy)
	for _, s := range o.Spec.ResourceSelectors {
		d := deed{does: override, kind: schema.GroupKind{Group: s.Group, Kind: s.Kind}, namespace: o.Namespace, name: s.Name, verbs: verbs}
		if err := r.add(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// overrideVerbs is what it takes to change an object on some clusters, and to delete it there.
func overrideVerbs(policy *v1beta1.OverridePolicy) []string {
	deletes := policy != nil && slices.ContainsFunc(policy.OverrideRules, func(rule v1beta1.OverrideRule) bool {
		return rule.OverrideType == v1beta1.DeleteOverrideType
	})
	if deletes {
		return []string{"update", "delete"}
	}
	return []string{"update"}
}
