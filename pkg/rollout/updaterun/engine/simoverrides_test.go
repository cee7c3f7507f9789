// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// simOverride is an override for the clusters of one stage, of either scope. It is edited, recorded some time later, deleted and made
// again.
type simOverride struct {
	name, namespace, stage string
	// edition is what it says, and recorded that of the newest version, whose index is version.
	edition, recorded, version int
	deleted                    bool
}

// orphan is a version that clusters have of an override which is gone.
const orphan = "gone-0"

// object is the override as it says something.
func (o *simOverride) object(edition int) v1beta1.OverrideObject {
	policy := &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{
		ClusterSelector: &v1beta1.ClusterSelector{ClusterSelectorTerms: []v1beta1.ClusterSelectorTerm{{
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"stage": o.stage}},
		}}},
		JSONPatchOverrides: []v1beta1.JSONPatchOverride{{Operator: v1beta1.JSONPatchOverrideOpRemove, Path: fmt.Sprintf("/data/%d", edition)}},
	}}}
	om := metav1.ObjectMeta{Name: o.name, Namespace: o.namespace}
	if o.namespace == "" {
		return &v1beta1.ClusterResourceOverride{ObjectMeta: om, Spec: v1beta1.ClusterResourceOverrideSpec{Policy: policy}}
	}
	return &v1beta1.ResourceOverride{ObjectMeta: om, Spec: v1beta1.ResourceOverrideSpec{Policy: policy}}
}

func (o *simOverride) snapshot(edition, index int) v1beta1.OverrideSnapshotObject {
	snapshot := o.object(edition).NewSnapshot(nil)
	snapshot.SetNamespace(o.namespace)
	snapshot.SetName(wellknown.OverrideSnapshotName(o.name, index))
	snapshot.SetLabels(map[string]string{wellknown.ParentOverrideLabel: o.name, wellknown.OverrideIndexLabel: strconv.Itoa(index)})
	return snapshot
}

// addOverrides makes some, as long as nobody has done anything.
func (s *simulation) addOverrides() {
	s.fleet.Overrides = plan.Overrides{Snapshots: []v1beta1.OverrideSnapshotObject{(&simOverride{name: "gone"}).snapshot(0, 0)}}
	for i := range s.random.IntN(3) {
		s.overrides = append(s.overrides, &simOverride{
			name: fmt.Sprintf("o%d", i), namespace: []string{"", "shop"}[s.random.IntN(2)], stage: fmt.Sprint(s.random.IntN(2)), recorded: -1, version: -1,
		})
	}
	s.recordOverrides()
}

// overrideMoves has somebody edit, delete or make an override, and the versions of all be recorded, sometimes much later.
func (s *simulation) overrideMoves() {
	if len(s.overrides) > 0 {
		o := s.overrides[s.random.IntN(len(s.overrides))]
		o.edition++
		o.deleted = !o.deleted && s.random.IntN(4) == 0
	}
	if s.random.IntN(3) > 0 {
		s.recordOverrides()
	}
}

// recordOverrides makes the versions that are missing. Versions are never taken away: runs and bindings use them.
func (s *simulation) recordOverrides() {
	for _, o := range s.overrides {
		if !o.deleted && o.recorded != o.edition {
			o.recorded = o.edition
			o.version++
			s.fleet.Overrides.Snapshots = append(s.fleet.Overrides.Snapshots, o.snapshot(o.edition, o.version))
		}
	}
}

// liveOverrides are the overrides as they are now, and what is in force on each cluster because of them.
func (s *simulation) liveOverrides() (plan.Overrides, map[string][]v1beta1.NamespacedName) {
	live := plan.Overrides{Snapshots: slices.Clone(s.fleet.Overrides.Snapshots)}
	inForce := map[string][]v1beta1.NamespacedName{}
	for _, o := range s.overrides {
		if o.deleted {
			continue
		}
		live.Objects = append(live.Objects, o.object(o.edition))
	}
	for _, namespaced := range []bool{false, true} {
		for _, o := range s.overrides {
			for cluster, labels := range s.labels {
				if labels["stage"] == o.stage && !o.deleted && namespaced == (o.namespace != "") {
					inForce[cluster] = append(inForce[cluster], v1beta1.NamespacedName{Namespace: o.namespace, Name: wellknown.OverrideSnapshotName(o.name, o.version)})
				}
			}
		}
	}
	return live, inForce
}

// checkFrozen holds that a run has in force what was when it was planned, a rollback what was before, and keeps it.
func (s *simulation) checkFrozen(old, next v1beta1.UpdateRunObject, inForce map[string][]v1beta1.NamespacedName) {
	was, is := old.RunStatus(), next.RunStatus()
	for i := range is.StagesStatus {
		for j := range is.StagesStatus[i].Clusters {
			c := &is.StagesStatus[i].Clusters[j]
			want := inForce[c.ClusterName]
			if len(was.StagesStatus) > 0 {
				want = runrules.OverrideSnapshotsOf(&was.StagesStatus[i].Clusters[j])
			} else if earlier, ok := s.store.objects[simRuns][next.RunSpec().RollbackOf].(v1beta1.UpdateRunObject); ok {
				want = hadBefore(earlier.RunStatus(), c.ClusterName)
			} else if next.RunSpec().RollbackOf != "" {
				continue
			}
			if got := runrules.OverrideSnapshotsOf(c); !slices.Equal(got, want) {
				s.violated("run %s: cluster %s is to have the overrides %v instead of %v", next.GetName(), c.ClusterName, got, want)
			}
		}
	}
}

func hadBefore(status *v1beta1.UpdateRunStatus, cluster string) []v1beta1.NamespacedName {
	for i := range status.StagesStatus {
		for j := range status.StagesStatus[i].Clusters {
			if c := &status.StagesStatus[i].Clusters[j]; c.ClusterName == cluster {
				return runrules.PreviousOverrideSnapshotsOf(c)
			}
		}
	}
	return nil
}

// overridesOn are the versions that a binding names.
func overridesOn(b v1beta1.BindingObject) []v1beta1.NamespacedName {
	return overridesIn(b.BindingSpec().ClusterResourceOverrideSnapshots, b.BindingSpec().ResourceOverrideSnapshots)
}

func overridesIn(clusterScoped []string, namespaced []v1beta1.NamespacedName) []v1beta1.NamespacedName {
	return runrules.OverrideSnapshotsOf(&v1beta1.ClusterUpdatingStatus{
		ClusterResourceOverrideSnapshots: clusterScoped, ResourceOverrideSnapshots: namespaced,
	})
}
