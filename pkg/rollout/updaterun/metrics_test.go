// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/metrics"
)

// counts are how often was counted or observed what the metrics of runs have, by metric and label values.
func (f *fixture) counts(names ...string) map[string]int {
	f.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	f.must(err)
	found := map[string]int{}
	for _, family := range families {
		for _, name := range names {
			if family.GetName() != name {
				continue
			}
			for _, m := range family.GetMetric() {
				for _, label := range m.GetLabel() {
					name += " " + label.GetValue()
				}
				found[name] = int(m.GetCounter().GetValue()) + int(m.GetHistogram().GetSampleCount())
				name = family.GetName()
			}
		}
	}
	return found
}

func TestARunIsMeasured(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		metrics.Register()
		names := []string{
			"stagegate_update_runs_finished_total", "stagegate_update_run_waiting_seconds", "stagegate_cluster_update_duration_seconds",
			"stagegate_orchestration_latency_seconds", "stagegate_approval_decisions_total",
			"fleet_workload_update_run_approval_request_latency_seconds", "fleet_workload_update_run_stage_cluster_updating_duration_seconds",
		}
		before := f.counts(names...)
		f.tutorial()
		f.membersApply()
		stop := f.start()
		f.newRun("measured", v1beta1.StateRun)
		f.decide("measured-before-canary", v1beta1.DecisionApproved)
		f.untilCondition("measured", v1beta1.RunSucceeded, "True UpdateRunSucceeded")
		// What is measured by the last write is by the end of the controller.
		stop()

		scope := "Namespaced"
		if f.namespace == "" {
			scope = "Cluster"
		}
		want := map[string]int{
			"stagegate_update_runs_finished_total Succeeded " + scope:                                             1,
			"stagegate_update_run_waiting_seconds Approval " + scope:                                              1,
			"stagegate_update_run_waiting_seconds Timer " + scope:                                                 1,
			"stagegate_cluster_update_duration_seconds Succeeded":                                                 3,
			"stagegate_orchestration_latency_seconds Created":                                                     1,
			"stagegate_orchestration_latency_seconds Approval":                                                    1,
			"stagegate_orchestration_latency_seconds ClusterDone":                                                 1,
			"stagegate_approval_decisions_total Approved":                                                         1,
			"fleet_workload_update_run_approval_request_latency_seconds measured " + f.namespace + " beforeStage": 1,
			"fleet_workload_update_run_stage_cluster_updating_duration_seconds measured " + f.namespace:           2,
		}
		got := f.counts(names...)
		for name, n := range got {
			if got[name] = n - before[name]; got[name] == 0 {
				delete(got, name)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			f.Errorf("measured of a run (-want +got):\n%s", diff)
		}
	})
}
