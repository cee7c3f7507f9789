// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// runDeletion brings the last stage on, which takes the resources off clusters that the placement no longer picked when the run was
// planned, and says whether it is over. maxConcurrency does not apply.
func (s *step) runDeletion() bool {
	stage := s.deletionStage()
	s.setTime(&stage.StartTime)
	if len(stage.Clusters) > 0 && !allDone(stage) {
		if !s.takeTurn(stage) {
			return false
		}
		f := s.settleDeletions(stage)
		s.startDeletions(stage, &f)
		if f.waiting() > 0 {
			s.stageMoves(stage)
			s.runMoves(stage, f.stuck)
			return false
		}
	}
	s.completeStage(stage)
	return true
}

// unpicked is the binding of a cluster that the placement does not pick any more, nil for none.
func (s *step) unpicked(cluster string) v1beta1.BindingObject {
	for _, b := range s.world.Bindings {
		if spec := b.BindingSpec(); spec.TargetCluster == cluster && spec.State == v1beta1.BindingStateUnscheduled {
			return b
		}
	}
	return nil
}

// settleDeletions looks at the clusters whose bindings were deleted and finds those still in flight.
func (s *step) settleDeletions(stage *v1beta1.StageUpdatingStatus) flight {
	var f flight
	for i := range stage.Clusters {
		c := &stage.Clusters[i]
		if isDone(c) || !isStarted(c) {
			continue
		}
		b := s.unpicked(c.ClusterName)
		if b == nil {
			s.clusterDone(c)
			continue
		}
		s.remove(b)
		s.inFlight(&f, c)
	}
	return f
}

// startDeletions deletes the bindings of all clusters at once. A cluster that was picked again since keeps its own.
func (s *step) startDeletions(stage *v1beta1.StageUpdatingStatus, f *flight) {
	for i := range stage.Clusters {
		c := &stage.Clusters[i]
		if isDone(c) || isStarted(c) {
			continue
		}
		b := s.unpicked(c.ClusterName)
		if b == nil && s.binding(c.ClusterName) != nil {
			s.skipCluster(c, "the placement picks the cluster again")
			continue
		}
		if reasonOf(stage.Conditions, v1beta1.StageProgressing) != reasonStageStarted {
			s.stageMoves(stage)
			s.event(eventStageStarted, fmt.Sprintf("The resources are removed from %s", count(len(stage.Clusters), "cluster")))
		}
		s.set(&c.Conditions, v1beta1.ClusterStarted, metav1.ConditionTrue, reasonClusterStarted, messageClusterStarted)
		if b == nil {
			s.clusterDone(c)
			continue
		}
		s.remove(b)
		s.inFlight(f, c)
	}
}

func (s *step) remove(b v1beta1.BindingObject) {
	if b.GetDeletionTimestamp() == nil {
		s.decision.Deletions = append(s.decision.Deletions, b)
	}
}
