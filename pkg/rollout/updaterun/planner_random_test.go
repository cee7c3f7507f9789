// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// TestAPlanIsWhatTheRunBecomesInAnyFleet plans runs over random fleets, many of which cannot be planned, and then has the loop
// initialize them: stages, clusters, order, warnings and what stands against it have to be the same.
func TestAPlanIsWhatTheRunBecomesInAnyFleet(t *testing.T) {
	outcomes := map[string]int{}
	forBothScopes(t, func(f *fixture) {
		for seed := range uint64(40) {
			f := newFixture(f.T, f.namespace)
			index := f.randomFleet(rand.New(rand.NewPCG(seed, 0)))
			spec := v1beta1.UpdateRunSpec{PlacementName: "example-placement", StagedUpdateStrategyName: "example-strategy", ResourceSnapshotIndex: index, State: v1beta1.StateInitialize}
			run := f.fleet.Runs.New(f.key("example-run"))
			*run.RunSpec() = spec
			run.SetGeneration(1)
			plan, warnings, err := NewPlanner(f.fleet, f.snapshots).Plan(f.ctx, run)
			f.must(err)

			f.newRunAt("example-run", index, v1beta1.StateInitialize)
			_, err = f.controller().initialize(f.ctx, f.run("example-run"))
			f.must(err)
			stored, err := f.fleet.Runs.Client(f.namespace).Get(f.ctx, "example-run", metav1.GetOptions{})
			f.must(err)
			got := stored.RunStatus()
			// A plan is not tried again: the run says until when it is.
			got.InitializationStartTime = nil
			initialized := meta.FindStatusCondition(got.Conditions, v1beta1.RunInitialized)
			initialized.Message, _, _ = strings.Cut(initialized.Message, "; trying again until ")

			if diff := cmp.Diff(plan, got, cmpopts.IgnoreFields(metav1.Condition{}, "LastTransitionTime"),
				cmpopts.IgnoreFields(v1beta1.UpdateRunStatus{}, "History", "EndTime"), cmpopts.EquateEmpty()); diff != "" {
				f.Errorf("seed %d: plan (-) and run (+):\n%s", seed, diff)
			}
			outcome := string(initialized.Status)
			if initialized.Status == metav1.ConditionTrue {
				f.sameWarnings(seed, warnings)
				for _, stage := range plan.StagesStatus {
					if len(stage.Clusters) > 1 {
						outcome = "several clusters in a stage"
					}
				}
			}
			outcomes[outcome]++
		}
	})
	for _, outcome := range []string{"True", "False", "several clusters in a stage"} {
		if outcomes[outcome] < 5 {
			t.Errorf("the fleets are not random enough: %v", outcomes)
		}
	}
}

// sameWarnings holds that what a plan warns of is what the loop tells as Events.
func (f *fixture) sameWarnings(seed uint64, warnings []string) {
	f.Helper()
	var told []string
	f.events.mu.Lock()
	defer f.events.mu.Unlock()
	for _, event := range f.events.list {
		if message, ok := strings.CutPrefix(event, eventWarning+": "); ok {
			told = append(told, message)
		}
	}
	if diff := cmp.Diff(warnings, told); diff != "" {
		f.Errorf("seed %d: warnings of the plan (-) and Events (+):\n%s", seed, diff)
	}
}

