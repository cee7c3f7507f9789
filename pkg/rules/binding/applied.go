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

// maxAppliedRecord is how many bytes the record of what was applied may have. Annotations of an object have 256 KiB together.
const maxAppliedRecord = 128 << 10

// applied is the record of a version in an annotation.
type applied struct {
	ResourceSnapshot string                   `json:"resourceSnapshot"`
	ClusterOverrides []string                 `json:"clusterResourceOverrideSnapshots,omitempty"`
	Overrides        []v1beta1.NamespacedName `json:"resourceOverrideSnapshots,omitempty"`
	ApplyStrategy    *v1beta1.ApplyStrategy   `json:"applyStrategy,omitempty"`
	// Mover is the run that gave the version to the cluster, empty where none did or an earlier version of the server wrote the record.
	Mover *Mover `json:"updateRun,omitempty"`
	// WasReady reports whether the cluster had the version, and it was available, when the binding came to ask for another one.
	WasReady bool `json:"wasReady,omitempty"`
	// Partial reports whether the Works were not all made to hold the version: some of it may be on the cluster.
	Partial bool `json:"partial,omitempty"`
	// Unanswered reports whether they were, and the member has never said that it had all of it.
	Unanswered bool `json:"unanswered,omitempty"`
	// Before is what may be on the cluster from before. The first record has all of them, the latest first, and the others have none. An earlier version of
	// the server reads the first alone.
	Before []applied `json:"before,omitempty"`
}

// isComplete reports whether the cluster is known to have had all of the version.
func (a *applied) isComplete() bool { return !a.Partial && !a.Unanswered }

func (a *applied) version() Version {
	return Version{ResourceSnapshot: a.ResourceSnapshot, ClusterOverrides: a.ClusterOverrides, Overrides: a.Overrides, ApplyStrategy: a.ApplyStrategy}
}

// recorded returns the records of what may be on a cluster from before its binding asked for what it asks for, the latest first.
func recorded(b v1beta1.BindingObject) []applied {
	first := applied{}
	// What somebody else wrote there is no version.
	if err := json.Unmarshal([]byte(b.GetAnnotations()[wellknown.AppliedVersionAnnotation]), &first); err != nil || first.ResourceSnapshot == "" {
		return nil
	}
	before := first.Before
	first.Before = nil
	return append([]applied{first}, before...)
}

// record returns what an annotation has of records, the latest first; empty for none. Where it has no room for all, overrides and all but the name of
// the snapshot are left out, of the earliest first, and last of the one that the cluster can go back to: it cannot go back to what is recorded so,
// whose objects are known still. The run that has left the cluster stays in any case.
func record(all []applied) string {
	if len(all) == 0 {
		return ""
	}
	all = slices.Clone(all)
	// The first record carries the others.
	sizes, total := make([]int, len(all)), len(`"before":[],`)
	for i := range all {
		sizes[i] = sizeOf(&all[i])
		total += sizes[i]
	}
	whole, left := goesBackTo(all), leftAt(all)
	named := func(name string, before int) bool {
		return slices.ContainsFunc(all[:before], func(later applied) bool { return later.ResourceSnapshot == name })
	}
	shorten := func(i int) {
		short := applied{ResourceSnapshot: all[i].ResourceSnapshot, WasReady: all[i].WasReady, Partial: true}
		total -= sizes[i]
		if i == left {
			short.Mover = all[i].Mover
		} else if named(short.ResourceSnapshot, i) {
			all, sizes = slices.Delete(all, i, i+1), slices.Delete(sizes, i, i+1)
			return
		}
		all[i], sizes[i] = short, sizeOf(&short)
		total += sizes[i]
	}
	for i := len(all) - 1; i >= 0 && total > maxAppliedRecord; i-- {
		if i != whole {
			shorten(i)
		}
	}
	if total > maxAppliedRecord && whole >= 0 {
		shorten(goesBackTo(all))
	}
	// More versions than a namespace may have snapshots.
	for last := len(all) - 1; total > maxAppliedRecord; last-- {
		total -= sizes[last]
		all = all[:last]
	}
	first := all[0]
	first.Before = all[1:]
	// What was decoded from JSON can be encoded again.
	data, _ := json.Marshal(first)
	return string(data)
}

// sizeOf returns how many bytes a record takes among others.
func sizeOf(a *applied) int {
	data, _ := json.Marshal(a)
	return len(data) + len(",")
}

