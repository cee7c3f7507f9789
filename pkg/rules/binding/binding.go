// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package binding tells what a binding says: whether its cluster is picked, which version it asks for, how far that has come, and which
// run moved it last. Which cluster gets which version is for those to decide who ask.
package binding

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
)

// IsPicked reports whether the placement of a binding picks its cluster.
func IsPicked(b v1beta1.BindingObject) bool {
	return b.GetDeletionTimestamp() == nil && b.BindingSpec().State != v1beta1.BindingStateUnscheduled
}

// Version is what a cluster is to have.
type Version struct {
	// ResourceSnapshot is the name of the master resource snapshot.
	ResourceSnapshot string
	// ClusterOverrides and Overrides are the versions of overrides that are in force.
	ClusterOverrides []string
	Overrides        []v1beta1.NamespacedName
	// ApplyStrategy says how the version is applied; nil for the default.
	ApplyStrategy *v1beta1.ApplyStrategy
}

// Holds reports whether a binding asks for a version. Whether the cluster has it is in the binding's status: see IsReady.
func Holds(spec *v1beta1.ResourceBindingSpec, v Version) bool {
	return spec.State == v1beta1.BindingStateBound && asked(spec).same(v)
}

// asked returns the version that a binding asks for.
func asked(spec *v1beta1.ResourceBindingSpec) Version {
	return Version{
		ResourceSnapshot: spec.ResourceSnapshotName, ClusterOverrides: spec.ClusterResourceOverrideSnapshots, Overrides: spec.ResourceOverrideSnapshots,
		ApplyStrategy: spec.ApplyStrategy,
	}
}

// sameContent reports whether two versions differ in the apply strategy at most.
func (v Version) sameContent(other Version) bool {
	return v.ResourceSnapshot == other.ResourceSnapshot && slices.Equal(v.Overrides, other.Overrides) && slices.Equal(v.ClusterOverrides, other.ClusterOverrides)
}

// same reports whether two versions are the same, and are applied in the same way.
func (v Version) same(other Version) bool {
	return v.sameContent(other) && SameApplyStrategy(v.ApplyStrategy, other.ApplyStrategy)
}

// Ask makes a binding ask for a version. The lists and the strategy of the version become those of the binding.
func Ask(spec *v1beta1.ResourceBindingSpec, v Version) {
	spec.State = v1beta1.BindingStateBound
	spec.ResourceSnapshotName = v.ResourceSnapshot
	spec.ResourceOverrideSnapshots = v.Overrides
	spec.ClusterResourceOverrideSnapshots = v.ClusterOverrides
	spec.ApplyStrategy = v.ApplyStrategy
}

