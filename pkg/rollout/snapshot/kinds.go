// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"

	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

// kind is a kind that the hub serves.
type kind struct {
	schema.GroupVersionKind
	resource   string
	namespaced bool
}

func (k kind) gvr() schema.GroupVersionResource { return k.GroupVersion().WithResource(k.resource) }

// kinds are those that can be listed and watched on the hub.
type kinds struct {
	// served has each version of each kind.
	served map[schema.GroupVersionKind]kind
	// inNamespaces are what a namespace can bring along, each kind in the version that the hub prefers.
	inNamespaces []kind
	// failed are the group versions whose kinds are unknown, with the reason.
	failed map[schema.GroupVersion]string
	// err is why no kind is known at all.
	err error
}

// discoverer is what is needed of a discovery client.
type discoverer interface {
	ServerGroupsAndResourcesWithContext(ctx context.Context) ([]*metav1.APIGroup, []*metav1.APIResourceList, error)
}

// discover asks the hub for its kinds. What does not answer is told in the result.
func discover(ctx context.Context, hub discoverer, objects metadata.Interface) *kinds {
	found := &kinds{served: map[schema.GroupVersionKind]kind{}, failed: map[schema.GroupVersion]string{}}
	registered, err := registeredVersions(ctx, objects)
	if err != nil {
		found.err = err
		return found
	}
	groups, lists, err := hub.ServerGroupsAndResourcesWithContext(ctx)
	if failed, partly := discovery.GroupDiscoveryFailedErrorGroups(err); partly {
		for gv, err := range failed {
			found.failed[gv] = err.Error()
		}
	} else if err != nil {
		found.err = err
		return found
	}

	for _, group := range groups {
		for _, version := range group.Versions {
			delete(registered, version.GroupVersion)
		}
	}
	for version := range registered {
		if gv, err := schema.ParseGroupVersion(version); err == nil && found.failed[gv] == "" {
			found.failed[gv] = "registered, but not served"
		}
	}

	inVersion := map[string][]kind{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for _, r := range list.APIResources {
			if strings.Contains(r.Name, "/") || !slices.Contains(r.Verbs, "list") || !slices.Contains(r.Verbs, "watch") {
				continue
			}
			k := kind{GroupVersionKind: gv.WithKind(r.Kind), resource: r.Name, namespaced: r.Namespaced}
			found.served[k.GroupVersionKind] = k
			inVersion[list.GroupVersion] = append(inVersion[list.GroupVersion], k)
		}
	}
	for _, group := range groups {
		taken := map[string]bool{}
		for _, version := range preferredFirst(group) {
			for _, k := range inVersion[version] {
				if k.namespaced && !taken[k.resource] && !placeable.NeverSelected(k.GroupKind()) {
					found.inNamespaces = append(found.inNamespaces, k)
				}
				taken[k.resource] = true
			}
		}
	}
	slices.SortFunc(found.inNamespaces, func(a, b kind) int { return strings.Compare(a.gvr().String(), b.gvr().String()) })
	return found
}

// registeredVersions are those that the hub has an APIService of. While it starts, it answers without some of them.
func registeredVersions(ctx context.Context, hub metadata.Interface) (map[string]struct{}, error) {
	list, err := hub.Resource(apiServices.gvr()).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", apiServices.gvr().GroupResource(), err)
	}
	registered := make(map[string]struct{}, len(list.Items))
	for i := range list.Items {
		version, group, _ := strings.Cut(list.Items[i].Name, ".")
		if list.Items[i].DeletionTimestamp == nil {
			registered[schema.GroupVersion{Group: group, Version: version}.String()] = struct{}{}
		}
	}
	return registered, nil
}

func preferredFirst(group *metav1.APIGroup) []string {
	versions := []string{group.PreferredVersion.GroupVersion}
	for _, v := range group.Versions {
		if v.GroupVersion != group.PreferredVersion.GroupVersion {
			versions = append(versions, v.GroupVersion)
		}
	}
	return versions
}

// unknown says which kinds of a namespace's objects cannot be known.
func (k *kinds) unknown(l limits) error {
	missing := &incomplete{}
	if k.err != nil {
		missing.addf("the kinds of the hub: %v", k.err)
	}
	for gv, why := range k.failed {
		if l.matters(gv.Group) {
			missing.addf("the kinds of %s: %s", gv, why)
		}
	}
	slices.Sort(missing.missing)
	return missing.orNil()
}

// matters reports whether anything of a group could be placed on some hub.
func matters(group string) bool { return !placeable.NeverSelectedGroup(group) }

// equal reports whether selections come out the same.
func (k *kinds) equal(other *kinds) bool {
	if k == nil || other == nil {
		return k == other
	}
	return (k.err == nil) == (other.err == nil) && sameKeys(k.failed, other.failed) && sameKeys(k.served, other.served) &&
		slices.Equal(k.inNamespaces, other.inNamespaces)
}

func sameKeys[K comparable, V any](a, b map[K]V) bool {
	if len(a) != len(b) {
		return false
	}
	for key := range a {
		if _, ok := b[key]; !ok {
			return false
		}
	}
	return true
}
