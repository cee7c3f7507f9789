// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package eviction

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Shorthands for the two kinds.
type (
	eviction = placement.ClusterResourcePlacementEviction
	budget   = placement.ClusterResourcePlacementDisruptionBudget
)

// Resources are evictions and disruption budgets.
func Resources() []store.Resource {
	return []store.Resource{
		store.NewResource[eviction, placement.ClusterResourcePlacementEvictionList](
			placement.GroupName, registry.ClusterScoped("clusterresourceplacementevictions", "crpe"),
			store.Family[*eviction, placement.PlacementEvictionSpec, placement.PlacementEvictionStatus]{
				Spec:                 func(o *eviction) *placement.PlacementEvictionSpec { return &o.Spec },
				Status:               func(o *eviction) *placement.PlacementEvictionStatus { return &o.Status },
				Validate:             validation.ValidateEviction,
				ValidateUpdate:       validation.ValidateEvictionUpdate,
				ValidateStatusUpdate: validation.ValidateEvictionStatusUpdate,
				Inert:                true,
				Columns:              columns(),
			}),
		store.NewResource[budget, placement.ClusterResourcePlacementDisruptionBudgetList](
			placement.GroupName, registry.ClusterScoped("clusterresourceplacementdisruptionbudgets", "crpdb"),
			store.Family[*budget, placement.PlacementDisruptionBudgetSpec, struct{}]{
				Spec:           func(o *budget) *placement.PlacementDisruptionBudgetSpec { return &o.Spec },
				Validate:       validation.ValidateDisruptionBudget,
				ValidateUpdate: validation.ValidateDisruptionBudgetUpdate,
				Inert:          true,
				Columns:        []store.Column[*budget]{store.Age[*budget]()},
			}),
	}
}

func columns() []store.Column[*eviction] {
	return []store.Column[*eviction]{
		store.Condition("Valid", placement.EvictionValid, conditions),
		store.Condition("Executed", placement.EvictionExecuted, conditions),
		store.Age[*eviction](),
		{Name: "Placement", Wide: true, Description: "Placement to take off the cluster.", Text: func(o *eviction) string { return o.Spec.PlacementName }},
		{Name: "Cluster", Wide: true, Description: "Member cluster.", Text: func(o *eviction) string { return o.Spec.ClusterName }},
	}
}

func conditions(o *eviction) []metav1.Condition { return o.Status.Conditions }
