// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// dotted has a binding be one of a placement whose name a placement of a namespace may make as well.
func dotted(b v1beta1.BindingObject) {
	b.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "team-a.web"})
}

// dottedWork is a Work of a placement of the namespace, or of a cluster-scoped one without.
func dottedWork(name, namespace, placement, binding string) *v1beta1.Work {
	w := &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{
		Namespace: "fleet-member-member1", Name: name, UID: types.UID("uid of " + name), Finalizers: []string{wellknown.WorkCleanupFinalizer},
		Labels: map[string]string{wellknown.ParentPlacementLabel: placement, wellknown.ParentBindingLabel: binding},
	}}
	if namespace != "" {
		w.Labels[wellknown.ParentNamespaceLabel] = namespace
	}
	return w
}

func TestHowWorksOfAPlacementWithADotAreNamed(t *testing.T) {
	for name, tc := range map[string]struct {
		existing []*v1beta1.Work
		want     []string
	}{
		"none is there": {want: []string{"team-a.web-0-cluster", "team-a.web-work-cluster"}},
		"beside those of a placement of the namespace": {
			existing: []*v1beta1.Work{dottedWork("team-a.web-work", "team-a", "web", "web-member1")},
			want:     []string{"team-a.web-0-cluster", "team-a.web-work", "team-a.web-work-cluster"},
		},
		"as those that are there": {
			existing: []*v1beta1.Work{dottedWork("team-a.web-work", "", "team-a.web", "web-member1")},
			want:     []string{"team-a.web-0", "team-a.web-work"},
		},
		"as the part that is there": {
			existing: []*v1beta1.Work{dottedWork("team-a.web-0", "", "team-a.web", "web-member1")},
			want:     []string{"team-a.web-0", "team-a.web-work"},
		},
		"as the one of a binding that is gone": {
			existing: []*v1beta1.Work{dottedWork("team-a.web-work", "", "team-a.web", "gone")},
			want:     []string{"team-a.web-0", "team-a.web-work"},
		},
		"not as what somebody else has made": {
			existing: []*v1beta1.Work{dottedWork("mine", "", "team-a.web", "other")},
			want:     []string{"mine", "team-a.web-0-cluster", "team-a.web-work-cluster"},
		},
	} {
		for _, cached := range []bool{true, false} {
			t.Run(name+map[bool]string{true: "", false: ", and not in the cache yet"}[cached], func(t *testing.T) {
				b := newBench(t, "")
				b.snapshot("web-1-snapshot", map[string]string{wellknown.NumberOfSnapshotsAnnotation: "2"}, namespaceJSON)
				b.snapshot("web-1-0", map[string]string{wellknown.SubindexAnnotation: "0"}, configMapJSON)
				for _, part := range []string{"web-1-snapshot", "web-1-0"} {
					s, err := b.fleet.Snapshots.Client("").Get(t.Context(), part, metav1.GetOptions{})
					if err != nil {
						t.Fatal(err)
					}
					s.GetLabels()[wellknown.ParentPlacementLabel] = "team-a.web"
					if _, err := b.fleet.Snapshots.Client("").Update(t.Context(), s, metav1.UpdateOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				b.binding(dotted)
				if !cached {
					b.cacheUp()
				}
				for _, w := range tc.existing {
					b.add(w)
				}
				if !cached {
					binding, err := b.fleet.Bindings.Get(b.key("web-member1"))
					if err != nil {
						t.Fatal(err)
					}
					// What is written on the word of the cache is refused, and done at the next look.
					b.sync(t.Context(), binding)
				}
				b.settle()
				if diff := cmp.Diff(tc.want, names(b.works())); diff != "" {
					t.Errorf("Works (-want +got):\n%s", diff)
				}
				for _, w := range b.works() {
					if w.UID != "" && w.DeletionTimestamp != nil {
						t.Errorf("Work %s is being deleted", w.Name)
					}
					if w.Labels[wellknown.ParentNamespaceLabel] != "" && len(w.Spec.Workload.Manifests) > 0 {
						t.Errorf("Work %s of the namespace has %s", w.Name, w.Spec.Workload.Manifests[0].Raw)
					}
				}
			})
		}
	}
}
