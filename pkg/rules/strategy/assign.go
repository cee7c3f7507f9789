// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package strategy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// Cluster is a member cluster, by what stages pick and order it by.
type Cluster struct {
	Name   string
	Labels labels.Set
}

// Assignment is which stage has which clusters. A run can follow it if every cluster is in exactly one stage and can be sorted there.
type Assignment struct {
	// Stages are those of the strategy, in its order.
	Stages []Stage
	// Unplaced are the clusters in no stage, in the order in which they were given.
	Unplaced []string
	// Overlaps are the clusters in several stages, together with those that are in the same ones.
	Overlaps []Overlap
}

// Stage is a stage with its clusters.
type Stage struct {
	*v1beta1.StageConfig
	// Clusters are in the order in which they are updated, as long as all of them can be sorted.
	Clusters []string
	// Unsortable are the clusters whose sorting label is missing or no integer.
	Unsortable []Unsortable
}

// Unsortable is a cluster without an integer in the label that its stage is sorted by.
type Unsortable struct {
	Cluster, Value string
	Err            error
}

// Overlap is clusters that are in several stages at once.
type Overlap struct {
	Stages, Clusters []string
}

// Assign puts every cluster into the stages that pick it, and orders each stage by the integer in its sorting label and by name where that
// is the same or there is none. It fails for a label selector that Validate refuses.
func Assign(spec *v1beta1.UpdateStrategySpec, clusters []Cluster) (*Assignment, error) {
	a := &Assignment{Stages: make([]Stage, len(spec.Stages))}
	selectors := make([]labels.Selector, len(spec.Stages))
	for i := range spec.Stages {
		selector, err := metav1.LabelSelectorAsSelector(spec.Stages[i].LabelSelector)
		if err != nil {
			return nil, fmt.Errorf("the label selector of stage %s is invalid: %w", spec.Stages[i].Name, err)
		}
		a.Stages[i].StageConfig, selectors[i] = &spec.Stages[i], selector
	}
	picked := make([][]Cluster, len(spec.Stages))
	for _, cluster := range clusters {
		var in []string
		for i, selector := range selectors {
			if selector.Matches(cluster.Labels) {
				picked[i] = append(picked[i], cluster)
				in = append(in, spec.Stages[i].Name)
			}
		}
		switch len(in) {
		case 0:
			a.Unplaced = append(a.Unplaced, cluster.Name)
		case 1:
		default:
			a.overlap(in, cluster.Name)
		}
	}
	for i := range a.Stages {
		a.Stages[i].take(picked[i])
	}
	return a, nil
}

func (a *Assignment) overlap(stages []string, cluster string) {
	i := slices.IndexFunc(a.Overlaps, func(o Overlap) bool { return slices.Equal(o.Stages, stages) })
	if i < 0 {
		i = len(a.Overlaps)
		a.Overlaps = append(a.Overlaps, Overlap{Stages: stages})
	}
	a.Overlaps[i].Clusters = append(a.Overlaps[i].Clusters, cluster)
}

func (s *Stage) take(clusters []Cluster) {
	numbers := make(map[string]int, len(clusters))
	for _, cluster := range clusters {
		s.Clusters = append(s.Clusters, cluster.Name)
		if s.SortingLabelKey == nil {
			continue
		}
		value := cluster.Labels[*s.SortingLabelKey]
		number, err := strconv.Atoi(value)
		if err != nil {
			s.Unsortable = append(s.Unsortable, Unsortable{Cluster: cluster.Name, Value: value, Err: err})
		}
		numbers[cluster.Name] = number
	}
	slices.SortFunc(s.Clusters, func(a, b string) int {
		return cmp.Or(cmp.Compare(numbers[a], numbers[b]), cmp.Compare(a, b))
	})
}
