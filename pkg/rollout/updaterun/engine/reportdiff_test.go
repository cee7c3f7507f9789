// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

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
	f.compared("a1", 0)
	f.steps()
	f.wantClusters("a1 Succeeded", "b1 Started")
	f.compared("b1", 0)
	f.steps()
	f.wantClusters("a1 Succeeded", "b1 Succeeded")
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully, 2 clusters compared, none with differences")
}

// compared has a cluster report that so many objects differ.
func (f *fixture) compared(cluster string, objects int) {
	f.binding(cluster).Status.DiffedPlacements = make([]v1beta1.DiffedResourcePlacement, objects)
	f.bindingCondition(cluster, v1beta1.BindingDiffReported, metav1.ConditionTrue, "AllWorkHaveDiffReported")
}

func TestARunThatComparesSaysSo(t *testing.T) {
	f := comparing(t, 2, stage("a", concurrency("2"), approvedAfter))
	var told []string
	step := func() {
		for {
			d := f.step()
			for _, e := range d.Events {
				told = append(told, e.Reason+": "+e.Message)
			}
			for _, r := range d.Requests {
				told = append(told, "request after clusters that are "+r.Done)
			}
			if d.Status == nil && len(d.Bindings)+len(d.Requests)+len(d.Accepts) == 0 {
				return
			}
		}
	}
	a := func() *v1beta1.StageUpdatingStatus { return &f.run.Status.StagesStatus[0] }
	want := func(of []metav1.Condition, conditionType, want string) {
		t.Helper()
		if got := conditionText(of, conditionType); got != want {
			t.Errorf("%s is %q, want %q", conditionType, got, want)
		}
	}

	step()
	want(a().Conditions, v1beta1.StageProgressing, "True StageUpdatingStarted: Clusters in the stage are being compared")
	want(a().Clusters[0].Conditions, v1beta1.ClusterStarted, "True ClusterUpdatingStarted: Cluster comparison started")

	f.compared("a1", 2)
	f.compared("a2", 0)
	step()
	want(a().Clusters[0].Conditions, v1beta1.ClusterSucceeded, "True ClusterUpdatingSucceeded: Cluster comparison completed successfully, 2 objects with differences")
	want(a().Clusters[1].Conditions, v1beta1.ClusterSucceeded, "True ClusterUpdatingSucceeded: Cluster comparison completed successfully, 0 objects with differences")
	want(a().Conditions, v1beta1.StageProgressing,
		"False StageUpdatingWaiting: All clusters in the stage are compared, waiting for after-stage tasks to complete; 1 with differences: a1")

	// What was compared is told, whatever the cluster says later.
	f.compared("a1", 0)
	f.decide("run-after-a", v1beta1.DecisionApproved)
	step()
	want(a().Conditions, v1beta1.StageProgressing,
		"False StageUpdatingSucceeded: All clusters in the stage are compared and after-stage tasks are completed")
	want(a().Conditions, v1beta1.StageSucceeded, "True StageUpdatingSucceeded: Stage comparison completed successfully: 2 clusters compared, 1 with differences: a1")
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully, 2 clusters compared, 1 with differences: a1")

	if diff := cmp.Diff([]string{
		"Started: The update run has started to compare resource snapshot 1 with 2 clusters",
		"StageStarted: Stage a is started: 2 clusters",
		"WaitingForApproval: Stage a waits for approval of ClusterApprovalRequest run-after-a",
		"request after clusters that are compared",
		"Approved: ClusterApprovalRequest run-after-a is approved by ann: \"CHG-1\"",
		"StageSucceeded: Stage a is completed: 2 clusters compared, 1 with differences: a1",
		"Succeeded: All stages are completed successfully, 2 clusters compared, 1 with differences: a1",
	}, told); diff != "" {
		t.Errorf("Events (-want +got):\n%s", diff)
	}
	if strings.Contains(fmt.Sprint(f.run.Status.StagesStatus, f.run.Status.Conditions), "updated") {
		t.Errorf("the run says that it has updated something: %v", f.run.Status)
	}
}

func TestARunThatAppliesCountsNoDifferences(t *testing.T) {
	f := newFixture(t, 1, stage("a"))
	f.steps()
	f.binding("a1").Status.DiffedPlacements = make([]v1beta1.DiffedResourcePlacement, 1)
	f.available("a1")
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
	if n := f.run.Status.StagesStatus[0].Clusters[0].DiffedObjects; n != nil {
		t.Errorf("%d objects differ", *n)
	}
}

func TestAComparisonThatWasNotCountedIsNotTakenForNone(t *testing.T) {
	f := comparing(t, 2, stage("a"))
	f.steps()
	f.compared("a1", 1)
	f.steps()
	// As an earlier version of the server left it.
	f.run.Status.StagesStatus[0].Clusters[0].DiffedObjects = nil
	f.compared("a2", 0)
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully, 2 clusters compared")
}

func TestAClusterThatReportsNoDifferencesIsNotCalledUnavailable(t *testing.T) {
	f := comparing(t, 1, stage("a"))
	f.run.Status.UpdateStrategySnapshot.FailurePolicy = &v1beta1.FailurePolicy{
		ClusterTimeout: metav1.Duration{Duration: 10 * time.Minute}, OnFailure: v1beta1.FailureActionFail,
	}
	f.steps()
	f.fails("a1", v1beta1.BindingDiffReported, "Work object w has failed to report diff: ConfigMap ns/c: forbidden")
	f.steps()
	f.wantMessage("Work object w has failed to report diff: ConfigMap ns/c: forbidden")
	f.pass(5 * time.Minute)
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunStuck: The updateRun is stuck waiting for a1 cluster(s) in stage a to report their differences, "+
		"please check placement status for potential errors")
	f.pass(5 * time.Minute)
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, "False UpdateRunFailed: 1 cluster in stage a failed to be compared, at most 0 may: a1; "+
		"a1: Cluster comparison failed: differences not reported within 10m0s: Work object w has failed to report diff: ConfigMap ns/c: forbidden")
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
				bindingrules.RecordSynchronized(&b.Status, &b.Spec)
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
