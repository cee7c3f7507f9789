// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func pickN(affinity v1beta1.ClusterAffinity) func(v1beta1.PlacementObject) {
	return policy(v1beta1.PlacementPolicy{
		PlacementType: "PickN", NumberOfClusters: ptr.To[int32](1), Affinity: &v1beta1.Affinity{ClusterAffinity: &affinity},
	})
}

func required(term v1beta1.ClusterSelectorTerm) func(v1beta1.PlacementObject) {
	return pickN(v1beta1.ClusterAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &v1beta1.ClusterSelector{
		ClusterSelectorTerms: []v1beta1.ClusterSelectorTerm{term},
	}})
}

func preferred(term v1beta1.ClusterSelectorTerm) func(v1beta1.PlacementObject) {
	return pickN(v1beta1.ClusterAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []v1beta1.PreferredClusterSelector{{Weight: 1, Preference: term}}})
}

func TestClusterAffinity(t *testing.T) {
	const requiredPath = "spec.policy.affinity.clusterAffinity.requiredDuringSchedulingIgnoredDuringExecution.clusterSelectorTerms[0]"
	const preferredPath = "spec.policy.affinity.clusterAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference"
	invalid := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "In"}}}
	sorter := &v1beta1.PropertySorter{Name: "kubernetes-fleet.io/node-count", SortOrder: "Ascending"}
	selector := &v1beta1.PropertySelector{}

	check(t, placements(), ValidatePlacement, []placementRule{
		{"labels", required(v1beta1.ClusterSelectorTerm{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}), nil},
		{"a score", preferred(v1beta1.ClusterSelectorTerm{PropertySorter: sorter}), nil},
		{"required labels that can match", required(v1beta1.ClusterSelectorTerm{LabelSelector: invalid}), []string{
			requiredPath + ".labelSelector.matchExpressions[0].values: Required value: the labelSelector in cluster selector is invalid: must be specified when `operator` is 'In' or 'NotIn'",
		}},
		{"preferred labels that can match", preferred(v1beta1.ClusterSelectorTerm{LabelSelector: invalid}), []string{
			preferredPath + ".labelSelector.matchExpressions[0].values: Required value: the labelSelector in preferred cluster selector is invalid: must be specified when `operator` is 'In' or 'NotIn'",
		}},
		{"no score where required", required(v1beta1.ClusterSelectorTerm{PropertySorter: sorter}), []string{
			requiredPath + ".propertySorter: Forbidden: PropertySorter is not allowed for RequiredDuringSchedulingIgnoredDuringExecution affinity",
		}},
		{"no property where preferred", preferred(v1beta1.ClusterSelectorTerm{PropertySelector: selector}), []string{
			preferredPath + ".propertySelector: Forbidden: PropertySelector is not allowed for PreferredDuringSchedulingIgnoredDuringExecution affinity",
		}},
	})
}

