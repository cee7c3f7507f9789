// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementvalidation

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/clusterfilter"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

var policyPath = field.NewPath("spec", "policy")

// reviewPolicy returns what of a policy does not fit the fleet as it is. The fleet may change, so nothing is refused.
func (p *Plugin) reviewPolicy(spec *v1beta1.PlacementSpec) []string {
	policy := spec.Policy
	if policy == nil {
		return nil
	}
	members := p.present()
	if policy.PlacementType == v1beta1.PickFixedPlacementType {
		return unknownNames(spec, members)
	}
	warnings := append(uncollected(policy, members), unspreadable(policy, members)...)
	if why := nobody(policy, members); why != "" {
		warnings = append(warnings, why)
	}
	return warnings
}

// nobody tells that a policy lets in no member cluster, with the reason of the first of them.
func nobody(policy *v1beta1.PlacementPolicy, members []*clusterv1beta1.MemberCluster) string {
	filter := clusterfilter.New(policy)
	first := ""
	for _, m := range members {
		why := filter.Rejected(m)
		if why == "" {
			return ""
		}
		if first == "" {
			first = fmt.Sprintf("; %s: %s", m.Name, why)
		}
	}
	if policy.Affinity == nil && len(members) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: it lets in none of the fleet's %d member clusters: nothing is placed before one fits its affinity and tolerations%s", policyPath, len(members), first)
}

// unknownNames tells of names that no member cluster has.
func unknownNames(spec *v1beta1.PlacementSpec, members []*clusterv1beta1.MemberCluster) []string {
	var unknown []string
	for _, name := range spec.Policy.ClusterNames {
		if !slices.ContainsFunc(members, func(m *clusterv1beta1.MemberCluster) bool { return m.Name == name }) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	// A run plans all of its clusters or none. RollingUpdate goes to those that there are.
	consequence := "nothing is placed there"
	if runrules.IsExternal(spec) {
		consequence = "a run cannot be initialized"
	}
	return []string{fmt.Sprintf("%s: the fleet has no member cluster %s: %s until it has; check the spelling or join it",
		policyPath.Child("clusterNames"), wording.List(unknown), consequence)}
}

// unspreadable tells of labels to spread over that no member cluster has.
func unspreadable(policy *v1beta1.PlacementPolicy, members []*clusterv1beta1.MemberCluster) []string {
	var warnings []string
	for i, constraint := range policy.TopologySpreadConstraints {
		has := func(m *clusterv1beta1.MemberCluster) bool { _, ok := m.Labels[constraint.TopologyKey]; return ok }
		if len(members) == 0 || slices.ContainsFunc(members, has) {
			continue
		}
		consequence := "none is picked before one does"
		if constraint.WhenUnsatisfiable == v1beta1.ScheduleAnywayUnsatisfiableConstraint {
			consequence = "clusters are picked without spreading them"
		}
		warnings = append(warnings, fmt.Sprintf("%s: no member cluster has the label %s, and %s",
			policyPath.Child("topologySpreadConstraints").Index(i).Child("topologyKey"), constraint.TopologyKey, consequence))
	}
	return warnings
}

// uncollected tells of properties that no member cluster has. Without one a cluster meets no requirement on it, and is not ranked by it.
func uncollected(policy *v1beta1.PlacementPolicy, members []*clusterv1beta1.MemberCluster) []string {
	if policy.Affinity == nil || policy.Affinity.ClusterAffinity == nil {
		return nil
	}
	var warnings []string
	look := func(path *field.Path, name, consequence string) {
		if !slices.ContainsFunc(members, func(m *clusterv1beta1.MemberCluster) bool { return clusterfilter.Has(m, name) }) {
			warnings = append(warnings, fmt.Sprintf("%s: no member cluster reports the property %s, and %s", path, name, consequence))
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
				look(at.Index(j).Child("name"), requirement.Name, "none is picked by it before one does")
			}
		}
	}
	for i, preferred := range policy.Affinity.ClusterAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		if sorter := preferred.Preference.PropertySorter; sorter != nil {
			look(path.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i).Child("preference", "propertySorter", "name"), sorter.Name,
				"it ranks nobody: clusters are picked without it")
		}
	}
	return warnings
}
