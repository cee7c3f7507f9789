// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
)

// perCluster says how one picked cluster is doing. Its conditions end with the first step that is not done. A cluster whose binding asks for
// something else than it is to hold is waiting for its turn; wanted is nil where a run decides.
func perCluster(placement v1beta1.PlacementObject, b v1beta1.BindingObject, way []step, index string, wanted func(cluster string) bindingrules.Version, before *v1beta1.PerClusterPlacementStatus, now metav1.Time) v1beta1.PerClusterPlacementStatus {
	spec, status := b.BindingSpec(), b.BindingStatus()
	entry := v1beta1.PerClusterPlacementStatus{ClusterName: spec.TargetCluster, ObservedResourceIndex: index}
	if before != nil {
		// The conditions of before only lend their times.
		entry.Conditions = slices.Clone(before.Conditions)
	}
	generation := placement.GetGeneration()
	set := func(c metav1.Condition) {
		c.ObservedGeneration = generation
		meta.SetStatusCondition(&entry.Conditions, c)
	}
	set(metav1.Condition{
		Type: v1beta1.PlacementScheduled, Status: metav1.ConditionTrue, Reason: v1beta1.PlacementScheduled,
		Message: spec.ClusterDecision.Reason, LastTransitionTime: b.GetCreationTimestamp(),
	})
	done := true
	for _, s := range way {
		if !done {
			conditions.Remove(&entry.Conditions, s.conditionType)
			continue
		}
		c := meta.FindStatusCondition(status.Conditions, s.conditionType)
		if s.conditionType == v1beta1.PlacementRolloutStarted && !conditions.IsFalse(status.Conditions, s.conditionType, b.GetGeneration()) && waiting(spec, wanted) != "" {
			c = &metav1.Condition{
				Type: s.conditionType, Status: metav1.ConditionFalse, Reason: s.whenFalse.reason, Message: waiting(spec, wanted),
				ObservedGeneration: b.GetGeneration(), LastTransitionTime: now,
			}
		}
		if c == nil || c.ObservedGeneration != b.GetGeneration() || c.Status == metav1.ConditionUnknown {
			set(metav1.Condition{Type: s.conditionType, Status: metav1.ConditionUnknown, Reason: s.cluster.reason, Message: s.cluster.message, LastTransitionTime: now})
			done = false
			continue
		}
		set(*c)
		done = c.Status == metav1.ConditionTrue
	}
	for _, s := range allSteps {
		if !has(way, s) {
			conditions.Remove(&entry.Conditions, s.conditionType)
		}
	}
	// Its time is when the cluster began to keep them, and counts for who asks that it let go.
	conditions.Remove(&entry.Conditions, v1beta1.PlacementObjectsKept)
	if kept := conditions.Find(status.Conditions, v1beta1.BindingObjectsKept, b.GetGeneration()); kept != nil {
		set(*kept)
	}
	if meta.IsStatusConditionTrue(entry.Conditions, v1beta1.PlacementRolloutStarted) {
		entry.ApplicableClusterResourceOverrides = spec.ClusterResourceOverrideSnapshots
		entry.ApplicableResourceOverrides = spec.ResourceOverrideSnapshots
	}
	entry.FailedPlacements, entry.DriftedPlacements, entry.DiffedPlacements = status.FailedPlacements, status.DriftedPlacements, status.DiffedPlacements
	return entry
}

// waiting is what is said of a bound cluster that has not got its turn, and nothing of one that asks for what it is to hold.
func waiting(spec *v1beta1.ResourceBindingSpec, wanted func(cluster string) bindingrules.Version) string {
	if wanted == nil || spec.State != v1beta1.BindingStateBound {
		return ""
	}
	switch version := wanted(spec.TargetCluster); {
	case spec.ResourceSnapshotName != version.ResourceSnapshot:
		return "The rollout is being blocked by the rollout strategy"
	case !bindingrules.Holds(spec, version):
		// It has the resources, and waits for an override or for the way in which they are applied.
		return "The resources cannot be updated to the latest because of the rollout strategy"
	}
	return ""
}

func has(way []step, s step) bool {
	for _, other := range way {
		if other.conditionType == s.conditionType {
			return true
		}
	}
	return false
}

// unscheduled says why clusters that the policy wants could not be picked.
func unscheduled(placement v1beta1.PlacementObject, policy v1beta1.PolicySnapshotObject, before []v1beta1.PerClusterPlacementStatus, now metav1.Time) []v1beta1.PerClusterPlacementStatus {
	var entries []v1beta1.PerClusterPlacementStatus
	for _, d := range policy.PolicySnapshotStatus().ClusterDecisions {
		if d.Selected {
			continue
		}
		message := d.Reason
		if d.ClusterName != "" {
			// The entry has no name, which would say that the cluster is picked.
			message = fmt.Sprintf("cluster %s: %s", d.ClusterName, d.Reason)
		}
		c := metav1.Condition{
			Type: v1beta1.PlacementScheduled, Status: metav1.ConditionFalse, Reason: "ScheduleFailed",
			Message: message, ObservedGeneration: placement.GetGeneration(), LastTransitionTime: now,
		}
		for i := range before {
			if before[i].ClusterName != "" || len(before[i].Conditions) != 1 || before[i].Conditions[0].Message != message {
				continue
			}
			c.LastTransitionTime = before[i].Conditions[0].LastTransitionTime
		}
		entries = append(entries, v1beta1.PerClusterPlacementStatus{Conditions: []metav1.Condition{c}})
	}
	return entries
}
