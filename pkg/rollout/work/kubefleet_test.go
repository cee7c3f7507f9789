// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// A binding that KubeFleet left does not record what its Works hold, and they do not say how many they are. What they hold is found in them: where that
// is what the binding asks for it is recorded, announced or not, and otherwise the cluster stays as it is until a rollout announces its move.
func TestABindingOfKubeFleetHasTheWorksThatAreThere(t *testing.T) {
	const before, asked = "web-1-snapshot", "web-2-snapshot"
	notAnnounced := func(o v1beta1.BindingObject) {
		started := &o.BindingStatus().Conditions[0]
		started.Status, started.Reason = metav1.ConditionFalse, "RolloutNotStartedYet"
	}
	for name, tc := range map[string]struct {
		holds    string
		changed  func(v1beta1.BindingObject)
		want     string
		recorded string
	}{
		"announced, and there":             {holds: asked, changed: func(v1beta1.BindingObject) {}, want: asked, recorded: asked},
		"not announced, and there":         {holds: asked, changed: notAnnounced, want: asked, recorded: asked},
		"announced, and not there":         {holds: before, changed: func(v1beta1.BindingObject) {}, want: asked, recorded: asked},
		"not announced, and not there":     {holds: before, changed: notAnnounced, want: before},
		"announced for an earlier version": {holds: before, changed: func(o v1beta1.BindingObject) { o.SetGeneration(o.GetGeneration() + 1) }, want: before},
	} {
		t.Run(name, func(t *testing.T) {
			for _, scope := range bothScopes {
				t.Run(scope.name, func(t *testing.T) {
					b := newBench(t, scope.namespace)
					b.snapshot(before, nil, configMapJSON)
					b.binding(nil)
					b.settle()
					if tc.holds == asked {
						b.version(2, configMapJSON)
					} else {
						b.snapshot(asked, nil, configMapJSON)
					}
					work := b.works()[0]
					delete(work.Annotations, wellknown.NumberOfWorksAnnotation)
					if _, err := b.api.PlacementV1beta1().Works(work.Namespace).Update(t.Context(), &work, metav1.UpdateOptions{}); err != nil {
						t.Fatal(err)
					}
					b.edit(func(o v1beta1.BindingObject) {
						o.BindingSpec().ResourceSnapshotName = asked
						o.BindingStatus().SynchronizedVersion = nil
						tc.changed(o)
					})
					b.settle()
					works := b.works()
					if len(works) != 1 || works[0].Annotations[wellknown.ParentSnapshotNameAnnotation] != tc.want {
						t.Errorf("the Works hold %v, want %s: %v", b.holding(), tc.want, b.said())
					}
					if got := b.synchronized(); got != tc.recorded {
						t.Errorf("the binding records %q, want %q", got, tc.recorded)
					}

					// A rollout that comes to the cluster moves it.
					b.edit(func(o v1beta1.BindingObject) {
						list := o.BindingStatus().Conditions
						list[slices.IndexFunc(list, func(c metav1.Condition) bool { return c.Type == v1beta1.BindingRolloutStarted })] = metav1.Condition{
							Type: v1beta1.BindingRolloutStarted, Status: metav1.ConditionTrue, Reason: rolloutStarted.Reason, ObservedGeneration: o.GetGeneration(),
						}
					})
					b.settle()
					if got := b.synchronized(); got != asked || b.works()[0].Annotations[wellknown.ParentSnapshotNameAnnotation] != asked {
						t.Errorf("once it is announced, the binding records %q: %v", got, b.said())
					}
				})
			}
		})
	}
}

// KubeFleet's Works do not say how many a version has. A part of one is not taken for all of it once the cluster is let go of.
func TestAPartOfAVersionOfKubeFleetIsNoneThatWasBegun(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMapJSON, wrapping("e", configMap("a")))
	b.binding(nil)
	b.settle()
	for _, w := range b.works() {
		delete(w.Annotations, wellknown.NumberOfWorksAnnotation)
		delete(w.Annotations, wellknown.EnvelopeWorksAnnotation)
		if w.Name == b.workOf("e") {
			if err := b.api.Tracker().Delete(v1beta1.SchemeGroupVersion.WithResource("works"), w.Namespace, w.Name); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := b.api.Tracker().Update(v1beta1.SchemeGroupVersion.WithResource("works"), &w, w.Namespace); err != nil {
			t.Fatal(err)
		}
	}
	b.edit(func(x v1beta1.BindingObject) {
		x.BindingStatus().SynchronizedVersion = nil
		x.BindingStatus().Conditions = nil
		x.BindingSpec().State = v1beta1.BindingStateUnscheduled
		x.SetGeneration(x.GetGeneration() + 1)
	})
	b.settle()
	if b.synchronized() != "" {
		t.Errorf("a part of it counts as all of %s", b.synchronized())
	}
	b.edit(func(x v1beta1.BindingObject) {
		x.BindingSpec().State = v1beta1.BindingStateBound
		x.SetGeneration(x.GetGeneration() + 1)
	})
	b.settle()
	if len(b.works()) != 1 {
		t.Errorf("picked again, and the rest is written unasked: %v", b.holding())
	}
}
