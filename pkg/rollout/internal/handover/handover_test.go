// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/memberreport"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// An override can leave an object out on a cluster as well as a version can.
func TestAnOverrideThatLeavesAnObjectOutHandsItOver(t *testing.T) {
	in := &finder{placement: reconcile.Key{Namespace: "shop", Name: "app"}}
	manifest := []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"}}`)
	leaves := &v1beta1.ResourceOverrideSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "o-0"}}
	leaves.Spec.OverrideSpec = v1beta1.ResourceOverrideSpec{
		ResourceSelectors: []v1beta1.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: "a"}},
		Policy: &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{
			ClusterSelector: &v1beta1.ClusterSelector{}, OverrideType: v1beta1.DeleteOverrideType,
		}}},
	}
	change := policy.Change{Cluster: "member1", InForce: []v1beta1.OverrideSnapshotObject{leaves}}
	for what, want := range map[bool]bool{true: false, false: true} {
		change := change
		if !what {
			change.InForce = nil
		}
		if keeps, err := in.keeps(change, manifest); err != nil || keeps != want {
			t.Errorf("with the override %v: kept %v, error %v", what, keeps, err)
		}
	}
}

// world has two placements, owner and heir, with a version, a binding and a Work each on one cluster.
type world struct{ *fleettest.World }

func newWorld(t *testing.T, objects map[string]string, change func(placement string, b v1beta1.BindingObject, work *v1beta1.Work)) world {
	t.Helper()
	w := world{fleettest.New(t, "shop")}
	for _, p := range []string{"owner", "heir"} {
		snapshot := wellknown.ResourceSnapshotName(p, 0)
		manifest := fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":"shop"}}`, objects[p])
		fleettest.Create(w.World, w.Fleet.Snapshots, snapshot, func(s v1beta1.ResourceSnapshotObject) {
			s.SetLabels(map[string]string{wellknown.ParentPlacementLabel: p, wellknown.ResourceIndexLabel: "0"})
			s.SetAnnotations(map[string]string{wellknown.ResourceHashAnnotation: "hash"})
			content := v1beta1.ResourceContent{}
			content.Raw = manifest
			s.SnapshotSpec().SelectedResources = append(s.SnapshotSpec().SelectedResources, content)
		})
		work := &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{
			Namespace: wellknown.MemberNamespace("m"), Name: "shop." + p + "-work",
			Labels:      map[string]string{wellknown.ParentPlacementLabel: p, wellknown.ParentNamespaceLabel: "shop", wellknown.ParentBindingLabel: p},
			Annotations: map[string]string{wellknown.ParentSnapshotNameAnnotation: snapshot},
		}}
		held := v1beta1.Manifest{}
		held.Raw = manifest
		work.Spec.Workload.Manifests = append(work.Spec.Workload.Manifests, held)
		fleettest.Create(w.World, w.Fleet.Bindings, p, func(b v1beta1.BindingObject) {
			b.SetLabels(map[string]string{wellknown.ParentPlacementLabel: p})
			*b.BindingSpec() = v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateBound, TargetCluster: "m", ResourceSnapshotName: snapshot}
			change(p, b, work)
		})
		_, err := w.Client.PlacementV1beta1().Works(work.Namespace).Create(w.Context(), work, metav1.CreateOptions{})
		w.Must(err)
	}
	w.Eventually("all is in the caches", func() bool {
		return len(w.Fleet.Bindings.ByIndex(fleet.ByPlacement, w.Key("heir"))) == 1 && len(w.Fleet.Bindings.ByIndex(fleet.ByPlacement, w.Key("owner"))) == 1 &&
			len(w.Fleet.Snapshots.ByIndex(fleet.ByPlacement, w.Key("heir"))) == 1 && len(w.Fleet.Snapshots.ByIndex(fleet.ByPlacement, w.Key("owner"))) == 1 &&
			len(w.Fleet.Works.Informer().GetStore().List()) == 2
	})
	return w
}

// expect finds what the removal of the owner from the cluster hands over.
func (w world) expect(t *testing.T, want int) {
	t.Helper()
	found, err := OfRemoval(w.Fleet, w.Key("owner"), []string{"m"})
	if err != nil || len(found) != want {
		t.Errorf("handed over: %+v, want %d: %v", found, want, err)
	}
}

