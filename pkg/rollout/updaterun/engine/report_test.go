// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// fails has a binding report a condition that is false, and objects that are to blame.
func (f *fixture) fails(cluster, conditionType, message string, objects ...v1beta1.FailedResourcePlacement) {
	b := f.binding(cluster)
	b.Status.FailedPlacements = objects
	meta.SetStatusCondition(&b.Status.Conditions, metav1.Condition{
		Type: conditionType, Status: metav1.ConditionFalse, Reason: "Failed", Message: message, ObservedGeneration: b.Generation,
	})
}

func troubled(kind, namespace, name, message string) v1beta1.FailedResourcePlacement {
	return v1beta1.FailedResourcePlacement{
		ResourceIdentifier: v1beta1.ResourceIdentifier{Kind: kind, Namespace: namespace, Name: name},
		Condition:          metav1.Condition{Message: message},
	}
}

func (f *fixture) wantMessage(want string) {
	f.Helper()
	if got := f.run.Status.StagesStatus[0].Clusters[0].Message; got != want {
		f.Errorf("the cluster says %q, want %q", got, want)
	}
}

func TestAClusterInFlightSaysWhatItsBindingReports(t *testing.T) {
	web := troubled("Deployment", "shop", "web", "2 of 3 available")
	tests := map[string]struct {
		report func(f *fixture)
		want   string
	}{
		"nothing": {func(*fixture) {}, ""},
		"an object that is not available": {func(f *fixture) { f.fails("a1", v1beta1.BindingAvailable, "not all", web) },
			"Deployment shop/web: 2 of 3 available"},
		"an object without a namespace": {func(f *fixture) {
			f.fails("a1", v1beta1.BindingApplied, "not all", troubled("Namespace", "", "shop", "forbidden"))
		},
			"Namespace shop: forbidden"},
		"two objects": {func(f *fixture) {
			f.fails("a1", v1beta1.BindingAvailable, "not all", web, troubled("Deployment", "shop", "db", "none"))
		},
			"Deployment shop/web and 1 other object: 2 of 3 available"},
		"no object": {func(f *fixture) { f.fails("a1", v1beta1.BindingApplied, "Works are not applied yet") }, "Works are not applied yet"},
		"a step before": {func(f *fixture) {
			f.fails("a1", v1beta1.BindingAvailable, "not all", web)
			f.fails("a1", v1beta1.BindingWorkSynchronized, "the manifest is too large", web)
		}, "the manifest is too large"},
		"what it asked for before": {func(f *fixture) {
			f.fails("a1", v1beta1.BindingAvailable, "not all", web)
			f.binding("a1").Generation++
			f.bindingCondition("a1", v1beta1.BindingRolloutStarted, metav1.ConditionTrue, "RolloutStarted")
		}, ""},
		"several lines": {func(f *fixture) { f.fails("a1", v1beta1.BindingApplied, "no:\n  such kind\n") }, "no: such kind"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a"))
			f.steps()
			tt.report(f)
			f.steps()
			f.wantClusters("a1 Started")
			f.wantMessage(tt.want)
			f.available("a1")
			f.steps()
			f.wantClusters("a1 Succeeded")
			f.wantMessage("")
		})
	}
}

func TestALongReportLosesItsMiddle(t *testing.T) {
	object := troubled("Deployment", "shop", "web", "failed to apply: "+strings.Repeat("very ", 100)+"long: quota exceeded")
	tests := map[string]struct {
		objects     []v1beta1.FailedResourcePlacement
		message     string
		first, last string
	}{
		"object and point stay":     {[]v1beta1.FailedResourcePlacement{object}, "", "Deployment shop/web: failed to apply: very ", " long: quota exceeded"},
		"it is cut between letters": {nil, strings.Repeat("ä", 200), "äääää", "äääää"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a"))
			f.steps()
			f.fails("a1", v1beta1.BindingApplied, tt.message, tt.objects...)
			f.steps()
			got := f.run.Status.StagesStatus[0].Clusters[0].Message
			if len(got) > 256 || len(got) < 250 || !utf8.ValidString(got) || strings.Count(got, "...") != 1 ||
				!strings.HasPrefix(got, tt.first) || !strings.HasSuffix(got, tt.last) {
				t.Errorf("%d bytes: %q", len(got), got)
			}
		})
	}
}
