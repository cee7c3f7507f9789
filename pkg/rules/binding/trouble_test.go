// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

func TestTheTroubleOfACluster(t *testing.T) {
	failed := func(reasons ...string) (list []v1beta1.FailedResourcePlacement) {
		for _, reason := range reasons {
			list = append(list, v1beta1.FailedResourcePlacement{
				ResourceIdentifier: v1beta1.ResourceIdentifier{Kind: "Job", Namespace: "n", Name: "d"}, Condition: metav1.Condition{Reason: reason, Message: "no\n good"},
			})
		}
		return list
	}
	for name, tt := range map[string]struct {
		conditionType, reason string
		status                metav1.ConditionStatus
		failed                []v1beta1.FailedResourcePlacement
		want                  string
	}{
		"nothing is said":                 {},
		"all is well":                     {v1beta1.PlacementAvailable, "x", metav1.ConditionTrue, nil, ""},
		"it waits for its turn":           {v1beta1.PlacementRolloutStarted, "x", metav1.ConditionFalse, failed("x"), ""},
		"an override does not fit":        {v1beta1.PlacementOverridden, "x", metav1.ConditionFalse, failed("x"), "the step failed"},
		"a Work cannot be written":        {v1beta1.PlacementWorkSynchronized, "x", metav1.ConditionFalse, failed("x"), "the step failed"},
		"an envelope cannot be used":      {v1beta1.PlacementWorkSynchronized, "x", metav1.ConditionFalse, failed(wellknown.ReasonEnvelopeUnusable), "Job n/d: no good"},
		"it is being applied":             {v1beta1.PlacementApplied, "x", metav1.ConditionFalse, nil, ""},
		"it cannot be reached":            {v1beta1.PlacementApplied, wellknown.ReasonClusterUnreachable, metav1.ConditionFalse, nil, "the step failed"},
		"objects are not applied":         {v1beta1.PlacementApplied, "x", metav1.ConditionFalse, failed("x", "y", "z"), "Job n/d and 2 other objects: no good"},
		"an object is not available":      {v1beta1.PlacementAvailable, "x", metav1.ConditionFalse, failed("x"), "Job n/d: no good"},
		"it is being compared":            {v1beta1.PlacementDiffReported, wellknown.ReasonDiffReportInProgress, metav1.ConditionFalse, nil, ""},
		"it cannot be compared":           {v1beta1.PlacementDiffReported, "x", metav1.ConditionFalse, nil, "the step failed"},
		"it cannot be reached to compare": {v1beta1.PlacementDiffReported, wellknown.ReasonClusterUnreachable, metav1.ConditionFalse, nil, "the step failed"},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := v1beta1.PerClusterPlacementStatus{ClusterName: "a", FailedPlacements: tt.failed, Conditions: []metav1.Condition{
				{Type: tt.conditionType, Reason: tt.reason, Status: tt.status, Message: "the  step\tfailed"},
			}}
			if got := Trouble(&cluster); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTheFirstTroubleOfClustersIsBounded(t *testing.T) {
	bad := v1beta1.PerClusterPlacementStatus{ClusterName: "b", Conditions: []metav1.Condition{
		{Type: v1beta1.PlacementOverridden, Status: metav1.ConditionFalse, Message: strings.Repeat("x", 10<<10)},
	}}
	if got := FirstTrouble([]v1beta1.PerClusterPlacementStatus{{ClusterName: "a"}, bad, bad, bad}, true); len(got) > 600 ||
		!strings.HasPrefix(got, "cluster b: xxx") || !strings.HasSuffix(got, "x; and 2 more") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
	many := slices.Repeat([]v1beta1.PerClusterPlacementStatus{bad}, MaxListed)
	if got := FirstTrouble(many, false); !strings.HasSuffix(got, "; and at least 999 more") {
		t.Errorf("of more clusters than are listed: %s", got)
	}
	if got := FirstTrouble(many, true); !strings.HasSuffix(got, "; and 999 more") {
		t.Errorf("of as many clusters as are listed: %s", got)
	}
	if got := FirstTrouble([]v1beta1.PerClusterPlacementStatus{{ClusterName: "a"}}, true); got != "" {
		t.Errorf("no trouble: %q", got)
	}
}