// Objects that a member has not deleted, or keeps since an adoption, are in no version that matters. The Works name them.
func TestWhatIsLeftIsHandedOver(t *testing.T) {
	left := func(names ...string) (objects []v1beta1.ResourceIdentifier) {
		for _, name := range names {
			objects = append(objects, v1beta1.ResourceIdentifier{Version: "v1", Kind: "ConfigMap", Namespace: "shop", Name: name})
		}
		return objects
	}
	for name, tt := range map[string]struct {
		left []v1beta1.ResourceIdentifier
		kept bool
		// byRemoval and byRun are what the removal of the placement hands over, and what a run does.
		byRemoval, byRun int
	}{
		"nothing":                        {},
		"what the heir waits for":        {left: left("a", "y"), byRemoval: 1, byRun: 1},
		"something else":                 {left: left("a", "b")},
		"kept since an adoption":         {left: left("a", "y"), kept: true, byRemoval: 1},
		"more than is told":              {left: left(slices.Repeat([]string{"a"}, memberreport.MaxLeftObjects)...), byRemoval: 1, byRun: 1},
		"more is kept than what is told": {left: left(slices.Repeat([]string{"a"}, memberreport.MaxLeftObjects)...), kept: true, byRemoval: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, map[string]string{"owner": "x", "heir": "y"}, func(p string, _ v1beta1.BindingObject, work *v1beta1.Work) {
				if p != "owner" {
					return
				}
				work.Status.LeftObjects = tt.left
				if tt.kept {
					work.Status.Conditions = []metav1.Condition{{Type: v1beta1.WorkObjectsKept, Status: metav1.ConditionTrue}}
				}
			})
			w.expect(t, tt.byRemoval)
			found, err := Find(w.Fleet, w.Key("owner"), []policy.Change{{Cluster: "m", Had: []string{wellknown.ResourceSnapshotName("owner", 0)}}},
				func() []snapshotrules.Resource { return nil })
			if err != nil || len(found) != tt.byRun {
				t.Errorf("a run hands over %v, want %d: %v", found, tt.byRun, err)
			}
		})
	}
}

// The versions of a placement that is being deleted are gone before its Works are, which apply what they hold until they go.
func TestAnHeirWhoseVersionIsGoneGetsWhatItsWorksHold(t *testing.T) {
	w := newWorld(t, map[string]string{"owner": "x", "heir": "x"}, func(p string, b v1beta1.BindingObject, _ *v1beta1.Work) {
		if p == "heir" {
			gone := metav1.Now()
			b.SetDeletionTimestamp(&gone)
			b.SetFinalizers([]string{wellknown.WorkCleanupFinalizer})
		}
	})
	w.expect(t, 1)
	w.Must(w.Fleet.Snapshots.Client("shop").Delete(w.Context(), wellknown.ResourceSnapshotName("heir", 0), metav1.DeleteOptions{}))
	w.Eventually("the version is gone", func() bool { return len(w.Fleet.Snapshots.ByIndex(fleet.ByPlacement, w.Key("heir"))) == 0 })
	w.expect(t, 1)
}

// An heir may ask to compare, and say that it does, while a Work of it still applies.
func TestAnHeirWhoseWorkAppliesIsAskedWhateverItsBindingSays(t *testing.T) {
	compare := &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
	for name, tt := range map[string]struct {
		// way is how the Work of the heir has what the heir's binding only compares with.
		way *v1beta1.ApplyStrategy
		// isGoing reports whether the binding is being deleted, and isMarked whether its Work is about to be.
		isGoing, isMarked bool
		want              int
	}{
		"it compares, too":                       {way: compare},
		"it applies":                             {want: 1},
		"its binding goes, and it applies still": {isGoing: true, want: 1},
		"its binding goes, and so does it soon":  {isGoing: true, isMarked: true, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			newWorld(t, map[string]string{"owner": "x", "heir": "x"}, func(p string, b v1beta1.BindingObject, work *v1beta1.Work) {
				if p != "heir" {
					return
				}
				work.Spec.ApplyStrategy, b.BindingSpec().ApplyStrategy = tt.way, compare
				if tt.isGoing {
					gone := metav1.Now()
					b.SetDeletionTimestamp(&gone)
					b.SetFinalizers([]string{wellknown.WorkCleanupFinalizer})
				}
				if tt.isMarked {
					work.Annotations[wellknown.DeletePropagationAnnotation] = string(v1beta1.DeletePropagationPolicyAbandon)
				}
				b.BindingStatus().Conditions = []metav1.Condition{{Type: v1beta1.BindingWorkSynchronized, Status: metav1.ConditionTrue}, {Type: v1beta1.BindingDiffReported, Status: metav1.ConditionTrue}}
			}).expect(t, tt.want)
		})
	}
}
