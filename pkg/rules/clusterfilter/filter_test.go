// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterfilter

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

const (
	nodeCount = "kubernetes-fleet.io/node-count"
	mismatch  = "cluster does not match with any of the required cluster affinity terms"
)

// paris has 3 nodes, and reports its version.
func paris() *clusterv1beta1.MemberCluster {
	return &clusterv1beta1.MemberCluster{
		ObjectMeta: metav1.ObjectMeta{Name: "paris", Labels: map[string]string{"env": "prod", "region": "west"}},
		Status: clusterv1beta1.MemberClusterStatus{
			Properties: map[clusterv1beta1.PropertyName]clusterv1beta1.PropertyValue{nodeCount: {Value: "3"}, "k8s.io/k8s-version": {Value: "v1.31.2"}},
			ResourceUsage: clusterv1beta1.ResourceUsage{
				Capacity:    corev1.ResourceList{"cpu": resource.MustParse("8"), "ephemeral-storage": resource.MustParse("100Gi")},
				Allocatable: corev1.ResourceList{"cpu": resource.MustParse("7")},
				Available:   corev1.ResourceList{"cpu": resource.MustParse("1500m"), "ephemeral-storage": resource.MustParse("10Gi")},
			},
		},
	}
}

func requires(terms ...v1beta1.ClusterSelectorTerm) *v1beta1.PlacementPolicy {
	return &v1beta1.PlacementPolicy{Affinity: &v1beta1.Affinity{ClusterAffinity: &v1beta1.ClusterAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &v1beta1.ClusterSelector{ClusterSelectorTerms: terms},
	}}}
}

func having(name string, operator v1beta1.PropertySelectorOperator, values ...string) v1beta1.ClusterSelectorTerm {
	return v1beta1.ClusterSelectorTerm{PropertySelector: &v1beta1.PropertySelector{MatchExpressions: []v1beta1.PropertySelectorRequirement{{Name: name, Operator: operator, Values: values}}}}
}

func labeled(key, value string) v1beta1.ClusterSelectorTerm {
	return v1beta1.ClusterSelectorTerm{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}}
}

