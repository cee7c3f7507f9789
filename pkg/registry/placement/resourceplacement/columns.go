// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package resourceplacement

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

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
		{Name: "Available", Description: "Status of the condition Available, or Terminating where the placement is being deleted.", Text: available},
		conditionGeneration("Available-Gen", placement.PlacementAvailable),
		store.Age[placement.PlacementObject](),
		{Name: "Waiting-For", Wide: true, Description: "What removals of objects from clusters wait for.", Text: waitingFor},
	}
}

// available says nothing of the clusters from which everything is being removed. The condition stays what it was.
func available(o placement.PlacementObject) string {
	if o.GetDeletionTimestamp() != nil {
		return "Terminating"
	}
	return condition("Available", placement.PlacementAvailable).Text(o)
}

func waitingFor(o placement.PlacementObject) string {
	c := meta.FindStatusCondition(o.PlacementStatus().Conditions, placement.PlacementConditionType(o.GetNamespace(), placement.PlacementObjectsRemaining))
	if c == nil {
		return ""
	}
	return strings.TrimPrefix(c.Message, "The removal waits for ")
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
