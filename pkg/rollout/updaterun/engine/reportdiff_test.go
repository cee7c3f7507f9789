// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// comparing is a run that only has clusters be compared.
func comparing(t *testing.T, n int, stages ...v1beta1.StageConfig) *fixture {
	w := initWorld(n, stages...)
	w.Placement.PlacementSpec().Strategy.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
	return newFixtureIn(t, w)
}

func TestARunThatComparesEndsWhenAllClustersHaveReported(t *testing.T) {
	f := comparing(t, 1, stage("a"), stage("b"))
	f.steps()
	f.wantClusters("a1 Started", "b1")
	for _, reason := range []string{"DiffReportInProgress", "NotAllWorkHaveDiffReported"} {
		f.bindingCondition("a1", v1beta1.BindingDiffReported, metav1.ConditionFalse, reason)
		f.steps()
		f.wantClusters("a1 Started", "b1")
	}
	f.bindingCondition("a1", v1beta1.BindingDiffReported, metav1.ConditionTrue, "AllWorkHaveDiffReported")
	f.steps()
	f.wantClusters("a1 Succeeded", "b1 Started")
	f.bindingCondition("b1", v1beta1.BindingDiffReported, metav1.ConditionTrue, "AllWorkHaveDiffReported")
	f.steps()
	f.wantClusters("a1 Succeeded", "b1 Succeeded")
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
}

func TestARunGoesBackToWhatWasLastApplied(t *testing.T) {
	version := func(index string, way v1beta1.ApplyStrategyType) bindingrules.Version {
		return bindingrules.Version{
			ResourceSnapshot: "p-" + index + "-snapshot", ClusterOverrides: []string{"o-" + index}, ApplyStrategy: &v1beta1.ApplyStrategy{Type: way},
		}
	}
	const apply, compare = v1beta1.ApplyStrategyTypeClientSideApply, v1beta1.ApplyStrategyTypeReportDiff
	for name, tt := range map[string]struct {
		// had are the versions of the cluster before the run, of version 1.
		had []bindingrules.Version
		// compares reports whether the run only compares.
		compares bool
		want     string
		wantType v1beta1.ApplyStrategyType
	}{
		"which it has":                                 {[]bindingrules.Version{version("0", apply)}, false, "0", ""},
		"which it had before it was compared":          {[]bindingrules.Version{version("0", apply), version("1", compare)}, false, "0", ""},
		"which it had before it was compared twice":    {[]bindingrules.Version{version("0", apply), version("1", compare), version("2", compare)}, false, "0", ""},
		"the same, where that was compared and is new": {[]bindingrules.Version{version("1", apply), version("1", compare)}, false, "1", ""},
		"nothing, where it was only compared":          {[]bindingrules.Version{version("1", compare)}, false, "1", compare},
		"a run that compares goes back to comparing":   {[]bindingrules.Version{version("0", apply), version("2", compare)}, true, "2", compare},
		"a run that compares what is applied":          {[]bindingrules.Version{version("0", apply)}, true, "0", ""},
		"nothing, where it had nothing":                {nil, false, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a"))
			if tt.compares {
				f = comparing(t, 1, stage("a"))
			}
			b := f.binding("a1")
			for _, v := range tt.had {
				spec := b.Spec.DeepCopy()
				bindingrules.Ask(spec, v)
				bindingrules.Become(b, spec)
			}
			f.steps()
			c := f.run.Status.StagesStatus[0].Clusters[0]
			var overrides []string
			if tt.want != "" {
				overrides = []string{"o-" + tt.want}
			}
			got := fmt.Sprintf("%q by %q", ptr.Deref(c.PreviousResourceSnapshotIndex, "not recorded"), c.PreviousApplyType)
			if want := fmt.Sprintf("%q by %q", tt.want, tt.wantType); got != want {
				t.Errorf("the cluster had %s, want %s", got, want)
			}
			if diff := cmp.Diff(overrides, c.PreviousClusterResourceOverrideSnapshots); diff != "" {
				t.Errorf("overrides (-want +got):\n%s", diff)
			}
		})
	}
}
