// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package resourceplacement

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestWhatAPlacementWaitsFor(t *testing.T) {
	clusters := []v1beta1.PerClusterPlacementStatus{{ClusterName: "a"}, {ClusterName: "b", Conditions: []metav1.Condition{
		{Type: v1beta1.PlacementOverridden, Status: metav1.ConditionFalse, Message: "no such path"},
	}}}
	held := []metav1.Condition{{Type: "ClusterResourcePlacementObjectsRemaining", Status: metav1.ConditionTrue, Message: "The removal waits for cluster c: ConfigMap x"}}
	for name, tt := range map[string]struct {
		status v1beta1.PlacementStatus
		want   string
	}{
		"nothing":                        {v1beta1.PlacementStatus{PerClusterPlacementStatuses: clusters[:1]}, ""},
		"a cluster has trouble":          {v1beta1.PlacementStatus{PerClusterPlacementStatuses: clusters}, "cluster b: no such path"},
		"a removal is held":              {v1beta1.PlacementStatus{Conditions: held}, "cluster c: ConfigMap x"},
		"a removal goes before the rest": {v1beta1.PlacementStatus{Conditions: held, PerClusterPlacementStatuses: clusters}, "cluster c: ConfigMap x"},
	} {
		if got := waitingFor(&v1beta1.ClusterResourcePlacement{Status: tt.status}); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
