// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// planPolicy finds the policy snapshot that picked the clusters.
func (p *planner) planPolicy() error {
	var latest []v1beta1.PolicySnapshotObject
	for _, snapshot := range p.world.PolicySnapshots {
		if snapshotrules.IsInForce(snapshot) {
			latest = append(latest, snapshot)
		}
	}
	placement := p.world.Placement
	name := wording.Key(placement.GetNamespace(), placement.GetName())
	switch len(latest) {
	case 0:
		return pending(runrules.Invalid, fmt.Sprintf("no latest policy snapshot found for placement %s", name))
	case 1:
	default:
		// One of them is being replaced.
		return pending(runrules.Invalid, runrules.UnexpectedError, fmt.Sprintf("multiple active policy snapshots found for placement %s: got %d, want 1", name, len(latest)))
	}
	p.policy = latest[0]
	index, ok := p.policy.GetLabels()[wellknown.PolicyIndexLabel]
	if !ok {
		return final(runrules.Invalid, runrules.UnexpectedError, fmt.Sprintf("policy snapshot `%s` does not have a policy index label", wording.Key(p.policy.GetNamespace(), p.policy.GetName())))
	}
	p.status.PolicySnapshotIndexUsed = index
	if !p.isScheduled() {
		return pending(append([]string{runrules.Invalid, fmt.Sprintf("policy snapshot `%s` not fully scheduled yet", p.policy.GetName())}, p.unscheduled()...)...)
	}
	return nil
}

// isScheduled reports whether all clusters are picked, by the policy that the placement has now.
func (p *planner) isScheduled() bool {
	status := p.policy.PolicySnapshotStatus()
	if !conditions.IsTrue(status.Conditions, v1beta1.PolicySnapshotScheduled, p.policy.GetGeneration()) {
		return false
	}
	wanted := p.world.Placement.PlacementSpec().Policy
	return status.ObservedCRPGeneration >= p.world.Placement.GetGeneration() || samePolicy(p.policy.PolicySnapshotSpec().Policy, wanted) && p.sameNumber(wanted)
}

// sameNumber reports whether the policy snapshot asks for as many clusters as the placement does by now. The number makes no new snapshot.
func (p *planner) sameNumber(wanted *v1beta1.PlacementPolicy) bool {
	return wanted == nil || wanted.NumberOfClusters == nil ||
		p.policy.GetAnnotations()[wellknown.NumberOfClustersAnnotation] == strconv.Itoa(int(*wanted.NumberOfClusters))
}

// unscheduled is what scheduling by the placement's policy says of clusters that are not picked, if it does.
func (p *planner) unscheduled() []string {
	if why := p.whyNone(); why != "" {
		return []string{why}
	}
	if scheduled := p.scheduled(); scheduled != nil && scheduled.Status == metav1.ConditionFalse && scheduled.Message != "" {
		return []string{scheduled.Message}
	}
	return nil
}

// whyNone is what scheduling says of why it picked no cluster, empty where it picked some.
func (p *planner) whyNone() string {
	if scheduled := p.scheduled(); scheduled != nil {
		if i := strings.Index(scheduled.Message, wellknown.NoClusterPicked); i >= 0 {
			return scheduled.Message[i:]
		}
	}
	return ""
}

// scheduled is what scheduling says of the policy as it is now, nil if it has said nothing yet.
func (p *planner) scheduled() *metav1.Condition {
	return conditions.Find(p.policy.PolicySnapshotStatus().Conditions, v1beta1.PolicySnapshotScheduled, p.policy.GetGeneration())
}

// samePolicy compares what makes a new policy snapshot.
func samePolicy(a, b *v1beta1.PlacementPolicy) bool {
	return equality.Semantic.DeepEqual(withoutCount(a), withoutCount(b))
}

func withoutCount(policy *v1beta1.PlacementPolicy) *v1beta1.PlacementPolicy {
	if policy == nil {
		return nil
	}
	other := *policy
	other.NumberOfClusters = nil
	return &other
}

