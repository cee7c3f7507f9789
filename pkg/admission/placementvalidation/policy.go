// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementvalidation

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/clusterfilter"
)

var policyPath = field.NewPath("spec", "policy")

// reviewPolicy returns what of a policy does not fit the fleet as it is. The fleet may change, so nothing is refused.
func (p *Plugin) reviewPolicy(policy *v1beta1.PlacementPolicy) []string {
	if policy == nil {
		return nil
	}
	// The lister fails for no selector.
	members, _ := p.members.List(labels.Everything())
	members = slices.DeleteFunc(members, func(m *clusterv1beta1.MemberCluster) bool { return m.DeletionTimestamp != nil })
	if policy.PlacementType == v1beta1.PickFixedPlacementType {
		return unknownNames(policy, members)
	}
	warnings := uncollected(policy, members)
	filter := clusterfilter.New(policy)
	if (policy.Affinity != nil || len(members) > 0) && !slices.ContainsFunc(members, func(m *clusterv1beta1.MemberCluster) bool {
		return filter.Rejected(m) == ""
	}) {
		warnings = append(warnings, fmt.Sprintf("%s: it lets in none of the fleet's %d member clusters: nothing is placed before one fits its affinity and tolerations",
			policyPath, len(members)))
	}
	return warnings
}

// unknownNames tells of names that no member cluster has.
func unknownNames(policy *v1beta1.PlacementPolicy, members []*clusterv1beta1.MemberCluster) []string {
	var unknown []string
	for _, name := range policy.ClusterNames {
		if !slices.ContainsFunc(members, func(m *clusterv1beta1.MemberCluster) bool { return m.Name == name }) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: the fleet has no member cluster %s: a run cannot be initialized until it has; check the spelling or join it",
		policyPath.Child("clusterNames"), wording.List(unknown))}
}

// uncollected tells of properties that no member cluster has. Without one a cluster meets no requirement on it.
func uncollected(policy *v1beta1.PlacementPolicy, members []*clusterv1beta1.MemberCluster) []string {
	if policy.Affinity == nil || policy.Affinity.ClusterAffinity == nil {
		return nil
	}
	var warnings []string
	look := func(path *field.Path, name string) {
		if !slices.ContainsFunc(members, func(m *clusterv1beta1.MemberCluster) bool { return clusterfilter.Has(m, name) }) {
			warnings = append(warnings, fmt.Sprintf("%s: no member cluster reports the property %s, and none is picked by it before one does", path, name))
		}
	}
	path := policyPath.Child("affinity", "clusterAffinity")
	if required := policy.Affinity.ClusterAffinity.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
		for i, term := range required.ClusterSelectorTerms {
			if term.PropertySelector == nil {
				continue
			}
			at := path.Child("requiredDuringSchedulingIgnoredDuringExecution", "clusterSelectorTerms").Index(i).Child("propertySelector", "matchExpressions")
			for j, requirement := range term.PropertySelector.MatchExpressions {
				look(at.Index(j).Child("name"), requirement.Name)
			}
		}
	}
	for i, preferred := range policy.Affinity.ClusterAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		if sorter := preferred.Preference.PropertySorter; sorter != nil {
			look(path.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i).Child("preference", "propertySorter", "name"), sorter.Name)
		}
	}
	return warnings
}
