// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/operation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	strategyrules "github.com/stagegate/stagegate/pkg/rules/strategy"
)

// tutorialStages are the stages of the tutorial.
const tutorialStages = `[
	{"name": "staging", "labelSelector": {"matchLabels": {"environment": "staging"}}, "maxConcurrency": 1,
		"afterStageTasks": [{"type": "TimedWait", "waitTime": "1m"}]},
	{"name": "canary", "labelSelector": {"matchLabels": {"environment": "canary"}}, "maxConcurrency": "50%", "sortingLabelKey": "order",
		"beforeStageTasks": [{"type": "Approval", "approval": {"required": 2, "groups": ["sre"], "allowRequester": false, "expiresAfter": "24h"}}],
		"afterStageTasks": [{"type": "Approval"}],
		"failurePolicy": {"clusterTimeout": "15m", "maxFailures": "10%"}}]`

// FuzzStrategies holds that the strategies which the API accepts, but for one that an older server has stored, are those that can be
// planned, and that a plan is carried out within its stages. Each three bytes of spoiling change one field of one stage.
func FuzzStrategies(f *testing.F) {
	f.Add([]byte(tutorialStages), []byte{})
	for field := range spoilers {
		for value := range byte(12) {
			f.Add([]byte(tutorialStages), []byte{value % 2, byte(field), value})
		}
	}
	f.Add([]byte(`[{"name": "all", "labelSelector": {}}]`), []byte{0, 0, 1, 0, 0, 1})
	f.Add([]byte(`[{"name": "twice"}, {"name": "twice"}]`), []byte{})
	f.Add([]byte(`[{"name": "odd", "maxConcurrency": "+5%", "failurePolicy": {"clusterTimeout": "1s", "maxFailures": "150%"}}]`), []byte{})
	f.Fuzz(func(t *testing.T, stages, spoiling []byte) {
		var spec v1beta1.UpdateStrategySpec
		if json.Unmarshal(stages, &spec.Stages) != nil {
			return
		}
		spoil(&spec, spoiling)
		strategy := &v1beta1.ClusterStagedUpdateStrategy{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: spec}
		scheme.Scheme.Default(strategy)

		errs := refusals(t, strategy)
		plan := initialize(plannedRun(), withoutTargets(strategy), simStart)
		if len(errs) == 0 && plan.Result != engine.ResultInitialized {
			t.Errorf("the API accepts a strategy that cannot be planned: %s", plan.Message)
		}
		if kept := (&v1beta1.ClusterStagedUpdateStrategy{Spec: *strategyrules.Copy(strategy)}); plan.Result == engine.ResultInitialized && len(refusals(t, kept)) > 0 {
			t.Errorf("a strategy can be planned that the API refuses: %v", refusals(t, kept))
		}
		if plan.Result == engine.ResultInitialized {
			staysInItsStages(t, strategy)
		}
	})
}

// spoilers change a field to one of some values, most of them bad.
var spoilers = []func(stage *v1beta1.StageConfig, value int){
	func(s *v1beta1.StageConfig, v int) { s.Name = pick(v, "", "staging", "canary", "Upper", "a-b", "0") },
	func(s *v1beta1.StageConfig, v int) {
		s.MaxConcurrency = pick(v, nil, ptr.To(intstr.FromInt32(0)), ptr.To(intstr.FromInt32(-1)), ptr.To(intstr.FromInt32(1000)), ptr.To(intstr.FromString("100%")),
			ptr.To(intstr.FromString("101%")), ptr.To(intstr.FromString("0%")), ptr.To(intstr.FromString("05%")), ptr.To(intstr.FromString("+5%")), ptr.To(intstr.FromString("5")))
	},
	func(s *v1beta1.StageConfig, v int) {
		s.SortingLabelKey = pick(v, nil, ptr.To(""), ptr.To("order"), ptr.To("a b"), ptr.To("x/order"))
	},
	func(s *v1beta1.StageConfig, v int) {
		s.LabelSelector = pick(v, nil, &metav1.LabelSelector{}, &metav1.LabelSelector{MatchLabels: map[string]string{"": ""}},
			&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "In"}}},
			&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Exists", Values: []string{"b"}}}})
	},
	func(s *v1beta1.StageConfig, v int) {
		s.FailurePolicy = failurePolicies[v%len(failurePolicies)].DeepCopy()
	},
	func(s *v1beta1.StageConfig, v int) { s.BeforeStageTasks = nil },
	func(s *v1beta1.StageConfig, v int) {
		s.BeforeStageTasks = append(s.BeforeStageTasks, *tasks[v%len(tasks)].DeepCopy())
	},
	func(s *v1beta1.StageConfig, v int) { s.AfterStageTasks = nil },
	func(s *v1beta1.StageConfig, v int) {
		s.AfterStageTasks = append(s.AfterStageTasks, *tasks[v%len(tasks)].DeepCopy())
	},
}

