// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// bindings finds the bindings of clusters. They are sorted by cluster when the first is asked for.
type bindings struct {
	all              []v1beta1.BindingObject
	picked, unpicked map[string]v1beta1.BindingObject
	byCluster        map[string][]v1beta1.BindingObject
}

func (b *bindings) index() {
	if b.picked != nil {
		return
	}
	b.picked, b.unpicked = make(map[string]v1beta1.BindingObject, len(b.all)), map[string]v1beta1.BindingObject{}
	b.byCluster = make(map[string][]v1beta1.BindingObject, len(b.all))
	for _, binding := range b.all {
		cluster := binding.BindingSpec().TargetCluster
		b.byCluster[cluster] = append(b.byCluster[cluster], binding)
		switch spec := binding.BindingSpec(); {
		case spec.State == v1beta1.BindingStateUnscheduled:
			b.unpicked[spec.TargetCluster] = binding
		case bindingrules.IsPicked(binding):
			b.picked[spec.TargetCluster] = binding
		}
	}
}

// of returns the binding of a cluster that the placement picks, nil where it does not pick the cluster any more.
func (b *bindings) of(cluster string) v1beta1.BindingObject {
	b.index()
	return b.picked[cluster]
}

// leaving returns the binding of a cluster that the placement does not pick any more, nil for none.
func (b *bindings) leaving(cluster string) v1beta1.BindingObject {
	b.index()
	return b.unpicked[cluster]
}

// every returns all bindings of a cluster, those that are on their way out too.
func (b *bindings) every(cluster string) []v1beta1.BindingObject {
	b.index()
	return b.byCluster[cluster]
}

// wanted returns the version that the run gives to a cluster.
func (s *step) wanted(cluster *v1beta1.ClusterUpdatingStatus) bindingrules.Version {
	return bindingrules.Version{
		ResourceSnapshot: s.target(cluster),
		ClusterOverrides: cluster.ClusterResourceOverrideSnapshots,
		Overrides:        cluster.ResourceOverrideSnapshots,
		ApplyStrategy:    cmp.Or(cluster.ApplyStrategy, s.status.ApplyStrategy),
	}
}

// wants reports whether a binding is as the run wants it for a cluster.
func (s *step) wants(b v1beta1.BindingObject, cluster *v1beta1.ClusterUpdatingStatus) bool {
	return bindingrules.Holds(b.BindingSpec(), s.wanted(cluster))
}

// write has a binding brought to what the run wants for a cluster. A binding that was moved in a later turn is left alone.
func (s *step) write(b v1beta1.BindingObject, cluster *v1beta1.ClusterUpdatingStatus) {
	turn := s.status.Turn.Number
	if bindingrules.LastMove(b).Turn > turn {
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

// leftInFlight reports whether the last run that moved a binding left it behind before the cluster was done: it was stopped or failed, or
// went on without the cluster. Such a cluster counts against the concurrency of the next run that has it among its targets.
func (s *step) leftInFlight(b v1beta1.BindingObject) bool {
	return b.BindingSpec().State == v1beta1.BindingStateBound && s.leftBehind(b)
}

// leftBehind is leftInFlight whether or not the placement picks the cluster still.
func (s *step) leftBehind(b v1beta1.BindingObject) bool {
	mover := bindingrules.LeftBy(b)
	mover.Turn = 0
	return mover.Name != "" && !s.updatedBy(mover)[b.BindingSpec().TargetCluster]
}

// updatedBy are the clusters that another run has seen updated, none where there is no such run. Its turn does not matter.
func (s *step) updatedBy(run bindingrules.Mover) map[string]bool {
	if updated, ok := s.updated[run]; ok {
		return updated
	}
	updated := map[string]bool{}
	for _, other := range s.world.Others {
		if !run.Is(other) {
			continue
		}
		for i := range other.RunStatus().StagesStatus {
			for _, c := range other.RunStatus().StagesStatus[i].Clusters {
				updated[c.ClusterName] = runrules.HasSucceeded(&c)
			}
		}
	}
	if s.updated == nil {
		s.updated = map[bindingrules.Mover]map[string]bool{}
	}
	s.updated[run] = updated
	return updated
}

// maxReport bounds what a cluster says in the status of a run, in bytes: a run has up to 10,000 clusters.
const maxReport = 256

// report has a cluster in flight say what its binding reports. A report on what the binding asked for before does not count.
func (s *step) report(c *v1beta1.ClusterUpdatingStatus, b v1beta1.BindingObject) {
	if !s.wants(b, c) {
		s.say(c, "")
		return
	}
	s.say(c, reported(b))
}

func (s *step) say(c *v1beta1.ClusterUpdatingStatus, message string) {
	put(&s.draft, &c.Message, message)
}

// reported is what keeps a binding from having what it asks for: the first object that the member has trouble with, or else the step
// on the way there that failed.
func reported(b v1beta1.BindingObject) string {
	status := b.BindingStatus()
	for _, t := range []string{v1beta1.BindingOverridden, v1beta1.BindingWorkSynchronized, v1beta1.BindingApplied, v1beta1.BindingAvailable, v1beta1.BindingDiffReported} {
		c := conditions.Find(status.Conditions, t, b.GetGeneration())
		if c == nil || c.Status != metav1.ConditionFalse {
			continue
		}
		ofObjects := t == v1beta1.BindingApplied || t == v1beta1.BindingAvailable
		if ofObjects && len(status.FailedPlacements) > 0 {
			return wording.OneLine(bindingrules.FirstFailed(status.FailedPlacements), maxReport)
		}
		return wording.OneLine(c.Message, maxReport)
	}
	return ""
}

// maxRefusal bounds what a cluster's refusal takes in the condition and in the Event of a run, in bytes.
const maxRefusal = 512

// Refusal is what keeps a binding from ever having what it asks for, unless somebody does something about it, or nothing. It names the
// object, and the member's own words.
func Refusal(b v1beta1.BindingObject) string {
	if !bindingrules.CannotHeal(b) {
		return ""
	}
	status := b.BindingStatus()
	for _, unsent := range []string{v1beta1.BindingOverridden, v1beta1.BindingWorkSynchronized} {
		if conditions.IsFalse(status.Conditions, unsent, b.GetGeneration()) {
			return wording.OneLine(meta.FindStatusCondition(status.Conditions, unsent).Message, maxRefusal)
		}
	}
	return wording.OneLine(bindingrules.FirstFailed(status.FailedPlacements), maxRefusal)
}

// remaining is what a cluster has still that is to go from it, or nothing.
func remaining(b v1beta1.BindingObject) string {
	c := conditions.Find(b.BindingStatus().Conditions, v1beta1.BindingObjectsRemaining, b.GetGeneration())
	if c == nil || c.Status != metav1.ConditionTrue {
		return ""
	}
	return wording.OneLine(c.Message, maxReport)
}

// Trouble is what a binding reports that somebody may have to look at, or nothing as long as all is on its way.
func Trouble(b v1beta1.BindingObject) string {
	if b.GetDeletionTimestamp() != nil {
		return remaining(b)
	}
	status := b.BindingStatus()
	unsent := meta.IsStatusConditionFalse(status.Conditions, v1beta1.BindingOverridden) ||
		meta.IsStatusConditionFalse(status.Conditions, v1beta1.BindingWorkSynchronized)
	applied := meta.FindStatusCondition(status.Conditions, v1beta1.BindingApplied)
	unreachable := applied != nil && applied.Reason == wellknown.ReasonClusterUnreachable
	if !unsent && !unreachable && len(status.FailedPlacements) == 0 {
		return ""
	}
	return reported(b)
}
