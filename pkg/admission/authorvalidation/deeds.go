// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package authorvalidation

import (
	"context"
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
	"github.com/stagegate/stagegate/pkg/rules/reportback"
)

// The verbs of what the server does for an author, as refusals have them.
const (
	place    = "place"
	report   = "report the status of"
	override = "override"
	wrap     = "wrap"

	// What ends with the object that says it. It gives nobody anything, so that neither escalate nor bind is asked for.
	stopPlacing    = "stop placing"
	stopOverriding = "stop overriding"
	unwrap         = "unwrap"
)

var (
	namespaceKind = schema.GroupKind{Kind: "Namespace"}

	// limitKinds hold those who work in a namespace to what they may use, and those read them. A placement takes over what a member has,
	// and its deletion removes it there, so that reading is not enough to place one of them by itself.
	limitKinds = sets.New(schema.GroupKind{Kind: "ResourceQuota"}, schema.GroupKind{Kind: "LimitRange"})

	readVerbs   = []string{"get", "list"}
	writeVerbs  = []string{"create", "update"}
	reportVerbs = []string{"update"}
	// allVerbs is what it takes to have an object written and deleted.
	allVerbs = []string{"create", "update", "delete"}
)

// isGuarded reports whether a kind limits or permits what people do in a namespace. Who has such an object placed, or no longer placed, is
// asked about it even where for others it is enough to write the placement.
func isGuarded(gk schema.GroupKind) bool { return limitKinds.Has(gk) || rbacGroups.Has(gk.Group) }

// deeds adds to a review all that the server would do for the author of a write.
type deeds func(context.Context, *review) error

// deedsOf returns what the server would do for whoever writes object where old is, each of which may be nil: what object says, all of it
// where anything of that is new, since what stays was written by somebody else perhaps, and does something else beside what is new; and
// the end of what old said. It returns nil for nothing.
func deedsOf(object, old runtime.Object) deeds {
	subject := object
	if subject == nil {
		subject = old
	}
	switch subject.(type) {
	case v1beta1.PlacementObject:
		return deedsOfPlacement(as[v1beta1.PlacementObject](object), as[v1beta1.PlacementObject](old))
	case *v1beta1.ClusterResourceOverride:
		now, before := as[*v1beta1.ClusterResourceOverride](object), as[*v1beta1.ClusterResourceOverride](old)
		return deedsOfOverride(now, before, now != nil && before != nil && apiequality.Semantic.DeepEqual(now.Spec, before.Spec), overriddenInFleet)
	case *v1beta1.ResourceOverride:
		now, before := as[*v1beta1.ResourceOverride](object), as[*v1beta1.ResourceOverride](old)
		return deedsOfOverride(now, before, now != nil && before != nil && apiequality.Semantic.DeepEqual(now.Spec, before.Spec), overriddenInNamespace)
	case *v1beta1.ClusterResourceEnvelope, *v1beta1.ResourceEnvelope:
		return deedsOfEnvelope(contentsOf(object), contentsOf(old))
	}
	return nil
}

// as returns an object of another type as none.
func as[O any](object runtime.Object) O {
	o, _ := object.(O)
	return o
}

// handsOver reports whether an object gets an owner that it did not have: the hub deletes it when the owner goes, or is not there.
func handsOver(object, old metav1.Object) bool {
	return slices.ContainsFunc(object.GetOwnerReferences(), func(owner metav1.OwnerReference) bool {
		return !slices.ContainsFunc(old.GetOwnerReferences(), func(o metav1.OwnerReference) bool {
			return o.UID == owner.UID && o.APIVersion == owner.APIVersion && o.Kind == owner.Kind && o.Name == owner.Name
		})
	})
}

