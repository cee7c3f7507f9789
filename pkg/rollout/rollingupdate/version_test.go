// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollingupdate

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// overridden is a rollout of a ConfigMap to the clusters a, which is in region eu, b and c. Its override is for the clusters of eu.
type overridden struct {
	rollout
	override *v1beta1.ResourceOverride
}

func newOverridden(w *fleettest.World) *overridden {
	o := &overridden{rollout: newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)}
	for cluster, region := range map[string]string{"a": "eu", "b": "us", "c": "us"} {
		_, err := w.Client.ClusterV1beta1().MemberClusters().Update(w.Context(),
			&clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: cluster, Labels: map[string]string{"region": region}}}, metav1.UpdateOptions{})
		w.Must(err)
	}
	o.snapshot(0)
	raw := fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":%q,"name":"settings"}}`, o.namespace())
	fleettest.Update(w, w.Fleet.Snapshots, "p-0-snapshot", func(s v1beta1.ResourceSnapshotObject) {
		s.SnapshotSpec().SelectedResources = []v1beta1.ResourceContent{{RawExtension: runtime.RawExtension{Raw: raw}}}
	})
	w.Eventually("the resources are in the cache", func() bool {
		return len(snapshotrules.Latest(w.Fleet.Snapshots.ByIndex(fleet.ByPlacement, w.Key("p"))).SnapshotSpec().SelectedResources) == 1
	})
	return o
}

func (o *overridden) namespace() string { return cmp.Or(o.Namespace, "shop") }

// create makes the override, and says nothing of a version.
func (o *overridden) create(name string) {
	o.Helper()
	o.override = &v1beta1.ResourceOverride{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace(), Name: name},
		Spec: v1beta1.ResourceOverrideSpec{
			ResourceSelectors: []v1beta1.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: "settings"}},
			Policy: &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{
				ClusterSelector: &v1beta1.ClusterSelector{ClusterSelectorTerms: []v1beta1.ClusterSelectorTerm{{
					LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"region": "eu"}},
				}}},
				OverrideType: v1beta1.DeleteOverrideType,
			}}},
		},
	}
	_, err := o.Client.PlacementV1beta1().ResourceOverrides(o.namespace()).Create(o.Context(), o.override, metav1.CreateOptions{})
	o.Must(err)
}

// edit has the override be for one more region.
func (o *overridden) edit(region string) {
	o.Helper()
	rules := &o.override.Spec.Policy.OverrideRules
	*rules = append(*rules, *(*rules)[0].DeepCopy())
	(*rules)[len(*rules)-1].ClusterSelector.ClusterSelectorTerms[0].LabelSelector.MatchLabels["region"] = region
	_, err := o.Client.PlacementV1beta1().ResourceOverrides(o.namespace()).Update(o.Context(), o.override, metav1.UpdateOptions{})
	o.Must(err)
}

// record makes a version of the override.
func (o *overridden) record(index int) {
	o.Helper()
	s := o.override.NewSnapshot(nil).(*v1beta1.ResourceOverrideSnapshot)
	s.Namespace, s.Name = o.namespace(), wellknown.OverrideSnapshotName(o.override.Name, index)
	s.Labels = map[string]string{wellknown.ParentOverrideLabel: o.override.Name, wellknown.OverrideIndexLabel: fmt.Sprint(index)}
	_, err := o.Client.PlacementV1beta1().ResourceOverrideSnapshots(o.namespace()).Create(o.Context(), s, metav1.CreateOptions{})
	o.Must(err)
}

// untilHeld waits until clusters ask for versions of overrides, and all are announced and available.
func (o *overridden) untilHeld(want string) {
	o.Helper()
	o.Eventually(want, func() bool {
		var held []string
		for _, name := range []string{"a", "b", "c"} {
			b, err := o.Fleet.Bindings.Get(o.Key(name))
			if err != nil || b.BindingSpec().ResourceSnapshotName == "" {
				return false
			}
			for _, version := range b.BindingSpec().ResourceOverrideSnapshots {
				held = append(held, name+" "+version.Name)
			}
		}
		return strings.Join(held, ", ") == want
	})
}

