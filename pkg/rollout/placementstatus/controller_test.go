// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
)

// placed makes a placement p that is scheduled to the clusters a and b and rolled out to them, and reports whether they have it.
func placed(w *fleettest.World, available metav1.ConditionStatus, changes ...func(v1beta1.PlacementObject)) {
	w.Helper()
	parent := map[string]string{wellknown.ParentPlacementLabel: "p", wellknown.LatestSnapshotLabel: "true"}
	fleettest.Create(w, w.Fleet.PolicySnapshots, "p-0", func(s v1beta1.PolicySnapshotObject) {
		s.SetLabels(parent)
		*s.PolicySnapshotStatus() = v1beta1.SchedulingPolicySnapshotStatus{
			ObservedCRPGeneration: 1,
			Conditions: []metav1.Condition{{
				Type: v1beta1.PolicySnapshotScheduled, Status: metav1.ConditionTrue, Reason: "SchedulingPolicyFulfilled", ObservedGeneration: 1,
			}},
			ClusterDecisions: []v1beta1.ClusterDecision{{ClusterName: "a", Selected: true}, {ClusterName: "b", Selected: true}},
		}
	})
	fleettest.Create(w, w.Fleet.Snapshots, wellknown.ResourceSnapshotName("p", 0), func(s v1beta1.ResourceSnapshotObject) {
		s.SetLabels(map[string]string{
			wellknown.ParentPlacementLabel: "p", wellknown.LatestSnapshotLabel: "true", wellknown.ResourceIndexLabel: "0",
		})
		s.SetAnnotations(map[string]string{wellknown.ResourceHashAnnotation: "hash"})
		s.SnapshotSpec().SelectedResources = []v1beta1.ResourceContent{{RawExtension: runtime.RawExtension{
			Raw: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}`),
		}}}
	})
	for _, cluster := range []string{"a", "b"} {
		fleettest.Create(w, w.Fleet.Bindings, cluster, func(b v1beta1.BindingObject) {
			b.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "p"})
			*b.BindingSpec() = v1beta1.ResourceBindingSpec{
				State: v1beta1.BindingStateBound, TargetCluster: cluster, ResourceSnapshotName: wellknown.ResourceSnapshotName("p", 0),
				ApplyStrategy: (*v1beta1.ApplyStrategy)(nil).WithDefaults(),
			}
			reports(b, available)
		})
	}
	fleettest.Create(w, w.Fleet.Placements, "p", func(p v1beta1.PlacementObject) {
		p.PlacementSpec().Strategy.Type = v1beta1.RollingUpdateRolloutStrategyType
		for _, change := range changes {
			change(p)
		}
	})
}

// reports has a binding report every step as done but the last.
func reports(b v1beta1.BindingObject, available metav1.ConditionStatus) {
	for _, conditionType := range []string{
		v1beta1.BindingRolloutStarted, v1beta1.BindingOverridden, v1beta1.BindingWorkSynchronized, v1beta1.BindingApplied,
	} {
		meta.SetStatusCondition(&b.BindingStatus().Conditions, metav1.Condition{
			Type: conditionType, Status: metav1.ConditionTrue, Reason: conditionType, ObservedGeneration: 1,
		})
	}
	meta.SetStatusCondition(&b.BindingStatus().Conditions, metav1.Condition{
		Type: v1beta1.BindingAvailable, Status: available, Reason: "WorkAvailable", ObservedGeneration: 1,
	})
}

// condition is the status of a condition of the placement.
func condition(w *fleettest.World, name string) metav1.ConditionStatus {
	p, err := w.Fleet.Placements.Get(w.Key("p"))
	w.Must(err)
	if c := meta.FindStatusCondition(p.PlacementStatus().Conditions, v1beta1.PlacementConditionType(w.Namespace, name)); c != nil {
		return c.Status
	}
	return ""
}

func TestAPlacementFollowsItsBindings(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		placed(w, metav1.ConditionFalse)
		recorder := record.NewFakeRecorder(20)
		w.Run(New(w.Fleet, recorder, clock.RealClock{}).Run)
		w.Eventually("the placement is not available", func() bool { return condition(w, v1beta1.PlacementAvailable) == metav1.ConditionFalse })

		for _, cluster := range []string{"a", "b"} {
			fleettest.UpdateStatus(w, w.Fleet.Bindings, cluster, func(b v1beta1.BindingObject) { reports(b, metav1.ConditionTrue) })
		}
		w.Eventually("the placement is available", func() bool { return condition(w, v1beta1.PlacementAvailable) == metav1.ConditionTrue })
		p, err := w.Fleet.Placements.Get(w.Key("p"))
		w.Must(err)
		var clusters []string
		for _, c := range p.PlacementStatus().PerClusterPlacementStatuses {
			clusters = append(clusters, c.ClusterName)
		}
		if diff := cmp.Diff([]string{"a", "b"}, clusters); diff != "" {
			t.Errorf("clusters (-want +got):\n%s", diff)
		}

		// What turns True is told once, whatever else changes.
		want := []string{
			"PlacementRolloutStarted", "PlacementOverriddenSucceeded", "PlacementWorkSynchronized", "PlacementApplied", "PlacementAvailable", "PlacementRolloutCompleted",
		}
		var got []string
		for range want {
			got = append(got, strings.Fields(<-recorder.Events)[1])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Events (-want +got):\n%s", diff)
		}
	})
}

func TestWhatIsSummedUpAlreadyIsNotWritten(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		placed(w, metav1.ConditionTrue)
		c := New(w.Fleet, record.NewFakeRecorder(20), clock.RealClock{})
		_, err := c.reconcile(t.Context(), w.Key("p"))
		w.Must(err)
		w.Eventually("the status is in the cache", func() bool { return condition(w, v1beta1.PlacementAvailable) == metav1.ConditionTrue })
		w.Client.ClearActions()
		// The first write may have the placement rest for a moment.
		c.pace.Forget(w.Key("p"))
		_, err = c.reconcile(t.Context(), w.Key("p"))
		w.Must(err)
		for _, action := range w.Client.Actions() {
			t.Errorf("%s %s", action.GetVerb(), action.GetResource().Resource)
		}
	})
}

func TestNothingIsSummedUpOfACacheOlderThanTheLastWrite(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		placed(w, metav1.ConditionTrue)
		c := New(w.Fleet, record.NewFakeRecorder(20), clock.RealClock{})
		placement, err := w.Fleet.Placements.Get(w.Key("p"))
		w.Must(err)
		newer := fleet.Copy(placement)
		newer.SetResourceVersion("99999999")
		c.written.Wrote(w.Key("p"), w.Fleet.Placements.Cache(w.Namespace), newer)
		w.Client.ClearActions()
		_, err = c.reconcile(t.Context(), w.Key("p"))
		w.Must(err)
		for _, action := range w.Client.Actions() {
			t.Errorf("%s %s", action.GetVerb(), action.GetResource().Resource)
		}
	})
}

// TestAClusterThatWaitsForMoreThanASnapshotSaysSo has clusters with the newest snapshot that are to have something else besides.
func TestAClusterThatWaitsForMoreThanASnapshotSaysSo(t *testing.T) {
	const held = "The resources cannot be updated to the latest because of the rollout strategy"
	for name, test := range map[string]struct {
		placement func(v1beta1.PlacementObject)
		binding   func(v1beta1.BindingObject)
		override  bool
		want      string
	}{
		"nothing": {},
		"another way to apply": {
			placement: func(p v1beta1.PlacementObject) {
				p.PlacementSpec().Strategy.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeServerSideApply}
			},
			want: held,
		},
		"the end of an override": {binding: func(b v1beta1.BindingObject) { b.BindingSpec().ClusterResourceOverrideSnapshots = []string{"gone-0"} }, want: held},
		"what nobody knows yet":  {override: true, binding: func(b v1beta1.BindingObject) { b.BindingSpec().ClusterResourceOverrideSnapshots = []string{"gone-0"} }},
		"a run": {
			placement: func(p v1beta1.PlacementObject) {
				p.PlacementSpec().Strategy.Type = v1beta1.ExternalRolloutStrategyType
				p.PlacementSpec().Strategy.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeServerSideApply}
			},
		},
		"a snapshot": {
			binding: func(b v1beta1.BindingObject) { b.BindingSpec().ResourceSnapshotName = "p-9-snapshot" },
			want:    "The rollout is being blocked by the rollout strategy",
		},
	} {
		t.Run(name, func(t *testing.T) {
			fleettest.InBothScopes(t, func(w *fleettest.World) {
				var changes []func(v1beta1.PlacementObject)
				if test.placement != nil {
					changes = append(changes, test.placement)
				}
				placed(w, metav1.ConditionTrue, changes...)
				if test.override {
					// It cannot be told for what, since a part of the snapshot is still to come.
					fleettest.Update(w, w.Fleet.Snapshots, wellknown.ResourceSnapshotName("p", 0), func(s v1beta1.ResourceSnapshotObject) {
						s.GetAnnotations()[wellknown.NumberOfSnapshotsAnnotation] = "2"
					})
					override := &v1beta1.ClusterResourceOverride{ObjectMeta: metav1.ObjectMeta{Name: "o"}, Spec: v1beta1.ClusterResourceOverrideSpec{
						ClusterResourceSelectors: []v1beta1.ResourceSelectorTerm{{Version: "v1", Kind: "ConfigMap", Name: "c"}}, Policy: &v1beta1.OverridePolicy{},
					}}
					namespaced := &v1beta1.ResourceOverride{ObjectMeta: metav1.ObjectMeta{Name: "o", Namespace: "team"}, Spec: v1beta1.ResourceOverrideSpec{
						ResourceSelectors: []v1beta1.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: "c"}}, Policy: &v1beta1.OverridePolicy{},
					}}
					if w.Namespace == "" {
						_, err := w.Client.PlacementV1beta1().ClusterResourceOverrides().Create(t.Context(), override, metav1.CreateOptions{})
						w.Must(err)
					} else {
						_, err := w.Client.PlacementV1beta1().ResourceOverrides(w.Namespace).Create(t.Context(), namespaced, metav1.CreateOptions{})
						w.Must(err)
					}
					w.Eventually("both are in the cache", func() bool {
						s, err := w.Fleet.Snapshots.Get(w.Key(wellknown.ResourceSnapshotName("p", 0)))
						return err == nil && s.GetAnnotations()[wellknown.NumberOfSnapshotsAnnotation] == "2" && len(w.Fleet.Overrides.All()) == 1
					})
				}
				if test.binding != nil {
					fleettest.Update(w, w.Fleet.Bindings, "a", test.binding)
					fleettest.UpdateStatus(w, w.Fleet.Bindings, "a", func(b v1beta1.BindingObject) {
						for i := range b.BindingStatus().Conditions {
							b.BindingStatus().Conditions[i].ObservedGeneration = b.GetGeneration()
						}
					})
					w.Eventually("the binding is in the cache", func() bool {
						b, err := w.Fleet.Bindings.Get(w.Key("a"))
						return err == nil && b.GetGeneration() == 2 && b.BindingStatus().Conditions[0].ObservedGeneration == 2
					})
				}
				_, err := New(w.Fleet, record.NewFakeRecorder(20), clock.RealClock{}).reconcile(t.Context(), w.Key("p"))
				w.Must(err)
				p, err := w.Fleet.Placements.Client(w.Namespace).Get(t.Context(), "p", metav1.GetOptions{})
				w.Must(err)
				c := meta.FindStatusCondition(p.PlacementStatus().PerClusterPlacementStatuses[0].Conditions, v1beta1.PlacementRolloutStarted)
				got := ""
				if c.Status == metav1.ConditionFalse {
					got = c.Message
				}
				if got != test.want {
					t.Errorf("the cluster says %q, want %q", got, test.want)
				}
			})
		})
	}
}
