// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

var (
	simSeed     = flag.Uint64("sim.seed", 0, "first seed of the simulator; the one of a failure repeats it")
	simRunsFlag = flag.Int("sim.runs", 2000, "how many fleets to simulate")
)

// TestSimulator holds the engine against random fleets, people, failures and leaders.
func TestSimulator(t *testing.T) {
	n := *simRunsFlag
	// The engine has no goroutines, so that the race detector, which make race has with -short, finds nothing here and takes minutes.
	if testing.Short() {
		n = max(1, n/20)
	}
	for i := range n {
		seed := *simSeed + uint64(i)
		if violations := newSimulation(seed, engine.Step).run(400); len(violations) > 0 {
			t.Fatalf("repeat with -sim.seed=%d -sim.runs=1:\n%s", seed, strings.Join(violations, "\n"))
		}
	}
}

// TestSimulatorFindsBugs plants bugs around the engine and holds that the simulator sees them.
func TestSimulatorFindsBugs(t *testing.T) {
	tests := map[string]struct {
		bug  stepFunc
		want string
	}{
		"maxConcurrency is ignored":                            {bug: withoutConcurrency, want: "in flight, at most"},
		"gates are left open":                                  {bug: withoutGates, want: "which nobody approved"},
		"gates before protected clusters are left open":        {bug: withoutBeforeGates, want: "which nobody of"},
		"the turn is not asked for":                            {bug: alone, want: "hold the placement at once"},
		"a pause is ignored":                                   {bug: withoutPause, want: "have failed and"},
		"the gate of the delete stage is left open":            {bug: withoutDeleteGate, want: "-before-delete-stage, which nobody approved"},
		"resources are removed from all clusters at once":      {bug: withoutDeleteConcurrency, want: "clusters of stage kubernetes-fleet.io/deleteStage"},
		"stages without clusters are skipped with their tasks": {bug: withoutEmptyStages, want: "is skipped with its tasks"},
		"what users ask is forgotten": {bug: func(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
			other := run.DeepCopyObject().(v1beta1.UpdateRunObject)
			status := other.RunStatus()
			if n := len(status.History); n > 0 {
				status.ObservedOperation = status.History[n-1].Number
			}
			d := engine.Step(other, w, now)
			if d.Status != nil {
				d.Status.ObservedOperation = run.RunStatus().ObservedOperation
			}
			return d
		}, want: "was never acted on"},
		"a rollback is not created": {bug: func(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
			d := engine.Step(run, w, now)
			d.Rollback = nil
			return d
		}, want: "was never created"},
		"the history is lost": {bug: func(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
			d := engine.Step(run, w, now)
			if d.Status != nil && d.Status.ObservedOperation > run.RunStatus().ObservedOperation {
				d.Status.History = run.RunStatus().History[:0]
			}
			return d
		}, want: "the history has lost"},
		"overrides are forgotten": {bug: func(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
			d := engine.Step(run, w, now)
			if d.Status != nil {
				for i := range d.Status.StagesStatus {
					for j := range d.Status.StagesStatus[i].Clusters {
						d.Status.StagesStatus[i].Clusters[j].ClusterResourceOverrideSnapshots = nil
					}
				}
			}
			return d
		}, want: "is to have the overrides []"},
		"what was in force before is not recorded": {bug: func(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
			d := engine.Step(run, w, now)
			if d.Status != nil {
				for i := range d.Status.StagesStatus {
					for j := range d.Status.StagesStatus[i].Clusters {
						d.Status.StagesStatus[i].Clusters[j].PreviousClusterResourceOverrideSnapshots = nil
					}
				}
			}
			return d
		}, want: "had the overrides"},
		"clusters are written without overrides": {bug: func(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
			d := engine.Step(run, w, now)
			for i := range d.Bindings {
				if d.Bindings[i].Spec != nil {
					d.Bindings[i].Spec.ClusterResourceOverrideSnapshots, d.Bindings[i].Spec.ResourceOverrideSnapshots = nil, nil
				}
			}
			return d
		}, want: ""},
		"policies are forgotten once a run is planned": {bug: func(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
			w.Policies = nil
			return engine.Step(run, w, now)
		}, want: "starts though policies refuse it"},
		"a run that nobody can judge is started": {bug: func(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
			if w.NamespaceLabels == nil {
				w.Policies = nil
			}
			return engine.Step(run, w, now)
		}, want: "starts though nobody can judge it"},
		"policies end a run that has started": {bug: func(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
			d := engine.Step(run, w, now)
			if d.Status == nil || w.Placement == nil || runrules.IsOver(run.RunStatus()) {
				return d
			}
			if verdict, err := w.Judge(run, w.Placement, run.RunStatus()); err != nil || verdict.Refusal() == "" {
				return d
			}
			other := run.DeepCopyObject().(v1beta1.UpdateRunObject)
			other.RunStatus().Turn = nil
			return engine.Step(other, w, now)
		}, want: "a policy ends it though it has started"},
		"approvals are asked for before the turn":                      {bug: askingEarly, want: "was approved before the run had its turn"},
		"a soak is cut short":                                          {bug: withoutWaits, want: "has had the version for"},
		"clusters that are not picked are passed over":                 {bug: withoutHold, want: "which the placement does not pick, though policies hold it"},
		"what other runs have left is forgotten once it is not picked": {bug: withoutOutside, want: "that other runs have left"},
		"a rollback applies as the placement says now":                 {bug: withTheStrategyOfNow, want: "what it had by"},
		"what a run waits for is not told":                             {bug: withoutWaiting, want: "does not tell what it waits for"},
		"a run changes by the clock alone": {bug: func(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
			d := engine.Step(run, w, now)
			if day := now.Format(time.DateOnly); d.Status == nil && !runrules.IsOver(run.RunStatus()) && run.RunStatus().StagesStatus[0].Clusters != nil {
				next := run.RunStatus().DeepCopy()
				if c := &next.StagesStatus[0].Clusters; len(*c) > 0 && (*c)[0].Message != day {
					(*c)[0].Message = day
					d.Status = next
				}
			}
			return d
		}, want: "something follows though nobody has done anything"},
		"timers are lost": {bug: func(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
			d := engine.Step(run, w, now)
			d.WakeAt = time.Time{}
			return d
		}, want: "did not end"},
		"bindings are written without a fence": {bug: func(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
			d := engine.Step(run, w, now)
			if len(d.Bindings) > 0 {
				d.Status = nil
			}
			return d
		}, want: ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3000) {
				for _, violation := range newSimulation(seed, tt.bug).run(400) {
					if strings.Contains(violation, tt.want) {
						return
					}
				}
			}
			t.Errorf("3000 simulations did not find that %s", name)
		})
	}
}

