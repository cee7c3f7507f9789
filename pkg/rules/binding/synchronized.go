// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"slices"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
)

// Synchronized returns the version that the Works of a binding were last made to hold, all of them, whatever the binding asks for by now. It returns
// false where there never was one, and for a binding of an earlier version of the server or of KubeFleet that was not looked at yet.
func Synchronized(b v1beta1.BindingObject) (Version, bool) {
	held := b.BindingStatus().SynchronizedVersion
	if held == nil {
		return Version{}, false
	}
	return Version{
		ResourceSnapshot: held.ResourceSnapshotName, ClusterOverrides: held.ClusterResourceOverrideSnapshots, Overrides: held.ResourceOverrideSnapshots,
		ApplyStrategy: held.ApplyStrategy,
	}, true
}

// RecordSynchronized has a status record that all Works hold what a binding asks for.
func RecordSynchronized(status *v1beta1.ResourceBindingStatus, spec *v1beta1.ResourceBindingSpec) {
	var before v1beta1.BindingVersion
	if status.SynchronizedVersion != nil {
		before = *status.SynchronizedVersion
	}
	status.SynchronizedVersion = &v1beta1.BindingVersion{
		CompletedGeneration:              before.CompletedGeneration,
		AccountedGeneration:              before.AccountedGeneration,
		ResourceSnapshotName:             spec.ResourceSnapshotName,
		ResourceOverrideSnapshots:        slices.Clone(spec.ResourceOverrideSnapshots),
		ClusterResourceOverrideSnapshots: slices.Clone(spec.ClusterResourceOverrideSnapshots),
		ApplyStrategy:                    spec.ApplyStrategy.DeepCopy(),
	}
}

// HasContent reports whether the Works of a binding were last made to hold what it asks for, in whatever way that is applied.
func HasContent(b v1beta1.BindingObject) bool {
	held, known := Synchronized(b)
	return known && held.sameContent(asked(b.BindingSpec()))
}

// HasBegun reports whether the Works of a binding were all made to hold what it asks for, so that one that is lost since comes back unasked. Where
// the cluster is compared as before, another version to compare it with changes nothing.
func HasBegun(b v1beta1.BindingObject) bool {
	held, known := Synchronized(b)
	spec := b.BindingSpec()
	return known && SameApplyStrategy(held.ApplyStrategy, spec.ApplyStrategy) && (Compares(spec.ApplyStrategy) || held.sameContent(asked(spec)))
}

// Previous returns the version that a cluster has before it gets another one: that which its Works were last made to hold. A binding of an earlier
// version of the server, or of KubeFleet, does not say, and is taken to have what it asks for if all of that was written. It returns false where
// no version is known to have been written as a whole.
func Previous(b v1beta1.BindingObject) (Version, bool) {
	if held, known := Synchronized(b); known {
		return held, true
	}
	if b.BindingSpec().ResourceSnapshotName == "" || !WereWritten(b) {
		return Version{}, false
	}
	return asked(b.BindingSpec()), true
}

// RecordAnswer has a status record that the member has done what a binding asks for at a generation, where its conditions say so, and whether the Works told
// by then all that is left of earlier versions. What drifts or fails later takes neither back.
func RecordAnswer(status *v1beta1.ResourceBindingStatus, generation int64, accounted bool) {
	if status.SynchronizedVersion == nil {
		return
	}
	held := status.SynchronizedVersion.DeepCopy()
	if answers(status, generation) {
		held.CompletedGeneration = generation
	}
	if accounted && held.CompletedGeneration == generation {
		held.AccountedGeneration = generation
	}
	status.SynchronizedVersion = held
}

// HasAnswered reports whether the member has ever done what a binding asks for: whether everything was applied, or how it differs was reported. What
// was on the cluster before may be there until then, and an earlier version may still be under way.
func HasAnswered(b v1beta1.BindingObject) bool {
	status, generation := b.BindingStatus(), b.GetGeneration()
	held := status.SynchronizedVersion
	// 0 is that it never has.
	return held != nil && held.CompletedGeneration > 0 && held.CompletedGeneration == generation || answers(status, generation)
}

// isAccounted reports whether a cluster has ever had all that a binding asks for, and what it has beside that is told: a member may refuse to delete an
// object, or keep it for long, by a finalizer or since an adoption. The Works name such objects from then on, and earlier versions do not matter.
func isAccounted(b v1beta1.BindingObject) bool {
	held := b.BindingStatus().SynchronizedVersion
	return held != nil && held.AccountedGeneration > 0 && held.AccountedGeneration == b.GetGeneration()
}

func answers(status *v1beta1.ResourceBindingStatus, generation int64) bool {
	return conditions.IsTrue(status.Conditions, v1beta1.BindingApplied, generation) || conditions.IsTrue(status.Conditions, v1beta1.BindingDiffReported, generation)
}

// WereWritten reports whether the Works of a binding were told to be what it asks for. What comes of them is told only then.
func WereWritten(b v1beta1.BindingObject) bool {
	list, generation := b.BindingStatus().Conditions, b.GetGeneration()
	return conditions.IsTrue(list, v1beta1.BindingWorkSynchronized, generation) ||
		slices.ContainsFunc([]string{v1beta1.BindingApplied, v1beta1.BindingAvailable, v1beta1.BindingDiffReported}, func(told string) bool {
			return conditions.Find(list, told, generation) != nil
		})
}

// Versions returns every version that a cluster has, has a part of, or may get without another decision: what the binding asks for, what its Works
// hold, and what may be on the cluster from before. Some may be the same. Whatever they name must not go, nor come to mean something else.
func Versions(b v1beta1.BindingObject) []Version {
	var all []Version
	if v := asked(b.BindingSpec()); v.ResourceSnapshot != "" || len(v.ClusterOverrides)+len(v.Overrides) > 0 {
		all = append(all, v)
	}
	if held, known := Synchronized(b); known {
		all = append(all, held)
	}
	if Compares(b.BindingSpec().ApplyStrategy) || !HasBegun(b) || !isAccounted(b) {
		for _, had := range recorded(b) {
			all = append(all, had.version())
		}
	}
	return all
}