// SameApplyStrategy reports whether two strategies are the same, field by field. It compares without reflection: a run asks it of every cluster in flight whenever it is looked at.
func SameApplyStrategy(a, b *v1beta1.ApplyStrategy) bool {
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

// IsRolloutStarted reports whether what a binding asks for is on its way to the cluster.
func IsRolloutStarted(b v1beta1.BindingObject) bool {
	return conditions.IsTrue(b.BindingStatus().Conditions, v1beta1.BindingRolloutStarted, b.GetGeneration())
}

// IsReady reports whether a cluster has what its binding asks for, as far as that can be observed, or has reported how it differs where
// nothing is applied. What is still under way, or fails at present, may be ready yet.
func IsReady(b v1beta1.BindingObject) bool {
	list, generation := b.BindingStatus().Conditions, b.GetGeneration()
	return conditions.IsTrue(list, v1beta1.BindingAvailable, generation) || conditions.IsTrue(list, v1beta1.BindingDiffReported, generation)
}

// CannotHeal reports whether something keeps a cluster from ever having what its binding asks for, unless somebody does something about
// it: an override that does not fit, an envelope that cannot be used, an object that the member refuses for good or that differs there and is not taken
// over, or a Job that has failed. What is under way, or fails and is tried again, can.
func CannotHeal(b v1beta1.BindingObject) bool {
	status, generation := b.BindingStatus(), b.GetGeneration()
	if conditions.IsFalse(status.Conditions, v1beta1.BindingOverridden, generation) {
		return true
	}
	return ObjectCannotHeal(status.FailedPlacements, status.DiffedPlacements) != nil &&
		(conditions.IsFalse(status.Conditions, v1beta1.BindingWorkSynchronized, generation) ||
			conditions.IsFalse(status.Conditions, v1beta1.BindingApplied, generation) ||
			conditions.IsFalse(status.Conditions, v1beta1.BindingAvailable, generation))
}

// ObjectCannotHeal returns the first of the objects that failed on a cluster if no other try mends it, nil otherwise: what cannot heal comes first
// in the list. The objects that differ on the cluster are given as well.
func ObjectCannotHeal(failed []v1beta1.FailedResourcePlacement, diffed []v1beta1.DiffedResourcePlacement) *v1beta1.FailedResourcePlacement {
	if len(failed) == 0 {
		return nil
	}
	differs := slices.ContainsFunc(diffed, func(d v1beta1.DiffedResourcePlacement) bool {
		return apiequality.Semantic.DeepEqual(d.ResourceIdentifier, failed[0].ResourceIdentifier)
	})
	if !wellknown.CannotHeal(failed[0].Condition.Reason, differs) {
		return nil
	}
	return &failed[0]
}

// Standing is what is known of whether a cluster has what its binding asks for.
type Standing int

const (
	// Undecided is that the cluster has not told since its binding was last written, or cannot be asked. What was there before may be there still.
	Undecided Standing = iota
	// Ready is that the cluster has it, see IsReady.
	Ready
	// Untouched is that something keeps it from being written to the cluster: what was there before is there still, whatever its state.
	Untouched
	// Failing is that the cluster does not have it, or has it and it is not available.
	Failing
)

// StandingOf returns how a cluster stands at the generation of its binding. Every write of a binding's spec has what was told of the cluster be
// about an earlier one, also a write that changes nothing on the cluster, so that a cluster which is not ready need not be any worse for it.
func StandingOf(b v1beta1.BindingObject) Standing {
	status, generation := b.BindingStatus(), b.GetGeneration()
	isFalse := func(conditionType string) *metav1.Condition {
		if c := conditions.Find(status.Conditions, conditionType, generation); c != nil && c.Status == metav1.ConditionFalse {
			return c
		}
		return nil
	}
	switch {
	case IsReady(b):
		return Ready
	case isFalse(v1beta1.BindingOverridden) != nil, isFalse(v1beta1.BindingWorkSynchronized) != nil:
		return Untouched
	case isFalse(v1beta1.BindingAvailable) != nil:
		return Failing
	}
	if c := isFalse(v1beta1.BindingDiffReported); c != nil && c.Reason != wellknown.ReasonDiffReportInProgress && c.Reason != wellknown.ReasonClusterUnreachable {
		return Untouched
	}
	if c := isFalse(v1beta1.BindingApplied); c != nil && c.Reason != wellknown.ReasonClusterUnreachable && len(status.FailedPlacements) > 0 {
		for i := range status.FailedPlacements {
			if !wellknown.IsLeftAlone(status.FailedPlacements[i].Condition.Reason) {
				return Failing
			}
		}
		return Untouched
	}
	return Undecided
}

// PlacedByOthers returns the objects in the version of a binding that another placement has on the cluster, as far as the binding reports it: of very
// many objects that fail it lists the first.
func PlacedByOthers(b v1beta1.BindingObject) (found []v1beta1.ResourceIdentifier) {
	status := b.BindingStatus()
	if !conditions.IsFalse(status.Conditions, v1beta1.BindingApplied, b.GetGeneration()) {
		return nil
	}
	for _, f := range status.FailedPlacements {
		if strings.HasPrefix(f.Condition.Message, wellknown.PlacedBy) {
			found = append(found, f.ResourceIdentifier)
		}
	}
	return found
}

// Mover is the run that was the last to move a binding.
type Mover struct {
	// Name of the run, empty where none has moved the binding.
	Name string `json:"name"`
	// UID of the run, empty where an earlier version of the server has recorded the move.
	UID types.UID `json:"uid,omitempty"`
	// Turn is the number of the turn in which it did.
	Turn int64 `json:"turn,omitempty"`
}

// Is reports whether the mover is a run. A run that is recreated under the same name is another one.
func (m Mover) Is(run metav1.Object) bool {
	if m.UID != "" {
		return m.UID == run.GetUID()
	}
	return m.Name != "" && m.Name == run.GetName()
}

// besides names the mover to somebody who looks at a run that it is not.
func (m Mover) besides(run metav1.Object) string {
	if m.Name == run.GetName() && m.UID != "" {
		return fmt.Sprintf("%s (uid %s)", m.Name, m.UID)
	}
	return m.Name
}

// LastMove returns the run that was the last to move a binding.
func LastMove(b v1beta1.BindingObject) Mover {
	annotations := b.GetAnnotations()
	m := Mover{Name: annotations[wellknown.UpdateRunAnnotation]}
	// What somebody else wrote there is no turn.
	m.Turn, _ = strconv.ParseInt(annotations[wellknown.UpdateRunTurnAnnotation], 10, 64)
	if turn, uid, _ := strings.Cut(annotations[wellknown.UpdateRunUIDAnnotation], "/"); turn == annotations[wellknown.UpdateRunTurnAnnotation] {
		m.UID = types.UID(uid)
	}
	return m
}

// MovedSince names the run that has moved the cluster of a binding in a later turn than a run had, empty where none has.
func MovedSince(b v1beta1.BindingObject, run metav1.Object, turn int64) string {
	if last := LastMove(b); last.Turn > turn && !last.Is(run) {
		return last.besides(run)
	}
	return ""
}

// IsFrom reports whether a cluster has what a run gave it, whose last turn is given, so that it can be brought back to the version of before.
// Where it has not, by names the run that has moved it instead; empty where its binding was created later, and nothing is on the cluster. A
// cluster that still asks for the version of before counts as one that has it from the run, which was stopped before it wrote.
func IsFrom(b v1beta1.BindingObject, run metav1.Object, turn int64, before Version) (by string, is bool) {
	last, spec := LastMove(b), b.BindingSpec()
	switch {
	case last.Is(run):
		return "", true
	case last.Turn > turn:
		return last.besides(run), false
	case asked(spec).sameContent(before):
		return "", true
	}
	return last.besides(run), false
}

// RecordMove makes a run the last to have moved a binding.
func RecordMove(b v1beta1.BindingObject, by Mover) {
	annotations := b.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	number := strconv.FormatInt(by.Turn, 10)
	annotations[wellknown.UpdateRunAnnotation] = by.Name
	annotations[wellknown.UpdateRunTurnAnnotation] = number
	annotations[wellknown.UpdateRunUIDAnnotation] = number + "/" + string(by.UID)
	b.SetAnnotations(annotations)
}