func TestRequiredAffinity(t *testing.T) {
	both := labeled("env", "prod")
	both.PropertySelector = having(nodeCount, "Gt", "5").PropertySelector
	const version = `: property k8s.io/k8s-version is "v1.31.2", which is no quantity`
	for name, test := range map[string]struct {
		policy *v1beta1.PlacementPolicy
		want   string
	}{
		"no policy":                        {nil, ""},
		"no terms":                         {requires(), ""},
		"a label":                          {requires(labeled("env", "prod")), ""},
		"another label":                    {requires(labeled("env", "dev")), mismatch},
		"one of two terms":                 {requires(labeled("env", "dev"), labeled("region", "west")), ""},
		"all of one term":                  {requires(both), mismatch},
		"greater":                          {requires(having(nodeCount, "Gt", "2")), ""},
		"not greater":                      {requires(having(nodeCount, "Gt", "3")), mismatch},
		"greater or equal":                 {requires(having(nodeCount, "Ge", "3")), ""},
		"neither greater nor equal":        {requires(having(nodeCount, "Ge", "4")), mismatch},
		"equal":                            {requires(having(nodeCount, "Eq", "3000m")), ""},
		"not the same":                     {requires(having(nodeCount, "Eq", "4")), mismatch},
		"unequal":                          {requires(having(nodeCount, "Ne", "4")), ""},
		"not unequal":                      {requires(having(nodeCount, "Ne", "3")), mismatch},
		"less":                             {requires(having(nodeCount, "Lt", "4")), ""},
		"not less":                         {requires(having(nodeCount, "Lt", "3")), mismatch},
		"less or equal":                    {requires(having(nodeCount, "Le", "3")), ""},
		"neither less nor equal":           {requires(having(nodeCount, "Le", "2")), mismatch},
		"unequal to what is not reported":  {requires(having("example.com/cost", "Ne", "1")), mismatch},
		"what is free":                     {requires(having(resourceProperties+"available-cpu", "Gt", "1")), ""},
		"what is not free":                 {requires(having(resourceProperties+"available-cpu", "Gt", "1500m")), mismatch},
		"all there is":                     {requires(having(resourceProperties+"total-cpu", "Ge", "8")), ""},
		"what pods may have":               {requires(having(resourceProperties+"allocatable-cpu", "Eq", "7")), ""},
		"a resource with a dash":           {requires(having(resourceProperties+"available-ephemeral-storage", "Ge", "10Gi")), ""},
		"a resource that is not reported":  {requires(having(resourceProperties+"allocatable-ephemeral-storage", "Ge", "0")), mismatch},
		"a capacity of no known kind":      {requires(having(resourceProperties+"spare-cpu", "Ge", "0")), mismatch},
		"no quantity":                      {requires(having("k8s.io/k8s-version", "Ge", "1")), mismatch + version},
		"no quantity, in one of two terms": {requires(having("k8s.io/k8s-version", "Ge", "1"), labeled("env", "prod")), ""},
		"no quantity, and another label":   {requires(labeled("env", "dev"), having("k8s.io/k8s-version", "Ge", "1")), mismatch + version},
		"an unknown operator":              {requires(having(nodeCount, "Like", "3")), mismatch},
		"no value":                         {requires(having(nodeCount, "Eq")), mismatch},
		"two values":                       {requires(having(nodeCount, "Eq", "3", "3")), mismatch},
		"a value that is none":             {requires(having(nodeCount, "Ne", "many")), mismatch},
		"a value that fills the memory":    {requires(having(nodeCount, "Lt", "1e999999999")), mismatch},
		"labels that cannot be read":       {requires(v1beta1.ClusterSelectorTerm{LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "env", Operator: "Like"}}}}), mismatch},
	} {
		t.Run(name, func(t *testing.T) {
			if got := New(test.policy).Rejected(paris()); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestReadings(t *testing.T) {
	huge := paris()
	huge.Status.ResourceUsage.Available["cpu"] = resource.MustParse("1e400")
	huge.Status.Properties[nodeCount] = clusterv1beta1.PropertyValue{Value: "1e999999999"}
	for name, test := range map[string]struct {
		cluster  *clusterv1beta1.MemberCluster
		property string
		value    float64
		found    bool
		reported bool
	}{
		"a property":           {paris(), nodeCount, 3, true, true},
		"a resource":           {paris(), resourceProperties + "available-cpu", 1.5, true, true},
		"none":                 {paris(), "example.com/cost", 0, false, false},
		"no quantity":          {paris(), "k8s.io/k8s-version", 0, false, true},
		"a property too big":   {huge, nodeCount, 0, false, true},
		"a resource too big":   {huge, resourceProperties + "available-cpu", 0, false, true},
		"a resource of nobody": {paris(), resourceProperties + "available-gpu", 0, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			value, found := Reading(test.cluster, test.property)
			if reported := Has(test.cluster, test.property); value != test.value || found != test.found || reported != test.reported {
				t.Errorf("got %v, %t, reported %t; want %v, %t, %t", value, found, reported, test.value, test.found, test.reported)
			}
		})
	}
}

func TestWhatAPolicyReads(t *testing.T) {
	selector := labeled("env", "prod")
	selector.LabelSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "region", Operator: "Exists"}}
	policy := requires(selector, having(nodeCount, "Gt", "1"))
	policy.Affinity.ClusterAffinity.PreferredDuringSchedulingIgnoredDuringExecution = []v1beta1.PreferredClusterSelector{{
		Weight: 1, Preference: v1beta1.ClusterSelectorTerm{PropertySorter: &v1beta1.PropertySorter{Name: "example.com/cost"}, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}},
	}}
	policy.TopologySpreadConstraints = []v1beta1.TopologySpreadConstraint{{TopologyKey: "zone"}}
	labels, properties := Reads(policy)
	slices.Sort(labels)
	if diff := cmp.Diff([][]string{{"env", "region", "zone"}, {nodeCount}}, [][]string{labels, properties}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if labels, properties := Reads(nil); len(labels)+len(properties) > 0 {
		t.Errorf("no policy reads %v, %v", labels, properties)
	}
}

func TestChangedProperties(t *testing.T) {
	after := paris()
	after.Status.Properties[nodeCount] = clusterv1beta1.PropertyValue{Value: "3", ObservationTime: metav1.Now()}
	after.Status.Properties["k8s.io/k8s-version"] = clusterv1beta1.PropertyValue{Value: "v1.32.0"}
	after.Status.Properties["example.com/cost"] = clusterv1beta1.PropertyValue{Value: "1"}
	after.Status.ResourceUsage.Available["cpu"] = resource.MustParse("1")
	delete(after.Status.ResourceUsage.Capacity, "ephemeral-storage")
	after.Status.ResourceUsage.Allocatable["cpu"] = resource.MustParse("7000m")
	changed := Changed(paris(), after)
	slices.Sort(changed)
	want := []string{"example.com/cost", "k8s.io/k8s-version", resourceProperties + "available-cpu", resourceProperties + "total-ephemeral-storage"}
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
