// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementvalidation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/admission/hubkinds"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

const (
	// maxLookups is how many selectors of a placement are looked up on the hub. What others find is not known.
	maxLookups = 16
	// maxLooked is how many objects a lookup by labels takes, of which the first may be one that is never selected.
	maxLooked = 10
)

var selectorsPath = field.NewPath("spec", "resourceSelectors")

// reviewSelectors returns what is wrong with selectors, and what is probably not meant. It asks the hub as long as the context lasts.
func (p *Plugin) reviewSelectors(ctx context.Context, o v1beta1.PlacementObject) (refused field.ErrorList, warnings []string) {
	inside, reachable := p.namespaceOf(ctx, o)
	lookups := 0
	for i := range o.PlacementSpec().ResourceSelectors {
		term, path := &o.PlacementSpec().ResourceSelectors[i], selectorsPath.Index(i)
		gvk := placeable.KindOf(term)
		warn := func(format string, args ...any) {
			warnings = append(warnings, fmt.Sprintf("%s: ", path)+fmt.Sprintf(format, args...))
		}
		versions, err := p.kinds.Of(ctx, gvk.GroupKind())
		switch {
		case placeable.NeverSelected(gvk.GroupKind()):
			warn("%s is a kind that is never placed: this selects nothing", gvk.GroupKind())
			continue
		case p.limits.Skips(gvk.GroupKind()):
			warn("%s is not placed on this hub (--skipped-propagating-apis, --allowed-propagating-apis): nothing of the placement is placed, remove the selector", gvk.GroupKind())
			continue
		case gvk == placeable.NamespaceKind && !wellknown.IsReservedNamespace(term.Name) && p.limits.SkipsNamespace(term.Name):
			warn("namespace %s is not placed on this hub (--skipped-propagating-namespaces): nothing of the placement is placed, remove the selector", term.Name)
			continue
		case err != nil:
			continue
		case len(versions) == 0:
			warn("the hub has no kind %s in group %q: nothing of the placement is placed before it has, check the spelling or create its CustomResourceDefinition",
				gvk.Kind, gvk.Group)
			continue
		}
		wrong := wrongScope(o, versions)
		if wrong != nil {
			// Nothing is refused for what the hub has told some time ago.
			if versions, err = p.kinds.Latest(ctx, gvk.GroupKind()); err != nil || len(versions) == 0 {
				continue
			}
			wrong = wrongScope(o, versions)
		}
		if wrong != nil {
			refused = append(refused, field.Invalid(path, gvk.Kind, wrong.Error()+"; "+remedy(versions[0].Namespaced)))
			continue
		}
		served := slices.IndexFunc(versions, func(k hubkinds.Kind) bool { return k.GroupVersionKind == gvk })
		if served < 0 {
			warn("the hub does not serve %s in version %s: nothing of the placement is placed before it does, use %s",
				gvk.GroupKind(), gvk.Version, versionsOf(versions))
			continue
		}
		k := versions[served]
		namespace := o.GetNamespace()
		if namespace == "" && k.Namespaced {
			namespace = inside
		}
		if wellknown.IsReservedNamespace(namespace) || gvk == placeable.NamespaceKind && wellknown.IsReservedNamespace(term.Name) || k.Namespaced && !reachable {
			continue
		}
		if lookups++; lookups > maxLookups {
			continue
		}
		if found, err := p.finds(ctx, k, namespace, term); err == nil && !found {
			warn("the hub has no %s: nothing is selected by it before there is one", placeable.Describe(term, o))
		}
	}
	return refused, warnings
}

func wrongScope(o v1beta1.PlacementObject, versions []hubkinds.Kind) error {
	return placeable.WrongScope(o, versions[0].GroupResource().String(), versions[0].Namespaced)
}

// remedy is how to place what is of the other scope.
func remedy(namespaced bool) string {
	if namespaced {
		return "place it with a ResourcePlacement in its namespace, or select its Namespace, with selectionScope NamespaceWithResourceSelectors to take no more of it than the selectors say"
	}
	return "place it with a ClusterResourcePlacement"
}

func versionsOf(versions []hubkinds.Kind) string {
	var names []string
	for _, k := range versions {
		names = append(names, k.Version)
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " or ")
}

// namespaceOf returns the namespace in which the selectors of a placement find namespaced objects, and whether it is there to look into.
func (p *Plugin) namespaceOf(ctx context.Context, o v1beta1.PlacementObject) (string, bool) {
	if o.GetNamespace() != "" {
		return o.GetNamespace(), true
	}
	for i := range o.PlacementSpec().ResourceSelectors {
		if term := &o.PlacementSpec().ResourceSelectors[i]; placeable.WithResourceSelectors(term) && term.Name != "" {
			found, err := p.finds(ctx, hubkinds.Kind{GroupVersionKind: placeable.NamespaceKind, Resource: "namespaces"}, "", term)
			return term.Name, found && err == nil
		}
	}
	return "", false
}

// finds reports whether a selector finds something that can be selected, at the price of one request.
func (p *Plugin) finds(ctx context.Context, k hubkinds.Kind, namespace string, term *v1beta1.ResourceSelectorTerm) (bool, error) {
	if p.hub == nil {
		return true, nil
	}
	objects := p.hub.Resource(k.GroupVersion().WithResource(k.Resource)).Namespace(namespace)
	if term.Name != "" {
		object, err := objects.Get(ctx, term.Name, metav1.GetOptions{})
		if placeable.IsGone(err) {
			return false, nil
		}
		return err == nil && !placeable.Excluded(k.GroupKind(), object), err
	}
	options := metav1.ListOptions{Limit: maxLooked}
	if term.LabelSelector != nil {
		selector, err := metav1.LabelSelectorAsSelector(term.LabelSelector)
		if err != nil {
			return false, err
		}
		options.LabelSelector = selector.String()
	}
	list, err := objects.List(ctx, options)
	if err != nil {
		return false, err
	}
	for i := range list.Items {
		if !placeable.Excluded(k.GroupKind(), &list.Items[i]) {
			return true, nil
		}
	}
	// There are more than were looked at.
	return list.Continue != "", nil
}