// deedsOfPlacement asks about all selectors where they change. What is guarded is asked about where anything of the placement changes that
// decides where and how it is placed, and where it may no longer be.
func deedsOfPlacement(object, old v1beta1.PlacementObject) deeds {
	var all []deeds
	others := object != nil && (old == nil || !apiequality.Semantic.DeepEqual(object.PlacementSpec().ResourceSelectors, old.PlacementSpec().ResourceSelectors))
	switch {
	case object == nil:
	case others:
		all = append(all, func(ctx context.Context, r *review) error { return placed(ctx, r, object, place, false) })
	case !apiequality.Semantic.DeepEqual(object.PlacementSpec(), old.PlacementSpec()):
		all = append(all, func(ctx context.Context, r *review) error { return placed(ctx, r, object, place, true) })
	}
	if object != nil && reports(object) && (others || !reports(old)) {
		all = append(all, func(ctx context.Context, r *review) error { return reported(ctx, r, object) })
	}
	if old != nil && (object == nil || len(all) > 0 || handsOver(object, old)) {
		all = append(all, func(ctx context.Context, r *review) error { return placed(ctx, r, old, stopPlacing, true) })
	}
	return allOf(all)
}

// deedsOfOverride asks about everything that is overridden, and was.
func deedsOfOverride[O interface {
	comparable
	metav1.Object
}](object, old O, same bool, overridden func(context.Context, *review, O, string) error) deeds {
	var none O
	var all []deeds
	if object != none && !same {
		all = append(all, func(ctx context.Context, r *review) error { return overridden(ctx, r, object, override) })
	}
	if old != none && (object == none || !same || handsOver(object, old)) {
		all = append(all, func(ctx context.Context, r *review) error { return overridden(ctx, r, old, stopOverriding) })
	}
	return allOf(all)
}

func allOf(all []deeds) deeds {
	if len(all) == 0 {
		return nil
	}
	return func(ctx context.Context, r *review) error {
		for _, add := range all {
			if err := add(ctx, r); err != nil {
				return err
			}
		}
		return nil
	}
}

