// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// fixture is one run and the world around it, both to be changed by a test.
type fixture struct {
	*testing.T
	now   time.Time
	run   *v1beta1.ClusterStagedUpdateRun
	world engine.World
	last  engine.Decision
}

// stage is a stage with clusters named <stage>1, <stage>2 and so on.
func stage(name string, change ...func(*v1beta1.StageConfig)) v1beta1.StageConfig {
	config := v1beta1.StageConfig{
		Name:           name,
		LabelSelector:  &metav1.LabelSelector{MatchLabels: map[string]string{"stage": name}},
		MaxConcurrency: ptr.To(intstr.FromInt32(1)),
	}
	for _, f := range change {
		f(&config)
	}
	return config
}

func concurrency(limit string) func(*v1beta1.StageConfig) {
	return func(c *v1beta1.StageConfig) { c.MaxConcurrency = ptr.To(intstr.Parse(limit)) }
}

func approvedBefore(c *v1beta1.StageConfig) {
	c.BeforeStageTasks = []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval}}
}

func approvedAfter(c *v1beta1.StageConfig) {
	c.AfterStageTasks = append(c.AfterStageTasks, v1beta1.StageTask{Type: v1beta1.StageTaskTypeApproval})
}

func waitAfter(d time.Duration) func(*v1beta1.StageConfig) {
	return func(c *v1beta1.StageConfig) {
		c.AfterStageTasks = append(c.AfterStageTasks, v1beta1.StageTask{Type: v1beta1.StageTaskTypeTimedWait, WaitTime: &metav1.Duration{Duration: d}})
	}
}

// newFixture is a run that is planned over n clusters in each stage, and to run.
func newFixture(t *testing.T, n int, stages ...v1beta1.StageConfig) *fixture {
	t.Helper()
	return newFixtureIn(t, initWorld(n, stages...))
}

func newFixtureIn(t *testing.T, w known) *fixture {
	t.Helper()
	f := &fixture{T: t, now: simStart.Add(300 * time.Millisecond)}
	f.run = &v1beta1.ClusterStagedUpdateRun{
		ObjectMeta: metav1.ObjectMeta{Name: "run", UID: "run-uid", Generation: 1, CreationTimestamp: metav1.NewTime(simStart)},
		Spec: v1beta1.UpdateRunSpec{
			PlacementName: "p", StagedUpdateStrategyName: "s", ResourceSnapshotIndex: "1", State: v1beta1.StateRun,
		},
	}
	f.world = engine.World{
		Placement: w.Placement, Bindings: w.Bindings,
		Approvals: map[string]v1beta1.ApprovalRequestObject{}, Left: map[string]bool{},
	}
	o := initialize(f.run, w, f.now)
	if o.Result != engine.ResultInitialized {
		t.Fatalf("the run cannot be planned: %s", o.Message)
	}
	f.run.Status = *roundTrip(o.Decision.Status)
	return f
}

// known is a world in which a run is planned, with the answers to what a plan asks for.
type known struct {
	plan.World
	Live      plan.LiveSnapshot
	Overrides plan.Overrides
	// Err is why there is no snapshot.
	Err     error
	Misfits func(plan.Member, []v1beta1.OverrideSnapshotObject) ([]overrides.LeftOut, error)
	// Handovers are what other placements wait for.
	Handovers []policy.Handover
}

// answers gives them, and remembers what was asked.
type answers struct {
	known
	asked []string
	// changes are of what Handovers was asked.
	changes []policy.Change
}

func (a *answers) Snapshot() (plan.LiveSnapshot, error) {
	a.asked = append(a.asked, "snapshot")
	return a.Live, a.Err
}

func (a *answers) Overrides() (plan.Overrides, error) {
	a.asked = append(a.asked, "overrides")
	return a.known.Overrides, nil
}

func (a *answers) Handovers(changes []policy.Change) ([]policy.Handover, error) {
	a.asked, a.changes = append(a.asked, "handovers"), changes
	return a.known.Handovers, nil
}

func (a *answers) Misfits(member plan.Member, inForce []v1beta1.OverrideSnapshotObject) ([]overrides.LeftOut, error) {
	if a.known.Misfits == nil {
		return nil, nil
	}
	return a.known.Misfits(member, inForce)
}

