// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestWhatSomebodyMayWaitForIsUrgent(t *testing.T) {
	newest, other := bind("a", "app-1-snapshot", allDone...), bind("b", "app-1-snapshot", allDone...)
	older, underWay := bind("b", "app-0-snapshot", allDone...), bind("b", "app-1-snapshot", allDone[:2]...)
	reported := bind("b", "app-1-snapshot", "RolloutStarted=True", "DiffReported=True")
	for name, test := range map[string]struct {
		edited   bool
		said     string
		latest   string
		bindings []v1beta1.BindingObject
		want     bool
	}{
		"the last cluster is done":                  {bindings: []v1beta1.BindingObject{newest, other}, want: true},
		"the last cluster has reported":             {bindings: []v1beta1.BindingObject{newest, reported}, want: true},
		"it was said that all are done":             {said: v1beta1.PlacementAvailable, bindings: []v1beta1.BindingObject{newest, other}},
		"it was said that all have reported":        {said: v1beta1.PlacementDiffReported, bindings: []v1beta1.BindingObject{newest, reported}},
		"one is under way":                          {bindings: []v1beta1.BindingObject{newest, underWay}},
		"one waits for its stage":                   {bindings: []v1beta1.BindingObject{newest, older}},
		"no cluster is picked":                      {},
		"a version begins to roll out by itself":    {latest: "app-2-snapshot", bindings: []v1beta1.BindingObject{newest, underWay}, want: true},
		"the placement was edited, one under way":   {edited: true, bindings: []v1beta1.BindingObject{newest, underWay}, want: true},
		"the placement was edited, and all is done": {edited: true, said: v1beta1.PlacementAvailable, bindings: []v1beta1.BindingObject{newest, other}, want: true},
	} {
		for scope, placement := range map[string]v1beta1.PlacementObject{
			"cluster-scoped": &v1beta1.ClusterResourcePlacement{}, "namespaced": &v1beta1.ResourcePlacement{ObjectMeta: metav1.ObjectMeta{Namespace: "team"}},
		} {
			t.Run(name+"/"+scope, func(t *testing.T) {
				placement.SetGeneration(3)
				say := func(conditionType string, generation int64) {
					placement.PlacementStatus().Conditions = append(placement.PlacementStatus().Conditions, metav1.Condition{
						Type:   v1beta1.PlacementConditionType(placement.GetNamespace(), conditionType),
						Status: metav1.ConditionTrue, ObservedGeneration: generation,
					})
				}
				generation := int64(3)
				if test.edited {
					generation = 2
				}
				say(v1beta1.PlacementScheduled, generation)
				if test.said != "" {
					say(test.said, generation)
				}
				if got := urgent(placement, world{bindings: test.bindings, latest: test.latest, index: map[string]string{"app-2-snapshot": "2"}}); got != test.want {
					t.Errorf("urgent is %v, want %v", got, test.want)
				}
			})
		}
	}
}
