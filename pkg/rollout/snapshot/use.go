// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"strconv"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// resourcesInUse finds the resource snapshots that a binding asks for, a Work holds, or a run that is not over rolls out or
// can go back to, and those that the run which moved clusters last can be taken back to. The others that runs name are not kept, as the
// versions of overrides are: a resource snapshot may hold a megabyte, and revisionHistoryLimit is what users bound them by. A run that
// needs one which is gone is refused and says so.
func resourcesInUse(f *fleet.Fleet, placement v1beta1.PlacementObject) func(index int) bool {
	key := reconcile.KeyOf(placement)
	names, indices := sets.New[string](), sets.New[string]()
	for _, b := range f.Bindings.ByIndex(fleet.ByPlacement, key) {
		names.Insert(b.BindingSpec().ResourceSnapshotName)
	}
	for _, run := range unfinished(f, key) {
		indices.Insert(run.RunSpec().ResourceSnapshotIndex, run.RunStatus().ResourceSnapshotIndexUsed)
		eachCluster(run, func(c *v1beta1.ClusterUpdatingStatus) { indices.Insert(c.ResourceSnapshotIndex) })
		eachCluster(run, previous(indices))
	}
	if last := runrules.LastToMove(f.Runs.ByIndex(fleet.ByPlacement, key)); last != nil && last.RunStatus().RolledBackBy == nil {
		eachCluster(last, previous(indices))
	}
	// The lister fails for no selector.
	works, _ := f.Works.Lister().List(labels.SelectorFromSet(labels.Set{wellknown.ParentPlacementLabel: key.Name}))
	for _, w := range works {
		if w.Labels[wellknown.ParentNamespaceLabel] == key.Namespace {
			indices.Insert(w.Labels[wellknown.ParentSnapshotIndexLabel])
		}
	}
	return func(index int) bool {
		return names.Has(wellknown.ResourceSnapshotName(key.Name, index)) || indices.Has(strconv.Itoa(index))
	}
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
