// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/registry/placement/envelope"
	"github.com/stagegate/stagegate/pkg/registry/placement/override"
	"github.com/stagegate/stagegate/pkg/registry/placement/updaterun"
	"github.com/stagegate/stagegate/pkg/registry/placement/updatestrategy"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// bothScopes runs a test for each of two resources with a fresh run of its kind.
func bothScopes(t *testing.T, test func(t *testing.T, r store.Resource, run v1beta1.UpdateRunObject)) {
	for _, r := range updaterun.Resources(clock.RealClock{}) {
		t.Run(r.Plural, func(t *testing.T) {
			run := r.New().(v1beta1.UpdateRunObject)
			run.SetName("run")
			run.RunSpec().PlacementName = "app"
			run.RunSpec().State = v1beta1.StateInitialize
			test(t, r, run)
		})
	}
}

func TestCreateStartsAtGenerationOneWithoutStatus(t *testing.T) {
	bothScopes(t, func(t *testing.T, r store.Resource, run v1beta1.UpdateRunObject) {
		run.SetGeneration(7)
		run.RunStatus().ResourceSnapshotIndexUsed = "3"

		r.Strategy.PrepareForCreate(t.Context(), run)

		if got := run.GetGeneration(); got != 1 {
			t.Errorf("generation is %d, want 1", got)
		}
		if diff := cmp.Diff(&v1beta1.UpdateRunStatus{}, run.RunStatus()); diff != "" {
			t.Errorf("the client's status was kept (-want +got):\n%s", diff)
		}
	})
}

func TestUpdateKeepsStatusAndCountsSpecChanges(t *testing.T) {
	tests := []struct {
		name           string
		change         func(run v1beta1.UpdateRunObject)
		wantGeneration int64
	}{
		{"nothing", func(v1beta1.UpdateRunObject) {}, 4},
		{"spec", func(run v1beta1.UpdateRunObject) { run.RunSpec().ResourceSnapshotIndex = "4" }, 5},
		{"labels", func(run v1beta1.UpdateRunObject) { run.SetLabels(map[string]string{"a": "b"}) }, 4},
		{"finalizers", func(run v1beta1.UpdateRunObject) { run.SetFinalizers([]string{"a/b"}) }, 4},
		{"status", func(run v1beta1.UpdateRunObject) { run.RunStatus().ResourceSnapshotIndexUsed = "9" }, 4},
		{"generation", func(run v1beta1.UpdateRunObject) { run.SetGeneration(99) }, 4},
	}
	bothScopes(t, func(t *testing.T, r store.Resource, stored v1beta1.UpdateRunObject) {
		stored.SetGeneration(4)
		stored.RunStatus().ResourceSnapshotIndexUsed = "3"
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				run := stored.DeepCopyObject().(v1beta1.UpdateRunObject)
				test.change(run)

				r.Strategy.PrepareForUpdate(t.Context(), run, stored)

				if got := run.GetGeneration(); got != test.wantGeneration {
					t.Errorf("generation is %d, want %d", got, test.wantGeneration)
				}
				if diff := cmp.Diff(stored.RunStatus(), run.RunStatus()); diff != "" {
					t.Errorf("the status changed (-want +got):\n%s", diff)
				}
			})
		}
	})
}

func TestStatusUpdateChangesNothingElse(t *testing.T) {
	bothScopes(t, func(t *testing.T, r store.Resource, stored v1beta1.UpdateRunObject) {
		stored.SetGeneration(4)
		stored.SetLabels(map[string]string{"a": "b"})
		run := stored.DeepCopyObject().(v1beta1.UpdateRunObject)
		run.SetGeneration(9)
		run.SetLabels(nil)
		run.SetFinalizers([]string{"a/b"})
		run.RunSpec().State = v1beta1.StateStop
		run.RunStatus().ResourceSnapshotIndexUsed = "3"

		r.StatusStrategy.PrepareForUpdate(t.Context(), run, stored)

		want := stored.DeepCopyObject().(v1beta1.UpdateRunObject)
		want.RunStatus().ResourceSnapshotIndexUsed = "3"
		if diff := cmp.Diff(want, run); diff != "" {
			t.Errorf("more than the status changed (-want +got):\n%s", diff)
		}
	})
}