// placed is what a placement selects, or no longer selects; of that, all or what is guarded.
func placed(ctx context.Context, r *review, o v1beta1.PlacementObject, does string, guarded bool) error {
	namespaces := namespacesOf(o)
	for _, s := range o.PlacementSpec().ResourceSelectors {
		gk := schema.GroupKind{Group: s.Group, Kind: s.Kind}
		switch {
		case gk == namespaceKind && o.GetNamespace() == "":
			if !guarded {
				if err := placedNamespace(ctx, r, s); err != nil {
					return err
				}
			}
			continue
		case guarded && !isGuarded(gk) && !placeable.IsEnvelope(gk):
			continue
		}
		for _, namespace := range namespaces {
			if err := r.add(ctx, deed{does: does, kind: gk, namespace: namespace, name: s.Name, verbs: placeVerbs(does, gk)}); err != nil {
				return err
			}
			if !placeable.IsEnvelope(gk) {
				continue
			}
			err := placedContents(ctx, r, does, gk, namespace, &s, func(of schema.GroupKind) []string {
				switch {
				case isGuarded(of) && does == stopPlacing:
					return []string{"delete"}
				case isGuarded(of):
					return allVerbs
				case guarded:
					return nil
				}
				return readVerbs
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// placeVerbs is what it takes to place objects of a kind that a selector names, or to have them no longer placed.
func placeVerbs(does string, gk schema.GroupKind) []string {
	switch {
	case !limitKinds.Has(gk):
		return readVerbs
	case does == stopPlacing:
		return slices.Concat(readVerbs, []string{"delete"})
	}
	return slices.Concat(readVerbs, []string{"update", "delete"})
}

// placedNamespace is a Namespace of a ClusterResourcePlacement and, unless the selector wants the object alone, what is in it.
func placedNamespace(ctx context.Context, r *review, s v1beta1.ResourceSelectorTerm) error {
	if err := r.add(ctx, deed{does: place, kind: namespaceKind, name: s.Name, verbs: readVerbs}); err != nil || !hasContents(s) {
		return err
	}
	missing, err := within(ctx, r, place, s.Name, readVerbs, func(schema.GroupKind) bool { return true })
	if err != nil || len(missing) == 0 {
		return err
	}
	// What is wrapped there may be of kinds that the hub does not have.
	return placedContents(ctx, r, place, resourceEnvelopeKind, s.Name, nil, func(schema.GroupKind) []string { return missing })
}

// hasContents reports whether a selector of a Namespace selects what is in it as well.
func hasContents(s v1beta1.ResourceSelectorTerm) bool {
	return s.SelectionScope != v1beta1.NamespaceOnly && s.SelectionScope != v1beta1.NamespaceWithResourceSelectors
}

// within adds what is done to what is in a namespace, or in every namespace, of the kinds that count. It returns which of the verbs the author
// does not have for all kinds there; where there is none, nothing is added.
func within(ctx context.Context, r *review, does, namespace string, verbs []string, counts func(schema.GroupKind) bool) ([]string, error) {
	missing, err := r.missing(ctx, need{verbs: verbs, group: "*", resource: "*", namespace: namespace})
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	kinds, err := r.kinds.InNamespaces(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	part := does + " what is in namespace " + namespace
	if namespace == "" {
		part = does + " what is in every namespace"
	}
	for _, k := range kinds {
		if counts(k.GroupKind()) {
			r.append(r.askedOf(deed{does: does, kind: k.GroupKind(), namespace: namespace, verbs: missing}, k, part))
		}
	}
	return missing, nil
}

// reported is what has its status written on the hub.
func reported(ctx context.Context, r *review, o v1beta1.PlacementObject) error {
	namespaces := namespacesOf(o)
	for _, s := range o.PlacementSpec().ResourceSelectors {
		gk := schema.GroupKind{Group: s.Group, Kind: s.Kind}
		switch {
		case gk == namespaceKind && o.GetNamespace() == "" && hasContents(s):
			if _, err := within(ctx, r, report, s.Name, reportVerbs, reportback.IsReported); err != nil {
				return err
			}
		case reportback.IsReported(gk):
			for _, namespace := range namespaces {
				if err := r.add(ctx, deed{does: report, kind: gk, namespace: namespace, name: s.Name, verbs: reportVerbs}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// reports is true for a placement that has statuses written on the hub. Who ends that does nothing that takes a permission.
func reports(o v1beta1.PlacementObject) bool {
	return reportback.IsWanted(o.PlacementSpec().Strategy.ReportBackStrategy)
}

// namespacesOf are those in which the selectors of a placement find namespaced objects. A ClusterResourcePlacement must select exactly one
// Namespace for them; by which name, only a selector that has one tells.
func namespacesOf(o v1beta1.PlacementObject) []string {
	if namespace := o.GetNamespace(); namespace != "" {
		return []string{namespace}
	}
	names := sets.New[string]()
	for _, s := range o.PlacementSpec().ResourceSelectors {
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
func overriddenInFleet(ctx context.Context, r *review, o *v1beta1.ClusterResourceOverride, does string) error {
	verbs := overrideVerbs(o.Spec.Policy)
	for _, s := range o.Spec.ClusterResourceSelectors {
		gk := schema.GroupKind{Group: s.Group, Kind: s.Kind}
		if err := r.addOverridden(ctx, deed{does: does, kind: gk, name: s.Name, verbs: verbs}); err != nil {
			return err
		}
		if gk != namespaceKind {
			continue
		}
		n := everything(s.Name)
		if does == stopOverriding {
			n.verbs = verbs
		}
		r.append(asked{what: does + " everything in namespace " + s.Name, needs: []need{n}})
	}
	return nil
}

// overriddenInNamespace is what a ResourceOverride changes.
func overriddenInNamespace(ctx context.Context, r *review, o *v1beta1.ResourceOverride, does string) error {
	verbs := overrideVerbs(o.Spec.Policy)
	for _, s := range o.Spec.ResourceSelectors {
		d := deed{does: does, kind: schema.GroupKind{Group: s.Group, Kind: s.Kind}, namespace: o.Namespace, name: s.Name, verbs: verbs}
		if err := r.addOverridden(ctx, d); err != nil {
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
