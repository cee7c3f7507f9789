// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package resourceplacement

import (
	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

type column = store.Column[placement.PlacementObject]

func columns() []column {
	return []column{
		store.Generation[placement.PlacementObject](),
		{Name: "Type", Wide: true, Description: "How clusters are picked.", Text: placementType},
		condition("Scheduled", placement.PlacementScheduled),
		conditionGeneration("Scheduled-Gen", placement.PlacementScheduled),
		condition("Work-Synchronized", placement.PlacementWorkSynchronized).OnlyWide(),
		conditionGeneration("Work-Synchronized-Gen", placement.PlacementWorkSynchronized).OnlyWide(),
		condition("Available", placement.PlacementAvailable),
		conditionGeneration("Available-Gen", placement.PlacementAvailable),
		store.Age[placement.PlacementObject](),
	}
}

// condition is the status of a condition, whose type begins with the kind.
func condition(name, conditionType string) column {
	return column{
		Name:        name,
		Description: "Status of the condition " + conditionType + ".",
		Text: func(o placement.PlacementObject) string {
			return store.ConditionStatus(o.PlacementStatus().Conditions, placement.PlacementConditionType(o.GetNamespace(), conditionType))
		},
	}
}

// conditionGeneration is the generation that the condition is about.
func conditionGeneration(name, conditionType string) column {
	return column{
		Name:        name,
		Description: "Generation of the spec that the condition " + conditionType + " is about.",
		Text: func(o placement.PlacementObject) string {
			return store.ConditionGeneration(o.PlacementStatus().Conditions, placement.PlacementConditionType(o.GetNamespace(), conditionType))
		},
	}
}

func placementType(o placement.PlacementObject) string {
	if policy := o.PlacementSpec().Policy; policy != nil {
		return string(policy.PlacementType)
	}
	return ""
}
