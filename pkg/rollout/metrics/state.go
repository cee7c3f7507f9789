// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// maxNamedRuns is how many runs have series with their names. Users can create 500 in each namespace that they have, and each is eight series.
// Cluster-scoped runs come first, then the oldest. All runs are counted, whatever their number.
const maxNamedRuns = 1000

// Scopes of runs.
const (
	scopeCluster    = "Cluster"
	scopeNamespaced = "Namespaced"
)

func scopeOf(namespace string) string {
	if namespace == "" {
		return scopeCluster
	}
	return scopeNamespaced
}

// States of the clusters of a run.
const (
	clusterPending   = "Pending"
	clusterUpdating  = "Updating"
	clusterSucceeded = "Succeeded"
	clusterFailed    = "Failed"
	clusterSkipped   = "Skipped"
)

var clusterStates = []string{clusterPending, clusterUpdating, clusterSucceeded, clusterFailed, clusterSkipped}

// States of members.
const (
	memberJoining   = "Joining"
	memberJoined    = "Joined"
	memberUnhealthy = "Unhealthy"
	memberLeaving   = "Leaving"
)

var memberStates = []string{memberJoining, memberJoined, memberUnhealthy, memberLeaving}

// States of Works.
const (
	workPending      = "Pending"
	workFailed       = "Failed"
	workApplied      = "Applied"
	workAvailable    = "Available"
	workDiffReported = "DiffReported"
	workLeaving      = "Leaving"
)

var workStates = []string{workPending, workFailed, workApplied, workAvailable, workDiffReported, workLeaving}

func describe(name, help string, labels ...string) *metrics.Desc {
	return metrics.NewDesc("stagegate_"+name, help, labels, nil, metrics.ALPHA, "")
}

var (
	runsDesc = describe("update_runs", "Runs that are not over, by what they do.", "scope", "phase")
	infoDesc = describe("update_run_info", "1 for each run that is not over, of the first 1000: cluster-scoped ones, then the oldest.",
		"namespace", "name", "placement", "strategy", "stage", "phase")
	clustersDesc = describe("update_run_clusters", "Clusters of each run that is not over, of the first 1000, by how far they are.", "namespace", "name", "state")
	pendingDesc  = describe("approval_requests_pending", "Approval requests that runs wait for.", "namespace")
	oldestDesc   = describe("approval_requests_oldest_pending_timestamp_seconds",
		"When the oldest approval request was created that a run waits for, in seconds since 1970. Absent where none is waited for.", "namespace")
	membersDesc = describe("members", "Member clusters by state.", "state")
	worksDesc   = describe("works", "Works of all members by state.", "state")
)

// state collects what is true now, of the fleet that this process leads.
type state struct {
	metrics.BaseStableCollector

	clock clock.PassiveClock
	// fleet is nil while this process does not lead.
	fleet atomic.Pointer[fleet.Fleet]
}

var _ metrics.StableCollector = &state{}

// DescribeWithStability implements metrics.StableCollector.
func (s *state) DescribeWithStability(descs chan<- *metrics.Desc) {
	for _, desc := range []*metrics.Desc{runsDesc, infoDesc, clustersDesc, pendingDesc, oldestDesc, membersDesc, worksDesc, notificationsPendingDesc, runStatusDesc} {
		descs <- desc
	}
}

// CollectWithStability implements metrics.StableCollector.
func (s *state) CollectWithStability(found chan<- metrics.Metric) {
	f := s.fleet.Load()
	if f == nil {
		return
	}
	gauge := func(desc *metrics.Desc, value float64, labels ...string) {
		found <- metrics.NewLazyConstMetric(desc, metrics.GaugeValue, value, labels...)
	}
	runs := f.Runs.All()
	collectRuns(runs, gauge)
	collectMembers(f, gauge)
	collectWorks(f, gauge)
	collectNotifications(f, gauge)
	statuses.collect(f.Runs.Get, s.clock.Now(), gauge)
}

type gaugeFunc func(desc *metrics.Desc, value float64, labels ...string)

func collectRuns(runs []v1beta1.UpdateRunObject, gauge gaugeFunc) {
	type phase struct {
		scope string
		phase runrules.Phase
	}
	counts := map[phase]int{}
	approvals := map[string]*approvalsPending{"": {}}
	var unfinished []v1beta1.UpdateRunObject
	for _, run := range runs {
		is := runrules.PhaseOf(run)
		if is == "" {
			continue
		}
		unfinished = append(unfinished, run)
		counts[phase{scopeOf(run.GetNamespace()), is}]++
		if is == runrules.PhaseWaitingForApproval {
			pending := approvals[run.GetNamespace()]
			if pending == nil {
				pending = &approvalsPending{}
				approvals[run.GetNamespace()] = pending
			}
			pending.add(run.RunStatus())
		}
	}
	for _, scope := range []string{scopeCluster, scopeNamespaced} {
		for _, p := range runrules.Phases {
			gauge(runsDesc, float64(counts[phase{scope, p}]), scope, string(p))
		}
	}
	for namespace, pending := range approvals {
		gauge(pendingDesc, float64(pending.count), namespace)
		if !pending.oldest.IsZero() {
			gauge(oldestDesc, float64(pending.oldest.Unix()), namespace)
		}
	}
	for _, run := range named(unfinished) {
		collectRun(run, gauge)
	}
}

