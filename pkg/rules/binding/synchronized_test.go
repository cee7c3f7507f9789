// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestWhatTheWorksHoldIsNotWhatTheBindingAsksFor(t *testing.T) {
	compare := &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
	ask := func(snapshot string, way *v1beta1.ApplyStrategy, overrides ...string) v1beta1.ResourceBindingSpec {
		return v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateBound, ResourceSnapshotName: snapshot, ApplyStrategy: way, ClusterResourceOverrideSnapshots: overrides}
	}
	told := []metav1.Condition{{Type: v1beta1.BindingWorkSynchronized, Status: metav1.ConditionTrue}, {Type: v1beta1.BindingApplied, Status: metav1.ConditionTrue}}
	untold := []metav1.Condition{{Type: v1beta1.BindingRolloutStarted, Status: metav1.ConditionTrue}, {Type: v1beta1.BindingWorkSynchronized, Status: metav1.ConditionFalse}}
	for name, tt := range map[string]struct {
		// asked are the specs that the binding had, one after the other; the Works came to hold those with a number in synced.
		asked  []v1beta1.ResourceBindingSpec
		synced []int
		told   []metav1.Condition

		previous, applied, snapshots string
		hasBegun, hasContent         bool
	}{
		"nothing":                           {[]v1beta1.ResourceBindingSpec{{}}, nil, nil, "", "", "", false, false},
		"asked for alone":                   {[]v1beta1.ResourceBindingSpec{ask("1", nil)}, nil, nil, "", "", "1", false, false},
		"not all of it could be written":    {[]v1beta1.ResourceBindingSpec{ask("1", nil)}, nil, untold, "", "", "1", false, false},
		"of an earlier server":              {[]v1beta1.ResourceBindingSpec{ask("1", nil)}, nil, told, "1", "1", "1", false, false},
		"held":                              {[]v1beta1.ResourceBindingSpec{ask("1", nil)}, []int{0}, told, "1", "1", "1", true, true},
		"another is asked for":              {[]v1beta1.ResourceBindingSpec{ask("1", nil), ask("2", nil)}, []int{0}, told, "1", "1", "2 1", false, false},
		"two others were asked for in vain": {[]v1beta1.ResourceBindingSpec{ask("1", nil), ask("2", nil), ask("3", nil)}, []int{0}, told, "1", "1", "3 1 2", false, false},
		"other overrides":                   {[]v1beta1.ResourceBindingSpec{ask("1", nil, "o-0"), ask("1", nil, "o-1")}, []int{0}, told, "1", "1", "1", false, false},
		"asked for again":                   {[]v1beta1.ResourceBindingSpec{ask("1", nil), ask("2", nil), ask("1", nil)}, []int{0}, told, "1", "1", "1", true, true},
		"to be compared":                    {[]v1beta1.ResourceBindingSpec{ask("1", nil), ask("2", compare)}, []int{0}, told, "1", "1", "2 1", false, false},
		"compared":                          {[]v1beta1.ResourceBindingSpec{ask("1", nil), ask("2", compare)}, []int{0, 1}, told, "2", "1", "2 1", true, true},
		"compared with another":             {[]v1beta1.ResourceBindingSpec{ask("1", nil), ask("2", compare), ask("3", compare)}, []int{0, 1}, told, "2", "1", "3 2 1", true, false},
		"compared, and to be applied":       {[]v1beta1.ResourceBindingSpec{ask("1", nil), ask("2", compare), ask("2", nil)}, []int{0, 1}, told, "2", "1", "2 1", false, true},
		"applied in vain, and compared":     {[]v1beta1.ResourceBindingSpec{ask("1", nil), ask("2", nil), ask("3", compare)}, []int{0}, told, "1", "1", "3 1 2", false, false},
		"compared, applied in vain, again":  {[]v1beta1.ResourceBindingSpec{ask("1", nil), ask("2", compare), ask("3", nil), ask("4", compare)}, []int{0, 1}, told, "2", "1", "4 2 3 1", true, false},
		"applied after it was compared":     {[]v1beta1.ResourceBindingSpec{ask("1", nil), ask("2", compare), ask("3", nil)}, []int{0, 1, 2}, told, "3", "3", "3", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := &v1beta1.ClusterResourceBinding{}
			b.Status.Conditions = slices.Clone(tt.told)
			for i := range tt.asked {
				Become(b, &tt.asked[i])
				for _, n := range tt.synced {
					if n == i {
						RecordSynchronized(&b.Status, &b.Spec)
					}
				}
			}
			b.Generation = 1
			for i := range b.Status.Conditions {
				b.Status.Conditions[i].ObservedGeneration = b.Generation
			}
			RecordAnswer(&b.Status, b.Generation, true)
			if got, _ := Previous(b); got.ResourceSnapshot != tt.previous {
				t.Errorf("before: %q, want %q", got.ResourceSnapshot, tt.previous)
			}
			if got, _ := LastApplied(b); got.ResourceSnapshot != tt.applied {
				t.Errorf("last applied: %q, want %q", got.ResourceSnapshot, tt.applied)
			}
			if got := strings.Join(snapshots(b), " "); got != tt.snapshots {
				t.Errorf("snapshots: %q, want %q", got, tt.snapshots)
			}
			if HasBegun(b) != tt.hasBegun || HasContent(b) != tt.hasContent {
				t.Errorf("has begun %t, has the content %t", HasBegun(b), HasContent(b))
			}
		})
	}
}
