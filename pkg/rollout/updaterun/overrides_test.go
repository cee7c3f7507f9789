// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// override makes one in the namespace shop or the fixture's, which changes a ConfigMap on the canary clusters.
func (f *fixture) override(name, path string) *v1beta1.ResourceOverride {
	f.Helper()
	o := &v1beta1.ResourceOverride{
		ObjectMeta: metav1.ObjectMeta{Namespace: cmp.Or(f.namespace, "shop"), Name: name},
		Spec: v1beta1.ResourceOverrideSpec{
			ResourceSelectors: []v1beta1.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: "settings"}},
			Policy: &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{
				ClusterSelector: &v1beta1.ClusterSelector{ClusterSelectorTerms: []v1beta1.ClusterSelectorTerm{{
					LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "canary"}},
				}}},
				JSONPatchOverrides: []v1beta1.JSONPatchOverride{{Operator: v1beta1.JSONPatchOverrideOpRemove, Path: path}},
			}}},
		},
	}
	_, err := f.client.PlacementV1beta1().ResourceOverrides(o.Namespace).Create(f.ctx, o, metav1.CreateOptions{})
	f.must(err)
	return o
}

// clusterOverride makes one that does the same to all that is in a namespace.
func (f *fixture) clusterOverride(name, namespace, path string) *v1beta1.ClusterResourceOverride {
	f.Helper()
	o := &v1beta1.ClusterResourceOverride{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1beta1.ClusterResourceOverrideSpec{
			ClusterResourceSelectors: []v1beta1.ResourceSelectorTerm{{Version: "v1", Kind: "Namespace", Name: namespace}},
			Policy: &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{
				ClusterSelector: &v1beta1.ClusterSelector{ClusterSelectorTerms: []v1beta1.ClusterSelectorTerm{{
					LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "canary"}},
				}}},
				JSONPatchOverrides: []v1beta1.JSONPatchOverride{{Operator: v1beta1.JSONPatchOverrideOpRemove, Path: path}},
			}}},
		},
	}
	_, err := f.client.PlacementV1beta1().ClusterResourceOverrides().Create(f.ctx, o, metav1.CreateOptions{})
	f.must(err)
	return o
}

// record makes the first version of an override.
func (f *fixture) record(o v1beta1.OverrideObject) {
	f.Helper()
	s := o.NewSnapshot(nil)
	s.SetNamespace(o.GetNamespace())
	s.SetName(o.GetName() + "-0")
	s.SetLabels(map[string]string{wellknown.ParentOverrideLabel: o.GetName(), wellknown.OverrideIndexLabel: "0"})
	_, err := f.fleet.OverrideSnapshots.Client(o.GetNamespace()).Create(f.ctx, s, metav1.CreateOptions{})
	f.must(err)
	f.eventually(s.GetName()+" is in the cache", func() bool {
		_, err := f.fleet.OverrideSnapshots.Get(reconcile.KeyOf(s))
		return err == nil
	})
}

func (f *fixture) overridesOf(run string) map[string][]v1beta1.NamespacedName {
	found := map[string][]v1beta1.NamespacedName{}
	for _, stage := range f.run(run).RunStatus().StagesStatus {
		for i := range stage.Clusters {
			if names := runrules.OverrideSnapshotsOf(&stage.Clusters[i]); len(names) > 0 {
				found[stage.Clusters[i].ClusterName] = names
			}
		}
	}
	return found
}

// placesSettings has the ConfigMap that overrides change be in the second snapshot.
func (f *fixture) placesSettings() {
	f.Helper()
	update(f, f.fleet.Snapshots, "example-placement-1-snapshot", false, func(s v1beta1.ResourceSnapshotObject) {
		s.SnapshotSpec().SelectedResources = []v1beta1.ResourceContent{{RawExtension: runtime.RawExtension{Raw: f.settings()}}}
	})
	f.eventually("the cache has the ConfigMap in it", func() bool {
		s, err := f.fleet.Snapshots.Get(f.key("example-placement-1-snapshot"))
		return err == nil && bytes.Equal(s.SnapshotSpec().SelectedResources[0].Raw, f.settings())
	})
}

