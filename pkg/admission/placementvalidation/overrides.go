// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementvalidation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/admission/hubkinds"
	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/client/scoped"
	overriderules "github.com/stagegate/stagegate/pkg/rules/override"
)

// reviewOverride returns what an override names and nobody has: a placement, objects on the hub, clusters. All of it may come later, so nothing is
// refused. It asks the hub as long as the context lasts.
func (p *Plugin) reviewOverride(ctx context.Context, o v1beta1.OverrideObject) []string {
	var warnings []string
	if why := p.missingPlacement(ctx, o); why != "" {
		warnings = append(warnings, why)
	}
	selectors := field.NewPath("spec", "clusterResourceSelectors")
	if o.GetNamespace() != "" {
		selectors = selectorsPath
	}
	for i, resource := range o.OverriddenResources() {
		if i == maxLookups {
			break
		}
		if why := p.missingObject(ctx, resource); why != "" {
			warnings = append(warnings, fmt.Sprintf("%s: %s", selectors.Index(i), why))
		}
	}
	if policy := o.OverridePolicy(); policy != nil && p.synced() {
		warnings = append(warnings, missingClusters(policy, p.present())...)
	}
	return warnings
}

func (p *Plugin) missingPlacement(ctx context.Context, o v1beta1.OverrideObject) string {
	ref := o.OverriddenPlacement()
	if ref == nil {
		return ""
	}
	kind, namespace := "ClusterResourcePlacement", ""
	if ref.Scope == v1beta1.NamespaceScoped {
		kind, namespace = "ResourcePlacement", o.GetNamespace()
	}
	// A cache may lack what the same file has created.
	if _, err := scoped.PlacementClient(p.client.PlacementV1beta1(), namespace).Get(ctx, ref.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return ""
	}
	return fmt.Sprintf("spec.placement: there is no %s %s: the override changes nothing before there is", kind, wording.Key(namespace, ref.Name))
}

// missingObject returns why an override of an object changes nothing, empty where it may.
func (p *Plugin) missingObject(ctx context.Context, resource v1beta1.ResourceIdentifier) string {
	kind := schema.GroupVersionKind{Group: resource.Group, Version: resource.Version, Kind: resource.Kind}
	versions, err := p.kinds.Of(ctx, kind.GroupKind())
	served := slices.IndexFunc(versions, func(k hubkinds.Kind) bool { return k.GroupVersionKind == kind })
	switch {
	case err != nil:
		return ""
	case len(versions) == 0:
		return fmt.Sprintf("the hub has no kind %s in group %q: the override changes nothing of it before there is one, or an envelope has it; check the spelling",
			kind.Kind, kind.Group)
	case served < 0:
		return fmt.Sprintf("the hub does not serve %s in version %s: the override changes nothing that a placement selects in another version, use %s",
			kind.GroupKind(), kind.Version, versionsOf(versions))
	case versions[served].Namespaced && resource.Namespace == "":
		return fmt.Sprintf("%s is a kind of namespaces: a ClusterResourceOverride does not change it, write a ResourceOverride in its namespace", kind.GroupKind())
	case !versions[served].Namespaced && resource.Namespace != "":
		return fmt.Sprintf("%s is cluster-scoped: a ResourceOverride does not change it, write a ClusterResourceOverride", kind.GroupKind())
	}
	term := v1beta1.ResourceSelectorTerm{Group: kind.Group, Version: kind.Version, Kind: kind.Kind, Name: resource.Name}
	if found, err := p.finds(ctx, versions[served], resource.Namespace, &term); found || err != nil {
		return ""
	}
	where := ""
	if resource.Namespace != "" {
		where = " in namespace " + resource.Namespace
	}
	return fmt.Sprintf("the hub has no %s %q%s: the override changes nothing of it before there is one, or an envelope has it", kind.GroupKind(), resource.Name, where)
}

// missingClusters tells of rules that are for no member cluster.
func missingClusters(policy *v1beta1.OverridePolicy, members []*clusterv1beta1.MemberCluster) []string {
	if len(members) == 0 {
		return nil
	}
	var warnings []string
	for i := range policy.OverrideRules {
		rule := &policy.OverrideRules[i]
		selects := func(m *clusterv1beta1.MemberCluster) bool {
			selected, err := overriderules.Selects(rule, labels.Set(m.Labels))
			return selected || err != nil
		}
		path := field.NewPath("spec", "policy", "overrideRules").Index(i).Child("clusterSelector")
		switch {
		case rule.ClusterSelector == nil:
			warnings = append(warnings, fmt.Sprintf("%s: without it the rule is for no cluster: write {} for all", path))
		case !slices.ContainsFunc(members, selects):
			warnings = append(warnings, fmt.Sprintf("%s: it picks none of %s: the rule is for no cluster now", path, wording.Count(len(members), "member cluster")))
		}
	}
	return warnings
}

// present returns the member clusters that are not leaving, by name.
func (p *Plugin) present() []*clusterv1beta1.MemberCluster {
	// The lister fails for no selector.
	members, _ := p.members.List(labels.Everything())
	members = slices.DeleteFunc(members, func(m *clusterv1beta1.MemberCluster) bool { return m.DeletionTimestamp != nil })
	slices.SortFunc(members, func(a, b *clusterv1beta1.MemberCluster) int { return strings.Compare(a.Name, b.Name) })
	return members
}
