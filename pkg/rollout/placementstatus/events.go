// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// told are the conditions whose turning True is an Event. The texts do not change with the cluster that makes the difference, so that those
// of one that comes and goes are counted in one Event.
var told = []struct{ conditionType, reason, message string }{
	{v1beta1.PlacementRolloutStarted, "PlacementRolloutStarted", "Started rolling out the latest resources"},
	{v1beta1.PlacementOverridden, "PlacementOverriddenSucceeded", "Placement has been successfully overridden"},
	{v1beta1.PlacementWorkSynchronized, "PlacementWorkSynchronized", "Work(s) have been created or updated successfully for the selected cluster(s)"},
	{v1beta1.PlacementApplied, "PlacementApplied", "Resources have been applied to the selected cluster(s)"},
	{v1beta1.PlacementAvailable, "PlacementAvailable", "Resources are available on the selected cluster(s)"},
	{v1beta1.PlacementDiffReported, "PlacementDiffReported", "Configuration differences have been reported on the selected cluster(s)"},
}

const (
	eventCompleted = "PlacementRolloutCompleted"
	eventCompletes = "Placement has finished the rollout process and reached the desired status"
	// eventCompared is told in its place where nothing is written to clusters.
	eventCompared = "All clusters have been compared with the resources, and nothing was written to them; the status says which objects differ"
	// eventStuck is the reason of the Event that names clusters which cannot get what they are to have unless somebody does something.
	eventStuck = "PlacementStuck"
	// maxStuckClusters is how many clusters that Event names, and maxStuckMessage how many bytes each may have for what it says.
	maxStuckClusters = 3
	maxStuckMessage  = 256
	// eventRemoved is the reason of the Event that names what a new version removes from members.
	eventRemoved = "ObjectsRemoved"
)

// tell tells what has changed with a new status. Nothing is told again as long as it stays so.
func (c *Controller) tell(before v1beta1.PlacementObject, after *v1beta1.PlacementStatus, removed string) {
	if removed != "" {
		c.recorder.Event(before, corev1.EventTypeWarning, eventRemoved, "Rolling out "+removed)
	}
	c.tellRemaining(before, after)
	was := func(status *v1beta1.PlacementStatus, conditionType string) metav1.ConditionStatus {
		if condition := meta.FindStatusCondition(status.Conditions, v1beta1.PlacementConditionType(before.GetNamespace(), conditionType)); condition != nil {
			return condition.Status
		}
		return ""
	}
	for _, t := range told {
		if was(after, t.conditionType) == metav1.ConditionTrue && was(before.PlacementStatus(), t.conditionType) != metav1.ConditionTrue {
			c.recorder.Event(before, corev1.EventTypeNormal, t.reason, t.message)
		}
	}
	completed := func(status *v1beta1.PlacementStatus) bool {
		for _, s := range steps(before.PlacementSpec()) {
			if was(status, s.conditionType) != metav1.ConditionTrue {
				return false
			}
		}
		return true
	}
	if completed(after) && !completed(before.PlacementStatus()) {
		message := eventCompletes
		if bindingrules.Compares(before.PlacementSpec().Strategy.ApplyStrategy) {
			message = eventCompared
		}
		c.recorder.Event(before, corev1.EventTypeNormal, eventCompleted, message)
	}
	if message := newlyStuck(before.PlacementStatus(), after); message != "" {
		c.recorder.Event(before, corev1.EventTypeWarning, eventStuck, message)
	}
	if was(after, v1beta1.PlacementScheduled) == metav1.ConditionFalse && was(before.PlacementStatus(), v1beta1.PlacementScheduled) != metav1.ConditionFalse {
		failed := meta.FindStatusCondition(after.Conditions, v1beta1.PlacementConditionType(before.GetNamespace(), v1beta1.PlacementScheduled))
		c.recorder.Event(before, corev1.EventTypeWarning, "PlacementNotScheduled", fmt.Sprintf("%s: %s", failed.Reason, failed.Message))
	}
}

// newlyStuck names the clusters that cannot get what they are to have, and that could before, or nothing.
func newlyStuck(before, after *v1beta1.PlacementStatus) string {
	known := map[string]bool{}
	for i := range before.PerClusterPlacementStatuses {
		known[before.PerClusterPlacementStatuses[i].ClusterName] = stuck(&before.PerClusterPlacementStatuses[i]) != ""
	}
	var clusters []string
	found := 0
	for i := range after.PerClusterPlacementStatuses {
		cluster := &after.PerClusterPlacementStatuses[i]
		why := stuck(cluster)
		if why == "" || known[cluster.ClusterName] {
			continue
		}
		if found++; found <= maxStuckClusters {
			clusters = append(clusters, fmt.Sprintf("cluster %s: %s", cluster.ClusterName, wording.Shorten(why, maxStuckMessage)))
		}
	}
	if found == 0 {
		return ""
	}
	return wording.Clauses(clusters, found)
}

// stuck is why a cluster cannot get what it is to have, by the rule of pkg/rules/binding on what the status has of its binding, or nothing.
func stuck(cluster *v1beta1.PerClusterPlacementStatus) string {
	if c := meta.FindStatusCondition(cluster.Conditions, v1beta1.PlacementOverridden); c != nil && c.Status == metav1.ConditionFalse {
		return c.Message
	}
	failed := bindingrules.ObjectCannotHeal(cluster.FailedPlacements, cluster.DiffedPlacements)
	if failed == nil {
		return ""
	}
	for _, conditionType := range []string{v1beta1.PlacementWorkSynchronized, v1beta1.PlacementApplied, v1beta1.PlacementAvailable} {
		if meta.IsStatusConditionFalse(cluster.Conditions, conditionType) {
			return fmt.Sprintf("%s %s: %s", failed.Kind, wording.Key(failed.Namespace, failed.Name), failed.Condition.Message)
		}
	}
	return ""
}
