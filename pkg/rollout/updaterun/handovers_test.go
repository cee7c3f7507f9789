// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// version stores a resource snapshot of a placement with some ConfigMaps, and returns its name.
func (f *fixture) version(placement reconcile.Key, index string, names ...string) string {
	f.Helper()
	var selected []v1beta1.ResourceContent
	for _, name := range names {
		raw := f.configMap(name)
		if kind, wrapped, isEnvelope := strings.Cut(name, "/"); isEnvelope {
			raw = fmt.Appendf(nil, `{"apiVersion":"placement.kubernetes-fleet.io/v1beta1","kind":"ResourceEnvelope","metadata":{"name":%q,"namespace":"shop"},"data":{"a.yaml":%s}}`, kind, f.configMap(wrapped))
		}
		selected = append(selected, v1beta1.ResourceContent{RawExtension: runtime.RawExtension{Raw: raw}})
	}
	name := placement.Name + "-" + index + "-snapshot"
	create(f, f.fleet.Snapshots, name, func(s v1beta1.ResourceSnapshotObject) {
		s.SetLabels(map[string]string{wellknown.ParentPlacementLabel: placement.Name, wellknown.ResourceIndexLabel: index})
		s.SetAnnotations(map[string]string{wellknown.ResourceHashAnnotation: "x"})
		s.SnapshotSpec().SelectedResources = selected
	})
	return name
}

func (f *fixture) configMap(name string) []byte {
	raw, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "shop"}})
	f.must(err)
	return raw
}

