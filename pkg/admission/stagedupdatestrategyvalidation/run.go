// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package stagedupdatestrategyvalidation

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apiserver/pkg/admission"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// validateNewRun refuses a run of a placement that moves its clusters itself. What is merely not there yet may turn up before the
// run is given up, so that a directory can be applied in any order.
func (p *Plugin) validateNewRun(ctx context.Context, a admission.Attributes, run v1beta1.UpdateRunObject) error {
	spec, kinds := run.RunSpec(), p.kindsOf(run.GetNamespace())
	target, found, err := kinds.placements.find(ctx, run.GetNamespace(), spec.PlacementName, isExternal)
	switch {
	case err != nil:
		return err
	case !found:
		warn(ctx, "%s %q does not exist yet; the run cannot be initialised without it", kinds.placements.kind, spec.PlacementName)
	case !isExternal(target):
		return admission.NewForbidden(a, fmt.Errorf("parent placement does not have an external rollout strategy, current strategy: %s", target.PlacementSpec().Strategy.Type))
	}
	if found && err == nil {
		warnOfNothing(ctx, kinds.placements.kind, target)
	}

	_, found, err = kinds.strategies.find(ctx, run.GetNamespace(), spec.StagedUpdateStrategyName, func(v1beta1.UpdateStrategyObject) bool { return true })
	if err != nil {
		return err
	}
	if !found {
		warn(ctx, "%s %q does not exist yet; the run cannot be initialised without it", kinds.strategies.kind, spec.StagedUpdateStrategyName)
	}
	return nil
}

// warnOfNothing tells of a placement whose status says that its selectors, or some of them, find nothing.
func warnOfNothing(ctx context.Context, kind string, target v1beta1.PlacementObject) {
	selected := meta.FindStatusCondition(target.PlacementStatus().Conditions,
		v1beta1.PlacementConditionType(target.GetNamespace(), v1beta1.PlacementResourcesSelected))
	if selected != nil && selected.ObservedGeneration == target.GetGeneration() {
		warn(ctx, "%s %q: %s", kind, target.GetName(), selected.Message)
	}
}

func isExternal(target v1beta1.PlacementObject) bool {
	return target.PlacementSpec().Strategy.Type == v1beta1.ExternalRolloutStrategyType
}

// warnOfWaitingRuns names the runs that have not copied a strategy yet which is about to go.
func (p *Plugin) warnOfWaitingRuns(ctx context.Context, strategy v1beta1.UpdateStrategyObject) error {
	var waiting []string
	for _, run := range p.kindsOf(strategy.GetNamespace()).listRuns(strategy.GetNamespace()) {
		if run.RunSpec().StagedUpdateStrategyName == strategy.GetName() && runrules.AwaitsPlan(run) {
			waiting = append(waiting, run.GetName())
		}
	}
	if len(waiting) > 0 {
		slices.Sort(waiting)
		warn(ctx, "the strategy is still needed to initialise: %s", wording.List(waiting))
	}
	return nil
}