// askingEarly is an engine in which a run that policies hold takes its turn as any other does.
func askingEarly(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
	if runrules.HasStarted(run.RunStatus()) || w.Placement == nil || len(w.Policies) == 0 {
		return engine.Step(run, w, now)
	}
	verdict, err := w.Judge(run, w.Placement, run.RunStatus())
	if err != nil || verdict.Refusal() != "" {
		return engine.Step(run, w, now)
	}
	w.Policies = nil
	d := engine.Step(run, w, now)
	if d.Status != nil && runrules.HasStarted(d.Status) {
		d.Status.Policies = verdict.Governing
	}
	return d
}

// withoutWaits is an engine that waits for a second after each stage, whatever the policies have been told.
func withoutWaits(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
	if !runrules.HasStarted(run.RunStatus()) {
		return engine.Step(run, w, now)
	}
	other := run.DeepCopyObject().(v1beta1.UpdateRunObject)
	for _, stage := range other.RunStatus().UpdateStrategySnapshot.Stages {
		for i := range stage.AfterStageTasks {
			if stage.AfterStageTasks[i].WaitTime != nil {
				stage.AfterStageTasks[i].WaitTime.Duration = time.Second
			}
		}
	}
	return restored(run, engine.Step(other, w, now))
}

// withoutHold is an engine that no policy holds once a run is planned.
func withoutHold(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
	if !runrules.HasStarted(run.RunStatus()) {
		return engine.Step(run, w, now)
	}
	other := run.DeepCopyObject().(v1beta1.UpdateRunObject)
	other.RunStatus().Policies = nil
	d := engine.Step(other, w, now)
	if d.Status != nil {
		d.Status.Policies = run.RunStatus().Policies
	}
	return d
}

// withoutOutside is an engine for which no cluster counts but those that it updates.
func withoutOutside(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
	left := map[string]bool{}
	for _, b := range w.Bindings {
		left[b.BindingSpec().TargetCluster] = true
	}
	for _, stage := range run.RunStatus().StagesStatus {
		for _, c := range stage.Clusters {
			left[c.ClusterName] = w.Left[c.ClusterName]
		}
	}
	w.Left = left
	return engine.Step(run, w, now)
}

// withTheStrategyOfNow is an engine that applies what a rollback brings back as the placement says.
func withTheStrategyOfNow(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
	d := engine.Step(run, w, now)
	for i := range d.Bindings {
		if spec := d.Bindings[i].Spec; spec != nil && run.RunSpec().RollbackOf != "" {
			spec.ApplyStrategy = w.Placement.PlacementSpec().Strategy.ApplyStrategy.WithDefaults()
		}
	}
	return d
}

// withoutWaiting is an engine that says of a run which waits that it makes progress.
func withoutWaiting(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
	tell := func(status *v1beta1.UpdateRunStatus, is, told metav1.ConditionStatus, from, to string) {
		status.Conditions = slices.Clone(status.Conditions)
		c := meta.FindStatusCondition(status.Conditions, v1beta1.RunProgressing)
		if c != nil && c.Status == is && c.Reason == from && strings.HasPrefix(c.Message, "The updateRun is waiting") {
			c.Status, c.Reason = told, to
		}
	}
	other := run.DeepCopyObject().(v1beta1.UpdateRunObject)
	tell(other.RunStatus(), metav1.ConditionTrue, metav1.ConditionFalse, "UpdateRunProgressing", "UpdateRunWaiting")
	d := engine.Step(other, w, now)
	if d.Status != nil {
		tell(d.Status, metav1.ConditionFalse, metav1.ConditionTrue, "UpdateRunWaiting", "UpdateRunProgressing")
	}
	return d
}