// initialize tries to plan a run, in a world whose inputs can all be read.
func initialize(run v1beta1.UpdateRunObject, w known, now time.Time) engine.Outcome {
	o, err := engine.Initialize(run, w.World, &answers{known: w}, now)
	if err != nil {
		panic(err)
	}
	return o
}

// initWorld is a world in which a run can be planned over n clusters in each stage.
func initWorld(n int, stages ...v1beta1.StageConfig) known {
	w := known{World: plan.World{
		Placement: &v1beta1.ClusterResourcePlacement{
			ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "placement", Generation: 1},
			Spec:       v1beta1.PlacementSpec{Strategy: v1beta1.RolloutStrategy{Type: v1beta1.ExternalRolloutStrategyType}},
		},
		Strategy: &v1beta1.ClusterStagedUpdateStrategy{
			ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: v1beta1.UpdateStrategySpec{Stages: stages},
		},
		PolicySnapshots: []v1beta1.PolicySnapshotObject{&v1beta1.ClusterSchedulingPolicySnapshot{
			ObjectMeta: metav1.ObjectMeta{
				Name: "p-0", Generation: 1, Labels: map[string]string{wellknown.LatestSnapshotLabel: "true", wellknown.PolicyIndexLabel: "0"},
			},
			Status: v1beta1.SchedulingPolicySnapshotStatus{ObservedCRPGeneration: 1, Conditions: []metav1.Condition{{
				Type: v1beta1.PolicySnapshotScheduled, Status: metav1.ConditionTrue, ObservedGeneration: 1,
			}}},
		}},
		Snapshots: []v1beta1.ResourceSnapshotObject{&v1beta1.ClusterResourceSnapshot{ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{wellknown.ResourceIndexLabel: "1"}, Annotations: map[string]string{wellknown.ResourceHashAnnotation: "x"},
		}}},
	}}
	for _, s := range stages {
		for i := range n {
			name := fmt.Sprintf("%s%d", s.Name, i+1)
			w.Members = append(w.Members, plan.Member{Name: name, Labels: map[string]string{"stage": s.Name, "order": fmt.Sprint(n - i)}})
			w.Bindings = append(w.Bindings, &v1beta1.ClusterResourceBinding{
				ObjectMeta: metav1.ObjectMeta{Name: "b-" + name, Generation: 1},
				Spec: v1beta1.ResourceBindingSpec{
					State: v1beta1.BindingStateScheduled, TargetCluster: name, SchedulingPolicySnapshotName: "p-0",
				},
			})
		}
	}
	return w
}

// step looks at the run once and carries the decision out.
func (f *fixture) step() engine.Decision {
	f.Helper()
	f.last = engine.Step(f.run, f.world, f.now)
	if f.last.Status != nil {
		f.run.Status = *roundTrip(f.last.Status)
	}
	for _, r := range f.last.Requests {
		f.world.Approvals[r.Name] = &v1beta1.ClusterApprovalRequest{
			ObjectMeta: metav1.ObjectMeta{
				Name: r.Name, UID: types.UID("uid-" + r.Name), Generation: 1, CreationTimestamp: metav1.NewTime(f.now),
				OwnerReferences: []metav1.OwnerReference{{Kind: "ClusterStagedUpdateRun", Name: f.run.Name, UID: f.run.UID}},
			},
			Spec: v1beta1.ApprovalRequestSpec{TargetUpdateRun: f.run.Name, TargetStage: r.Stage, Policy: r.Policy, Requester: f.run.Status.CreatedBy},
		}
	}
	for _, a := range f.last.Accepts {
		meta.SetStatusCondition(&a.RequestStatus().Conditions, metav1.Condition{Type: v1beta1.RequestApprovalAccepted, Status: metav1.ConditionTrue})
	}
	for _, w := range f.last.Bindings {
		b := f.binding(w.Binding.BindingSpec().TargetCluster)
		if w.Spec != nil {
			bindingrules.Become(b, w.Spec)
			b.Generation++
			bindingrules.RecordMove(b, bindingrules.Mover{Name: f.run.Name, UID: f.run.UID, Turn: w.Turn})
		}
		f.bindingCondition(b.Spec.TargetCluster, v1beta1.BindingRolloutStarted, metav1.ConditionTrue, "RolloutStarted")
	}
	for _, gone := range f.last.Deletions {
		now := metav1.NewTime(f.now)
		gone.SetDeletionTimestamp(&now)
	}
	return f.last
}

