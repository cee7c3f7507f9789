// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"encoding/json"
	"slices"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// Compares reports whether an apply strategy has a cluster be compared with a version, and nothing be written to it; nil is the default, which
// applies.
func Compares(s *v1beta1.ApplyStrategy) bool {
	return s != nil && s.Type == v1beta1.ApplyStrategyTypeReportDiff
}

// OnlyRestrains reports whether one apply strategy after another lets nothing be written to a cluster that the other did not: it holds back,
// or means the same. Another way to apply is no restraint, since it can make another object of the same manifest.
func OnlyRestrains(before, after *v1beta1.ApplyStrategy) bool {
	if Compares(after) {
		return true
	}
	if Compares(before) {
		return false
	}
	from, to := before.WithDefaults(), after.WithDefaults()
	ofTakeOver := []v1beta1.WhenToTakeOverType{v1beta1.WhenToTakeOverTypeNever, v1beta1.WhenToTakeOverTypeIfNoDiff, v1beta1.WhenToTakeOverTypeAlways}
	ofApply := []v1beta1.WhenToApplyType{v1beta1.WhenToApplyTypeIfNotDrifted, v1beta1.WhenToApplyTypeAlways}
	rises := func(before, after int) bool { return before < 0 || after > before }
	switch {
	case from.Type != to.Type,
		rises(slices.Index(ofTakeOver, from.WhenToTakeOver), slices.Index(ofTakeOver, to.WhenToTakeOver)),
		rises(slices.Index(ofApply, from.WhenToApply), slices.Index(ofApply, to.WhenToApply)),
		to.AllowCoOwnership && !from.AllowCoOwnership,
		forces(to) && !forces(from):
		return false
	case from.ComparisonOption != to.ComparisonOption && to.ComparisonOption != v1beta1.ComparisonOptionTypeFullComparison:
		// It finds fewer differences, which matters where differences held back and still do.
		return (from.WhenToTakeOver != v1beta1.WhenToTakeOverTypeIfNoDiff || to.WhenToTakeOver != v1beta1.WhenToTakeOverTypeIfNoDiff) &&
			(from.WhenToApply != v1beta1.WhenToApplyTypeIfNotDrifted || to.WhenToApply != v1beta1.WhenToApplyTypeIfNotDrifted)
	}
	return true
}

func forces(s *v1beta1.ApplyStrategy) bool {
	return s.ServerSideApplyConfig != nil && s.ServerSideApplyConfig.ForceConflicts
}

// maxAppliedRecord is how many bytes the record of what was last applied may have. Annotations of an object have 256 KiB together.
const maxAppliedRecord = 128 << 10

// applied is the record of a version in an annotation.
type applied struct {
	ResourceSnapshot string                   `json:"resourceSnapshot"`
	ClusterOverrides []string                 `json:"clusterResourceOverrideSnapshots,omitempty"`
	Overrides        []v1beta1.NamespacedName `json:"resourceOverrideSnapshots,omitempty"`
	ApplyStrategy    *v1beta1.ApplyStrategy   `json:"applyStrategy,omitempty"`
	// Mover is the run that gave the version to the cluster, empty where none did or an earlier version of the server wrote the record.
	Mover *Mover `json:"updateRun,omitempty"`
	// WasReady reports whether the cluster had the version, and it was available, when it began to be only compared.
	WasReady bool `json:"wasReady,omitempty"`
}

func (a *applied) version() Version {
	return Version{ResourceSnapshot: a.ResourceSnapshot, ClusterOverrides: a.ClusterOverrides, Overrides: a.Overrides, ApplyStrategy: a.ApplyStrategy}
}

// recorded returns the record of what a cluster had before it was only compared, nil for none.
func recorded(b v1beta1.BindingObject) *applied {
	record := &applied{}
	// What somebody else wrote there is no version.
	if err := json.Unmarshal([]byte(b.GetAnnotations()[wellknown.AppliedVersionAnnotation]), record); err != nil || record.ResourceSnapshot == "" {
		return nil
	}
	return record
}

// inForce returns what was last applied to the cluster of a binding, nil where nothing was, or nothing is known.
func inForce(b v1beta1.BindingObject) *applied {
	holds, known := Synchronized(b)
	if !known {
		// Nobody has told yet, so some of it may be there already: unlike Previous this errs on the side of what may be applied.
		holds = asked(b.BindingSpec())
	}
	switch {
	case isCompared(b):
		return recorded(b)
	case holds.ResourceSnapshot == "":
		return nil
	}
	had := &applied{
		ResourceSnapshot: holds.ResourceSnapshot, ClusterOverrides: holds.ClusterOverrides, Overrides: holds.Overrides,
		ApplyStrategy: holds.ApplyStrategy, WasReady: IsReady(b),
	}
	if mover := LastMove(b); mover.Name != "" {
		had.Mover = &mover
	}
	return had
}

// isCompared reports whether nothing was applied to the cluster of a binding last: the binding asks to compare it, or its Works still only compare.
func isCompared(b v1beta1.BindingObject) bool {
	holds, known := Synchronized(b)
	return Compares(b.BindingSpec().ApplyStrategy) || known && Compares(holds.ApplyStrategy)
}

// LastApplied returns the version that was last applied to the cluster of a binding. It is that which its Works hold, unless the cluster is
// only compared with that. It returns false where none was, or none is known.
func LastApplied(b v1beta1.BindingObject) (Version, bool) {
	had := inForce(b)
	if had == nil {
		return Version{}, false
	}
	return had.version(), true
}

// LeftBy returns the run that was the last to apply a version to the cluster of a binding, which is not known to be available there. To compare
// a cluster with another version mends nothing. The name is empty where the cluster is available, or no run has applied anything.
func LeftBy(b v1beta1.BindingObject) Mover {
	if !Compares(b.BindingSpec().ApplyStrategy) {
		if IsReady(b) {
			return Mover{}
		}
		return LastMove(b)
	}
	had := recorded(b)
	if had == nil || had.WasReady || had.Mover == nil {
		return Mover{}
	}
	return *had.Mover
}

// Become gives a binding another spec. A cluster that is only compared from then on has what it had, so the binding records that; in the same
// write, so that it cannot be lost. The record stays until the Works hold a version that is applied. A record that is too large is left out.
func Become(b v1beta1.BindingObject, spec *v1beta1.ResourceBindingSpec) {
	var record []byte
	holds, _ := Synchronized(b)
	if had := inForce(b); had != nil && (Compares(spec.ApplyStrategy) || Compares(holds.ApplyStrategy)) {
		// What was decoded from JSON can be encoded again.
		record, _ = json.Marshal(had)
	}
	annotations := b.GetAnnotations()
	switch {
	case len(record) > 0 && len(record) <= maxAppliedRecord:
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[wellknown.AppliedVersionAnnotation] = string(record)
	default:
		delete(annotations, wellknown.AppliedVersionAnnotation)
	}
	b.SetAnnotations(annotations)
	*b.BindingSpec() = *spec
}
