// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package resourceplacement

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/registry/store"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

type column = store.Column[v1beta1.PlacementObject]

func columns() []column {
	return []column{
		store.Generation[v1beta1.PlacementObject](),
		{Name: "Type", Wide: true, Description: "How clusters are picked.", Text: placementType},
		condition("Scheduled", v1beta1.PlacementScheduled),
		conditionGeneration("Scheduled-Gen", v1beta1.PlacementScheduled),
		condition("Work-Synchronized", v1beta1.PlacementWorkSynchronized).OnlyWide(),
		conditionGeneration("Work-Synchronized-Gen", v1beta1.PlacementWorkSynchronized).OnlyWide(),
		{Name: "Available", Description: "Status of the condition Available, or Terminating where the placement is being deleted.", Text: available},
		conditionGeneration("Available-Gen", v1beta1.PlacementAvailable),
		store.Age[v1beta1.PlacementObject](),
		{Name: "Waiting-For", Wide: true, Description: "What removals of objects from clusters wait for, or else what keeps the first cluster from having what it is to have.", Text: waitingFor},
	}
}

// available says nothing of the clusters from which everything is being removed. The condition stays what it was.
func available(o v1beta1.PlacementObject) string {
	if o.GetDeletionTimestamp() != nil {
		return "Terminating"
	}
	return condition("Available", v1beta1.PlacementAvailable).Text(o)
}

func waitingFor(o v1beta1.PlacementObject) string {
	c := meta.FindStatusCondition(o.PlacementStatus().Conditions, v1beta1.PlacementConditionType(o.GetNamespace(), v1beta1.PlacementObjectsRemaining))
	if c == nil {
		return bindingrules.FirstTrouble(o.PlacementStatus().PerClusterPlacementStatuses, bindingrules.ListsAll(o.PlacementStatus()))
	}
	return strings.TrimPrefix(c.Message, "The removal waits for ")
}

// condition is the status of a condition, whose type begins with the kind.
func condition(name, conditionType string) column {
	return column{
		Name:        name,
		Description: "Status of the condition " + conditionType + ".",
		Text: func(o v1beta1.PlacementObject) string {
			return store.ConditionStatus(o.PlacementStatus().Conditions, v1beta1.PlacementConditionType(o.GetNamespace(), conditionType))
		},
	}
}

// conditionGeneration is the generation that the condition is about.
func conditionGeneration(name, conditionType string) column {
	return column{
		Name:        name,
		Description: "Generation of the spec that the condition " + conditionType + " is about.",
		Text: func(o v1beta1.PlacementObject) string {
			return store.ConditionGeneration(o.PlacementStatus().Conditions, v1beta1.PlacementConditionType(o.GetNamespace(), conditionType))
		},
	}
}

func placementType(o v1beta1.PlacementObject) string {
	if policy := o.PlacementSpec().Policy; policy != nil {
		return string(policy.PlacementType)
	}
	return ""
}
