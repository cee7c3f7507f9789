// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestOfManyClustersThoseAreListedThatSomebodyHasToLookAt(t *testing.T) {
	condition := func(conditionType string, status metav1.ConditionStatus) v1beta1.PerClusterPlacementStatus {
		return v1beta1.PerClusterPlacementStatus{Conditions: []metav1.Condition{{Type: conditionType, Status: status, Message: "said"}}}
	}
	done := condition(v1beta1.PlacementAvailable, metav1.ConditionTrue)
	waiting := condition(v1beta1.PlacementRolloutStarted, metav1.ConditionFalse)
	underWay := condition(v1beta1.PlacementAvailable, metav1.ConditionUnknown)
	failed := condition(v1beta1.PlacementWorkSynchronized, metav1.ConditionFalse)
	object := condition(v1beta1.PlacementRolloutStarted, metav1.ConditionTrue)
	object.FailedPlacements = []v1beta1.FailedResourcePlacement{{}}
	drifted := done
	drifted.DriftedPlacements = []v1beta1.DriftedResourcePlacement{{}}
	keeps := condition(v1beta1.PlacementObjectsKept, metav1.ConditionTrue)

	for name, tc := range map[string]struct {
		clusters int
		// like is what some clusters are like, from the given one on; the others are done.
		like map[int][]v1beta1.PerClusterPlacementStatus
		// want is how many clusters are listed, and these are among them.
		want   int
		listed []int
	}{
		"all":                         {clusters: MaxListed, want: MaxListed, listed: []int{0, MaxListed - 1}},
		"the first":                   {clusters: MaxListed + 1, want: MaxListed, listed: []int{0, MaxListed - 1}},
		"trouble":                     {clusters: 3000, like: map[int][]v1beta1.PerClusterPlacementStatus{2997: {failed, object, keeps}}, want: MaxListed, listed: []int{0, 996, 2997, 2998, 2999}},
		"what is under way":           {clusters: 3000, like: map[int][]v1beta1.PerClusterPlacementStatus{2997: {waiting, drifted, underWay}}, want: MaxListed, listed: []int{0, 996, 2997, 2998, 2999}},
		"trouble before what waits":   {clusters: 3000, like: map[int][]v1beta1.PerClusterPlacementStatus{0: slices.Repeat([]v1beta1.PerClusterPlacementStatus{waiting}, 2000), 2999: {failed}}, want: MaxListed, listed: []int{0, 998, 2999}},
		"all that keep something":     {clusters: 3000, like: map[int][]v1beta1.PerClusterPlacementStatus{10: slices.Repeat([]v1beta1.PerClusterPlacementStatus{keeps}, 1500)}, want: 1500, listed: []int{10, 1509}},
		"no more than fit of trouble": {clusters: 3000, like: map[int][]v1beta1.PerClusterPlacementStatus{10: slices.Repeat([]v1beta1.PerClusterPlacementStatus{failed}, 1500)}, want: MaxListed, listed: []int{10, 1009}},
	} {
		t.Run(name, func(t *testing.T) {
			clusters := slices.Repeat([]v1beta1.PerClusterPlacementStatus{done}, tc.clusters)
			for from, like := range tc.like {
				copy(clusters[from:], like)
			}
			for i := range clusters {
				clusters[i].ClusterName = fmt.Sprintf("%05d", i)
			}
			listed := map[string]bool{}
			got := List(clusters)
			for i := range got {
				listed[got[i].ClusterName] = true
				if i > 0 && got[i-1].ClusterName >= got[i].ClusterName {
					t.Errorf("cluster %s is listed after %s", got[i].ClusterName, got[i-1].ClusterName)
				}
			}
			if len(got) != tc.want || len(listed) != tc.want {
				t.Errorf("%d clusters are listed, want %d", len(got), tc.want)
			}
			for _, i := range tc.listed {
				if !listed[fmt.Sprintf("%05d", i)] {
					t.Errorf("cluster %d is not listed", i)
				}
			}
		})
	}
}

func TestTheClustersOfAPlacementAreCountedWhetherListedOrNot(t *testing.T) {
	status := &v1beta1.PlacementStatus{PerClusterPlacementStatuses: []v1beta1.PerClusterPlacementStatus{{ClusterName: "a"}, {ClusterName: "b"}, {}}}
	if got := Clusters(status); got != 2 || !ListsAll(status) {
		t.Errorf("%d clusters, all listed: %t; want 2, true", got, ListsAll(status))
	}
	status.SelectedClusters = 5000
	if got := Clusters(status); got != 5000 || ListsAll(status) {
		t.Errorf("%d clusters, all listed: %t; want 5000, false", got, ListsAll(status))
	}
}