func TestAnActionChangesSpecAndStatusAndNoMetadata(t *testing.T) {
	bothScopes(t, func(t *testing.T, r store.Resource, stored v1beta1.UpdateRunObject) {
		stored.SetGeneration(4)
		stored.SetLabels(map[string]string{"a": "b"})
		for state, wantGeneration := range map[v1beta1.State]int64{v1beta1.StateInitialize: 4, v1beta1.StateRun: 5} {
			run := stored.DeepCopyObject().(v1beta1.UpdateRunObject)
			run.SetGeneration(9)
			run.SetLabels(nil)
			run.SetFinalizers([]string{"a/b"})
			run.RunSpec().State = state
			run.RunStatus().ResourceSnapshotIndexUsed = "3"

			r.ActionStrategy.PrepareForUpdate(t.Context(), run, stored)

			want := stored.DeepCopyObject().(v1beta1.UpdateRunObject)
			want.SetGeneration(wantGeneration)
			want.RunSpec().State = state
			want.RunStatus().ResourceSnapshotIndexUsed = "3"
			if diff := cmp.Diff(want, run); diff != "" {
				t.Errorf("state %s (-want +got):\n%s", state, diff)
			}
		}
	})
}

func TestAnActionIsValidatedAsAWhole(t *testing.T) {
	bothScopes(t, func(t *testing.T, r store.Resource, stored v1beta1.UpdateRunObject) {
		run := stored.DeepCopyObject().(v1beta1.UpdateRunObject)
		run.RunSpec().PlacementName = "other"
		run.RunStatus().Conditions = []metav1.Condition{{Type: "Succeeded", Status: metav1.ConditionTrue, LastTransitionTime: metav1.Now()}}
		var got []string
		for _, err := range r.ActionStrategy.ValidateUpdate(t.Context(), run, stored) {
			got = append(got, err.Field)
		}
		if diff := cmp.Diff([]string{"spec.placementName", "status.conditions[0].reason"}, got); diff != "" {
			t.Errorf("refused fields (-want +got):\n%s", diff)
		}
	})
}

func TestKindsWithoutStatusCountEveryChangeOutsideMetadata(t *testing.T) {
	raw := func(s string) map[string]runtime.RawExtension {
		return map[string]runtime.RawExtension{"a": {Raw: []byte(s)}}
	}
	tests := []struct {
		name           string
		data           map[string]runtime.RawExtension
		wantGeneration int64
	}{
		{"same bytes", raw(`{"a":1,"b":12345678901234567890}`), 2},
		{"other order of keys", raw(`{"b": 12345678901234567890, "a": 1}`), 2},
		{"other number", raw(`{"a":1,"b":12345678901234567891}`), 3},
		{"not JSON", raw(`{`), 3},
		{"another entry", map[string]runtime.RawExtension{"b": {Raw: []byte(`{}`)}}, 3},
	}
	r := envelope.Resources()[0]
	if r.StatusStrategy != nil {
		t.Fatalf("%s have a status", r.Plural)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			stored := &v1beta1.ClusterResourceEnvelope{ObjectMeta: metav1.ObjectMeta{Name: "e", Generation: 2}, Data: raw(`{"a":1,"b":12345678901234567890}`)}
			changed := &v1beta1.ClusterResourceEnvelope{ObjectMeta: metav1.ObjectMeta{Name: "e"}, Data: test.data}

			r.Strategy.PrepareForUpdate(t.Context(), changed, stored)

			if changed.Generation != test.wantGeneration {
				t.Errorf("generation is %d, want %d", changed.Generation, test.wantGeneration)
			}
		})
	}
}

func TestGenerationIgnoresTheOrderOfKeysInPatches(t *testing.T) {
	object := func(value string) *v1beta1.ResourceOverride {
		return &v1beta1.ResourceOverride{ObjectMeta: metav1.ObjectMeta{Generation: 1}, Spec: v1beta1.ResourceOverrideSpec{
			Policy: &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{
				JSONPatchOverrides: []v1beta1.JSONPatchOverride{{Value: apiextensionsv1.JSON{Raw: []byte(value)}}},
			}}},
		}}
	}
	r := override.Resources()[1]
	for value, want := range map[string]int64{`{"b":2,"a":1}`: 1, `{"a":1,"b":3}`: 2} {
		changed := object(value)
		r.Strategy.PrepareForUpdate(t.Context(), changed, object(`{"a":1,"b":2}`))
		if changed.Generation != want {
			t.Errorf("with %s generation is %d, want %d", value, changed.Generation, want)
		}
	}
}

