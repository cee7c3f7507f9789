// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/registry/store/storetest"
)

func condition(conditionType, message string, generation int64) metav1.Condition {
	return metav1.Condition{
		Type: conditionType, Status: metav1.ConditionTrue, Reason: "R", Message: message, ObservedGeneration: generation,
		LastTransitionTime: metav1.Unix(1_800_000_000, 0).Rfc3339Copy(),
	}
}

// bound makes a binding with version 0, available on its cluster, and returns what serves its resource.
func bound(t *testing.T, r store.Resource, version string, s *store.Storage) map[string]rest.Storage {
	t.Helper()
	b := r.New().(v1beta1.BindingObject)
	b.SetName("app-" + version)
	*b.BindingSpec() = v1beta1.ResourceBindingSpec{
		State: v1beta1.BindingStateBound, TargetCluster: "member1", SchedulingPolicySnapshotName: "app-0", ResourceSnapshotName: "app-0-snapshot",
		ClusterDecision: v1beta1.ClusterDecision{ClusterName: "member1", Selected: true, Reason: "picked"},
	}
	paths := Paths(s)
	if _, err := s.REST.Create(storetest.Request(t.Context(), r, version, ""), b, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := put(storetest.Request(t.Context(), r, version, "status"), s.Status, b.GetName(), func(b v1beta1.BindingObject) {
		b.BindingStatus().Conditions = []metav1.Condition{
			condition(v1beta1.BindingRolloutStarted, "to version 0", 1), condition(v1beta1.BindingAvailable, "", 1),
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func put(ctx context.Context, storage rest.Updater, name string, change func(v1beta1.BindingObject)) (v1beta1.BindingObject, error) {
	changed := func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		b := old.DeepCopyObject().(v1beta1.BindingObject)
		change(b)
		return b, nil
	}
	out, _, err := storage.Update(ctx, name, rest.DefaultUpdatedObjectInfo(nil, changed), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, true, &metav1.UpdateOptions{})
	if err != nil {
		return nil, err
	}
	return out.(v1beta1.BindingObject), nil
}

func forAllVersions(t *testing.T, test func(t *testing.T, ctx context.Context, rollout rest.Updater, name string)) {
	etcd := storetest.Etcd(t)
	for _, r := range Resources() {
		s, err := store.NewStorage(r, etcd)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.REST.Destroy)
		for _, version := range store.Versions(r.Group) {
			t.Run(r.Plural+"/"+version, func(t *testing.T) {
				rollout := bound(t, r, version, s)["rollout"].(rest.Updater)
				test(t, storetest.Request(t.Context(), r, version, "rollout"), rollout, "app-"+version)
			})
		}
	}
}

func TestARolloutIsOneWrite(t *testing.T) {
	forAllVersions(t, func(t *testing.T, ctx context.Context, rollout rest.Updater, name string) {
		b, err := put(ctx, rollout, name, func(b v1beta1.BindingObject) {
			b.BindingSpec().ResourceSnapshotName = "app-1-snapshot"
			b.SetAnnotations(map[string]string{"run": "r"})
			// Only what is said of the rollout is taken, and the server knows the generation.
			b.BindingStatus().Conditions = []metav1.Condition{condition(v1beta1.BindingRolloutStarted, "to version 1", 7), condition(v1beta1.BindingApplied, "", 2)}
			b.BindingStatus().FailedPlacements = []v1beta1.FailedResourcePlacement{{Condition: condition(v1beta1.BindingApplied, "", 2)}}
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.BindingSpec().ResourceSnapshotName; got != "app-1-snapshot" || b.GetGeneration() != 2 || b.GetAnnotations()["run"] != "r" {
			t.Errorf("binding asks for %s at generation %d with annotations %v, want app-1-snapshot, 2 and the run", got, b.GetGeneration(), b.GetAnnotations())
		}
		want := v1beta1.ResourceBindingStatus{Conditions: []metav1.Condition{
			condition(v1beta1.BindingRolloutStarted, "to version 1", 2), condition(v1beta1.BindingAvailable, "", 1),
		}}
		if diff := cmp.Diff(want, *b.BindingStatus(), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}
	})
}

func TestARolloutIsRefused(t *testing.T) {
	for reason, change := range map[string]func(v1beta1.BindingObject){
		"that does not report whether it has started": func(b v1beta1.BindingObject) {
			meta.RemoveStatusCondition(&b.BindingStatus().Conditions, v1beta1.BindingRolloutStarted)
		},
		"with a bad spec":      func(b v1beta1.BindingObject) { b.BindingSpec().State = "Lost" },
		"with a bad condition": func(b v1beta1.BindingObject) { b.BindingStatus().Conditions[0].Reason = "" },
		"without a cluster":    func(b v1beta1.BindingObject) { b.BindingSpec().TargetCluster = "" },
	} {
		t.Run(reason, func(t *testing.T) {
			forAllVersions(t, func(t *testing.T, ctx context.Context, rollout rest.Updater, name string) {
				if _, err := put(ctx, rollout, name, change); !apierrors.IsInvalid(err) {
					t.Errorf("the answer is %v, want invalid", err)
				}
			})
		})
	}
}

func TestARolloutNeverCreates(t *testing.T) {
	forAllVersions(t, func(t *testing.T, ctx context.Context, rollout rest.Updater, _ string) {
		if _, err := put(ctx, rollout, "other", func(v1beta1.BindingObject) {}); !apierrors.IsNotFound(err) {
			t.Errorf("the answer is %v, want not found", err)
		}
	})
}

func TestARolloutOwnsOneCondition(t *testing.T) {
	conditions := func(conditionType string) fieldpath.Path {
		return fieldpath.MakePathOrDie("status", "conditions", fieldpath.KeyByFields("type", conditionType), "message")
	}
	spec, started := fieldpath.MakePathOrDie("spec", "state"), conditions(v1beta1.BindingRolloutStarted)
	written := fieldpath.NewSet(spec, started, conditions(v1beta1.BindingApplied), fieldpath.MakePathOrDie("status", "failedPlacements"))
	filters := (&RolloutREST{}).GetResetFieldsFilter()
	for _, version := range store.Versions(v1beta1.GroupName) {
		got := filters[fieldpath.APIVersion(v1beta1.GroupName+"/"+version)].Filter(written)
		if want := fieldpath.NewSet(spec, started); !got.Equals(want) {
			t.Errorf("%s: owns %s, want %s", version, got, want)
		}
	}
}
