// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package eviction

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Shorthands for the two kinds.
type (
	eviction = v1beta1.ClusterResourcePlacementEviction
	budget   = v1beta1.ClusterResourcePlacementDisruptionBudget
)

// Resources are evictions and disruption budgets.
func Resources() []store.Resource {
	return []store.Resource{
		store.NewResource[eviction, v1beta1.ClusterResourcePlacementEvictionList](
			v1beta1.GroupName, registry.ClusterScoped("clusterresourceplacementevictions", "crpe"),
			store.Family[*eviction, v1beta1.PlacementEvictionSpec, v1beta1.PlacementEvictionStatus]{
				Spec:                 func(o *eviction) *v1beta1.PlacementEvictionSpec { return &o.Spec },
				Status:               func(o *eviction) *v1beta1.PlacementEvictionStatus { return &o.Status },
				Validate:             validation.ValidateEviction,
				ValidateUpdate:       validation.ValidateEvictionUpdate,
				ValidateStatusUpdate: validation.ValidateEvictionStatusUpdate,
				Columns:              columns(),
			}),
		store.NewResource[budget, v1beta1.ClusterResourcePlacementDisruptionBudgetList](
			v1beta1.GroupName, registry.ClusterScoped("clusterresourceplacementdisruptionbudgets", "crpdb"),
			store.Family[*budget, v1beta1.PlacementDisruptionBudgetSpec, struct{}]{
				Spec:           func(o *budget) *v1beta1.PlacementDisruptionBudgetSpec { return &o.Spec },
				Validate:       validation.ValidateDisruptionBudget,
				ValidateUpdate: validation.ValidateDisruptionBudgetUpdate,
				Columns:        []store.Column[*budget]{store.Age[*budget]()},
			}),
	}
}

func columns() []store.Column[*eviction] {
	return []store.Column[*eviction]{
		store.Condition("Valid", v1beta1.EvictionValid, conditions),
		store.Condition("Executed", v1beta1.EvictionExecuted, conditions),
		store.Age[*eviction](),
		{Name: "Placement", Wide: true, Description: "Placement to take off the cluster.", Text: func(o *eviction) string { return o.Spec.PlacementName }},
		{Name: "Cluster", Wide: true, Description: "Member cluster.", Text: func(o *eviction) string { return o.Spec.ClusterName }},
	}
}

func conditions(o *eviction) []metav1.Condition { return o.Status.Conditions }
