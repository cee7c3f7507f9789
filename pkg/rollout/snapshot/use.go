// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// resourcesInUse finds the resource snapshots that a cluster has or may get, see bindingrules.Versions, that a Work holds, or a run that is not over rolls out or
// can go back to, those that the run which moved clusters last can be taken back to, and those of a run that is about to be. The others that runs name are not kept, as the
// versions of overrides are: a resource snapshot may hold a megabyte, and revisionHistoryLimit is what users bound them by. A run that
// needs one which is gone is refused and says so.
func resourcesInUse(f *fleet.Fleet, placement v1beta1.PlacementObject) func(index int) bool {
	key := reconcile.KeyOf(placement)
	names, indices := sets.New[string](), sets.New[string]()
	for _, b := range f.Bindings.ByIndex(fleet.ByPlacement, key) {
		for _, v := range bindingrules.Versions(b) {
			names.Insert(v.ResourceSnapshot)
		}
	}
	for _, run := range unfinished(f, key) {
		indices.Insert(run.RunSpec().ResourceSnapshotIndex, run.RunStatus().ResourceSnapshotIndexUsed)
		eachCluster(run, func(c *v1beta1.ClusterUpdatingStatus) { indices.Insert(c.ResourceSnapshotIndex) })
		eachCluster(run, previous(indices))
	}
	runs := f.Runs.ByIndex(fleet.ByPlacement, key)
	last := runrules.LastToMove(runs)
	for _, run := range runs {
		if run.RunStatus().RolledBackBy == nil && run == last || awaitsRollback(run, runs) {
			eachCluster(run, previous(indices))
		}
	}
	for _, w := range f.WorksOf(key) {
		indices.Insert(w.Labels[wellknown.ParentSnapshotIndexLabel])
	}
	return func(index int) bool {
		return names.Has(wellknown.ResourceSnapshotName(key.Name, index)) || indices.Has(strconv.Itoa(index))
	}
}

// awaitsRollback reports whether a run is to be rolled back, and the run that does it has no plan yet. From then on that run says what it
// needs itself.
func awaitsRollback(run v1beta1.UpdateRunObject, all []v1beta1.UpdateRunObject) bool {
	by := run.RunStatus().RolledBackBy
	if by == nil {
		return false
	}
	i := slices.IndexFunc(all, func(other v1beta1.UpdateRunObject) bool { return other.GetName() == by.Name })
	if i < 0 {
		// A reference without a uid is to a run that is still to be created.
		return runrules.IsBeingRolledBack(run)
	}
	return runrules.AwaitsPlan(all[i])
}

func eachCluster(run v1beta1.UpdateRunObject, f func(*v1beta1.ClusterUpdatingStatus)) {
	for _, stage := range run.RunStatus().StagesStatus {
		for i := range stage.Clusters {
			f(&stage.Clusters[i])
		}
	}
}

// previous collects the indices that clusters had before.
func previous(indices sets.Set[string]) func(*v1beta1.ClusterUpdatingStatus) {
	return func(c *v1beta1.ClusterUpdatingStatus) { indices.Insert(ptr.Deref(c.PreviousResourceSnapshotIndex, "")) }
}

// policiesInUse finds the policy snapshots by which a binding was picked, or that a run that is not over has planned with.
func policiesInUse(f *fleet.Fleet, placement v1beta1.PlacementObject) func(index int) bool {
	key := reconcile.KeyOf(placement)
	names, indices := sets.New[string](), sets.New[string]()
	for _, b := range f.Bindings.ByIndex(fleet.ByPlacement, key) {
		names.Insert(b.BindingSpec().SchedulingPolicySnapshotName)
	}
	for _, run := range unfinished(f, key) {
		indices.Insert(run.RunStatus().PolicySnapshotIndexUsed)
	}
	return func(index int) bool {
		return names.Has(wellknown.PolicySnapshotName(key.Name, index)) || indices.Has(strconv.Itoa(index))
	}
}

// unfinished are the runs of a placement that can still move a cluster.
func unfinished(f *fleet.Fleet, placement reconcile.Key) []v1beta1.UpdateRunObject {
	var runs []v1beta1.UpdateRunObject
	for _, run := range f.Runs.ByIndex(fleet.ByPlacement, placement) {
		if !runrules.IsOver(run.RunStatus()) {
			runs = append(runs, run)
		}
	}
	return runs
}
