// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"strings"
	"testing"
	"time"

	promtestutil "github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/metrics/testutil"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

func TestTheStateIsThatOfTheCaches(t *testing.T) {
	w := newWorld(t)
	w.add(w.run("", "approved", waiting))
	w.add(w.run("team", "waits", waiting))
	w.add(w.run("team", "moves", func(s *v1beta1.UpdateRunStatus) {
		progressing(metav1.ConditionTrue, "UpdateRunProgressing")(s)
		s.StagesStatus[0].Clusters[0].Conditions = []metav1.Condition{condition(v1beta1.ClusterStarted, metav1.ConditionTrue, "ClusterUpdatingStarted")}
	}))
	w.add(w.run("team", "over", over))
	w.member("one", false, clusterv1beta1.ConditionTypeMemberClusterJoined, clusterv1beta1.ConditionTypeMemberClusterHealthy)
	w.member("two", false, clusterv1beta1.ConditionTypeMemberClusterJoined)
	w.member("three", true, clusterv1beta1.ConditionTypeMemberClusterJoined)
	w.work("fails", condition(v1beta1.WorkApplied, metav1.ConditionFalse, "Any"))
	w.work("done", condition(v1beta1.WorkApplied, metav1.ConditionTrue, "Any"), condition(v1beta1.WorkAvailable, metav1.ConditionTrue, "Any"))
	w.work("new")

	want := `
# HELP stagegate_approval_requests_oldest_pending_timestamp_seconds [ALPHA] When the oldest approval request was created that a run waits for, in seconds since 1970. Absent where none is waited for.
# TYPE stagegate_approval_requests_oldest_pending_timestamp_seconds gauge
stagegate_approval_requests_oldest_pending_timestamp_seconds{namespace=""} 1.8934992e+09
stagegate_approval_requests_oldest_pending_timestamp_seconds{namespace="team"} 1.8934992e+09
# HELP stagegate_approval_requests_pending [ALPHA] Approval requests that runs wait for.
# TYPE stagegate_approval_requests_pending gauge
stagegate_approval_requests_pending{namespace=""} 1
stagegate_approval_requests_pending{namespace="team"} 1
# HELP stagegate_members [ALPHA] Member clusters by state.
# TYPE stagegate_members gauge
stagegate_members{state="Joined"} 1
stagegate_members{state="Joining"} 0
stagegate_members{state="Leaving"} 1
stagegate_members{state="Unhealthy"} 1
# HELP stagegate_update_run_clusters [ALPHA] Clusters of each run that is not over, of the first 1000, by how far they are.
# TYPE stagegate_update_run_clusters gauge
stagegate_update_run_clusters{name="approved",namespace="",state="Failed"} 0
stagegate_update_run_clusters{name="approved",namespace="",state="Pending"} 2
stagegate_update_run_clusters{name="approved",namespace="",state="Skipped"} 0
stagegate_update_run_clusters{name="approved",namespace="",state="Succeeded"} 0
stagegate_update_run_clusters{name="approved",namespace="",state="Updating"} 0
stagegate_update_run_clusters{name="moves",namespace="team",state="Failed"} 0
stagegate_update_run_clusters{name="moves",namespace="team",state="Pending"} 1
stagegate_update_run_clusters{name="moves",namespace="team",state="Skipped"} 0
stagegate_update_run_clusters{name="moves",namespace="team",state="Succeeded"} 0
stagegate_update_run_clusters{name="moves",namespace="team",state="Updating"} 1
stagegate_update_run_clusters{name="waits",namespace="team",state="Failed"} 0
stagegate_update_run_clusters{name="waits",namespace="team",state="Pending"} 2
stagegate_update_run_clusters{name="waits",namespace="team",state="Skipped"} 0
stagegate_update_run_clusters{name="waits",namespace="team",state="Succeeded"} 0
stagegate_update_run_clusters{name="waits",namespace="team",state="Updating"} 0
# HELP stagegate_update_run_info [ALPHA] 1 for each run that is not over, of the first 1000: cluster-scoped ones, then the oldest.
# TYPE stagegate_update_run_info gauge
stagegate_update_run_info{name="approved",namespace="",phase="WaitingForApproval",placement="shop",stage="canary",strategy="slowly"} 1
stagegate_update_run_info{name="moves",namespace="team",phase="Progressing",placement="shop",stage="canary",strategy="slowly"} 1
stagegate_update_run_info{name="waits",namespace="team",phase="WaitingForApproval",placement="shop",stage="canary",strategy="slowly"} 1
# HELP stagegate_works [ALPHA] Works of all members by state.
# TYPE stagegate_works gauge
stagegate_works{state="Applied"} 0
stagegate_works{state="Available"} 1
stagegate_works{state="DiffReported"} 0
stagegate_works{state="Failed"} 1
stagegate_works{state="Leaving"} 0
stagegate_works{state="Pending"} 1
`
	err := testutil.GatherAndCompare(w.registry, strings.NewReader(want), "stagegate_approval_requests_pending", "stagegate_members", "stagegate_works",
		"stagegate_approval_requests_oldest_pending_timestamp_seconds", "stagegate_update_run_info", "stagegate_update_run_clusters")
	if err != nil {
		t.Error(err)
	}
	phases := `
# HELP stagegate_update_runs [ALPHA] Runs that are not over, by what they do.
# TYPE stagegate_update_runs gauge
`
	for _, scope := range []string{"Cluster", "Namespaced"} {
		for _, phase := range []string{"Initializing", "Paused", "Planned", "Progressing", "Stopped", "Stopping", "Stuck", "Waiting", "WaitingForApproval", "WaitingForTimer", "WaitingForTurn"} {
			n := 0
			if phase == "WaitingForApproval" || phase == "Progressing" && scope == "Namespaced" {
				n = 1
			}
			phases += fmt.Sprintf("stagegate_update_runs{phase=%q,scope=%q} %d\n", phase, scope, n)
		}
	}
	if err := testutil.GatherAndCompare(w.registry, strings.NewReader(phases), "stagegate_update_runs"); err != nil {
		t.Error(err)
	}
}