// onCluster returns what was applied to the cluster of a binding, or may have been in part, the latest first.
func onCluster(b v1beta1.BindingObject) []applied {
	spec := b.BindingSpec()
	if Compares(spec.ApplyStrategy) {
		// Become has recorded it.
		return recorded(b)
	}
	holds, known := Synchronized(b)
	whole, earlier := HasBegun(b), recorded(b)
	wasComplete := func(v Version) bool {
		return slices.ContainsFunc(earlier, func(a applied) bool { return a.isComplete() && a.version().same(v) })
	}
	var all []applied
	add := func(v Version, partial, unanswered bool) {
		if v.ResourceSnapshot == "" {
			return
		}
		a := applied{
			ResourceSnapshot: v.ResourceSnapshot, ClusterOverrides: v.ClusterOverrides, Overrides: v.Overrides, ApplyStrategy: v.ApplyStrategy,
			WasReady: IsReady(b), Partial: partial, Unanswered: unanswered,
		}
		if mover := LastMove(b); mover.Name != "" {
			a.Mover = &mover
		}
		all = append(all, a)
	}
	switch {
	case whole && isAccounted(b):
		add(asked(spec), false, false)
		return all
	case whole:
		// Until the member has answered, some Works may still hold what the binding asked for in between. Until its Works tell what is left, that may be
		// anything of what it had before.
		add(asked(spec), false, !HasAnswered(b) && !wasComplete(asked(spec)))
	case !known:
		// Nobody has told yet, so some of it may be there already.
		add(asked(spec), !WereWritten(b), false)
	default:
		// It was announced with the write that had the binding ask for it, whatever was announced since.
		add(asked(spec), true, false)
	}
	if known && !whole && !Compares(holds.ApplyStrategy) {
		add(holds, false, !wasComplete(holds))
	}
	for _, a := range earlier {
		if !slices.ContainsFunc(all, func(later applied) bool { return later.version().same(a.version()) }) {
			all = append(all, a)
		}
	}
	return all
}

// AppliedSnapshots returns the names of the resource snapshots of what was applied to the cluster of a binding, or may have been in part.
func AppliedSnapshots(b v1beta1.BindingObject) []string {
	var names []string
	for _, had := range onCluster(b) {
		names = append(names, had.ResourceSnapshot)
	}
	return names
}

// LastApplied returns the version that the cluster of a binding last had all of, as far as the member has said; and otherwise the one that its Works
// were last made to hold and apply. It returns false where there is none, or none is known.
func LastApplied(b v1beta1.BindingObject) (Version, bool) {
	all := onCluster(b)
	if i := goesBackTo(all); i >= 0 {
		return all[i].version(), true
	}
	return Version{}, false
}

// goesBackTo returns the index of the record of what a cluster can go back to, -1 for none.
func goesBackTo(all []applied) int {
	if i := slices.IndexFunc(all, func(a applied) bool { return a.isComplete() }); i >= 0 {
		return i
	}
	return slices.IndexFunc(all, func(a applied) bool { return !a.Partial })
}

// LeftBy returns the run that was the last to apply a version, or a part of one, to the cluster of a binding, which is not known to be available
// there. To compare a cluster with another version mends nothing. The name is empty where the cluster is available, or no run has applied anything.
func LeftBy(b v1beta1.BindingObject) Mover {
	if !Compares(b.BindingSpec().ApplyStrategy) {
		if IsReady(b) {
			return Mover{}
		}
		return LastMove(b)
	}
	had := recorded(b)
	if i := leftAt(had); i >= 0 {
		return *had[i].Mover
	}
	return Mover{}
}

// leftAt returns the index of the record of what a run has left that is not known to be available, -1 for none. What came before a version that was
// available does not matter any more, even if objects of it are left.
func leftAt(all []applied) int {
	i := slices.IndexFunc(all, func(a applied) bool { return a.WasReady || a.Mover != nil })
	if i < 0 || all[i].WasReady {
		return -1
	}
	return i
}

// Become gives a binding another spec. What may be on the cluster already is recorded in the same write, so that it cannot be lost. The record counts
// until the member has a version that is applied.
func Become(b v1beta1.BindingObject, spec *v1beta1.ResourceBindingSpec) {
	// The spec names what it asks for. That is recorded as well only where the cluster had all of it.
	had := slices.DeleteFunc(onCluster(b), func(a applied) bool { return !a.isComplete() && a.version().same(asked(spec)) })
	annotations := b.GetAnnotations()
	switch recorded := record(had); {
	case recorded == "":
		delete(annotations, wellknown.AppliedVersionAnnotation)
	case annotations == nil:
		b.SetAnnotations(map[string]string{wellknown.AppliedVersionAnnotation: recorded})
	default:
		annotations[wellknown.AppliedVersionAnnotation] = recorded
	}
	*b.BindingSpec() = *spec
}
