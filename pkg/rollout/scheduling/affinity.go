// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"math"

	"k8s.io/apimachinery/pkg/labels"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/clusterfilter"
)

// preferences are the preferred terms of a policy, read once to be asked of many clusters.
type preferences []preference

type preference struct {
	weight int32
	labels labels.Selector
	// sorter is nil where the labels alone decide.
	sorter *sorter
}

// sorter is the scale from the lowest to the highest value of a property in the fleet.
type sorter struct {
	property        string
	ascending       bool
	lowest, highest float64
}

func newPreferences(policy *v1beta1.PlacementPolicy, clusters []*clusterv1beta1.MemberCluster) preferences {
	if policy.Affinity == nil || policy.Affinity.ClusterAffinity == nil {
		return nil
	}
	var read preferences
	for _, preferred := range policy.Affinity.ClusterAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		if preferred.Weight == 0 {
			continue
		}
		p := preference{weight: preferred.Weight, labels: clusterfilter.Labels(preferred.Preference.LabelSelector)}
		if s := preferred.Preference.PropertySorter; s != nil {
			p.sorter = newSorter(s, clusters)
		}
		read = append(read, p)
	}
	return read
}

func newSorter(s *v1beta1.PropertySorter, clusters []*clusterv1beta1.MemberCluster) *sorter {
	read := &sorter{property: s.Name, ascending: s.SortOrder == v1beta1.AscendingPropertySortOrder, lowest: math.Inf(1), highest: math.Inf(-1)}
	for _, cluster := range clusters {
		if value, found := clusterfilter.Reading(cluster, s.Name); found {
			read.lowest, read.highest = min(read.lowest, value), max(read.highest, value)
		}
	}
	return read
}

// score is the sum over the terms that the cluster matches.
func (p preferences) score(cluster *clusterv1beta1.MemberCluster) (sum int32) {
	for _, term := range p {
		if term.labels.Matches(labels.Set(cluster.Labels)) {
			sum += term.score(cluster)
		}
	}
	return sum
}

// score of a cluster whose labels match: the weight, or the part of it that the cluster's place on the scale is. Half a point is rounded away from
// zero. A cluster that does not report the property comes below the worst that does.
func (p preference) score(cluster *clusterv1beta1.MemberCluster) int32 {
	if p.sorter == nil {
		return p.weight
	}
	value, found := clusterfilter.Reading(cluster, p.sorter.property)
	if !found {
		return min(p.weight, 0) - 1
	}
	if p.sorter.lowest == p.sorter.highest {
		return 0
	}
	part := (value - p.sorter.lowest) / (p.sorter.highest - p.sorter.lowest)
	if p.sorter.ascending {
		part = 1 - part
	}
	return int32(math.Round(part * float64(p.weight)))
}
