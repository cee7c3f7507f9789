// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// binding is that of a cluster which the placement picks, nil where it does not pick the cluster any more.
func (s *step) binding(cluster string) v1beta1.BindingObject {
	if s.byName == nil {
		s.byName = make(map[string]v1beta1.BindingObject, len(s.world.Bindings))
		for _, b := range s.world.Bindings {
			if isPicked(b) {
				s.byName[b.BindingSpec().TargetCluster] = b
			}
		}
	}
	return s.byName[cluster]
}

func isPicked(b v1beta1.BindingObject) bool {
	return b.BindingSpec().State != v1beta1.BindingStateUnscheduled && b.GetDeletionTimestamp() == nil
}

// wants says whether a binding is as the run wants it for a cluster.
func (s *step) wants(b v1beta1.BindingObject, cluster *v1beta1.ClusterUpdatingStatus) bool {
	spec := b.BindingSpec()
	return spec.State == v1beta1.BindingStateBound &&
		spec.ResourceSnapshotName == s.target(cluster) &&
		slices.Equal(spec.ResourceOverrideSnapshots, cluster.ResourceOverrideSnapshots) &&
		slices.Equal(spec.ClusterResourceOverrideSnapshots, cluster.ClusterResourceOverrideSnapshots) &&
		sameApplyStrategy(spec.ApplyStrategy, s.status.ApplyStrategy)
}

// sameApplyStrategy compares without reflection: this is asked of every cluster in flight at every look.
func sameApplyStrategy(a, b *v1beta1.ApplyStrategy) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	serverSideA, serverSideB := x.ServerSideApplyConfig, y.ServerSideApplyConfig
	x.ServerSideApplyConfig, y.ServerSideApplyConfig = nil, nil
	if x != y || serverSideA == nil || serverSideB == nil {
		return x == y && serverSideA == serverSideB
	}
	return *serverSideA == *serverSideB
}

// write has a binding brought to what the run wants for a cluster. A binding that was moved in a later turn is left alone.
func (s *step) write(b v1beta1.BindingObject, cluster *v1beta1.ClusterUpdatingStatus) {
	turn := s.status.Turn.Number
	if _, moved := runrules.LastMove(b); moved > turn {
		return
	}
	w := BindingWrite{
		Binding: b,
		Turn:    turn,
		Message: fmt.Sprintf("Detected the new changes on the resources and started the rollout process, resourceSnapshotIndex: %s, updateRun: %s",
			runrules.Version(&s.status, cluster), s.run.GetName()),
	}
	if !s.wants(b, cluster) {
		w.Spec = b.BindingSpec().DeepCopy()
		w.Spec.State = v1beta1.BindingStateBound
		w.Spec.ResourceSnapshotName = s.target(cluster)
		w.Spec.ResourceOverrideSnapshots = cluster.ResourceOverrideSnapshots
		w.Spec.ClusterResourceOverrideSnapshots = cluster.ClusterResourceOverrideSnapshots
		w.Spec.ApplyStrategy = s.status.ApplyStrategy
	}
	s.decision.Bindings = append(s.decision.Bindings, w)
}

// IsRolloutStarted says whether the version in a binding's spec is on its way to the cluster.
func IsRolloutStarted(b v1beta1.BindingObject) bool {
	return isTrueNow(b, v1beta1.BindingRolloutStarted)
}

// IsSettled says whether a cluster has what its binding says, as far as that can be observed. That something is still under way, or
// fails at present, is never a failure of the run.
func IsSettled(b v1beta1.BindingObject) bool {
	return isTrueNow(b, v1beta1.BindingAvailable) || isTrueNow(b, v1beta1.BindingDiffReported)
}

func isTrueNow(b v1beta1.BindingObject, conditionType string) bool {
	c := meta.FindStatusCondition(b.BindingStatus().Conditions, conditionType)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == b.GetGeneration()
}

// leftInFlight says whether the last run that moved a binding left it behind before the cluster was done: it was stopped or failed, or
// went on without the cluster. Such a cluster counts against the concurrency of the next run that has it among its targets.
func (s *step) leftInFlight(b v1beta1.BindingObject) bool {
	if b.BindingSpec().State != v1beta1.BindingStateBound || IsSettled(b) {
		return false
	}
	name, _ := runrules.LastMove(b)
	if name == "" {
		return false
	}
	return !s.updatedBy(name)[b.BindingSpec().TargetCluster]
}

// updatedBy are the clusters that another run has seen updated, none where there is no such run.
func (s *step) updatedBy(run string) map[string]bool {
	if updated, ok := s.updated[run]; ok {
		return updated
	}
	updated := map[string]bool{}
	for _, other := range s.world.Others {
		if other.GetName() != run {
			continue
		}
		for i := range other.RunStatus().StagesStatus {
			for _, c := range other.RunStatus().StagesStatus[i].Clusters {
				updated[c.ClusterName] = reasonOf(c.Conditions, v1beta1.ClusterSucceeded) == reasonClusterSucceeded
			}
		}
	}
	if s.updated == nil {
		s.updated = map[string]map[string]bool{}
	}
	s.updated[run] = updated
	return updated
}
