// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package stagedupdatestrategyvalidation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	strategyrules "github.com/stagegate/stagegate/pkg/rules/strategy"
)

// warnOfStages tells what of a strategy does not fit the fleet as it is. The fleet may change before a run, so nothing is refused.
func (p *Plugin) warnOfStages(ctx context.Context, strategy v1beta1.UpdateStrategyObject) error {
	members, err := p.memberClusters.List(labels.Everything())
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("listing the member clusters: %w", err))
	}
	var clusters []strategyrules.Cluster
	for _, member := range members {
		if member.DeletionTimestamp == nil {
			clusters = append(clusters, strategyrules.Cluster{Name: member.Name, Labels: member.Labels})
		}
	}
	slices.SortFunc(clusters, func(a, b strategyrules.Cluster) int { return strings.Compare(a.Name, b.Name) })

	assignment, err := strategyrules.Assign(strategy.StrategySpec(), clusters)
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	warnOfTwins(ctx, strategy.StrategySpec().Stages)
	for _, overlap := range assignment.Overlaps {
		warn(ctx, "%s in the stages %s at once; a run that moves %s cannot be initialized",
			membersAre(overlap.Clusters), strings.Join(overlap.Stages, ", "), them(overlap.Clusters))
	}
	for _, stage := range assignment.Stages {
		warnOfStage(ctx, stage)
	}
	if unplaced := assignment.Unplaced; len(unplaced) > 0 {
		warn(ctx, "%s in no stage; a run that moves %s cannot be initialized", membersAre(unplaced), them(unplaced))
	}
	return nil
}

// warnOfTwins tells of stages that select the same clusters, whatever the fleet is like.
func warnOfTwins(ctx context.Context, stages []v1beta1.StageConfig) {
	for i := range stages {
		for j := range i {
			if stages[i].LabelSelector != nil && apiequality.Semantic.DeepEqual(stages[i].LabelSelector, stages[j].LabelSelector) {
				warn(ctx, "the stages %s and %s have the same label selector, but a cluster can be in one stage only", stages[j].Name, stages[i].Name)
			}
		}
	}
}

func warnOfStage(ctx context.Context, stage strategyrules.Stage) {
	if len(stage.Clusters) == 0 {
		warn(ctx, "stage %s selects no member cluster", stage.Name)
	}
	var names []string
	for _, unsortable := range stage.Unsortable {
		names = append(names, unsortable.Cluster)
	}
	if len(names) > 0 {
		warn(ctx, "%s in stage %s without an integer in the label %s that it is sorted by; a run that moves %s cannot be initialized",
			membersAre(names), stage.Name, *stage.SortingLabelKey, them(names))
	}
}