// randomFleet makes members, a placement with its bindings and snapshots, and a strategy, most of which fit together, and returns
// the index that a run is to ask for.
func (f *fixture) randomFleet(random *rand.Rand) string {
	f.Helper()
	rarely := func() bool { return random.IntN(12) == 0 }
	stages := 1 + random.IntN(3)
	clusters := random.IntN(8)
	latest := wellknown.PolicySnapshotName("example-placement", 0)
	selected := 0
	for i := range clusters {
		labels := map[string]string{"stage": strconv.Itoa(random.IntN(stages)), "order": strconv.Itoa(random.IntN(5) - 1)}
		if rarely() {
			delete(labels, "order")
		}
		if rarely() {
			labels["stage"] = "none"
		}
		name := fmt.Sprintf("member%d", i)
		if !rarely() {
			_, err := f.client.ClusterV1beta1().MemberClusters().Create(f.ctx, &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
			f.must(err)
			f.eventually(name+" is in the cache", func() bool { _, err := f.fleet.MemberClusters.Lister().Get(name); return err == nil })
		}
		state := []v1beta1.BindingState{v1beta1.BindingStateScheduled, v1beta1.BindingStateBound, v1beta1.BindingStateScheduled, v1beta1.BindingStateUnscheduled}[random.IntN(4)]
		if state != v1beta1.BindingStateUnscheduled {
			selected++
		}
		policy := latest
		if random.IntN(40) == 0 {
			policy = "an-old-one"
		}
		create(f, f.fleet.Bindings, name, func(b v1beta1.BindingObject) {
			b.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "example-placement"})
			*b.BindingSpec() = v1beta1.ResourceBindingSpec{State: state, TargetCluster: name, SchedulingPolicySnapshotName: policy}
		})
	}
	f.randomPlacement(random, selected)
	if !rarely() {
		create(f, f.fleet.Strategies, "example-strategy", func(s v1beta1.UpdateStrategyObject) { *s.StrategySpec() = randomStrategy(random, stages) })
	}
	return []string{"", "0", "0", "0", "5"}[random.IntN(5)]
}

func (f *fixture) randomPlacement(random *rand.Rand, selected int) {
	f.Helper()
	scheduled := metav1.ConditionTrue
	if random.IntN(12) == 0 {
		scheduled = metav1.ConditionFalse
	}
	create(f, f.fleet.PolicySnapshots, wellknown.PolicySnapshotName("example-placement", 0), func(s v1beta1.PolicySnapshotObject) {
		s.SetLabels(map[string]string{
			wellknown.ParentPlacementLabel: "example-placement", wellknown.PolicyIndexLabel: "0", wellknown.LatestSnapshotLabel: "true",
		})
		*s.PolicySnapshotStatus() = v1beta1.SchedulingPolicySnapshotStatus{
			ObservedCRPGeneration: 1, SelectedClusters: int32(selected + random.IntN(20)/19),
			Conditions: []metav1.Condition{{Type: v1beta1.PolicySnapshotScheduled, Status: scheduled, ObservedGeneration: 1}},
		}
	})
	create(f, f.fleet.Snapshots, wellknown.ResourceSnapshotName("example-placement", 0), func(s v1beta1.ResourceSnapshotObject) {
		s.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "example-placement", wellknown.ResourceIndexLabel: "0"})
		s.SetAnnotations(map[string]string{wellknown.ResourceHashAnnotation: "hash"})
		s.SnapshotSpec().SelectedResources = []v1beta1.ResourceContent{{RawExtension: runtime.RawExtension{Raw: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"any"}}`)}}}
	})
	strategy := []v1beta1.RolloutStrategyType{v1beta1.ExternalRolloutStrategyType, v1beta1.RollingUpdateRolloutStrategyType}[random.IntN(12)/11]
	create(f, f.fleet.Placements, "example-placement", func(p v1beta1.PlacementObject) { p.PlacementSpec().Strategy.Type = strategy })
}

// randomStrategy has a stage for each value of the label stage. Some stages overlap, some pick nothing, some cannot be sorted.
func randomStrategy(random *rand.Rand, stages int) v1beta1.UpdateStrategySpec {
	var spec v1beta1.UpdateStrategySpec
	for i := range stages {
		stage := v1beta1.StageConfig{Name: fmt.Sprintf("stage%d", i)}
		switch random.IntN(16) {
		case 0:
			stage.LabelSelector = &metav1.LabelSelector{}
		case 1:
		default:
			stage.LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"stage": strconv.Itoa(i)}}
		}
		if random.IntN(2) == 0 {
			stage.SortingLabelKey = ptr.To("order")
		}
		if random.IntN(3) == 0 {
			stage.BeforeStageTasks = []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval}}
		}
		spec.Stages = append(spec.Stages, stage)
	}
	if random.IntN(3) == 0 {
		spec.Stages = append(spec.Stages, v1beta1.StageConfig{Name: "none", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"stage": "none"}}})
	}
	return spec
}
