// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// binding is that of a cluster which the placement picks, nil where it does not pick the cluster any more.
func (s *step) binding(cluster string) v1beta1.BindingObject {
	if s.byName == nil {
		s.byName = make(map[string]v1beta1.BindingObject, len(s.world.Bindings))
		for _, b := range s.world.Bindings {
			if bindingrules.IsPicked(b) {
				s.byName[b.BindingSpec().TargetCluster] = b
			}
		}
	}
	return s.byName[cluster]
}

// wanted returns the version that the run gives to a cluster.
func (s *step) wanted(cluster *v1beta1.ClusterUpdatingStatus) bindingrules.Version {
	return bindingrules.Version{
		ResourceSnapshot: s.target(cluster),
		ClusterOverrides: cluster.ClusterResourceOverrideSnapshots,
		Overrides:        cluster.ResourceOverrideSnapshots,
		ApplyStrategy:    s.status.ApplyStrategy,
	}
}

// wants reports whether a binding is as the run wants it for a cluster.
func (s *step) wants(b v1beta1.BindingObject, cluster *v1beta1.ClusterUpdatingStatus) bool {
	return bindingrules.Holds(b.BindingSpec(), s.wanted(cluster))
}

// write has a binding brought to what the run wants for a cluster. A binding that was moved in a later turn is left alone.
func (s *step) write(b v1beta1.BindingObject, cluster *v1beta1.ClusterUpdatingStatus) {
	turn := s.status.Turn.Number
	if _, moved := bindingrules.LastMove(b); moved > turn {
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
		bindingrules.Ask(w.Spec, s.wanted(cluster))
	}
	s.decision.Bindings = append(s.decision.Bindings, w)
}

// leftInFlight says whether the last run that moved a binding left it behind before the cluster was done: it was stopped or failed, or
// went on without the cluster. Such a cluster counts against the concurrency of the next run that has it among its targets.
func (s *step) leftInFlight(b v1beta1.BindingObject) bool {
	if b.BindingSpec().State != v1beta1.BindingStateBound || bindingrules.IsReady(b) {
		return false
	}
	name, _ := bindingrules.LastMove(b)
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