// withoutConcurrency is an engine that updates all clusters of a stage at once.
func withoutConcurrency(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
	other := run.DeepCopyObject().(v1beta1.UpdateRunObject)
	strategy := other.RunStatus().UpdateStrategySnapshot
	for i := range strategy.Stages {
		strategy.Stages[i].MaxConcurrency = ptr.To(intstr.FromString("100%"))
	}
	return restored(run, engine.Step(other, w, now))
}

// withoutPause is an engine that goes on whatever fails, where it should pause.
func withoutPause(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
	other := run.DeepCopyObject().(v1beta1.UpdateRunObject)
	strategy := other.RunStatus().UpdateStrategySnapshot
	for i := range strategy.Stages {
		if policy := strategy.Stages[i].FailurePolicy; policy != nil && policy.OnFailure == v1beta1.FailureActionPause {
			policy.MaxFailures = ptr.To(intstr.FromString("100%"))
		}
	}
	return restored(run, engine.Step(other, w, now))
}

// withoutGates is an engine that knows no tasks.
func withoutGates(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
	other := run.DeepCopyObject().(v1beta1.UpdateRunObject)
	status := other.RunStatus()
	for i := range status.StagesStatus {
		status.StagesStatus[i].BeforeStageTaskStatus = nil
		status.StagesStatus[i].AfterStageTaskStatus = nil
		status.UpdateStrategySnapshot.Stages[i].AfterStageTasks = nil
	}
	return withTasks(run, restored(run, engine.Step(other, w, now)))
}

// withoutBeforeGates is an engine for which somebody has approved every stage before it.
func withoutBeforeGates(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
	other := run.DeepCopyObject().(v1beta1.UpdateRunObject)
	for i := range other.RunStatus().StagesStatus {
		tasks := other.RunStatus().StagesStatus[i].BeforeStageTaskStatus
		for j := range tasks {
			tasks[j].Conditions = []metav1.Condition{{Type: v1beta1.TaskApprovalRequestApproved, Status: metav1.ConditionTrue}}
		}
	}
	return engine.Step(other, w, now)
}

// withTasks gives the stages back the tasks that a planted bug has taken from them.
func withTasks(run v1beta1.UpdateRunObject, d engine.Decision) engine.Decision {
	if d.Status == nil {
		return d
	}
	for i := range d.Status.StagesStatus {
		next, stored := &d.Status.StagesStatus[i], &run.RunStatus().StagesStatus[i]
		if next.BeforeStageTaskStatus == nil && next.AfterStageTaskStatus == nil {
			next.BeforeStageTaskStatus, next.AfterStageTaskStatus = stored.BeforeStageTaskStatus, stored.AfterStageTaskStatus
		}
	}
	return d
}

// withoutDeleteGate is an engine for which somebody has approved every removal.
func withoutDeleteGate(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
	other := run.DeepCopyObject().(v1beta1.UpdateRunObject)
	tasks := other.RunStatus().DeletionStageStatus.BeforeStageTaskStatus
	for i := range tasks {
		tasks[i].Conditions = []metav1.Condition{{Type: v1beta1.TaskApprovalRequestApproved, Status: metav1.ConditionTrue}}
	}
	return engine.Step(other, w, now)
}

// withoutDeleteConcurrency is an engine that removes the resources from all clusters at once.
func withoutDeleteConcurrency(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
	other := run.DeepCopyObject().(v1beta1.UpdateRunObject)
	status := other.RunStatus()
	for i := range status.StagesStatus {
		if !meta.IsStatusConditionTrue(status.StagesStatus[i].Conditions, v1beta1.StageSucceeded) {
			return engine.Step(run, w, now)
		}
	}
	if n := len(status.UpdateStrategySnapshot.Stages); n > 0 {
		status.UpdateStrategySnapshot.Stages[n-1].MaxConcurrency = ptr.To(intstr.FromString("100%"))
	}
	return restored(run, engine.Step(other, w, now))
}

// withoutEmptyStages is an engine that skips stages without clusters whatever the run removes.
func withoutEmptyStages(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
	other := run.DeepCopyObject().(v1beta1.UpdateRunObject)
	status := other.RunStatus()
	for i := range status.StagesStatus {
		if stage := &status.StagesStatus[i]; len(stage.Clusters) == 0 {
			stage.BeforeStageTaskStatus, stage.AfterStageTaskStatus = nil, nil
			status.UpdateStrategySnapshot.Stages[i].AfterStageTasks = nil
		}
	}
	return withTasks(run, restored(run, engine.Step(other, w, now)))
}

// alone is an engine that does not see other runs.
func alone(run v1beta1.UpdateRunObject, w engine.World, now time.Time) engine.Decision {
	w.Others = nil
	return engine.Step(run, w, now)
}

func restored(run v1beta1.UpdateRunObject, d engine.Decision) engine.Decision {
	if d.Status != nil {
		d.Status.UpdateStrategySnapshot = run.RunStatus().UpdateStrategySnapshot
	}
	return d
}