var failurePolicies = []*v1beta1.FailurePolicy{
	nil, {}, {ClusterTimeout: metav1.Duration{Duration: -1}}, {ClusterTimeout: metav1.Duration{Duration: 1}},
	{ClusterTimeout: metav1.Duration{Duration: 1}, MaxFailures: ptr.To(intstr.FromInt32(-1))},
	{ClusterTimeout: metav1.Duration{Duration: 1}, MaxFailures: ptr.To(intstr.FromString("0%"))},
	{ClusterTimeout: metav1.Duration{Duration: 1}, MaxFailures: ptr.To(intstr.FromString("-5%"))},
	{ClusterTimeout: metav1.Duration{Duration: 1}, MaxFailures: ptr.To(intstr.FromString("101%"))},
	{ClusterTimeout: metav1.Duration{Duration: 1}, MaxFailures: ptr.To(intstr.FromString("x"))},
}

var tasks = []v1beta1.StageTask{
	{}, {Type: "Coffee"},
	{Type: v1beta1.StageTaskTypeTimedWait}, {Type: v1beta1.StageTaskTypeTimedWait, WaitTime: &metav1.Duration{}},
	{Type: v1beta1.StageTaskTypeTimedWait, WaitTime: &metav1.Duration{Duration: 1}},
	{Type: v1beta1.StageTaskTypeTimedWait, WaitTime: &metav1.Duration{Duration: 1}, Approval: &v1beta1.ApprovalPolicy{}},
	{Type: v1beta1.StageTaskTypeApproval}, {Type: v1beta1.StageTaskTypeApproval, WaitTime: &metav1.Duration{}},
	{Type: v1beta1.StageTaskTypeApproval, Approval: &v1beta1.ApprovalPolicy{Required: 11}},
	{Type: v1beta1.StageTaskTypeApproval, Approval: &v1beta1.ApprovalPolicy{Required: -1}},
	{Type: v1beta1.StageTaskTypeApproval, Approval: &v1beta1.ApprovalPolicy{Groups: []string{"", "a", "a"}}},
	{Type: v1beta1.StageTaskTypeApproval, Approval: &v1beta1.ApprovalPolicy{ExpiresAfter: &metav1.Duration{}}},
}

func pick[T any](v int, values ...T) T { return values[v%len(values)] }

func spoil(spec *v1beta1.UpdateStrategySpec, spoiling []byte) {
	for ; len(spoiling) >= 3 && len(spec.Stages) > 0; spoiling = spoiling[3:] {
		which, field, value := int(spoiling[0]), int(spoiling[1]), int(spoiling[2])
		if field == 0xff {
			spec.FailurePolicy = failurePolicies[value%len(failurePolicies)].DeepCopy()
			continue
		}
		spoilers[field%len(spoilers)](&spec.Stages[which%len(spec.Stages)], value)
	}
}

// refusals are what the API says against a new strategy: the rules in the types, and those beside them.
func refusals(t *testing.T, strategy *v1beta1.ClusterStagedUpdateStrategy) []string {
	t.Helper()
	internal, err := scheme.Scheme.UnsafeConvertToVersion(strategy.DeepCopy(), v1beta1.SchemeGroupVersion)
	if err != nil {
		t.Fatalf("converting the strategy: %v", err)
	}
	errs := v1beta1.Validate_ClusterStagedUpdateStrategy(t.Context(), operation.Operation{Type: operation.Create}, nil, strategy, nil)
	errs = append(errs, validation.ValidateUpdateStrategy(internal.(v1beta1.UpdateStrategyObject))...)
	var messages []string
	for _, err := range errs {
		messages = append(messages, err.Error())
	}
	return messages
}

func plannedRun() *v1beta1.ClusterStagedUpdateRun {
	return &v1beta1.ClusterStagedUpdateRun{
		ObjectMeta: metav1.ObjectMeta{Name: "run", UID: "run-uid", Generation: 1, CreationTimestamp: metav1.NewTime(simStart)},
		Spec:       v1beta1.UpdateRunSpec{PlacementName: "p", StagedUpdateStrategyName: "s", ResourceSnapshotIndex: "1", State: v1beta1.StateRun},
	}
}

// withoutTargets is a world in which only the strategy can stand against a plan: the placement has nothing but a cluster that it
// does not pick any more.
func withoutTargets(strategy *v1beta1.ClusterStagedUpdateStrategy) known {
	world := initWorld(0)
	world.Strategy = strategy
	world.Bindings = []v1beta1.BindingObject{&v1beta1.ClusterResourceBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "gone"},
		Spec:       v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateUnscheduled, TargetCluster: "gone"},
	}}
	return world
}