func TestAReplicaThatStandsByTellsNothing(t *testing.T) {
	w := newWorld(t)
	w.add(w.run("", "waits", waiting))
	end := Lead(w.fleet)
	if current.fleet.Load() != w.fleet {
		t.Error("the fleet that is led is not collected")
	}
	other := newWorld(t)
	Lead(other.fleet)
	end()
	if current.fleet.Load() != other.fleet {
		t.Error("the end of an earlier term ends a later one")
	}
	current.fleet.Store(nil)
	found := make(chan error, 1)
	go func() { found <- testutil.CustomCollectAndCompare(&state{clock: w.clock}, strings.NewReader("")) }()
	if err := <-found; err != nil {
		t.Error(err)
	}
}

func TestRunsThatAreOverAddNoSeries(t *testing.T) {
	w := newWorld(t)
	before, histograms := w.series(), w.histograms()
	for i := range 1000 {
		run := w.run("team", fmt.Sprintf("run-%d", i), over)
		w.add(run)
		approvalLatency.WithLabelValues("team", run.GetName(), wellknown.BeforeStageTask).Observe(1)
		stageDuration.WithLabelValues("team", run.GetName()).Observe(1)
		Looked(run, noon)
	}
	w.clock.SetTime(noon.Add(keptAfterEnd))
	during := w.series()
	if during[kubefleetPrefix+"status_last_timestamp_seconds"] != 1000 || w.histograms() != histograms+2000 {
		t.Errorf("runs that have just ended have the series %v and %d of histograms, want all of KubeFleet's", during, w.histograms()-histograms)
	}
	w.clock.SetTime(noon.Add(keptAfterEnd + time.Second))
	if after := w.series(); fmt.Sprint(after) != fmt.Sprint(before) || w.histograms() != histograms {
		t.Errorf("series after 1,000 runs have ended: %v and %d of histograms, before: %v and %d", after, w.histograms(), before, histograms)
	}
	// A new leader looks at all of them.
	for _, run := range w.fleet.Runs.All() {
		Looked(run, w.clock.Now())
	}
	if n := len(statuses.looked); n != 0 {
		t.Errorf("%d runs are kept in mind that are long over", n)
	}
}

// histograms counts the series with names of runs that are no part of the state.
func (w *world) histograms() int {
	w.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	w.must(err)
	n := 0
	for _, family := range families {
		if strings.HasPrefix(family.GetName(), kubefleetPrefix) {
			n += len(family.GetMetric())
		}
	}
	return n
}