func TestResetFieldsCoverEveryVersion(t *testing.T) {
	set := func(paths ...string) map[fieldpath.APIVersion]*fieldpath.Set {
		s := fieldpath.NewSet()
		for _, p := range paths {
			s.Insert(fieldpath.MakePathOrDie(p))
		}
		return map[fieldpath.APIVersion]*fieldpath.Set{
			"placement.kubernetes-fleet.io/v1":      s,
			"placement.kubernetes-fleet.io/v1beta1": s,
		}
	}
	same := cmp.Comparer(func(a, b *fieldpath.Set) bool { return a.Equals(b) })
	for _, r := range updaterun.Resources(clock.RealClock{}) {
		if diff := cmp.Diff(set("status"), r.Strategy.GetResetFields(), same); diff != "" {
			t.Errorf("%s (-want +got):\n%s", r.Plural, diff)
		}
		if diff := cmp.Diff(set("metadata", "spec"), r.StatusStrategy.GetResetFields(), same); diff != "" {
			t.Errorf("status of %s (-want +got):\n%s", r.Plural, diff)
		}
	}
	for _, r := range updatestrategy.Resources() {
		if got := r.Strategy.GetResetFields(); got != nil {
			t.Errorf("%s have no status to reset, got %v", r.Plural, got)
		}
	}
}

func TestNames(t *testing.T) {
	tests := []struct {
		name string
		want string
	}{
		{"run-1.example", ""},
		{strings.Repeat("a", 63), ""},
		{strings.Repeat("a", 64), "metadata.name max length is 63"},
		{"Run", "a lowercase RFC 1123 subdomain must consist of"},
		{"run_1", "a lowercase RFC 1123 subdomain must consist of"},
	}
	bothScopes(t, func(t *testing.T, r store.Resource, run v1beta1.UpdateRunObject) {
		for _, test := range tests {
			run.SetName(test.name)
			var got []string
			for _, err := range r.Strategy.Validate(t.Context(), run) {
				if err.Field == "metadata.name" {
					got = append(got, err.Detail)
				}
			}
			all := strings.Join(got, "; ")
			if test.want == "" && all != "" || !strings.Contains(all, test.want) {
				t.Errorf("name %q: got %q, want %q", test.name, all, test.want)
			}
		}
	})
}

func TestPutNeedsAnExistingObjectAndItsResourceVersion(t *testing.T) {
	bothScopes(t, func(t *testing.T, r store.Resource, _ v1beta1.UpdateRunObject) {
		if r.Strategy.AllowCreateOnUpdate(t.Context()) || r.Strategy.AllowUnconditionalUpdate(t.Context()) {
			t.Error("a PUT may create or overwrite blindly")
		}
		if r.StatusStrategy.AllowCreateOnUpdate(t.Context()) || r.StatusStrategy.AllowUnconditionalUpdate(t.Context()) {
			t.Error("a PUT of the status may create or overwrite blindly")
		}
		if r.Strategy.NamespaceScoped() != r.Namespaced {
			t.Errorf("NamespaceScoped is %v", r.Strategy.NamespaceScoped())
		}
	})
}

func TestUpdateWarnsOnlyWhenTheSpecChanged(t *testing.T) {
	for _, r := range updatestrategy.Resources() {
		t.Run(r.Plural, func(t *testing.T) {
			object := func(generation int64) v1beta1.UpdateStrategyObject {
				o := r.New().(v1beta1.UpdateStrategyObject)
				o.SetGeneration(generation)
				o.StrategySpec().Stages = []v1beta1.StageConfig{{Name: "canary"}}
				return o
			}
			if got := r.Strategy.WarningsOnUpdate(t.Context(), object(2), object(2)); len(got) > 0 {
				t.Errorf("metadata only: %q", got)
			}
			if got := r.Strategy.WarningsOnUpdate(t.Context(), object(2), object(1)); len(got) != 1 {
				t.Errorf("spec changed: %q, want one warning", got)
			}
		})
	}
}
