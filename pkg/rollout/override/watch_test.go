// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

var everything = labels.Everything()

func sorted(names []string) string {
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestWhatWakesAnOverride(t *testing.T) {
	override := &v1beta1.ResourceOverride{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "o", UID: "1", Generation: 1}}
	version := &v1beta1.ResourceOverrideSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "o-0", Labels: map[string]string{
		wellknown.ParentOverrideLabel: "o", wellknown.OverrideIndexLabel: "0", wellknown.LatestSnapshotLabel: "true",
	}}}
	binding := &v1beta1.ClusterResourceBinding{Spec: v1beta1.ResourceBindingSpec{
		ClusterResourceOverrideSnapshots: []string{"c-1", "d-2"}, ResourceOverrideSnapshots: []v1beta1.NamespacedName{{Namespace: "team", Name: "o-0"}},
	}}
	status := v1beta1.ClusterUpdatingStatus{
		ClusterResourceOverrideSnapshots:         []string{"c-1"},
		ResourceOverrideSnapshots:                []v1beta1.NamespacedName{{Namespace: "team", Name: "o-0"}},
		PreviousClusterResourceOverrideSnapshots: []string{"d-2"},
		PreviousResourceOverrideSnapshots:        []v1beta1.NamespacedName{{Namespace: "team", Name: "p-5"}},
	}
	run := &v1beta1.StagedUpdateRun{Status: v1beta1.UpdateRunStatus{StagesStatus: []v1beta1.StageUpdatingStatus{
		{Clusters: []v1beta1.ClusterUpdatingStatus{status, status}}, {Clusters: []v1beta1.ClusterUpdatingStatus{status}},
	}}}

	for name, test := range map[string]struct {
		what     reconcile.MapFunc
		old, new any
		want     string
	}{
		"an override comes": {overrideChanged, nil, override, "team/o"},
		"an override goes":  {overrideChanged, override, nil, "team/o"},
		"an override is labeled": {overrideChanged, override, changed(override, func(o *v1beta1.ResourceOverride) {
			o.Labels = map[string]string{"a": "b"}
		}), ""},
		"an override is edited":    {overrideChanged, override, changed(override, func(o *v1beta1.ResourceOverride) { o.Generation = 2 }), "team/o team/o"},
		"an override is recreated": {overrideChanged, override, changed(override, func(o *v1beta1.ResourceOverride) { o.UID = "2" }), "team/o team/o"},
		"an override is deleted":   {overrideChanged, override, changed(override, func(o *v1beta1.ResourceOverride) { o.DeletionTimestamp = &metav1.Time{Time: start} }), "team/o team/o"},
		"an override's finalizer":  {overrideChanged, override, changed(override, func(o *v1beta1.ResourceOverride) { o.Finalizers = []string{"a/b"} }), "team/o team/o"},
		"a version comes":          {versionChanged, nil, version, "team/o"},
		"a version goes":           {versionChanged, version, nil, "team/o"},
		"a version is annotated":   {versionChanged, version, changed(version, func(s *v1beta1.ResourceOverrideSnapshot) { s.Annotations = map[string]string{"a": "b"} }), ""},
		"a version's mark moves":   {versionChanged, version, changed(version, func(s *v1beta1.ResourceOverrideSnapshot) { s.Labels[wellknown.LatestSnapshotLabel] = "false" }), "team/o team/o"},
		"a version's index moves":  {versionChanged, version, changed(version, func(s *v1beta1.ResourceOverrideSnapshot) { s.Labels[wellknown.OverrideIndexLabel] = "4" }), "team/o team/o"},
		"a version's parent moves": {versionChanged, version, changed(version, func(s *v1beta1.ResourceOverrideSnapshot) { s.Labels[wellknown.ParentOverrideLabel] = "p" }), "team/o team/p"},
		"a version is being deleted": {versionChanged, version, changed(version, func(s *v1beta1.ResourceOverrideSnapshot) {
			s.DeletionTimestamp = &metav1.Time{Time: start}
		}), "team/o team/o"},
		"a binding comes": {userChanged, nil, binding, ""},
		"a binding goes":  {userChanged, binding, nil, "/c /d team/o"},
		"a binding changes otherwise": {userChanged, binding, changed(binding, func(b *v1beta1.ClusterResourceBinding) {
			b.Spec.ResourceSnapshotName, b.Status.Conditions = "x", []metav1.Condition{{Type: "Available"}}
		}), ""},
		"a binding names more": {userChanged, binding, changed(binding, func(b *v1beta1.ClusterResourceBinding) {
			b.Spec.ClusterResourceOverrideSnapshots = []string{"b-3", "c-1", "d-2"}
		}), ""},
		"a binding goes to another version": {userChanged, binding, changed(binding, func(b *v1beta1.ClusterResourceBinding) {
			b.Spec.ClusterResourceOverrideSnapshots = []string{"c-1", "d-3"}
		}), "/d"},
		"a binding names no versions": {userChanged, changed(binding, func(b *v1beta1.ClusterResourceBinding) {
			b.Spec.ClusterResourceOverrideSnapshots = []string{"", "-", "x", "x-", "x-y", "x-01", "x-+1"}
		}), nil, "team/o"},
		"a run comes": {userChanged, nil, run, ""},
		"a run goes":  {userChanged, run, nil, "/c /d team/o team/p"},
		"a run moves on": {userChanged, run, changed(run, func(r *v1beta1.StagedUpdateRun) {
			r.Status.StagesStatus[1].Clusters[0].Message = "x"
		}), ""},
		"a run goes back on one cluster of several": {userChanged, run, changed(run, func(r *v1beta1.StagedUpdateRun) {
			r.Status.StagesStatus[0].Clusters[0].ClusterResourceOverrideSnapshots = nil
		}), ""},
		"a run goes back everywhere": {userChanged, run, changed(run, func(r *v1beta1.StagedUpdateRun) {
			for _, stage := range r.Status.StagesStatus {
				for i := range stage.Clusters {
					stage.Clusters[i].ClusterResourceOverrideSnapshots = nil
				}
			}
		}), "/c"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, key := range test.what(test.old, test.new) {
				got = append(got, key.String())
			}
			if diff := cmp.Diff(test.want, sorted(got)); diff != "" {
				t.Errorf("wakes (-want +got):\n%s", diff)
			}
		})
	}
}

// changed is an object after a change.
func changed[O interface{ DeepCopy() O }](o O, change func(O)) O {
	o = o.DeepCopy()
	change(o)
	return o
}
