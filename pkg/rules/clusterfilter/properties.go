// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterfilter

import (
	"fmt"
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// resourceProperties is the prefix of properties that stand for status.resourceUsage, such as
// resources.kubernetes-fleet.io/available-cpu.
const resourceProperties = "resources.kubernetes-fleet.io/"

// maxValueShown is how much of a property a message shows: what a cluster reports may be long.
const maxValueShown = 64

// requirement is a comparison of a property with a quantity.
type requirement struct {
	name     string
	operator v1beta1.PropertySelectorOperator
	// want is nil where it cannot be read, which no cluster meets.
	want *resource.Quantity
}

func newRequirement(r v1beta1.PropertySelectorRequirement) requirement {
	read := requirement{name: r.Name, operator: r.Operator}
	if len(r.Values) != 1 {
		return read
	}
	if want, err := validation.ParseQuantity(r.Values[0]); err == nil {
		read.want = &want
	}
	return read
}

// holds reports whether the cluster meets the requirement, and names a property that is no quantity. A cluster that does not report the property
// does not meet it, whatever the operator.
func (r requirement) holds(cluster *clusterv1beta1.MemberCluster) (holds bool, unreadable string) {
	have, found, unreadable := property(cluster, r.name)
	if !found || unreadable != "" || r.want == nil {
		return false, unreadable
	}
	switch order := have.Cmp(*r.want); r.operator {
	case v1beta1.PropertySelectorGreaterThan:
		return order > 0, ""
	case v1beta1.PropertySelectorGreaterThanOrEqualTo:
		return order >= 0, ""
	case v1beta1.PropertySelectorEqualTo:
		return order == 0, ""
	case v1beta1.PropertySelectorNotEqualTo:
		return order != 0, ""
	case v1beta1.PropertySelectorLessThan:
		return order < 0, ""
	case v1beta1.PropertySelectorLessThanOrEqualTo:
		return order <= 0, ""
	}
	return false, ""
}

// Has reports whether a cluster reports a property, whatever it is.
func Has(cluster *clusterv1beta1.MemberCluster, name string) bool {
	_, found, _ := property(cluster, name)
	return found
}

// Reading returns the quantity that a cluster reports as a property. It has none where it reports nothing, or what is no quantity.
func Reading(cluster *clusterv1beta1.MemberCluster, name string) (value float64, found bool) {
	quantity, found, unreadable := property(cluster, name)
	if !found || unreadable != "" {
		return 0, false
	}
	return quantity.AsApproximateFloat64(), true
}

// property reads a property of a cluster. unreadable names one that is there and no quantity.
func property(cluster *clusterv1beta1.MemberCluster, name string) (quantity resource.Quantity, found bool, unreadable string) {
	if usage, ok := strings.CutPrefix(name, resourceProperties); ok {
		capacity, resourceName, _ := strings.Cut(usage, "-")
		quantity, found = usageOf(cluster, capacity)[corev1.ResourceName(resourceName)]
		// Comparing what no number can hold takes memory without bound.
		if math.IsInf(quantity.AsApproximateFloat64(), 0) {
			return resource.Quantity{}, found, fmt.Sprintf("property %s is too large", name)
		}
		return quantity, found, ""
	}
	value, found := cluster.Status.Properties[clusterv1beta1.PropertyName(name)]
	if !found {
		return resource.Quantity{}, false, ""
	}
	quantity, err := validation.ParseQuantity(value.Value)
	if err != nil {
		return resource.Quantity{}, true, fmt.Sprintf("property %s is %q, which is no quantity", name, wording.Shorten(value.Value, maxValueShown))
	}
	return quantity, true, ""
}

// Changed returns the names of the properties in which two states of a cluster differ.
func Changed(a, b *clusterv1beta1.MemberCluster) []string {
	var names []string
	for name := range union(a.Status.Properties, b.Status.Properties) {
		before, was := a.Status.Properties[name]
		if after, is := b.Status.Properties[name]; was != is || before.Value != after.Value {
			names = append(names, string(name))
		}
	}
	for _, capacity := range []string{"total", "allocatable", "available"} {
		before, after := usageOf(a, capacity), usageOf(b, capacity)
		for resourceName := range union(before, after) {
			x, was := before[resourceName]
			// What no number can hold is compared as infinite, see property.
			if y, is := after[resourceName]; was != is || x.AsApproximateFloat64() != y.AsApproximateFloat64() {
				names = append(names, resourceProperties+capacity+"-"+string(resourceName))
			}
		}
	}
	return names
}

func union[M ~map[K]V, K comparable, V any](a, b M) map[K]bool {
	keys := make(map[K]bool, len(a))
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	return keys
}

func usageOf(cluster *clusterv1beta1.MemberCluster, capacity string) corev1.ResourceList {
	switch usage := &cluster.Status.ResourceUsage; capacity {
	case "total":
		return usage.Capacity
	case "allocatable":
		return usage.Allocatable
	case "available":
		return usage.Available
	}
	return nil
}