func TestPropertyName(t *testing.T) {
	const path = `spec.policy.affinity.clusterAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.propertySorter.name: Invalid value: `
	sortBy := func(name string) func(v1beta1.PlacementObject) {
		return preferred(v1beta1.ClusterSelectorTerm{PropertySorter: &v1beta1.PropertySorter{Name: name, SortOrder: "Ascending"}})
	}
	check(t, placements(), ValidatePlacement, []placementRule{
		{"a resource", sortBy("resources.kubernetes-fleet.io/available-nvidia.com_gpu"), nil},
		{"a resource has two parts", sortBy("resources.kubernetes-fleet.io/total"), []string{
			path + `"resources.kubernetes-fleet.io/total": invalid property name resources.kubernetes-fleet.io/total: invalid resource property name resources.kubernetes-fleet.io/total, expected format is [PREFIX]/[CAPACITY_TYPE]-[RESOURCE_NAME]`,
		}},
		{"a known capacity", sortBy("resources.kubernetes-fleet.io/free-cpu"), []string{
			path + `"resources.kubernetes-fleet.io/free-cpu": invalid property name resources.kubernetes-fleet.io/free-cpu: invalid capacity type in resource property name resources.kubernetes-fleet.io/free-cpu, supported values are [total allocatable available]`,
		}},
		{"a label key", sortBy("a b"), []string{
			path + `"a b": invalid property name a b: property name a b is not valid: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
		}},
	})
}

func TestPropertyRequirements(t *testing.T) {
	const name = "kubernetes-fleet.io/node-count"
	const path = `spec.policy.affinity.clusterAffinity.requiredDuringSchedulingIgnoredDuringExecution.clusterSelectorTerms[0].propertySelector.matchExpressions`
	require := func(operatorsAndValues ...string) func(v1beta1.PlacementObject) {
		selector := &v1beta1.PropertySelector{}
		for i := 0; i < len(operatorsAndValues); i += 2 {
			selector.MatchExpressions = append(selector.MatchExpressions, v1beta1.PropertySelectorRequirement{
				Name: name, Operator: v1beta1.PropertySelectorOperator(operatorsAndValues[i]), Values: []string{operatorsAndValues[i+1]},
			})
		}
		return required(v1beta1.ClusterSelectorTerm{PropertySelector: selector})
	}
	inconsistent := func(why string) []string {
		return []string{path + `: Invalid value: "` + name + `": inconsistent requirements on property ` + name + `: ` + why}
	}
	check(t, placements(), ValidatePlacement, []placementRule{
		{"a range", require("Gt", "1", "Le", "10", "Ne", "5"), nil},
		{"a point", require("Ge", "1Ki", "Le", "1024"), nil},
		{"one value twice", require("Eq", "1Ki", "Eq", "1024"), nil},
		{"a known operator", require("Like", "1"), []string{
			path + `[0]: Invalid value: "Like": invalid requirement on property ` + name + `: unsupported operator Like`,
		}},
		{"a quantity", require("Eq", "many"), []string{
			path + `[0]: Invalid value: "Eq": invalid requirement on property ` + name + `: value "many" is not a valid resource.Quantity: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`,
		}},
		{"a large quantity", require("Eq", "1e99"), nil},
		{"a quantity that fills the memory", require("Lt", "1E+999999999"), []string{
			path + `[0]: Invalid value: "Lt": invalid requirement on property ` + name + `: value "1E+999999999" is not a valid resource.Quantity: the exponent of a quantity has at most 2 digits`,
		}},
		{"a quantity that is endless", require("Lt", strings.Repeat("1", 65)), []string{
			path + `[0]: Invalid value: "Lt": invalid requirement on property ` + name + `: value "` + strings.Repeat("1", 65) + `" is not a valid resource.Quantity: a quantity has at most 64 bytes`,
		}},
		{"one value", required(v1beta1.ClusterSelectorTerm{PropertySelector: &v1beta1.PropertySelector{
			MatchExpressions: []v1beta1.PropertySelectorRequirement{{Name: name, Operator: "Eq"}},
		}}), []string{
			path + `[0]: Invalid value: "Eq": invalid requirement on property ` + name + `: operator Eq requires exactly one value, got 0`,
		}},
		{"a property's name", required(v1beta1.ClusterSelectorTerm{PropertySelector: &v1beta1.PropertySelector{
			MatchExpressions: []v1beta1.PropertySelectorRequirement{{Name: "resources.kubernetes-fleet.io/total", Operator: "Eq", Values: []string{"1"}}},
		}}), []string{
			path + `[0].name: Invalid value: "resources.kubernetes-fleet.io/total": invalid property name resources.kubernetes-fleet.io/total: invalid resource property name resources.kubernetes-fleet.io/total, expected format is [PREFIX]/[CAPACITY_TYPE]-[RESOURCE_NAME]`,
		}},
		{"equal to two", require("Eq", "1", "Eq", "2"), inconsistent("conflicting Eq values 1 and 2")},
		{"equal and not", require("Eq", "1", "Ne", "1"), inconsistent("conflicting Eq and Ne on same value 1")},
		{"an empty range", require("Gt", "10", "Lt", "1"), inconsistent("lower bound (10) and upper bound (1) exclude all values")},
		{"an open point", require("Ge", "1", "Lt", "1"), inconsistent("lower bound (1) and upper bound (1) exclude all values")},
		{"the tighter bound counts", require("Ge", "1", "Gt", "1", "Le", "1"), inconsistent("lower bound (1) and upper bound (1) exclude all values")},
		{"equal below", require("Eq", "1", "Gt", "1"), inconsistent("eq value 1 violates lower bound 1")},
		{"equal above", require("Eq", "11", "Le", "10"), inconsistent("eq value 11 violates upper bound 10")},
	})
}