// steps looks at the run until nothing follows any more.
func (f *fixture) steps() {
	f.Helper()
	for range 100 {
		if d := f.step(); d.Status == nil && len(d.Bindings)+len(d.Requests)+len(d.Accepts)+len(d.Deletions) == 0 {
			return
		}
	}
	f.Fatal("the run does not come to rest")
}

func (f *fixture) binding(cluster string) *v1beta1.ClusterResourceBinding {
	for _, b := range f.world.Bindings {
		if b.BindingSpec().TargetCluster == cluster {
			return b.(*v1beta1.ClusterResourceBinding)
		}
	}
	f.Fatalf("cluster %s has no binding", cluster)
	return nil
}

func (f *fixture) bindingCondition(cluster, conditionType string, status metav1.ConditionStatus, reason string) {
	b := f.binding(cluster)
	meta.SetStatusCondition(&b.Status.Conditions, metav1.Condition{Type: conditionType, Status: status, Reason: reason, ObservedGeneration: b.Generation})
}

// available has what a binding asks for be available.
func (f *fixture) available(clusters ...string) {
	for _, cluster := range clusters {
		f.bindingCondition(cluster, v1beta1.BindingAvailable, metav1.ConditionTrue, "AllWorkAreAvailable")
	}
}

func (f *fixture) setState(state v1beta1.State) {
	f.run.Spec.State = state
	f.run.Generation++
}

func (f *fixture) pass(d time.Duration) { f.now = f.now.Add(d) }

// clusters are the clusters of the run in the states "", Started, Succeeded, Skipped and Failed, in their order.
func (f *fixture) clusters() []string {
	var found []string
	for _, s := range append(f.run.Status.StagesStatus, *f.run.Status.DeletionStageStatus) {
		for i := range s.Clusters {
			c := &s.Clusters[i]
			state := ""
			switch {
			case reasonOfDone(c) == "ClusterUpdatingSkipped":
				state = " Skipped"
			case meta.IsStatusConditionFalse(c.Conditions, v1beta1.ClusterSucceeded):
				state = " Failed"
			case doneOf(c):
				state = " Succeeded"
			case startedOf(c):
				state = " Started"
			}
			found = append(found, c.ClusterName+state)
		}
	}
	return found
}

func (f *fixture) condition(conditionType string) string {
	return conditionText(f.run.Status.Conditions, conditionType)
}

func conditionText(conditions []metav1.Condition, conditionType string) string {
	c := meta.FindStatusCondition(conditions, conditionType)
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
}

func (f *fixture) wantCondition(conditionType, want string) {
	f.Helper()
	if got := f.condition(conditionType); got != want {
		f.Errorf("%s is %q, want %q", conditionType, got, want)
	}
}

// decide records a decision on a request as the server does.
func (f *fixture) decide(name string, decision v1beta1.DecisionType) {
	request := f.world.Approvals[name]
	request.RequestStatus().Decisions = []v1beta1.ApprovalDecision{{
		Decision: decision, User: v1beta1.DecisionUser{Username: "ann"}, Comment: "CHG-1", RequestUID: request.GetUID(),
	}}
}

// other is another run of the placement.
func (f *fixture) other(name string, created time.Duration, turn v1beta1.UpdateRunTurn) *v1beta1.ClusterStagedUpdateRun {
	other := &v1beta1.ClusterStagedUpdateRun{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(simStart.Add(created))},
		Spec:       v1beta1.UpdateRunSpec{PlacementName: "p", State: v1beta1.StateRun},
		Status: v1beta1.UpdateRunStatus{Turn: &turn, Conditions: []metav1.Condition{
			{Type: v1beta1.RunInitialized, Status: metav1.ConditionTrue},
		}},
	}
	f.world.Others = append(f.world.Others, other)
	return other
}
