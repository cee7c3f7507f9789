// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package eviction

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Shorthands for the two kinds.
type (
	eviction = v1beta1.ClusterResourcePlacementEviction
	budget   = v1beta1.ClusterResourcePlacementDisruptionBudget
)

// maxMessage is how many bytes of a condition's message a table shows: rollout policies may say much.
const maxMessage = 512

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
				Columns: []store.Column[*budget]{
					store.Age[*budget](),
					{Name: "Min-Available", Wide: true, Description: "How many clusters must keep available resources.", Text: func(o *budget) string { return limit(o.Spec.MinAvailable) }},
					{Name: "Max-Unavailable", Wide: true, Description: "How many clusters may lack available resources.", Text: func(o *budget) string { return limit(o.Spec.MaxUnavailable) }},
				},
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
		{Name: "Message", Wide: true, Description: "What became of the eviction, and why.", Text: message},
	}
}

// message is that of the condition that decides.
func message(o *eviction) string {
	decided := meta.FindStatusCondition(o.Status.Conditions, v1beta1.EvictionExecuted)
	if decided == nil {
		decided = meta.FindStatusCondition(o.Status.Conditions, v1beta1.EvictionValid)
	}
	if decided == nil {
		return ""
	}
	return wording.Shorten(decided.Message, maxMessage)
}

// limit is blank where a budget does not have it.
func limit(value *intstr.IntOrString) string {
	if value == nil {
		return ""
	}
	return value.String()
}

func conditions(o *eviction) []metav1.Condition { return o.Status.Conditions }
