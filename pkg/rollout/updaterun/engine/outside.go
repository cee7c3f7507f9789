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

// leftOutside returns the clusters of the placement which count against the concurrency of a stage though they are none of its own, by name:
// another run has left them before they were available. There are none for a stage that policies do not govern.
//
// Those that the run updates in another stage do not count: it is there to mend them. It does not come to mend one that it has not started, and
// that the placement does not pick: such a cluster counts, also where the run itself has broken it before a retry. Those do not count whose
// resources are being removed, or that have left the fleet. A rollback is kept by nothing from bringing clusters back.
func (s *step) leftOutside(stage *v1beta1.StageUpdatingStatus) (names []string) {
	if s.run.RunSpec().RollbackOf != "" || !runrules.IsGovernedIn(&s.status, stage.StageName) {
		return nil
	}
	own := map[string]bool{}
	for i := range s.status.StagesStatus {
		for j := range s.status.StagesStatus[i].Clusters {
			c := &s.status.StagesStatus[i].Clusters[j]
			own[c.ClusterName] = runrules.IsStarted(c) || runrules.IsClusterDone(c) || s.bindings.of(c.ClusterName) != nil
		}
	}
	if s.removes(stage) {
		for i := range stage.Clusters {
			own[stage.Clusters[i].ClusterName] = true
		}
	}
	for _, b := range s.world.Bindings {
		cluster := b.BindingSpec().TargetCluster
		if !own[cluster] && !s.world.Left[cluster] && b.GetDeletionTimestamp() == nil && s.leftBehind(b) {
			names = append(names, cluster)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// waitForOutside records that a run has room for no cluster as long as others are not available.
func (s *step) waitForOutside(stage *v1beta1.StageUpdatingStatus, f *flight) {
	s.runWaits(fmt.Sprintf("The updateRun is waiting for cluster(s) %s, which it does not update and which another run has left unavailable: they count against maxConcurrency of stage %s. "+
		"Mend them, or have the placement pick them again and create a new run; a run of the version that all other clusters have removes the resources from those that stay unpicked",
		wording.FirstNames(f.outside), stage.StageName))
	s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStageWaiting, messageStageOutside)
}
