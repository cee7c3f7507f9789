// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package stagedupdatestrategyvalidation

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// stage is a stage with the member clusters that it would have now.
type stage struct {
	*v1beta1.StageConfig
	selector labels.Selector
	members  []*clusterv1beta1.MemberCluster
}

// warnOfStages tells what of a strategy does not fit the fleet as it is. The fleet may change before a run, so nothing is refused.
func (p *Plugin) warnOfStages(ctx context.Context, strategy v1beta1.UpdateStrategyObject) error {
	members, err := p.memberClusters.List(labels.Everything())
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("listing the member clusters: %w", err))
	}
	members = slices.DeleteFunc(members, func(member *clusterv1beta1.MemberCluster) bool { return member.DeletionTimestamp != nil })
	slices.SortFunc(members, func(a, b *clusterv1beta1.MemberCluster) int { return strings.Compare(a.Name, b.Name) })

	stages := stagesOf(strategy.StrategySpec())
	unplaced, overlaps := place(stages, members)
	warnOfTwins(ctx, stages)
	for _, overlap := range overlaps {
		warn(ctx, "%s in the stages %s at once; a run that moves %s cannot be initialised", membersAre(overlap.members), overlap.stages, them(overlap.members))
	}
	for i := range stages {
		warnOfStage(ctx, &stages[i])
	}
	if len(unplaced) > 0 {
		warn(ctx, "%s in no stage; a run that moves %s cannot be initialised", membersAre(unplaced), them(unplaced))
	}
	return nil
}

// stagesOf leaves out stages whose selector is invalid, which validation refuses.
func stagesOf(spec *v1beta1.UpdateStrategySpec) []stage {
	var stages []stage
	for i := range spec.Stages {
		selector, err := metav1.LabelSelectorAsSelector(spec.Stages[i].LabelSelector)
		if err == nil {
			stages = append(stages, stage{StageConfig: &spec.Stages[i], selector: selector})
		}
	}
	return stages
}

// overlap are clusters that are in the same several stages.
type overlap struct {
	stages  string
	members []string
}

// place puts every member into the stages that select it, and returns the names of those that are in none or in several.
func place(stages []stage, members []*clusterv1beta1.MemberCluster) (unplaced []string, overlaps []*overlap) {
	byStages := map[string]*overlap{}
	for _, member := range members {
		var in []string
		for i := range stages {
			if stages[i].selector.Matches(labels.Set(member.Labels)) {
				stages[i].members = append(stages[i].members, member)
				in = append(in, stages[i].Name)
			}
		}
		switch {
		case len(in) == 0:
			unplaced = append(unplaced, member.Name)
		case len(in) > 1:
			key := strings.Join(in, ", ")
			if byStages[key] == nil {
				byStages[key] = &overlap{stages: key}
				overlaps = append(overlaps, byStages[key])
			}
			byStages[key].members = append(byStages[key].members, member.Name)
		}
	}
	return unplaced, overlaps
}

// warnOfTwins tells of stages that select the same clusters, whatever the fleet is like.
func warnOfTwins(ctx context.Context, stages []stage) {
	for i := range stages {
		for j := range i {
			if stages[i].LabelSelector != nil && apiequality.Semantic.DeepEqual(stages[i].LabelSelector, stages[j].LabelSelector) {
				warn(ctx, "the stages %s and %s have the same label selector, but a cluster can be in one stage only", stages[j].Name, stages[i].Name)
			}
		}
	}
}

func warnOfStage(ctx context.Context, s *stage) {
	if len(s.members) == 0 {
		warn(ctx, "stage %s selects no member cluster", s.Name)
	}
	if s.SortingLabelKey == nil {
		return
	}
	var unsortable []string
	for _, member := range s.members {
		if _, err := strconv.Atoi(member.Labels[*s.SortingLabelKey]); err != nil {
			unsortable = append(unsortable, member.Name)
		}
	}
	if len(unsortable) > 0 {
		warn(ctx, "%s in stage %s without an integer in the label %s that it is sorted by; a run that moves %s cannot be initialised",
			membersAre(unsortable), s.Name, *s.SortingLabelKey, them(unsortable))
	}
}
