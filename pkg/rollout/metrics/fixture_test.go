// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"
	clocktesting "k8s.io/utils/clock/testing"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// world is a fleet whose caches a test fills by itself.
type world struct {
	testing.TB
	fleet    *fleet.Fleet
	clock    *clocktesting.FakePassiveClock
	registry metrics.KubeRegistry
}

func newWorld(t testing.TB) *world {
	t.Helper()
	Register()
	w := &world{TB: t, fleet: fleet.New(fake.NewClientset()), clock: clocktesting.NewFakePassiveClock(noon), registry: metrics.NewKubeRegistry()}
	s := &state{clock: w.clock}
	s.fleet.Store(w.fleet)
	w.registry.CustomMustRegister(s)
	t.Cleanup(statuses.reset)
	return w
}

// series counts what is collected, by name.
func (w *world) series() map[string]int {
	w.Helper()
	families, err := w.registry.Gather()
	w.must(err)
	found := map[string]int{}
	for _, family := range families {
		found[family.GetName()] = len(family.GetMetric())
	}
	return found
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) add(run v1beta1.UpdateRunObject) {
	w.Helper()
	w.must(w.fleet.Runs.Cache(run.GetNamespace()).Add(run))
}

// run makes a planned run of one stage over two clusters, which was created at noon.
func (w *world) run(namespace, name string, change func(*v1beta1.UpdateRunStatus)) v1beta1.UpdateRunObject {
	run := w.fleet.Runs.New(reconcile.Key{Namespace: namespace, Name: name})
	run.SetCreationTimestamp(metav1.NewTime(noon))
	run.SetGeneration(1)
	*run.RunSpec() = v1beta1.UpdateRunSpec{PlacementName: "shop", StagedUpdateStrategyName: "slowly", State: v1beta1.StateRun}
	*run.RunStatus() = v1beta1.UpdateRunStatus{
		Conditions: []metav1.Condition{condition(v1beta1.RunInitialized, metav1.ConditionTrue, "UpdateRunInitializedSuccessfully")},
		StagesStatus: []v1beta1.StageUpdatingStatus{{
			StageName:             "canary",
			Clusters:              []v1beta1.ClusterUpdatingStatus{{ClusterName: "one"}, {ClusterName: "two"}},
			BeforeStageTaskStatus: []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeApproval, ApprovalRequestName: name + "-before-canary"}},
			AfterStageTaskStatus:  []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeTimedWait}},
		}},
		DeletionStageStatus: &v1beta1.StageUpdatingStatus{StageName: wellknown.DeleteStageName},
	}
	if change != nil {
		change(run.RunStatus())
	}
	return run
}

func condition(conditionType string, status metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: status, Reason: reason, ObservedGeneration: 1, LastTransitionTime: metav1.NewTime(noon)}
}

func progressing(status metav1.ConditionStatus, reason string) func(*v1beta1.UpdateRunStatus) {
	return func(s *v1beta1.UpdateRunStatus) {
		meta.SetStatusCondition(&s.Conditions, condition(v1beta1.RunProgressing, status, reason))
		meta.SetStatusCondition(&s.StagesStatus[0].Conditions, condition(v1beta1.StageProgressing, status, reason))
	}
}

func waiting(s *v1beta1.UpdateRunStatus) {
	progressing(metav1.ConditionFalse, wellknown.ReasonRunWaiting)(s)
	meta.SetStatusCondition(&s.StagesStatus[0].BeforeStageTaskStatus[0].Conditions,
		condition(v1beta1.TaskApprovalRequestCreated, metav1.ConditionTrue, "StageTaskApprovalRequestCreated"))
}

func approved(s *v1beta1.UpdateRunStatus) {
	meta.SetStatusCondition(&s.StagesStatus[0].BeforeStageTaskStatus[0].Conditions,
		condition(v1beta1.TaskApprovalRequestApproved, metav1.ConditionTrue, "StageTaskApprovalRequestApproved"))
}

func over(s *v1beta1.UpdateRunStatus) {
	meta.SetStatusCondition(&s.Conditions, condition(v1beta1.RunSucceeded, metav1.ConditionTrue, "UpdateRunSucceeded"))
	s.Outcome = v1beta1.OutcomeSucceeded
}

func (w *world) member(name string, deleted bool, isTrue ...string) {
	w.Helper()
	member := &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if deleted {
		member.DeletionTimestamp = &metav1.Time{Time: noon}
	}
	for _, conditionType := range isTrue {
		meta.SetStatusCondition(&member.Status.Conditions, condition(conditionType, metav1.ConditionTrue, "Any"))
	}
	w.must(w.fleet.MemberClusters.Informer().GetStore().Add(member))
}

func (w *world) work(name string, conditions ...metav1.Condition) {
	w.Helper()
	work := &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet-member-one", Name: name, Generation: 1}}
	work.Status.Conditions = conditions
	w.must(w.fleet.Works.Informer().GetStore().Add(work))
}

// histogram returns how often and how much was observed.
func histogram(t testing.TB, m metrics.ObserverMetric) string {
	t.Helper()
	count, err := testutil.GetHistogramMetricCount(m)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := testutil.GetHistogramMetricValue(m)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d observed, %gs", count, sum)
}
