// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updatestrategy

import (
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Resources are the kinds of the family in both scopes.
func Resources() []store.Resource {
	family := store.Family[v1beta1.UpdateStrategyObject, v1beta1.UpdateStrategySpec, struct{}]{
		Spec:           v1beta1.UpdateStrategyObject.StrategySpec,
		Validate:       validation.ValidateUpdateStrategy,
		ValidateUpdate: validation.ValidateUpdateStrategyUpdate,
		Warnings:       warnings,
		Columns:        columns(),
	}
	return []store.Resource{
		store.NewResource[v1beta1.ClusterStagedUpdateStrategy, v1beta1.ClusterStagedUpdateStrategyList](
			v1beta1.GroupName, registry.ClusterScoped("clusterstagedupdatestrategies", "csus"), family),
		store.NewResource[v1beta1.StagedUpdateStrategy, v1beta1.StagedUpdateStrategyList](
			v1beta1.GroupName, registry.Namespaced("stagedupdatestrategies", "sus"), family),
	}
}