// planTargets sorts the bindings into clusters to update and clusters to clean up.
func (p *planner) planTargets() error {
	for _, b := range p.world.Bindings {
		spec := b.BindingSpec()
		switch {
		case spec.TargetCluster == "":
			// There is no cluster to move, nor one to take anything off.
		case spec.State == v1beta1.BindingStateUnscheduled:
			p.unpicked = append(p.unpicked, spec.TargetCluster)
		case b.GetDeletionTimestamp() != nil:
			// It is on its way out, and not for this run to move.
		case spec.SchedulingPolicySnapshotName != p.policy.GetName():
			return pending(fmt.Sprintf("binding `%s` with old policy snapshot `%s` has state %s, we might observe a transient state, need retry",
				wording.Key(b.GetNamespace(), b.GetName()), wording.Key(b.GetNamespace(), spec.SchedulingPolicySnapshotName), spec.State))
		default:
			p.targets = append(p.targets, spec.TargetCluster)
		}
	}
	slices.Sort(p.targets)
	p.targets = slices.Compact(p.targets)
	slices.Sort(p.unpicked)
	p.unpicked = slices.Compact(p.unpicked)

	if len(p.targets)+len(p.unpicked) == 0 {
		return pending(append([]string{runrules.Invalid, fmt.Sprintf("no scheduled or to-be-deleted bindings found for the latest policy snapshot %s",
			wording.Key(p.policy.GetNamespace(), p.policy.GetName()))}, p.unscheduled()...)...)
	}
	want, err := p.observedCount()
	if err != nil {
		return err
	}
	if want != len(p.targets) {
		return pending(runrules.Invalid, runrules.UnexpectedError, fmt.Sprintf("the number of selected bindings %d is not equal to the observed cluster count %d", len(p.targets), want))
	}
	p.status.PolicyObservedClusterCount = want
	return nil
}

// observedCount is how many clusters the policy picks.
func (p *planner) observedCount() (int, error) {
	policy := p.policy.PolicySnapshotSpec().Policy
	switch {
	case policy == nil:
	case policy.PlacementType == v1beta1.PickFixedPlacementType:
		return len(policy.ClusterNames), nil
	case policy.PlacementType == v1beta1.PickNPlacementType:
		n, err := strconv.Atoi(p.policy.GetAnnotations()[wellknown.NumberOfClustersAnnotation])
		if err != nil || n < 0 {
			return 0, final(runrules.Invalid, runrules.UnexpectedError, fmt.Sprintf("the policy snapshot `%s` doesn't have valid cluster count annotation",
				wording.Key(p.policy.GetNamespace(), p.policy.GetName())))
		}
		return n, nil
	}
	// All clusters that match are picked. Scheduling tells their number when it has written the bindings of all: of fewer the others are not seen yet,
	// and of more it is about to tell.
	if told := int(p.policy.PolicySnapshotStatus().SelectedClusters); told > 0 || p.whyNone() != "" {
		return told, nil
	}
	// An earlier version did not tell it.
	return len(p.targets), nil
}

// planDeletion freezes the delete stage. Without clusters it has no tasks: nobody is asked to approve that nothing is removed.
func (p *planner) planDeletion() error {
	p.status.DeletionStageStatus = emptyDeletion()
	if n := len(p.unpicked); n > 0 {
		stage := stageStatus(p.run, strategy.DeleteStage(p.status.UpdateStrategySnapshot), p.unpicked)
		p.status.DeletionStageStatus = &stage
		p.warnings = append(p.warnings, fmt.Sprintf("the run removes all resources of the placement from %s that the placement does not pick any more: %s",
			wording.Count(n, "cluster"), wording.List(p.unpicked)))
	}
	return nil
}

// emptyDeletion is the delete stage of a run that removes nothing.
func emptyDeletion() *v1beta1.StageUpdatingStatus {
	return &v1beta1.StageUpdatingStatus{StageName: wellknown.DeleteStageName, Clusters: clusterStatuses(nil)}
}

func clusterStatuses(names []string) []v1beta1.ClusterUpdatingStatus {
	clusters := make([]v1beta1.ClusterUpdatingStatus, 0, len(names))
	for _, name := range names {
		clusters = append(clusters, v1beta1.ClusterUpdatingStatus{ClusterName: name})
	}
	return clusters
}