// named are those of the runs that have series of their own.
func named(runs []v1beta1.UpdateRunObject) []v1beta1.UpdateRunObject {
	if len(runs) <= maxNamedRuns {
		return runs
	}
	slices.SortFunc(runs, func(a, b v1beta1.UpdateRunObject) int {
		if byScope := cmp.Compare(scopeOf(a.GetNamespace()), scopeOf(b.GetNamespace())); byScope != 0 {
			return byScope
		}
		created, other := a.GetCreationTimestamp(), b.GetCreationTimestamp()
		return cmp.Or(created.Compare(other.Time), cmp.Compare(a.GetUID(), b.GetUID()))
	})
	return runs[:maxNamedRuns]
}

func collectRun(run v1beta1.UpdateRunObject, gauge gaugeFunc) {
	spec, status, stage := run.RunSpec(), run.RunStatus(), ""
	if current := runrules.CurrentStage(status); current != nil && runrules.IsEntered(current) {
		stage = current.StageName
	}
	gauge(infoDesc, 1, run.GetNamespace(), run.GetName(), spec.PlacementName, spec.StagedUpdateStrategyName, stage, string(runrules.PhaseOf(run)))
	counts := map[string]int{}
	for _, stage := range runrules.Stages(status) {
		for i := range stage.Clusters {
			counts[clusterState(&stage.Clusters[i])]++
		}
	}
	for _, state := range clusterStates {
		gauge(clustersDesc, float64(counts[state]), run.GetNamespace(), run.GetName(), state)
	}
}

func clusterState(c *v1beta1.ClusterUpdatingStatus) string {
	switch {
	case runrules.IsSkipped(c):
		return clusterSkipped
	case runrules.HasFailed(c):
		return clusterFailed
	case runrules.IsClusterDone(c):
		return clusterSucceeded
	case runrules.IsStarted(c):
		return clusterUpdating
	}
	return clusterPending
}

// approvalsPending are the approval requests of a namespace that runs wait for. Requests of runs that are over or stopped wait for nobody.
type approvalsPending struct {
	count  int
	oldest time.Time
}

func (p *approvalsPending) add(status *v1beta1.UpdateRunStatus) {
	for _, task := range runrules.OpenTasks(runrules.CurrentStage(status)) {
		created := meta.FindStatusCondition(task.Conditions, v1beta1.TaskApprovalRequestCreated)
		if task.Type != v1beta1.StageTaskTypeApproval || created == nil {
			continue
		}
		p.count++
		if p.oldest.IsZero() || created.LastTransitionTime.Time.Before(p.oldest) {
			p.oldest = created.LastTransitionTime.Time
		}
	}
}

func collectMembers(f *fleet.Fleet, gauge gaugeFunc) {
	// Only a selector that cannot be parsed is an error.
	members, _ := f.MemberClusters.Lister().List(labels.Everything())
	counts := map[string]int{}
	for _, member := range members {
		counts[memberState(member)]++
	}
	for _, state := range memberStates {
		gauge(membersDesc, float64(counts[state]), state)
	}
}

func memberState(member *clusterv1beta1.MemberCluster) string {
	switch {
	case member.DeletionTimestamp != nil:
		return memberLeaving
	case !meta.IsStatusConditionTrue(member.Status.Conditions, clusterv1beta1.ConditionTypeMemberClusterJoined):
		return memberJoining
	case !meta.IsStatusConditionTrue(member.Status.Conditions, clusterv1beta1.ConditionTypeMemberClusterHealthy):
		return memberUnhealthy
	}
	return memberJoined
}

func collectWorks(f *fleet.Fleet, gauge gaugeFunc) {
	works, _ := f.Works.Lister().List(labels.Everything())
	counts := map[string]int{}
	for _, work := range works {
		counts[workState(work)]++
	}
	for _, state := range workStates {
		gauge(worksDesc, float64(counts[state]), state)
	}
}

func workState(work *v1beta1.Work) string {
	has := func(conditionType string) bool {
		return conditions.IsTrue(work.Status.Conditions, conditionType, work.Generation)
	}
	switch {
	case work.DeletionTimestamp != nil:
		return workLeaving
	case conditions.IsFalse(work.Status.Conditions, v1beta1.WorkApplied, work.Generation):
		return workFailed
	case has(v1beta1.WorkApplied) && has(v1beta1.WorkAvailable):
		return workAvailable
	case has(v1beta1.WorkApplied):
		return workApplied
	case has(v1beta1.WorkDiffReported):
		return workDiffReported
	}
	return workPending
}
