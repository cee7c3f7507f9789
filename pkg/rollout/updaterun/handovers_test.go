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
	"github.com/stagegate/stagegate/pkg/rollout/internal/handover"
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
				change := policy.Change{Cluster: "member1", Had: []string{had}, Removes: tt.next == nil}
				if tt.next != nil {
					f.version(mine, "9", tt.next...)
				}
				world := &plan.World{Placement: placement, Snapshots: f.fleet.Snapshots.All()}
				in := &inputs{ctx: f.ctx, fleet: f.fleet, run: run, world: world}
				got, err := in.Handovers([]policy.Change{change, {Cluster: "member2", Had: []string{had}, Removes: true}})
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
		got, err := in.Handovers([]policy.Change{{Cluster: "member1", Had: []string{had}, Removes: true}})
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
	got, err := in.Handovers([]policy.Change{{Cluster: "member1", Had: []string{had}, Removes: true, PlacedByOthers: []v1beta1.ResourceIdentifier{
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

// What a binding asks for may not be written into the Works yet, and never be.
func TestWhatTheWorksHoldIsHandedOverToo(t *testing.T) {
	reportDiff := &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
	for name, tt := range map[string]struct {
		// asks is the version that the binding of the other placement asks for, holds the one that its Work holds, and mine the one of the Work of the
		// placement that lets go. All of them are of other objects but 1.
		asks, holds, had, mine  string
		asksToCompare, compares bool
		conditions              []metav1.Condition
		want                    bool
	}{
		"the other one's Work waits for it":            {asks: "2", holds: "1", had: "1", mine: "1", want: true},
		"the Work of this one has it":                  {asks: "1", holds: "1", had: "2", mine: "1", want: true},
		"neither has it in common":                     {asks: "2", holds: "2", had: "1", mine: "1"},
		"the other one is to compare, and applies yet": {asks: "1", holds: "1", had: "1", mine: "1", asksToCompare: true, want: true},
		"the other one compares, and may apply":        {asks: "1", holds: "1", had: "1", mine: "1", compares: true, want: true},
		"the other one compares, and is only to":       {asks: "1", holds: "1", had: "1", mine: "1", asksToCompare: true, compares: true},
		"the other one says that it compares, and its Works apply": {
			asks: "1", holds: "1", had: "1", mine: "1", asksToCompare: true, want: true,
			conditions: []metav1.Condition{{Type: v1beta1.BindingWorkSynchronized, Status: metav1.ConditionTrue, ObservedGeneration: 1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			forBothScopes(t, func(f *fixture) {
				mine, theirs := reconcile.Key{Namespace: f.namespace, Name: "mine"}, reconcile.Key{Namespace: f.namespace, Name: "other"}
				for _, placement := range []reconcile.Key{mine, theirs} {
					f.version(placement, "1", "a")
					f.version(placement, "2", placement.Name)
				}
				work := func(placement reconcile.Key, version string, strategy *v1beta1.ApplyStrategy) {
					w := &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet-member-member1", Name: placement.Name, Labels: map[string]string{wellknown.ParentPlacementLabel: placement.Name}}}
					if placement.Namespace != "" {
						w.Labels[wellknown.ParentNamespaceLabel] = placement.Namespace
					}
					w.Annotations = map[string]string{wellknown.ParentSnapshotNameAnnotation: placement.Name + "-" + version + "-snapshot"}
					w.Spec.ApplyStrategy = strategy
					f.must(f.fleet.Works.Informer().GetStore().Add(w))
				}
				work(mine, tt.mine, nil)
				strategies := map[bool]*v1beta1.ApplyStrategy{true: reportDiff}
				work(theirs, tt.holds, strategies[tt.compares])
				create(f, f.fleet.Bindings, "theirs", func(b v1beta1.BindingObject) {
					b.SetLabels(map[string]string{wellknown.ParentPlacementLabel: theirs.Name})
					*b.BindingSpec() = v1beta1.ResourceBindingSpec{
						State: v1beta1.BindingStateBound, TargetCluster: "member1", ResourceSnapshotName: "other-" + tt.asks + "-snapshot", ApplyStrategy: strategies[tt.asksToCompare],
					}
					b.BindingStatus().Conditions = tt.conditions
				})
				found, err := handover.Find(f.fleet, mine, []policy.Change{{Cluster: "member1", Had: []string{"mine-" + tt.had + "-snapshot"}, Removes: true}}, nil)
				f.must(err)
				if got := len(found) > 0; got != tt.want {
					f.Errorf("handed over: %v, want %v", found, tt.want)
				}
			})
		})
	}
}