func TestSeriesGoWithTheirRun(t *testing.T) {
	w := newWorld(t)
	run := w.run("team", "waits", waiting)
	w.add(run)
	Looked(run, noon)
	if n := w.series()["stagegate_update_run_info"]; n != 1 {
		t.Errorf("%d series of the run", n)
	}
	w.must(w.fleet.Runs.Cache("team").Delete(run))
	series := w.series()
	if n := series["stagegate_update_run_info"] + series["stagegate_update_run_clusters"] + series[kubefleetPrefix+"status_last_timestamp_seconds"]; n != 0 {
		t.Errorf("%d series are left of a run that was deleted", n)
	}
	Forget(reconcile.KeyOf(run))
}

// Many runs of many teams must not fill Prometheus.
func TestTheNumberOfNamedRunsIsBounded(t *testing.T) {
	w := newWorld(t)
	for i := range maxNamedRuns + 500 {
		run := w.run("team", fmt.Sprintf("run-%d", i), waiting)
		run.SetCreationTimestamp(metav1.NewTime(noon.Add(time.Duration(-i) * time.Second)))
		w.add(run)
		Looked(run, noon)
		statuses.observe(stageDuration, run, 1)
	}
	t.Cleanup(statuses.reset)
	w.add(w.run("", "platform", waiting))
	series := w.series()
	if n := series[kubefleetPrefix+"status_last_timestamp_seconds"]; n != maxNamedRuns || w.histograms() != maxNamedRuns {
		t.Errorf("KubeFleet's metrics have %d series of statuses and %d of histograms, want %d of each", n, w.histograms(), maxNamedRuns)
	}
	if series["stagegate_update_run_info"] != maxNamedRuns || series["stagegate_update_run_clusters"] != maxNamedRuns*len(clusterStates) {
		t.Errorf("series: %v", series)
	}
	runs := named(w.fleet.Runs.All())
	if runs[0].GetName() != "platform" || runs[1].GetName() != fmt.Sprintf("run-%d", maxNamedRuns+499) {
		t.Errorf("the first runs are %s and %s, want the cluster-scoped one and the oldest", runs[0].GetName(), runs[1].GetName())
	}
}

func TestAStatusHasOneSeries(t *testing.T) {
	w := newWorld(t)
	run := w.run("", "one", waiting)
	w.add(run)
	Looked(run, noon)
	failed := w.run("", "two", func(s *v1beta1.UpdateRunStatus) {
		s.Conditions = append(s.Conditions, condition(v1beta1.RunSucceeded, metav1.ConditionFalse, wellknown.ReasonRunFailed))
		s.Conditions[1].Message = "cannot continue the updateRun: failed to process the request due to a client error: no"
	})
	w.add(failed)
	Looked(failed, noon.Add(500*time.Millisecond))
	moving := w.run("", "one", progressing(metav1.ConditionTrue, "UpdateRunProgressing"))
	w.add(moving)
	Looked(moving, noon.Add(time.Second))
	want := `
# HELP fleet_workload_update_run_status_last_timestamp_seconds [ALPHA] When the controller last looked at a run, in seconds since 1970, with how the run stood.
# TYPE fleet_workload_update_run_status_last_timestamp_seconds gauge
fleet_workload_update_run_status_last_timestamp_seconds{condition="Progressing",failureType="none",name="one",namespace="",reason="UpdateRunProgressing",state="Run",status="True"} 1.893499201e+09
fleet_workload_update_run_status_last_timestamp_seconds{condition="Succeeded",failureType="user_error",name="two",namespace="",reason="UpdateRunFailed",state="Run",status="False"} 1.8934992005e+09
`
	// That of Kubernetes refuses the label failureType.
	if err := promtestutil.GatherAndCompare(w.registry, strings.NewReader(want), kubefleetPrefix+"status_last_timestamp_seconds"); err != nil {
		t.Error(err)
	}
}

func BenchmarkCollect(b *testing.B) {
	for _, c := range []struct {
		name       string
		unfinished int
	}{{"100 of 10,000 runs not over", 100}, {"10,000 runs not over", 10000}} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b)
			for i := range 10000 {
				change := over
				if i < c.unfinished {
					change = waiting
				}
				w.add(w.run("team", fmt.Sprintf("run-%d", i), change))
				w.work(fmt.Sprintf("work-%d", i), condition(v1beta1.WorkApplied, metav1.ConditionTrue, "Any"))
				w.member(fmt.Sprintf("member-%d", i), false, clusterv1beta1.ConditionTypeMemberClusterJoined)
			}
			for b.Loop() {
				_, err := w.registry.Gather()
				w.must(err)
			}
		})
	}
}
