// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updatestrategy

import (
	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Resources are the kinds of the family in both scopes.
func Resources() []store.Resource {
	family := store.Family[placement.UpdateStrategyObject, placement.UpdateStrategySpec, struct{}]{
		Spec:           placement.UpdateStrategyObject.StrategySpec,
		Validate:       validation.ValidateUpdateStrategy,
		ValidateUpdate: validation.ValidateUpdateStrategyUpdate,
		Warnings:       warnings,
		Columns:        columns(),
	}
	return []store.Resource{
		store.NewResource[placement.ClusterStagedUpdateStrategy, placement.ClusterStagedUpdateStrategyList](
			placement.GroupName, registry.ClusterScoped("clusterstagedupdatestrategies", "csus"), family),
		store.NewResource[placement.StagedUpdateStrategy, placement.StagedUpdateStrategyList](
			placement.GroupName, registry.Namespaced("stagedupdatestrategies", "sus"), family),
	}
}