func TestOverridesRollOutByThemselves(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		o := newOverridden(w)
		o.create("less")
		o.Eventually("the override is in the cache", func() bool { return len(w.Fleet.Overrides.All()) == 1 })
		o.Run(o.controller().Run)
		o.record(0)
		o.untilHeld("a less-0")

		// An edit moves one cluster at a time.
		o.available("a", "b", "c")
		o.edit("us")
		o.record(1)
		o.untilHeld("a less-1")
		o.available("a")
		o.untilHeld("a less-1, b less-1")
		o.available("b")
		o.untilHeld("a less-1, b less-1, c less-1")
		o.available("c")

		w.Must(w.Client.PlacementV1beta1().ResourceOverrides(o.namespace()).Delete(w.Context(), "less", metav1.DeleteOptions{}))
		o.untilHeld("b less-1, c less-1")
		o.available("a")
		o.untilHeld("c less-1")
		o.available("b")
		o.untilHeld("")
	})
}

func TestALabelOfAClusterMovesIt(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		o := newOverridden(w)
		o.create("less")
		o.record(0)
		o.Run(o.controller().Run)
		o.untilHeld("a less-0")
		o.available("a", "b", "c")
		members := w.Client.ClusterV1beta1().MemberClusters()
		c, err := members.Get(w.Context(), "c", metav1.GetOptions{})
		w.Must(err)
		c.Labels["region"] = "eu"
		_, err = members.Update(w.Context(), c, metav1.UpdateOptions{})
		w.Must(err)
		o.untilHeld("a less-0, c less-0")
	})
}

func TestWhatIsNotThereYetIsWaitedFor(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		o := newOverridden(w)
		c := o.controller()
		asked := func(what string, nothing bool) {
			t.Helper()
			placement, err := w.Fleet.Placements.Get(w.Key("p"))
			w.Must(err)
			if versions, err := c.wanted.Versions(placement); err != nil || (versions == nil) != nothing {
				t.Errorf("%s: %+v %v", what, versions, err)
			}
		}
		asked("no override", false)
		o.create("less")
		o.Eventually("the override is in the cache", func() bool { return len(w.Fleet.Overrides.All()) == 1 })
		asked("an override without a version", true)
		o.record(0)
		o.Eventually("the version is in the cache", func() bool { return len(w.Fleet.OverrideSnapshots.All()) == 1 })
		asked("an override with a version", false)

		fleettest.Update(w, w.Fleet.Snapshots, "p-0-snapshot", func(s v1beta1.ResourceSnapshotObject) {
			s.GetAnnotations()[wellknown.NumberOfSnapshotsAnnotation] = "2"
			s.SetUID("another")
		})
		o.Eventually("the snapshot is in the cache", func() bool {
			s := snapshotrules.Latest(w.Fleet.Snapshots.ByIndex(fleet.ByPlacement, w.Key("p")))
			return s.GetUID() == "another"
		})
		asked("a snapshot with a part missing", true)
	})
}

func TestAVersionThatIsOnItsWayOutIsNotRolledOut(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.snapshot(0)
		c := r.controller()
		is := func(rolledOut bool) func() bool {
			return func() bool {
				placement, err := w.Fleet.Placements.Get(w.Key("p"))
				w.Must(err)
				want, err := c.wanted.Versions(placement)
				w.Must(err)
				return (want != nil) == rolledOut
			}
		}
		w.Eventually("the version is to be rolled out", is(true))
		fleettest.Update(w, w.Fleet.Snapshots, "p-0-snapshot", func(s v1beta1.ResourceSnapshotObject) {
			s.SetFinalizers([]string{"example.com/wait"})
			s.SetDeletionTimestamp(&metav1.Time{Time: now})
		})
		w.Eventually("nothing is to be rolled out", is(false))
	})
}
