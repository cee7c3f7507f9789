// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

// view is the hub as a selection sees it.
type view interface {
	// kinds of the hub.
	kinds() *kinds
	// list finds what each of the queries finds, without what is never selected. Where something cannot be seen the error is incomplete
	// and the rest is there.
	list(ctx context.Context, queries ...query) ([][]*item, error)
}

// selection is what a placement selects, being found.
type selection struct {
	view
	limits
	placement v1beta1.PlacementObject
	found     []*item
	queries   []query
	// terms are the selectors that the queries are for, by their index.
	terms []int
	// holds are the queries, by their index, for what is only looked for because it is placed.
	holds sets.Set[int]
	// finds are the selectors that find something, by their index.
	finds   sets.Set[int]
	missing incomplete
}

// selected is what a placement selects.
type selected struct {
	// items are in the order of a snapshot.
	items []*item
	// nothing describes the selectors that find nothing, in their order.
	nothing []string
}

// missing says what the hub lacks that selectors name.
func (s *selected) missing() string { return "the hub has no " + wording.List(s.nothing) }

// selectItems finds what a placement selects. An error says either what only the user can mend or what cannot be seen.
func selectItems(ctx context.Context, v view, l limits, placement v1beta1.PlacementObject) (*selected, error) {
	s := &selection{view: v, limits: l, placement: placement, finds: sets.New[int](), holds: sets.New[int]()}
	if err := s.plan(ctx); err != nil {
		return nil, err
	}
	results, err := s.list(ctx, s.queries...)
	if err := s.missing.merge(err); err != nil {
		return nil, err
	}
	items := s.found
	for i, found := range results {
		if s.holds.Has(i) {
			if err := s.refuseHeld(found); err != nil {
				return nil, err
			}
			continue
		}
		items = append(items, found...)
		if len(found) > 0 {
			s.finds.Insert(s.terms[i])
		}
	}
	items, err = s.withoutServiceEndpoints(ctx, items)
	if err != nil {
		return nil, err
	}
	if err := unique(items); err != nil {
		return nil, err
	}
	if err := s.missing.orNil(); err != nil {
		return nil, err
	}
	sortItems(items)
	return &selected{items: items, nothing: s.nothing()}, nil
}

// nothing describes the selectors that find nothing.
func (s *selection) nothing() []string {
	var nothing []string
	terms := s.placement.PlacementSpec().ResourceSelectors
	for i := range terms {
		if !s.finds.Has(i) {
			nothing = append(nothing, placeable.Describe(&terms[i], s.placement))
		}
	}
	return nothing
}

