// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// The delete stage takes the resources off clusters that the placement no longer picked when the run was planned. It is a stage like
// any other, but for what is done to its clusters.

// removes reports whether a stage is the delete stage.
func (s *step) removes(stage *v1beta1.StageUpdatingStatus) bool {
	return stage == s.status.DeletionStageStatus
}

// stageStarted tells that clusters of a stage are moved now.
func (s *step) stageStarted(stage *v1beta1.StageUpdatingStatus) string {
	if s.removes(stage) {
		return fmt.Sprintf("The resources are removed from %s", wording.Count(len(stage.Clusters), "cluster"))
	}
	return fmt.Sprintf("Stage %s is started: %s", stage.StageName, wording.Count(len(stage.Clusters), "cluster"))
}

// atStake is what an approver of the delete stage decides about, and nothing for other stages.
func (s *step) atStake(stage *v1beta1.StageUpdatingStatus) string {
	if !s.removes(stage) {
		return ""
	}
	open := slices.DeleteFunc(slices.Clone(stage.Clusters), wasDone)
	return fmt.Sprintf(": all resources of the placement are then removed from %s: %s", wording.Count(len(open), "cluster"), wording.List(namesOf(open)))
}

// runDeletion brings the delete stage on and reports whether it is over.
func (s *step) runDeletion() bool {
	stage, config := s.deletionStage(), plan.DeletionConfig(s.status.UpdateStrategySnapshot)
	if len(stage.Clusters) == 0 {
		s.setTime(&stage.StartTime)
		s.completeStage(stage)
		return true
	}
	// An earlier version of the server planned no gate. What it has begun goes on.
	if len(stage.BeforeStageTaskStatus) < len(config.BeforeStageTasks) && !slices.ContainsFunc(stage.Clusters, wasStarted) {
		stage.BeforeStageTaskStatus, s.changed = plan.BeforeTasks(s.run, config), true
	}
	s.passOverRemoved(stage)
	return s.runStage(stage, config)
}

func wasStarted(c v1beta1.ClusterUpdatingStatus) bool { return runrules.IsStarted(&c) }

func wasDone(c v1beta1.ClusterUpdatingStatus) bool { return runrules.IsClusterDone(&c) }

// unpicked is the binding of a cluster that the placement does not pick any more, nil for none.
func (s *step) unpicked(cluster string) v1beta1.BindingObject {
	if s.leaving == nil {
		s.leaving = map[string]v1beta1.BindingObject{}
		for _, b := range s.world.Bindings {
			if spec := b.BindingSpec(); spec.State == v1beta1.BindingStateUnscheduled {
				s.leaving[spec.TargetCluster] = b
			}
		}
	}
	return s.leaving[cluster]
}

// passOverRemoved is done with clusters that nothing is to be removed from any more, before anybody is asked to approve it.
func (s *step) passOverRemoved(stage *v1beta1.StageUpdatingStatus) {
	for i := range stage.Clusters {
		if c := &stage.Clusters[i]; !runrules.IsClusterDone(c) && !runrules.IsStarted(c) && s.unpicked(c.ClusterName) == nil {
			s.removed(c)
		}
	}
}

// removed is done with a cluster from which nothing is to be removed any more. One that was picked again keeps its resources.
func (s *step) removed(c *v1beta1.ClusterUpdatingStatus) {
	if s.binding(c.ClusterName) != nil {
		s.skipCluster(c, "the placement picks the cluster again")
		return
	}
	s.clusterStarted(c)
	s.clusterDone(c)
}

// settleRemovals is settle for the delete stage.
func (s *step) settleRemovals(stage *v1beta1.StageUpdatingStatus, policy *v1beta1.FailurePolicy) flight {
	var f flight
	for i := range stage.Clusters {
		c := &stage.Clusters[i]
		if runrules.IsClusterDone(c) || !runrules.IsStarted(c) {
			continue
		}
		b := s.unpicked(c.ClusterName)
		switch {
		case b == nil:
			s.removed(c)
			continue
		case s.timedOut(c, policy):
			s.clusterFailed(stage, c, b, policy)
			continue
		}
		s.remove(b)
		s.say(c, remaining(b))
		s.inFlight(&f, c, "")
	}
	return f
}

func (s *step) remove(b v1beta1.BindingObject) {
	if b.GetDeletionTimestamp() == nil {
		s.decision.Deletions = append(s.decision.Deletions, b)
	}
}
