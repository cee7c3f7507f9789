// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// status has conditions of a placement, written as "Type=Status".
func status(namespace string, conditions ...string) *v1beta1.PlacementStatus {
	s := &v1beta1.PlacementStatus{}
	for _, c := range conditions {
		conditionType, is, _ := strings.Cut(c, "=")
		s.Conditions = append(s.Conditions, metav1.Condition{Type: v1beta1.PlacementConditionType(namespace, conditionType), Status: metav1.ConditionStatus(is), Reason: "Why"})
	}
	return s
}

func TestWhatTurnsIsTold(t *testing.T) {
	done := []string{"RolloutStarted=True", "Overridden=True", "WorkSynchronized=True", "Applied=True", "Available=True"}
	reported := append(done[:3:3], "DiffReported=True")
	for name, test := range map[string]struct {
		before, after []string
		reportDiff    bool
		want          []string
	}{
		"all at once": {nil, done, false, []string{
			"Normal PlacementRolloutStarted", "Normal PlacementOverriddenSucceeded", "Normal PlacementWorkSynchronized", "Normal PlacementApplied", "Normal PlacementAvailable",
			"Normal PlacementRolloutCompleted",
		}},
		"the last step":                  {append(done[:4:4], "Available=False"), done, false, []string{"Normal PlacementAvailable", "Normal PlacementRolloutCompleted"}},
		"not the last step":              {done[:3], done[:4], false, []string{"Normal PlacementApplied"}},
		"nothing":                        {done, done, false, nil},
		"what is no longer so":           {done, append(done[:4:4], "Available=False"), false, nil},
		"differences are reported":       {done[:3], reported, true, []string{"Normal PlacementDiffReported", "Normal PlacementRolloutCompleted"}},
		"what another strategy wanted":   {nil, done[:4], true, []string{"Normal PlacementRolloutStarted", "Normal PlacementOverriddenSucceeded", "Normal PlacementWorkSynchronized", "Normal PlacementApplied"}},
		"a failed schedule":              {nil, []string{"Scheduled=False"}, false, []string{"Warning PlacementNotScheduled"}},
		"a failed schedule that goes on": {[]string{"Scheduled=False"}, []string{"Scheduled=False"}, false, nil},
	} {
		for _, namespace := range []string{"", "team"} {
			t.Run(name+"/"+namespace, func(t *testing.T) {
				var placement v1beta1.PlacementObject = &v1beta1.ClusterResourcePlacement{}
				if namespace != "" {
					placement = &v1beta1.ResourcePlacement{ObjectMeta: metav1.ObjectMeta{Namespace: namespace}}
				}
				if test.reportDiff {
					placement.PlacementSpec().Strategy.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
				}
				*placement.PlacementStatus() = *status(namespace, test.before...)
				recorder := record.NewFakeRecorder(20)
				(&Controller{recorder: recorder}).tell(placement, status(namespace, test.after...), "")
				close(recorder.Events)
				var got []string
				for e := range recorder.Events {
					got = append(got, strings.Join(strings.Fields(e)[:2], " "))
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("Events (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestAClusterThatIsStuckIsToldOnce(t *testing.T) {
	cluster := func(name, conditionType, reason, message string) v1beta1.PerClusterPlacementStatus {
		c := v1beta1.PerClusterPlacementStatus{ClusterName: name}
		c.Conditions = []metav1.Condition{{Type: conditionType, Status: metav1.ConditionFalse, Message: message}}
		if reason != "" {
			c.FailedPlacements = []v1beta1.FailedResourcePlacement{{
				ResourceIdentifier: v1beta1.ResourceIdentifier{Kind: "ConfigMap", Namespace: "n", Name: "c"}, Condition: metav1.Condition{Reason: reason, Message: message},
			}}
		}
		return c
	}
	differs := func(c v1beta1.PerClusterPlacementStatus) v1beta1.PerClusterPlacementStatus {
		c.DiffedPlacements = []v1beta1.DiffedResourcePlacement{{ResourceIdentifier: c.FailedPlacements[0].ResourceIdentifier}}
		return c
	}
	refused := func(name string) v1beta1.PerClusterPlacementStatus {
		return cluster(name, "Applied", wellknown.ReasonManifestRefused, "no")
	}
	type clusters = []v1beta1.PerClusterPlacementStatus
	var many clusters
	for i := range 100 {
		many = append(many, cluster(fmt.Sprintf("c%02d", i), "Overridden", "", strings.Repeat("x", 1<<10)))
	}
	for name, test := range map[string]struct {
		before, after clusters
		want          string
	}{
		"the member refuses":        {nil, clusters{refused("a")}, "cluster a: ConfigMap n/c: no"},
		"an override does not fit":  {nil, clusters{cluster("a", "Overridden", "", "no such path")}, "cluster a: no such path"},
		"it was told":               {clusters{refused("a")}, clusters{refused("a")}, ""},
		"another one was told":      {clusters{refused("a"), {ClusterName: "b"}}, clusters{refused("a"), refused("b")}, "cluster b: ConfigMap n/c: no"},
		"a Job has failed":          {nil, clusters{cluster("a", "Available", wellknown.ReasonJobFailed, "failed")}, "cluster a: ConfigMap n/c: failed"},
		"an envelope is unusable":   {nil, clusters{cluster("a", "WorkSynchronized", wellknown.ReasonEnvelopeUnusable, "no kind")}, "cluster a: ConfigMap n/c: no kind"},
		"an object differs":         {nil, clusters{differs(cluster("a", "Applied", wellknown.ReasonManifestFailedToTakeOver, "differs"))}, "cluster a: ConfigMap n/c: differs"},
		"an object is another's":    {nil, clusters{cluster("a", "Applied", wellknown.ReasonManifestFailedToTakeOver, "of another")}, ""},
		"what may pass":             {nil, clusters{cluster("a", "Applied", "FailedToApply", "later")}, ""},
		"what is not available":     {nil, clusters{cluster("a", "Available", "NotAvailableYet", "later")}, ""},
		"what was and is no longer": {clusters{refused("a")}, clusters{{ClusterName: "a"}}, ""},
	} {
		if got := newlyStuck(&v1beta1.PlacementStatus{PerClusterPlacementStatuses: test.before}, &v1beta1.PlacementStatus{PerClusterPlacementStatuses: test.after}); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if got := newlyStuck(&v1beta1.PlacementStatus{}, &v1beta1.PlacementStatus{PerClusterPlacementStatuses: many}); len(got) > maxEvent || !strings.Contains(got, "97") {
		t.Errorf("of a hundred clusters it tells %d bytes: %s", len(got), got)
	}
}