// staysInItsStages plans a run over clusters that are labeled as the stages ask, and lets it begin.
func staysInItsStages(t *testing.T, strategy *v1beta1.ClusterStagedUpdateStrategy) {
	t.Helper()
	const each = 3
	world := initWorld(0)
	world.Strategy = strategy
	for i, stage := range strategy.Spec.Stages {
		if stage.LabelSelector == nil {
			continue
		}
		for j := range each {
			name := fmt.Sprintf("c%d-%d", i, j)
			set := map[string]string{"order": fmt.Sprint(j)}
			maps.Copy(set, stage.LabelSelector.MatchLabels)
			if key := stage.SortingLabelKey; key != nil {
				set[*key] = fmt.Sprint(j)
			}
			world.Members = append(world.Members, plan.Member{Name: name, Labels: set})
			world.Bindings = append(world.Bindings, &v1beta1.ClusterResourceBinding{
				ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1},
				Spec:       v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateScheduled, TargetCluster: name, SchedulingPolicySnapshotName: "p-0"},
			})
		}
	}
	run := plannedRun()
	plan := initialize(run, world, simStart)
	if plan.Result != engine.ResultInitialized {
		return
	}
	run.Status = *roundTrip(plan.Decision.Status)
	// First it takes its turn, then it begins.
	for range 2 {
		if d := engine.Step(run, engine.World{Placement: world.Placement, Bindings: world.Bindings}, simStart); d.Status != nil {
			run.Status = *roundTrip(d.Status)
		}
	}
	before := true
	for i, stage := range run.Status.StagesStatus {
		started := startedIn(&stage)
		switch gated := len(stage.BeforeStageTaskStatus) > 0; {
		case len(stage.Clusters) == 0:
			continue
		case (gated || !before) && started > 0:
			t.Errorf("stage %d has started %d clusters before its time", i, started)
		case before && !gated && started == 0:
			t.Errorf("stage %d does not start", i)
		}
		before = false
	}
}

func startedIn(stage *v1beta1.StageUpdatingStatus) int {
	started := 0
	for i := range stage.Clusters {
		if startedOf(&stage.Clusters[i]) {
			started++
		}
	}
	return started
}

// FuzzAmounts holds what durations, numbers and percentages of a strategy that the API accepts come to, against sums done
// another way.
func FuzzAmounts(f *testing.F) {
	f.Add("1m", "15m", "24h", `1`, `0`, uint8(3))
	f.Add("1h30m", "1s", "1ns", `"50%"`, `"100%"`, uint8(7))
	f.Add("0s", "-1s", "", `"0%"`, `-1`, uint8(1))
	f.Add("2562047h47m16.854775807s", "2562047h", "1.5h", `2147483647`, `"1%"`, uint8(15))
	f.Add("1d", "60", "∞", `2147483648`, `"99%"`, uint8(0))
	f.Add("1µs", "1us", "1ms", `"1"`, `"101%"`, uint8(2))
	f.Add("3m", "3m", "3m", `null`, `null`, uint8(4))
	f.Add("3m", "3m", "3m", `1.5`, `true`, uint8(4))
	f.Fuzz(func(t *testing.T, waitTime, clusterTimeout, expiresAfter, maxConcurrency, maxFailures string, clusters uint8) {
		strategy, ok := strategyOf(t, waitTime, clusterTimeout, expiresAfter, maxConcurrency, maxFailures)
		if !ok || len(refusals(t, strategy)) > 0 {
			return
		}
		stage, n := strategy.Spec.Stages[0], int(clusters%16)+1
		failing := newFixture(t, n, without(stage, true))
		failing.steps()
		limit := max(1, share(t, stage.MaxConcurrency, n))
		if got := startedIn(&failing.run.Status.StagesStatus[0]); got != min(limit, n) {
			t.Errorf("%s of %d clusters starts %d at once, want %d", stage.MaxConcurrency, n, got, min(limit, n))
		}
		mayFail(t, failing, stage.FailurePolicy)
		waits(newFixture(t, n, without(stage, false)), stage.AfterStageTasks[0].WaitTime.Duration)
	})
}

