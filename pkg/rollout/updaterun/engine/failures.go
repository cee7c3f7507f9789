// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// failurePolicy is the policy of a stage, nil where no cluster is given up.
func (s *step) failurePolicy(config *v1beta1.StageConfig) *v1beta1.FailurePolicy {
	if config.FailurePolicy != nil {
		return config.FailurePolicy
	}
	return s.status.UpdateStrategySnapshot.FailurePolicy
}

// timedOut says whether a cluster has had its time. It has the whole of it from a new leader: while nobody led, nothing was written for
// the cluster, and nobody heard what its member said.
func (s *step) timedOut(c *v1beta1.ClusterUpdatingStatus, policy *v1beta1.FailurePolicy) bool {
	if policy == nil {
		return false
	}
	since := timeOf(c.Conditions, v1beta1.ClusterStarted)
	if since.Before(s.world.Since) {
		since = s.world.Since
	}
	limit := since.Add(policy.ClusterTimeout.Duration)
	if s.now.Before(limit) {
		s.wake(limit)
		return false
	}
	return true
}

// clusterFailed gives a cluster up. What the binding asks for stays: a member that mends itself has the new version, or nothing left.
func (s *step) clusterFailed(stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus, b v1beta1.BindingObject, policy *v1beta1.FailurePolicy) {
	message := fmt.Sprintf("Cluster update failed: not available within %s", policy.ClusterTimeout.Duration)
	if s.removes(stage) {
		message = fmt.Sprintf("Cluster update failed: resources not removed within %s", policy.ClusterTimeout.Duration)
		if why := remaining(b); why != "" {
			message += ": " + why
		}
	} else if s.wants(b, c) {
		if why := reported(b); why != "" {
			message += ": " + why
		}
	}
	s.say(c, "")
	s.set(&c.Conditions, v1beta1.ClusterSucceeded, metav1.ConditionFalse, reasonClusterFailed, message)
	s.warnOf(c.ClusterName, eventClusterFailed, fmt.Sprintf("Cluster %s in stage %s: %s", c.ClusterName, stage.StageName, message))
}

// onFailure does what the policy of a stage says about too many failures. A paused run goes on with the clusters in flight and starts no
// other; it is not a state of its own, and ends as soon as there are not too many any more. A removal that fails rolls nothing back: it
// tells nothing of the version that the other clusters have, and what was removed would not come back.
func (s *step) onFailure(stage *v1beta1.StageUpdatingStatus, policy *v1beta1.FailurePolicy, message string) {
	switch policy.OnFailure {
	case v1beta1.FailureActionPause:
		was := reasonOf(s.status.Conditions, v1beta1.RunProgressing)
		message = fmt.Sprintf("The updateRun is paused: %s; retry or skip what has failed, or stop the run", message)
		s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStagePaused, messageStagePaused)
		s.setRunCondition(v1beta1.RunProgressing, metav1.ConditionFalse, reasonRunPaused, message)
		if was != reasonRunPaused {
			s.warn(eventPaused, message)
		}
	case v1beta1.FailureActionRollback:
		if s.removes(stage) {
			s.fail(message + "; the run is not rolled back, which would bring back nothing that was removed")
			return
		}
		s.failAndRollBack(message)
	default:
		s.fail(message)
	}
}

// failedClusters are the clusters of a stage that were given up, those that somebody skipped afterwards among them.
func failedClusters(stage *v1beta1.StageUpdatingStatus) []v1beta1.ClusterUpdatingStatus {
	return slices.DeleteFunc(slices.Clone(stage.Clusters), func(c v1beta1.ClusterUpdatingStatus) bool {
		return !meta.IsStatusConditionFalse(c.Conditions, v1beta1.ClusterSucceeded)
	})
}

// messageClusterSkipped begins what a cluster says that somebody has left out: one that has left the fleet has the same reason.
const messageClusterSkipped = "Cluster update skipped "

// skippedClusters are the clusters of a stage that somebody has left out. Those that have left the fleet are none of them.
func skippedClusters(stage *v1beta1.StageUpdatingStatus) []v1beta1.ClusterUpdatingStatus {
	return slices.DeleteFunc(slices.Clone(stage.Clusters), func(c v1beta1.ClusterUpdatingStatus) bool {
		succeeded := meta.FindStatusCondition(c.Conditions, v1beta1.ClusterSucceeded)
		return succeeded == nil || succeeded.Reason != reasonClusterSkipped || !strings.HasPrefix(succeeded.Message, messageClusterSkipped)
	})
}

func namesOf(clusters []v1beta1.ClusterUpdatingStatus) []string {
	var names []string
	for i := range clusters {
		names = append(names, clusters[i].ClusterName)
	}
	return names
}

// tooManyFailures says that more clusters of a stage have failed than its policy allows, with what the last of them said, or nothing.
func tooManyFailures(stage *v1beta1.StageUpdatingStatus, policy *v1beta1.FailurePolicy) string {
	if policy == nil {
		return ""
	}
	failed, allowed := runrules.FailedClusters(stage), maxFailures(policy, len(stage.Clusters))
	if len(failed) <= allowed {
		return ""
	}
	last := failed[len(failed)-1]
	return fmt.Sprintf("%s in stage %s failed to update, at most %d may: %s; %s: %s", wording.Count(len(failed), "cluster"), stage.StageName, allowed,
		wording.FirstNames(runrules.Names(failed)), last.ClusterName, meta.FindStatusCondition(last.Conditions, v1beta1.ClusterSucceeded).Message)
}

// maxFailures is how many of n clusters may fail.
func maxFailures(policy *v1beta1.FailurePolicy, n int) int {
	if policy.MaxFailures == nil {
		return 0
	}
	limit, err := intstr.GetScaledValueFromIntOrPercent(policy.MaxFailures, n, false)
	if err != nil {
		// Planning refuses what is neither a number nor a percentage.
		return 0
	}
	return max(limit, 0)
}

// restartClocks gives the clusters that a stop has left in flight their whole time again.
func (s *step) restartClocks() {
	s.eachOpenStage(func(stage *v1beta1.StageUpdatingStatus) {
		for i := range stage.Clusters {
			c := &stage.Clusters[i]
			if runrules.IsClusterDone(c) || !runrules.IsStarted(c) {
				continue
			}
			c.Conditions = slices.Clone(c.Conditions)
			meta.FindStatusCondition(c.Conditions, v1beta1.ClusterStarted).LastTransitionTime = metav1.NewTime(s.now)
			s.changed = true
		}
	})
}