// plan turns selectors into queries.
func (s *selection) plan(ctx context.Context) error {
	if err := s.refuseReserved(s.placement.GetNamespace()); err != nil {
		return err
	}
	inside, err := s.namespaceForSelectors(ctx)
	if err != nil {
		return err
	}
	for i := range s.placement.PlacementSpec().ResourceSelectors {
		term := &s.placement.PlacementSpec().ResourceSelectors[i]
		gvk := placeable.KindOf(term)
		switch {
		case placeable.NeverSelected(gvk.GroupKind()):
			continue
		case s.rules.Skips(gvk.GroupKind()):
			err = s.invalid("%s is not allowed to propagate on this hub (the server's --skipped-propagating-apis or --allowed-propagating-apis): "+
				"remove the selector", gvk.GroupKind())
		case gvk == namespaceKind:
			err = s.planNamespace(ctx, i, term)
		default:
			err = s.planKind(i, term, gvk, inside)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// namespaceForSelectors is the one namespace in which the other selectors find namespaced objects, where a selector says so.
func (s *selection) namespaceForSelectors(ctx context.Context) (string, error) {
	if s.placement.GetNamespace() != "" {
		return "", nil
	}
	withSelectors := false
	names := sets.New[string]()
	seen := true
	for i := range s.placement.PlacementSpec().ResourceSelectors {
		term := &s.placement.PlacementSpec().ResourceSelectors[i]
		if !placeable.WithResourceSelectors(term) {
			continue
		}
		withSelectors = true
		namespaces, err := s.namespaces(ctx, term)
		if err != nil {
			return "", err
		}
		seen = seen && len(s.missing.missing) == 0
		for _, namespace := range namespaces {
			names.Insert(namespace.id.Name)
		}
	}
	switch {
	case !withSelectors || !seen:
		return "", nil
	case names.Len() == 0:
		return "", s.invalid("NamespaceWithResourceSelectors mode requires exactly one namespace, but no namespaces were selected")
	case names.Len() > 1:
		return "", s.invalid("NamespaceWithResourceSelectors mode requires exactly one namespace, but %d namespaces were selected", names.Len())
	}
	return names.UnsortedList()[0], nil
}

// planNamespace adds namespaces and, unless the selector wants the objects alone, what is in them.
func (s *selection) planNamespace(ctx context.Context, index int, term *v1beta1.ResourceSelectorTerm) error {
	if err := placeable.WrongScope(s.placement, namespaceKind.Kind, false); err != nil {
		return reconcile.Terminalf("invalid placement %s: %v", nameOf(s.placement), err)
	}
	namespaces, err := s.namespaces(ctx, term)
	if err != nil {
		return err
	}
	s.found = append(s.found, namespaces...)
	if len(namespaces) > 0 {
		s.finds.Insert(index)
	}
	if term.SelectionScope != "" && term.SelectionScope != v1beta1.NamespaceWithResources {
		return nil
	}
	if err := s.missing.merge(s.kinds().unknown(s.limits)); err != nil {
		return err
	}
	for _, namespace := range namespaces {
		for _, k := range s.kinds().inNamespaces {
			if s.rules.Skips(k.GroupKind()) {
				if len(s.placed[k.GroupKind()]) == 0 {
					continue
				}
				s.holds.Insert(len(s.queries))
			}
			s.ask(index, query{kind: k, namespace: namespace.id.Name})
		}
	}
	return nil
}

// namespaces are those that a selector of namespaces finds. A reserved one among them is the user's to leave out: without it a version
// would take away from clusters what an earlier version of the server has placed of it.
func (s *selection) namespaces(ctx context.Context, term *v1beta1.ResourceSelectorTerm) ([]*item, error) {
	k, found, err := s.lookUp(namespaceKind)
	if err != nil || !found {
		return nil, err
	}
	q, err := s.queryFor(term, k, "")
	if err != nil {
		return nil, err
	}
	results, err := s.list(ctx, q)
	items := slices.Concat(results...)
	for _, i := range items {
		if err := s.refuseReserved(i.id.Name); err != nil {
			return nil, err
		}
	}
	return items, s.missing.merge(err)
}

// refuseHeld fails for objects of a kind that is not selected any more, of which a version has some: a version without them would take them
// away from clusters, though nobody has deleted them and the selectors still select them.
func (s *selection) refuseHeld(found []*item) error {
	for _, i := range found {
		if gk := i.groupKind(); s.placed[gk].Has(types.NamespacedName{Namespace: i.id.Namespace, Name: i.id.Name}) {
			return s.invalid("%s %s is placed, and not allowed to propagate on this hub any more: clusters keep it, and there is no new version. "+
				"To have it removed from clusters, delete it on the hub, or select the other objects of the namespace by themselves",
				gk, wording.Key(i.id.Namespace, i.id.Name))
		}
	}
	return nil
}

// refuseReserved fails for a namespace of which nothing is placed.
func (s *selection) refuseReserved(namespace string) error {
	if !s.rules.SkipsNamespace(namespace) {
		return nil
	}
	return s.invalid("namespace %s is not allowed to propagate", namespace)
}

// planKind adds the objects of one kind other than Namespace.
func (s *selection) planKind(index int, term *v1beta1.ResourceSelectorTerm, gvk schema.GroupVersionKind, inside string) error {
	k, found, err := s.lookUp(gvk)
	if err != nil || !found {
		return err
	}
	if err := placeable.WrongScope(s.placement, k.gvr().String(), k.namespaced); err != nil {
		return reconcile.Terminalf("invalid placement %s: %v", nameOf(s.placement), err)
	}
	namespace := s.placement.GetNamespace()
	switch {
	case namespace == "" && k.namespaced && inside == "":
		// The namespace cannot be seen, which has been noted.
		return nil
	case namespace == "" && k.namespaced:
		namespace = inside
	}
	q, err := s.queryFor(term, k, namespace)
	if err != nil {
		return err
	}
	s.ask(index, q)
	return nil
}

// ask adds a query for a selector.
func (s *selection) ask(index int, q query) {
	s.queries = append(s.queries, q)
	s.terms = append(s.terms, index)
}

// lookUp finds a kind on the hub. Not found without an error is a kind that cannot be seen.
func (s *selection) lookUp(gvk schema.GroupVersionKind) (kind, bool, error) {
	served := s.kinds()
	if k, found := served.served[gvk]; found {
		return k, true, nil
	}
	why, failed := served.failed[gvk.GroupVersion()]
	switch {
	case served.err != nil:
		s.missing.addf("the kinds of the hub: %v", served.err)
	case failed:
		s.missing.addf("the kinds of %s: %s", gvk.GroupVersion(), why)
	default:
		return kind{}, false, reconcile.Terminalf("invalid placement %s, failed to get GVR of the selector: %v", nameOf(s.placement),
			&meta.NoKindMatchError{GroupKind: gvk.GroupKind(), SearchedVersions: []string{gvk.Version}})
	}
	return kind{}, false, nil
}

func (s *selection) queryFor(term *v1beta1.ResourceSelectorTerm, k kind, namespace string) (query, error) {
	q := query{kind: k, namespace: namespace, name: term.Name}
	if term.Name == "" && term.LabelSelector != nil {
		selector, err := metav1.LabelSelectorAsSelector(term.LabelSelector)
		if err != nil {
			return query{}, reconcile.Terminalf("invalid placement %s: the label selector for %s: %v", nameOf(s.placement), k.Kind, err)
		}
		q.labels = selector.String()
	}
	return q, nil
}

// withoutServiceEndpoints drops the Endpoints that each cluster makes for its own Services.
func (s *selection) withoutServiceEndpoints(ctx context.Context, items []*item) ([]*item, error) {
	services := map[string]sets.Set[string]{}
	var kept []*item
	for _, i := range items {
		if i.groupKind() != endpointsKind {
			kept = append(kept, i)
			continue
		}
		names, read := services[i.id.Namespace]
		if !read {
			k, found, err := s.lookUp(serviceKind)
			if err != nil {
				return nil, err
			}
			names = sets.New[string]()
			if found {
				list, err := s.list(ctx, query{kind: k, namespace: i.id.Namespace})
				if err := s.missing.merge(err); err != nil {
					return nil, err
				}
				for _, service := range slices.Concat(list...) {
					names.Insert(service.id.Name)
				}
			}
			services[i.id.Namespace] = names
		}
		if !names.Has(i.id.Name) {
			kept = append(kept, i)
		}
	}
	return kept, nil
}

// unique refuses an object that is selected twice.
func unique(items []*item) error {
	seen := sets.New[object]()
	for _, i := range items {
		if seen.Has(i.object()) {
			return reconcile.Terminalf("found duplicate resource %+v", i.id)
		}
		seen.Insert(i.object())
	}
	return nil
}

func (s *selection) invalid(format string, args ...any) error {
	kind := "clusterResourcePlacement"
	if s.placement.GetNamespace() != "" {
		kind = "resourcePlacement"
	}
	return reconcile.Terminalf("invalid %s %s: %s", kind, nameOf(s.placement), fmt.Sprintf(format, args...))
}

// nameOf is what messages call a placement: its name, after its namespace where it has one.
func nameOf(placement v1beta1.PlacementObject) string {
	if placement.GetNamespace() == "" {
		return placement.GetName()
	}
	return reconcile.KeyOf(placement).String()
}
