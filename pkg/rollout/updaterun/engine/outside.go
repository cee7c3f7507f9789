// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// A run looks at its own clusters. Where rollout policies hold it, those count too that other runs have broken and that the placement does not
// pick any more: whoever writes the placement could otherwise break one cluster with each run, and unpick it before the next.

// outside are clusters of the placement which are none of a stage's, and which another run has left before they were available.
type outside struct {
	// left are those that nothing of the run is going to mend.
	left []string
	// coming are those that the run updates in a later stage.
	coming []string
}

// counting returns which of the clusters count against the concurrency of the stage. The run comes to mend those of later stages, and may use the
// room of the stage before that: but not where there are more of them than that room, or a strategy that turns the stages around with each run
// could break one cluster after the other.
func (o *outside) counting(concurrency int) []string {
	if len(o.coming) <= concurrency {
		return o.left
	}
	all := slices.Concat(o.left, o.coming)
	slices.Sort(all)
	return all
}

// leftOutside returns the clusters of the placement, by name, that other runs have left unavailable outside of a stage. There are none for a
// stage that policies do not govern.
//
// The run does not come to mend a cluster that it has not started, and that the placement does not pick: also where the run itself has broken it
// before a retry. Those do not count whose resources are being removed, or that have left the fleet. A rollback is kept by nothing from bringing
// clusters back.
func (s *step) leftOutside(stage *v1beta1.StageUpdatingStatus) (found outside) {
	if s.run.RunSpec().RollbackOf != "" || !runrules.IsGovernedIn(&s.status, stage.StageName) {
		return outside{}
	}
	own, coming := map[string]bool{}, map[string]bool{}
	for i := range s.status.StagesStatus {
		of := &s.status.StagesStatus[i]
		for j := range of.Clusters {
			c := &of.Clusters[j]
			isPicked := s.bindings.of(c.ClusterName) != nil
			own[c.ClusterName] = runrules.IsStarted(c) || runrules.IsClusterDone(c) || isPicked && of.StageName == stage.StageName
			coming[c.ClusterName] = isPicked
		}
	}
	if s.removes(stage) {
		for i := range stage.Clusters {
			own[stage.Clusters[i].ClusterName] = true
		}
	}
	for _, b := range s.world.Bindings {
		cluster := b.BindingSpec().TargetCluster
		switch {
		case own[cluster] || s.world.Left[cluster] || b.GetDeletionTimestamp() != nil || !s.leftBehind(b):
		case coming[cluster]:
			found.coming = append(found.coming, cluster)
		default:
			found.left = append(found.left, cluster)
		}
	}
	for _, names := range []*[]string{&found.left, &found.coming} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	return found
}

// waitForOutside records that a run has room for no cluster as long as others are not available.
func (s *step) waitForOutside(stage *v1beta1.StageUpdatingStatus, f *flight) {
	if slices.ContainsFunc(f.outside, func(name string) bool { return slices.Contains(f.coming, name) }) {
		s.runWaits(fmt.Sprintf("The updateRun is waiting for cluster(s) %s, which other runs have left unavailable: more of them than maxConcurrency of stage %s come in later stages. "+
			"Mend them, roll back the runs that left them, or create a run whose strategy has them in its first stage",
			wording.FirstNames(f.outside), stage.StageName))
	} else {
		s.runWaits(fmt.Sprintf("The updateRun is waiting for cluster(s) %s, which it does not update and which another run has left unavailable: they count against maxConcurrency of stage %s. "+
			"Mend them, or have the placement pick them again and create a new run; a run of the version that all other clusters have removes the resources from those that stay unpicked",
			wording.FirstNames(f.outside), stage.StageName))
	}
	s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStageWaiting, messageStageOutside)
}
