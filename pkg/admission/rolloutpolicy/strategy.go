// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rolloutpolicy

import (
	"context"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

// validateStrategy warns of a strategy whose runs would be refused with the fleet as it is. It refuses nothing: fleet and policies may be
// others by the time of a run, and the strategy may be for a placement that no policy binds.
func (p *Plugin) validateStrategy(ctx context.Context, a admission.Attributes, written v1beta1.UpdateStrategyObject) error {
	if a.GetOperation() == admission.Delete || !written.GetDeletionTimestamp().IsZero() {
		return nil
	}
	if old, ok := a.GetOldObject().(v1beta1.UpdateStrategyObject); ok && apiequality.Semantic.DeepEqual(written.StrategySpec(), old.StrategySpec()) {
		return nil
	}
	s, err := p.scopeOf(ctx, a)
	if err != nil || len(s.mayBind) == 0 {
		// A warning that cannot be made is no reason to refuse.
		return nil
	}
	members, err := p.listMembers()
	if err != nil {
		return nil
	}
	var clusters []strategy.Cluster
	for _, member := range members {
		if member.DeletionTimestamp == nil {
			clusters = append(clusters, clusterOf(member))
		}
	}
	byName(clusters)
	verdict, err := policy.JudgeStrategy(s.mayBind, written.StrategySpec(), clusters)
	if err != nil {
		// StagedUpdateStrategyValidation, and each run, tell of a selector that cannot be read.
		return nil
	}
	if text := verdict.Refusal(); text != "" {
		warning.AddWarning(ctx, "", fmt.Sprintf("a run of all present member clusters would be refused: %s", text))
	}
	if text := verdict.Warning(); text != "" {
		warning.AddWarning(ctx, "", fmt.Sprintf("a run of all present member clusters would be warned: %s", text))
	}
	return nil
}
