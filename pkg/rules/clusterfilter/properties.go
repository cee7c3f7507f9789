// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterfilter

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// resourceProperties is the prefix of properties that stand for status.resourceUsage, such as
// resources.kubernetes-fleet.io/available-cpu.
const resourceProperties = "resources.kubernetes-fleet.io/"

// holds reports whether a property of the cluster meets a requirement. A cluster that does not report the property does not.
func holds(cluster *clusterv1beta1.MemberCluster, requirement v1beta1.PropertySelectorRequirement) (bool, error) {
	have, found, err := property(cluster, requirement.Name)
	if !found || err != nil {
		return false, err
	}
	if len(requirement.Values) != 1 {
		return false, fmt.Errorf("property %s: operator %s requires exactly one value, got %d", requirement.Name, requirement.Operator, len(requirement.Values))
	}
	want, err := resource.ParseQuantity(requirement.Values[0])
	if err != nil {
		return false, fmt.Errorf("property %s: value %q: %w", requirement.Name, requirement.Values[0], err)
	}
	switch order := have.Cmp(want); requirement.Operator {
	case v1beta1.PropertySelectorGreaterThan:
		return order > 0, nil
	case v1beta1.PropertySelectorGreaterThanOrEqualTo:
		return order >= 0, nil
	case v1beta1.PropertySelectorEqualTo:
		return order == 0, nil
	case v1beta1.PropertySelectorNotEqualTo:
		return order != 0, nil
	case v1beta1.PropertySelectorLessThan:
		return order < 0, nil
	case v1beta1.PropertySelectorLessThanOrEqualTo:
		return order <= 0, nil
	}
	return false, fmt.Errorf("property %s: unsupported operator %s", requirement.Name, requirement.Operator)
}

// Has reports whether a cluster reports a property, whatever it is.
func Has(cluster *clusterv1beta1.MemberCluster, name string) bool {
	_, found, err := property(cluster, name)
	return found || err != nil
}

func property(cluster *clusterv1beta1.MemberCluster, name string) (resource.Quantity, bool, error) {
	if usage, ok := strings.CutPrefix(name, resourceProperties); ok {
		capacity, resourceName, _ := strings.Cut(usage, "-")
		lists := map[string]corev1.ResourceList{
			"total":       cluster.Status.ResourceUsage.Capacity,
			"allocatable": cluster.Status.ResourceUsage.Allocatable,
			"available":   cluster.Status.ResourceUsage.Available,
		}
		quantity, found := lists[capacity][corev1.ResourceName(resourceName)]
		return quantity, found, nil
	}
	value, found := cluster.Status.Properties[clusterv1beta1.PropertyName(name)]
	if !found {
		return resource.Quantity{}, false, nil
	}
	quantity, err := resource.ParseQuantity(value.Value)
	if err != nil {
		return resource.Quantity{}, false, fmt.Errorf("cluster %s: property %s is %q: %w", cluster.Name, name, value.Value, err)
	}
	return quantity, true, nil
}