// strategyOf reads a strategy as the server does.
func strategyOf(t *testing.T, waitTime, clusterTimeout, expiresAfter, maxConcurrency, maxFailures string) (*v1beta1.ClusterStagedUpdateStrategy, bool) {
	t.Helper()
	quote := func(s string) string {
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(quoted)
	}
	manifest := []byte(`{"apiVersion": "placement.kubernetes-fleet.io/VERSION", "kind": "ClusterStagedUpdateStrategy", "metadata": {"name": "s"}, "spec": {"stages": [{
		"name": "a", "labelSelector": {"matchLabels": {"stage": "a"}}, "maxConcurrency": ` + maxConcurrency + `,
		"failurePolicy": {"clusterTimeout": ` + quote(clusterTimeout) + `, "maxFailures": ` + maxFailures + `},
		"afterStageTasks": [{"type": "TimedWait", "waitTime": ` + quote(waitTime) + `}, {"type": "Approval", "approval": {"expiresAfter": ` + quote(expiresAfter) + `}}]}]}}`)
	if !json.Valid(manifest) {
		return nil, false
	}
	var read [2]*v1beta1.ClusterStagedUpdateStrategy
	for i, version := range []string{"v1", "v1beta1"} {
		object, err := runtime.Decode(scheme.Codecs.UniversalDecoder(v1beta1.SchemeGroupVersion), []byte(strings.Replace(string(manifest), "VERSION", version, 1)))
		if err != nil {
			continue
		}
		converted, err := scheme.Scheme.ConvertToVersion(object, v1beta1.SchemeGroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		read[i] = converted.(*v1beta1.ClusterStagedUpdateStrategy)
	}
	v1, strategy := read[0], read[1]
	if (v1 == nil) != (strategy == nil) || strategy != nil && !equality.Semantic.DeepEqual(v1.Spec, strategy.Spec) {
		t.Fatalf("v1 reads %v, v1beta1 %v", v1, strategy)
	}
	return strategy, strategy != nil
}

// without is a stage without its gates, or without all but them.
func without(stage v1beta1.StageConfig, gates bool) v1beta1.StageConfig {
	stage = *stage.DeepCopy()
	if gates {
		stage.AfterStageTasks = nil
		return stage
	}
	stage.FailurePolicy = nil
	stage.AfterStageTasks = stage.AfterStageTasks[:1]
	stage.MaxConcurrency = ptr.To(intstr.FromString("100%"))
	return stage
}

// share is a number, or a percentage of n rounded down.
func share(t *testing.T, value *intstr.IntOrString, n int) int {
	t.Helper()
	if value.Type == intstr.Int {
		return int(value.IntVal)
	}
	percent, ok := new(big.Int).SetString(strings.TrimSuffix(value.StrVal, "%"), 10)
	if !ok || !strings.HasSuffix(value.StrVal, "%") {
		t.Fatalf("the API accepts %q", value.StrVal)
	}
	of := percent.Mul(percent, big.NewInt(int64(n)))
	return int(of.Div(of, big.NewInt(100)).Int64())
}

// mayFail has no cluster ever become available, and holds how many are given up before the run fails.
func mayFail(t *testing.T, f *fixture, policy *v1beta1.FailurePolicy) {
	t.Helper()
	n := len(f.run.Status.StagesStatus[0].Clusters)
	allowed := 0
	if policy.MaxFailures != nil {
		allowed = share(t, policy.MaxFailures, n)
	}
	failed := 0
	for rounds := 0; f.condition(v1beta1.RunSucceeded) == ""; rounds++ {
		if rounds > 2*n+2 {
			t.Fatalf("%d of %d clusters failed within %s, and the run goes on", failed, n, policy.ClusterTimeout.Duration)
		}
		// Times of conditions are whole seconds.
		f.pass(policy.ClusterTimeout.Duration + time.Second)
		f.step()
		failed = 0
		for _, c := range f.run.Status.StagesStatus[0].Clusters {
			if meta.IsStatusConditionFalse(c.Conditions, v1beta1.ClusterSucceeded) {
				failed++
			}
		}
	}
	succeeded := meta.IsStatusConditionTrue(f.run.Status.Conditions, v1beta1.RunSucceeded)
	if want := n <= allowed; succeeded != want || !succeeded && failed <= allowed {
		t.Errorf("%d of %d clusters failed where %d may: succeeded is %v", failed, n, allowed, succeeded)
	}
}

// waits has all clusters become available at once, and holds that the stage is over when its time has passed and not before.
func waits(f *fixture, wait time.Duration) {
	f.Helper()
	f.steps()
	for _, c := range f.run.Status.StagesStatus[0].Clusters {
		f.available(c.ClusterName)
	}
	f.steps()
	if wait > time.Second {
		f.pass(wait - time.Second)
		f.steps()
		if got := f.condition(v1beta1.RunSucceeded); got != "" {
			f.Errorf("a wait of %s was over a second early: %s", wait, got)
		}
	}
	f.pass(time.Second)
	f.steps()
	if !meta.IsStatusConditionTrue(f.run.Status.Conditions, v1beta1.RunSucceeded) {
		f.Errorf("a wait of %s does not end: %s", wait, f.condition(v1beta1.RunProgressing))
	}
}
