// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
)

// givesUp is a policy of ten minutes.
func givesUp(maxFailures string) func(*v1beta1.StageConfig) {
	return func(c *v1beta1.StageConfig) {
		c.FailurePolicy = &v1beta1.FailurePolicy{ClusterTimeout: metav1.Duration{Duration: 10 * time.Minute}}
		if maxFailures != "" {
			c.FailurePolicy.MaxFailures = ptr.To(intstr.Parse(maxFailures))
		}
	}
}

func TestAClusterThatTakesTooLongFails(t *testing.T) {
	f := newFixture(t, 3, stage("a", concurrency("2"), givesUp("1")))
	f.steps()
	f.fails("a1", v1beta1.BindingAvailable, "not all", troubled("Deployment", "shop", "web", "2 of 3 available"))
	f.available("a2")
	f.steps()
	f.pass(10*time.Minute - time.Second)
	f.steps()
	f.wantClusters("a1 Started", "a2 Succeeded", "a3 Started")
	f.available("a3")
	f.pass(time.Second)
	f.steps()
	c := f.run.Status.StagesStatus[0].Clusters[0]
	const want = "False ClusterUpdatingFailed: Cluster update failed: not available within 10m0s: Deployment shop/web: 2 of 3 available"
	if got := conditionText(c.Conditions, v1beta1.ClusterSucceeded); got != want || c.Message != "" {
		t.Errorf("the cluster is %q and says %q, want %q", got, c.Message, want)
	}
	// The failure is passed over, and not hidden.
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceededWithFailures: All stages are completed, 1 cluster failed to update: a1")
}

func TestAFailureMakesRoomForTheNextCluster(t *testing.T) {
	f := newFixture(t, 2, stage("a", concurrency("1"), givesUp("1")))
	f.steps()
	f.wantClusters("a1 Started", "a2")
	f.pass(10 * time.Minute)
	f.steps()
	if c := f.run.Status.StagesStatus[0].Clusters[1]; conditionText(c.Conditions, v1beta1.ClusterStarted) == "" {
		t.Error("the next cluster is not started")
	}
}

func TestOneFailureTooManyFailsTheRun(t *testing.T) {
	for allowed, want := range map[string]string{
		"":    "1 cluster in stage a failed to update, at most 0 may: a1; a1: Cluster update failed: not available within 10m0s",
		"0":   "1 cluster in stage a failed to update, at most 0 may: a1; a1: Cluster update failed: not available within 10m0s",
		"49%": "2 clusters in stage a failed to update, at most 1 may: a1, a2; a2: Cluster update failed: not available within 10m0s",
		"50%": "",
		"2":   "",
	} {
		t.Run(allowed, func(t *testing.T) {
			f := newFixture(t, 4, stage("a", concurrency("100%"), givesUp(allowed)))
			f.steps()
			f.available("a3", "a4")
			if want != "" && allowed != "49%" {
				f.available("a2")
			}
			f.pass(10 * time.Minute)
			f.steps()
			if want == "" {
				f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceededWithFailures: All stages are completed, 2 clusters failed to update: a1, a2")
				return
			}
			f.wantCondition(v1beta1.RunSucceeded, "False UpdateRunFailed: "+want)
		})
	}
}

func TestEachClusterThatFailsHasAnEntryOfItsOwn(t *testing.T) {
	f := newFixture(t, 3, stage("a", concurrency("100%"), givesUp("0")))
	f.steps()
	f.available("a2")
	f.fails("a1", v1beta1.BindingAvailable, "not all", troubled("Deployment", "shop", "web", "2 of 3 available"))
	f.pass(10 * time.Minute)
	f.steps()
	var got []string
	for _, entry := range f.run.Status.History {
		if entry.Reason == "ClusterFailed" {
			got = append(got, strings.Join(entry.Clusters, ",")+": "+entry.Message)
		}
	}
	want := []string{
		"a1: Cluster a1 in stage a: Cluster update failed: not available within 10m0s: Deployment shop/web: 2 of 3 available",
		"a3: Cluster a3 in stage a: Cluster update failed: not available within 10m0s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAStagesPolicyReplacesTheStrategys(t *testing.T) {
	f := newFixture(t, 1, stage("a"), stage("b", givesUp("1")))
	f.run.Status.UpdateStrategySnapshot.FailurePolicy = &v1beta1.FailurePolicy{ClusterTimeout: metav1.Duration{Duration: time.Minute}}
	f.steps()
	f.available("a1")
	f.steps()
	f.pass(9 * time.Minute)
	f.steps()
	f.wantClusters("a1 Succeeded", "b1 Started")

	f = newFixture(t, 1, stage("a"))
	f.run.Status.UpdateStrategySnapshot.FailurePolicy = &v1beta1.FailurePolicy{ClusterTimeout: metav1.Duration{Duration: time.Minute}}
	f.steps()
	f.pass(time.Minute)
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, "False UpdateRunFailed: 1 cluster in stage a failed to update, at most 0 may: a1; "+
		"a1: Cluster update failed: not available within 1m0s")
}

func TestAResumedRunGivesClustersTheirWholeTime(t *testing.T) {
	f := newFixture(t, 1, stage("a", givesUp("")))
	f.steps()
	f.setState(v1beta1.StateStop)
	f.pass(20 * time.Minute)
	f.steps()
	f.wantClusters("a1 Started")
	f.setState(v1beta1.StateRun)
	f.steps()
	f.pass(10*time.Minute - time.Second)
	f.steps()
	f.wantClusters("a1 Started")
	f.pass(time.Second)
	f.steps()
	if got := f.condition(v1beta1.RunSucceeded); got == "" {
		t.Error("the cluster is not given up")
	}
}

func TestTheTimeInWhichNobodyLookedIsNotTheClusters(t *testing.T) {
	f := newFixture(t, 1, stage("a", givesUp("")))
	f.step()
	// Whoever led died before the binding was written, and nobody led for an hour.
	f.run.Status = *roundTrip(engine.Step(f.run, f.world, f.now).Status)
	f.wantClusters("a1 Started")
	f.pass(time.Hour)
	f.world.Since = f.now
	f.steps()
	f.wantClusters("a1 Started")
	if got := f.binding("a1").Spec.ResourceSnapshotName; got != "p-1-snapshot" {
		t.Errorf("the binding asks for %s", got)
	}
	f.pass(10*time.Minute - time.Second)
	f.steps()
	f.wantClusters("a1 Started")
	f.pass(time.Second)
	f.steps()
	f.wantFailed(1)
}

func TestARunResumedWhileItIsStoppingGivesClustersTheirWholeTime(t *testing.T) {
	f := newFixture(t, 1, stage("a", givesUp("")))
	f.steps()
	f.pass(time.Minute)
	f.setState(v1beta1.StateStop)
	f.steps()
	f.pass(time.Minute)
	f.steps()
	f.setState(v1beta1.StateRun)
	f.steps()
	f.pass(10*time.Minute - time.Second)
	f.steps()
	f.wantClusters("a1 Started")
	f.pass(time.Second)
	f.steps()
	f.wantFailed(1)
}

func (f *fixture) wantFailed(n int) {
	f.Helper()
	failed := 0
	for i := range f.run.Status.StagesStatus[0].Clusters {
		if reasonOfDone(&f.run.Status.StagesStatus[0].Clusters[i]) == "ClusterUpdatingFailed" {
			failed++
		}
	}
	if failed != n {
		f.Errorf("%d clusters have failed, want %d", failed, n)
	}
}