func (f *fixture) settings() []byte {
	return []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"` + cmp.Or(f.namespace, "shop") + `","name":"settings"},"data":{"a":"1"}}`)
}

func TestWhatIsOverriddenBeforeARunIsInForceInIt(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.placesSettings()
		f.snapshots.selected = []snapshotrules.Resource{{
			ID: v1beta1.ResourceIdentifier{Version: "v1", Kind: "ConfigMap", Namespace: cmp.Or(f.namespace, "shop"), Name: "settings"}, Manifest: f.settings(),
		}}
		o := f.override("less", "/data/a")
		defer f.start()()
		// One run names a snapshot, the other has one taken.
		f.newRunAt("named", "1", v1beta1.StateInitialize)
		f.newRunAt("live", "", v1beta1.StateInitialize)
		for _, run := range []string{"named", "live"} {
			f.untilCondition(run, v1beta1.RunInitialized, "False UpdateRunInitializedFailed")
		}
		f.record(o)
		canary := []v1beta1.NamespacedName{{Namespace: o.Namespace, Name: "less-0"}}
		for _, run := range []string{"named", "live"} {
			f.untilCondition(run, v1beta1.RunInitialized, "True UpdateRunInitializedSuccessfully")
			if diff := gocmp.Diff(map[string][]v1beta1.NamespacedName{"member1": canary, "member3": canary}, f.overridesOf(run)); diff != "" {
				f.Errorf("overrides of run %s (-want +got):\n%s", run, diff)
			}
		}

		// A plan has them too.
		run := f.fleet.Runs.New(f.key("named"))
		*run.RunSpec() = *f.run("named").RunSpec()
		plan, _, err := NewPlanner(f.fleet, f.snapshots).Plan(f.ctx, run)
		f.must(err)
		if diff := gocmp.Diff(f.run("named").RunStatus().StagesStatus, plan.StagesStatus); diff != "" {
			f.Errorf("run (-) and plan (+):\n%s", diff)
		}
	})
}

// wrapped is an envelope that carries the ConfigMap which overrides change.
func (f *fixture) wrapped() snapshotrules.Resource {
	id := v1beta1.ResourceIdentifier{Group: v1beta1.GroupName, Version: "v1", Kind: "ResourceEnvelope", Namespace: cmp.Or(f.namespace, "shop"), Name: "e"}
	manifest := `{"apiVersion":"placement.kubernetes-fleet.io/v1","kind":"ResourceEnvelope","metadata":{"namespace":"` + id.Namespace + `","name":"e"},"data":{"k":` +
		string(f.settings()) + `}}`
	return snapshotrules.Resource{ID: id, Manifest: []byte(manifest)}
}

func TestWhatAnEnvelopeCarriesIsOverriddenInARun(t *testing.T) {
	for name, path := range map[string]string{"fits": "/data/a", "does not fit": "/data/b"} {
		t.Run(name, func(t *testing.T) {
			forBothScopes(t, func(f *fixture) {
				f.tutorial()
				f.snapshots.selected = []snapshotrules.Resource{f.wrapped()}
				namespace := cmp.Or(f.namespace, "shop")
				want := map[string][]v1beta1.NamespacedName{}
				if f.namespace == "" {
					f.record(f.clusterOverride("of-all", namespace, path))
				} else {
					f.record(f.override("of-all", path))
				}
				for _, member := range []string{"member1", "member3"} {
					want[member] = []v1beta1.NamespacedName{{Namespace: f.namespace, Name: "of-all-0"}}
				}
				defer f.start()()
				f.newRunAt("live", "", v1beta1.StateInitialize)
				if name == "does not fit" {
					f.untilCondition("live", v1beta1.RunInitialized, "False UpdateRunInitializedFailed")
					return
				}
				f.untilCondition("live", v1beta1.RunInitialized, "True UpdateRunInitializedSuccessfully")
				if diff := gocmp.Diff(want, f.overridesOf("live")); diff != "" {
					f.Errorf("overrides (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAnOverrideThatDoesNotFitKeepsARunFromBeingPlanned(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.placesSettings()
		namespace := cmp.Or(f.namespace, "shop")
		of := `ResourceOverrideSnapshot "` + namespace + `/wrong-0"`
		if f.namespace == "" {
			f.record(f.clusterOverride("wrong", namespace, "/data/b"))
			of = `ClusterResourceOverrideSnapshot "wrong-0"`
		} else {
			f.record(f.override("wrong", "/data/b"))
		}
		defer f.start()()
		f.newRunAt("run", "1", v1beta1.StateRun)
		f.untilCondition("run", v1beta1.RunInitialized, "False UpdateRunInitializedFailed")
		want := of + ` on ConfigMap "` + namespace + `/settings" in cluster member3: remove /data/b: ` +
			`the object has no /data/b`
		if got := runrules.Plainly(f.message("run", v1beta1.RunInitialized)); got != want {
			f.Errorf("message is %q, want %q", got, want)
		}
	})
}

func TestAnOverrideOfThePlatformStopsRunsOfANamespace(t *testing.T) {
	f := newFixture(t, "team")
	f.tutorial()
	f.placesSettings()
	f.record(f.clusterOverride("wrong", "team", "/data/b"))
	defer f.start()()
	f.newRunAt("run", "1", v1beta1.StateRun)
	f.untilCondition("run", v1beta1.RunInitialized, "False UpdateRunInitializedFailed")
}

func TestAnOverrideOfANamespaceDoesNotStopRunsOfThePlatform(t *testing.T) {
	f := newFixture(t, "")
	f.tutorial()
	f.placesSettings()
	f.record(f.override("wrong", "/data/b"))
	f.record(f.override("right", "/data/a"))
	want := []string{`an override does not fit and is left out on 2 clusters (member3, member1): ` +
		`ResourceOverrideSnapshot "shop/wrong-0" on ConfigMap "shop/settings" in cluster member3: remove /data/b: ` +
		`the object has no /data/b`}
	run := f.fleet.Runs.New(f.key("run"))
	*run.RunSpec() = v1beta1.UpdateRunSpec{
		PlacementName: "example-placement", StagedUpdateStrategyName: "example-strategy", ResourceSnapshotIndex: "1", State: v1beta1.StateRun,
	}
	_, warnings, err := NewPlanner(f.fleet, f.snapshots).Plan(f.ctx, run)
	f.must(err)
	if diff := gocmp.Diff(want, warnings); diff != "" {
		t.Errorf("warnings of a dry run (-want +got):\n%s", diff)
	}
	defer f.start()()
	f.newRunAt("run", "1", v1beta1.StateRun)
	f.untilCondition("run", v1beta1.RunInitialized, "True UpdateRunInitializedSuccessfully")
	f.eventually("the run tells of it", func() bool { return slices.Contains(f.events.reasons(), eventWarning) })
}

func TestAnOverrideOfSomethingElseIsNotWaitedFor(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.snapshots.selected = []snapshotrules.Resource{{
			ID: v1beta1.ResourceIdentifier{Version: "v1", Kind: "ConfigMap", Namespace: cmp.Or(f.namespace, "shop"), Name: "other"},
		}}
		// Nobody makes its version, and no run waits for one.
		f.override("less", "/data/a")
		defer f.start()()
		f.newRunAt("live", "", v1beta1.StateInitialize)
		f.untilCondition("live", v1beta1.RunInitialized, "True UpdateRunInitializedSuccessfully")
		if got := f.overridesOf("live"); len(got) > 0 {
			f.Errorf("overrides: %v", got)
		}
	})
}

func TestARollbackFindsTheVersionsThatClustersHad(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.placesSettings()
		f.record(f.override("less", "/data/a"))
		had := []v1beta1.NamespacedName{{Namespace: cmp.Or(f.namespace, "shop"), Name: "less-0"}}
		update(f, f.fleet.Bindings, "example-placement-member2", false, func(b v1beta1.BindingObject) {
			b.BindingSpec().State = v1beta1.BindingStateBound
			b.BindingSpec().ResourceSnapshotName = "example-placement-1-snapshot"
			b.BindingSpec().ResourceOverrideSnapshots = had
		})
		update(f, f.fleet.Bindings, "example-placement-member2", true, func(b v1beta1.BindingObject) {
			bindingrules.RecordSynchronized(b.BindingStatus(), b.BindingSpec())
		})
		f.membersApply()
		defer f.start()()
		f.newRun("second", v1beta1.StateRun)
		f.eventually("the run has moved a cluster", func() bool {
			return len(f.binding("member2").BindingSpec().ResourceOverrideSnapshots) == 0 && len(f.run("second").RunStatus().History) > 0
		})
		f.ask("second", v1beta1.OperationRollback)
		f.eventually("the cluster has its override again", func() bool {
			return gocmp.Equal(had, f.binding("member2").BindingSpec().ResourceOverrideSnapshots)
		})
		f.untilCondition(f.run("second").RunStatus().RolledBackBy.Name, v1beta1.RunSucceeded, "True UpdateRunSucceeded")
		// What clusters go back to has all that they had.
		if slices.Contains(f.events.reasons(), eventWarning) {
			f.Errorf("the rollback warns: %v", f.events.list)
		}
	})
}

// A plan tells before anything moves that overrides make a Work too large, and counts as the Works do: one for each part of a version and each envelope.
func TestAPlanTellsThatAWorkBecomesTooLarge(t *testing.T) {
	run := &v1beta1.StagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "run"}}
	s := &v1beta1.ResourceOverrideSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "o-0"}}
	s.Spec.OverrideSpec.ResourceSelectors = []v1beta1.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: "a"}}
	step := v1beta1.JSONPatchOverride{Operator: v1beta1.JSONPatchOverrideOpAdd, Path: "/data"}
	step.Value.Raw = fmt.Appendf(nil, `{"a":%q}`, strings.Repeat("x", 300<<10))
	s.Spec.OverrideSpec.Policy = &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{
		ClusterSelector: &v1beta1.ClusterSelector{}, JSONPatchOverrides: []v1beta1.JSONPatchOverride{step},
	}}}
	for name, tt := range map[string]struct {
		works []int
		fits  bool
	}{
		"one object":                     {[]int{0}, true},
		"two of a part":                  {[]int{0, 0}, false},
		"of two parts and two envelopes": {[]int{0, 1, -1, -2}, true},
	} {
		in := &inputs{ctx: t.Context(), run: run}
		for _, work := range tt.works {
			in.selected = append(in.selected, snapshotrules.Resource{
				Manifest: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"shop","name":"a"}}`), Work: work,
			})
		}
		_, err := in.Misfits(plan.Member{Name: "member1"}, []v1beta1.OverrideSnapshotObject{s})
		if (err == nil) != tt.fits || err != nil && !strings.Contains(err.Error(), "larger by") {
			t.Errorf("%s: %v, want fits: %t", name, err, tt.fits)
		}
	}
}