func TestWhatAClusterLetsGoOfGoesToThePlacementThatWaitsForIt(t *testing.T) {
	type heir struct {
		placement reconcile.Key
		objects   []string
		change    func(b v1beta1.BindingObject)
	}
	own := func(f *fixture, name string) reconcile.Key { return reconcile.Key{Namespace: f.namespace, Name: name} }
	for name, tt := range map[string]struct {
		heir heir
		// next is what the run rolls out, nil where it removes everything.
		next []string
		want []string
	}{
		"an object that is selected no more":              {heir{objects: []string{"a", "b"}}, []string{"b"}, []string{"a"}},
		"all that is removed":                             {heir{objects: []string{"a", "b", "c"}}, nil, []string{"a", "b"}},
		"nothing that is kept":                            {heir{objects: []string{"a", "b"}}, []string{"a", "b"}, nil},
		"nothing that the other one has not":              {heir{objects: []string{"c"}}, nil, nil},
		"what the other one has in an envelope":           {heir{objects: []string{"e/a"}}, nil, []string{"a"}},
		"nothing that goes into an envelope":              {heir{objects: []string{"a"}}, []string{"e/a"}, nil},
		"also to one that does not pick it now":           {heir{objects: []string{"a"}, change: func(b v1beta1.BindingObject) { b.BindingSpec().State = v1beta1.BindingStateUnscheduled }}, nil, []string{"a"}},
		"nothing to one that has all its objects":         {heir{objects: []string{"a"}, change: func(b v1beta1.BindingObject) { applies(b, 1) }}, nil, nil},
		"also to one that had them in the version before": {heir{objects: []string{"a"}, change: func(b v1beta1.BindingObject) { applies(b, 0) }}, nil, []string{"a"}},
		"nothing to one that only compares": {heir{objects: []string{"a"}, change: func(b v1beta1.BindingObject) {
			b.BindingSpec().ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
		}}, nil, nil},
		"nothing to one on another cluster": {heir{objects: []string{"a"}, change: func(b v1beta1.BindingObject) { b.BindingSpec().TargetCluster = "member9" }}, nil, nil},
		"nothing to one without a version":  {heir{objects: []string{"a"}, change: func(b v1beta1.BindingObject) { b.BindingSpec().ResourceSnapshotName = "" }}, nil, nil},
		"nothing to itself":                 {heir{placement: reconcile.Key{Name: "example-placement"}, objects: []string{"a"}}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			forBothScopes(t, func(f *fixture) {
				mine, theirs := own(f, "example-placement"), own(f, "other")
				if tt.heir.placement.Name != "" {
					theirs = own(f, tt.heir.placement.Name)
				}
				had := f.version(mine, "7", "a", "b")
				snapshot := f.version(theirs, "8", tt.heir.objects...)
				b := create(f, f.fleet.Bindings, "theirs", func(b v1beta1.BindingObject) {
					b.SetLabels(map[string]string{wellknown.ParentPlacementLabel: theirs.Name})
					*b.BindingSpec() = v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateBound, TargetCluster: "member1", ResourceSnapshotName: snapshot}
					if tt.heir.change != nil {
						tt.heir.change(b)
					}
				})

				run, placement := f.fleet.Runs.New(own(f, "run")), f.fleet.Placements.New(mine)
				run.RunSpec().PlacementName, run.RunSpec().ResourceSnapshotIndex = mine.Name, "9"
				change := policy.Change{Cluster: "member1", Had: had, Removes: tt.next == nil}
				if tt.next != nil {
					f.version(mine, "9", tt.next...)
				}
				world := &plan.World{Placement: placement, Snapshots: f.fleet.Snapshots.All()}
				in := &inputs{ctx: f.ctx, fleet: f.fleet, run: run, world: world}
				got, err := in.Handovers([]policy.Change{change, {Cluster: "member2", Had: had, Removes: true}})
				f.must(err)
				var want []policy.Handover
				if tt.want != nil {
					want = []policy.Handover{{Cluster: "member1", Placement: wording.Placement(b.GetNamespace(), theirs.Name)}}
					for _, name := range tt.want {
						want[0].Objects = append(want[0].Objects, v1beta1.ResourceIdentifier{Kind: "ConfigMap", Namespace: "shop", Name: name})
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					f.Errorf("handovers (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The platform's placements share objects with those in namespaces, and a team's with no others.
func TestAPlacementInANamespaceWaitsForWhatAClusterScopedOneHas(t *testing.T) {
	for _, namespace := range []string{"", "team"} {
		f := newFixture(t, namespace)
		mine, theirs := reconcile.Key{Namespace: namespace, Name: "mine"}, reconcile.Key{Namespace: "shop", Name: "other"}
		had := f.version(mine, "7", "a")
		f.namespace = "shop"
		snapshot := f.version(theirs, "8", "a")
		create(f, f.fleet.Bindings, "theirs", func(b v1beta1.BindingObject) {
			b.SetLabels(map[string]string{wellknown.ParentPlacementLabel: theirs.Name})
			*b.BindingSpec() = v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateBound, TargetCluster: "member1", ResourceSnapshotName: snapshot}
		})
		run := f.fleet.Runs.New(reconcile.Key{Namespace: namespace, Name: "run"})
		run.RunSpec().PlacementName = mine.Name
		in := &inputs{ctx: f.ctx, fleet: f.fleet, run: run, world: &plan.World{Placement: f.fleet.Placements.New(mine)}}
		got, err := in.Handovers([]policy.Change{{Cluster: "member1", Had: had, Removes: true}})
		f.must(err)
		if handed := len(got) == 1 && got[0].Placement == "ResourcePlacement shop/other"; handed != (namespace == "") {
			t.Errorf("in namespace %q: %+v", namespace, got)
		}
	}
}

// Of two placements that wait for each other, either may withdraw.
func TestWhatAnotherPlacementHasIsNotHandedOver(t *testing.T) {
	f := newFixture(t, "team")
	mine, theirs := reconcile.Key{Namespace: "team", Name: "mine"}, reconcile.Key{Namespace: "team", Name: "other"}
	had, snapshot := f.version(mine, "7", "a", "b"), f.version(theirs, "8", "a", "b")
	create(f, f.fleet.Bindings, "theirs", func(b v1beta1.BindingObject) {
		b.SetLabels(map[string]string{wellknown.ParentPlacementLabel: theirs.Name})
		*b.BindingSpec() = v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateBound, TargetCluster: "member1", ResourceSnapshotName: snapshot}
	})
	run := f.fleet.Runs.New(reconcile.Key{Namespace: "team", Name: "run"})
	run.RunSpec().PlacementName = mine.Name
	in := &inputs{ctx: f.ctx, fleet: f.fleet, run: run, world: &plan.World{Placement: f.fleet.Placements.New(mine)}}
	got, err := in.Handovers([]policy.Change{{Cluster: "member1", Had: had, Removes: true, PlacedByOthers: []v1beta1.ResourceIdentifier{
		{Version: "v1", Kind: "ConfigMap", Namespace: "shop", Name: "a", Envelope: &v1beta1.EnvelopeIdentifier{Name: "e"}},
	}}})
	f.must(err)
	want := []policy.Handover{{Cluster: "member1", Placement: "ResourcePlacement team/other", Objects: []v1beta1.ResourceIdentifier{{Kind: "ConfigMap", Namespace: "shop", Name: "b"}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("handovers (-want +got):\n%s", diff)
	}
}

// applies has a binding report that its objects of a generation are applied.
func applies(b v1beta1.BindingObject, generation int64) {
	b.BindingStatus().Conditions = []metav1.Condition{{Type: v1beta1.BindingApplied, Status: metav1.ConditionTrue, ObservedGeneration: generation}}
}
