// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// breakOutside has the placement have one more cluster, which another run has moved and left unavailable, and which is not picked any more.
func (f *fixture) breakOutside(cluster string) *v1beta1.ClusterResourceBinding {
	b := &v1beta1.ClusterResourceBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "b-" + cluster, Generation: 3},
		Spec:       v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateUnscheduled, TargetCluster: cluster, ResourceSnapshotName: "p-9-snapshot"},
	}
	bindingrules.RecordMove(b, bindingrules.Mover{Name: "gone", Turn: 1})
	f.world.Bindings = append(f.world.Bindings, b)
	return b
}

const waitsOutside = "False UpdateRunWaiting: The updateRun is waiting for cluster(s) %s, which it does not update and which another run has left unavailable: " +
	"they count against maxConcurrency of stage %s. Mend them, or have the placement pick them again and create a new run; " +
	"a run of the version that all other clusters have removes the resources from those that stay unpicked"

func TestClustersThatAnotherRunLeftCountWhereverThePlacementHasThem(t *testing.T) {
	for name, tt := range map[string]struct {
		limit  string
		change func(f *fixture)
		want   []string
	}{
		"one that is not picked":          {"1", func(f *fixture) { f.breakOutside("x") }, []string{"a1", "a2"}},
		"one that was picked since":       {"1", func(f *fixture) { f.breakOutside("x").Spec.State = v1beta1.BindingStateBound }, []string{"a1", "a2"}},
		"where there is room for another": {"2", func(f *fixture) { f.breakOutside("x") }, []string{"a1 Started", "a2"}},
		"two of them": {"2", func(f *fixture) {
			f.breakOutside("x")
			f.breakOutside("y")
		}, []string{"a1", "a2"}},
		"of a run of the same name": {"1", func(f *fixture) {
			bindingrules.RecordMove(f.breakOutside("x"), bindingrules.Mover{Name: "run", Turn: 1})
		}, []string{"a1", "a2"}},
		"not one that nobody moved":       {"1", func(f *fixture) { f.breakOutside("x").Annotations = nil }, []string{"a1 Started", "a2"}},
		"not one that has left the fleet": {"1", func(f *fixture) { f.breakOutside("x"); f.world.Left["x"] = true }, []string{"a1 Started", "a2"}},
		"one that was only compared since": {"1", func(f *fixture) {
			b := f.breakOutside("x")
			bindingrules.Become(b, &v1beta1.ResourceBindingSpec{State: b.Spec.State, TargetCluster: "x", ResourceSnapshotName: "p-10-snapshot",
				ApplyStrategy: &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}})
			bindingrules.RecordMove(b, bindingrules.Mover{Name: "compares", Turn: 2})
			f.sawUpdated("compares", "x")
			f.bindingCondition("x", v1beta1.BindingDiffReported, metav1.ConditionTrue, "AllWorkHaveDiffReported")
		}, []string{"a1", "a2"}},
		"not one that is available":         {"1", func(f *fixture) { f.breakOutside("x"); f.available("x") }, []string{"a1 Started", "a2"}},
		"not one that is being removed":     {"1", func(f *fixture) { f.breakOutside("x").DeletionTimestamp = &metav1.Time{Time: f.now} }, []string{"a1 Started", "a2"}},
		"not one that was seen updated":     {"1", func(f *fixture) { f.breakOutside("x"); f.sawUpdated("gone", "x") }, []string{"a1 Started", "a2"}},
		"one that only another one updated": {"1", func(f *fixture) { f.breakOutside("x"); f.sawUpdated("other", "x") }, []string{"a1", "a2"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newHeldFixture(t, 2, stage("a", concurrency(tt.limit)))
			tt.change(f)
			f.steps()
			f.wantClusters(tt.want...)
		})
	}
}

// sawUpdated has another run have seen a cluster updated.
func (f *fixture) sawUpdated(run, cluster string) {
	other := f.other(run, 0, v1beta1.UpdateRunTurn{State: v1beta1.TurnReleased, Number: 1})
	done := []metav1.Condition{{Type: v1beta1.ClusterSucceeded, Status: metav1.ConditionTrue, Reason: "ClusterUpdatingSucceeded"}}
	other.Status.StagesStatus = []v1beta1.StageUpdatingStatus{{Clusters: []v1beta1.ClusterUpdatingStatus{{ClusterName: cluster, Conditions: done}}}}
	other.Status.Conditions = append(other.Status.Conditions, metav1.Condition{Type: v1beta1.RunSucceeded, Status: metav1.ConditionTrue})
}

func TestARunSaysWhichClustersOutsideOfItItWaitsForAndGoesOnOnceTheyAreMended(t *testing.T) {
	f := newHeldFixture(t, 1, stage("a"))
	f.breakOutside("x")
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, fmt.Sprintf(waitsOutside, "x", "a"))
	stage := f.run.Status.StagesStatus[0]
	const told = "False StageUpdatingWaiting: Waiting for clusters of the placement that the updateRun does not update, and that another run has left unavailable"
	if got := conditionText(stage.Conditions, v1beta1.StageProgressing); got != told {
		t.Errorf("the stage says %q", got)
	}
	f.pass(time.Hour)
	f.steps()
	f.wantClusters("a1")
	f.available("x")
	f.steps()
	f.wantClusters("a1 Started")
}

func TestNoPolicyHasARunWaitForClustersOutsideOfIt(t *testing.T) {
	for name, policies := range map[string][]*policy.Policy{
		"no policy":            nil,
		"one that only warns":  {guard("b", stagedRule, warnOnly)},
		"one of another stage": {guard("b", stagedRule)},
	} {
		t.Run(name, func(t *testing.T) {
			w := initWorld(1, stage("a"), stage("b"))
			w.Policies = policies
			f := newFixtureIn(t, w)
			f.world.Governance = w.Governance
			f.breakOutside("x")
			f.steps()
			f.wantClusters("a1 Started", "b1")
		})
	}
}

func TestARollbackWaitsForNoClustersOutsideOfIt(t *testing.T) {
	f := newHeldFixture(t, 1, stage("a"))
	f.had("0", "a1")
	f.steps()
	f.wantClusters("a1 Started")
	f.setState(v1beta1.StateStop)
	f.available("a1")
	f.steps()
	f.breakOutside("x")
	run, w := f.rollback()
	w.Policies = []*policy.Policy{guard("a", stagedRule)}
	o := initialize(run, w, f.now)
	if o.Result != engine.ResultInitialized {
		t.Fatal(o.Message)
	}
	run.Status = *roundTrip(o.Decision.Status)
	f.world.Governance, f.world.Others, f.run = w.Governance, append(f.world.Others, f.run), run
	f.steps()
	f.wantClusters("a1 Started")
}

// A plan that names a broken cluster is no way to have it not count: nothing mends a cluster that the placement does not pick any more.
func TestABrokenClusterOfThePlanCountsOnceItIsNotPicked(t *testing.T) {
	for name, tt := range map[string]struct {
		of   func(f *fixture) bindingrules.Mover
		want []string
	}{
		"left by another run": {func(*fixture) bindingrules.Mover { return bindingrules.Mover{Name: "gone", Turn: 1} }, []string{"a1", "a2"}},
		"left by the run itself, before a retry": {func(f *fixture) bindingrules.Mover {
			return bindingrules.Mover{Name: f.run.Name, UID: f.run.UID, Turn: 1}
		}, []string{"a1", "a2"}},
		"not one that nobody has moved": {func(*fixture) bindingrules.Mover { return bindingrules.Mover{} }, []string{"a1", "a2 Started"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newHeldFixture(t, 2, stage("a", concurrency("1")))
			b := f.binding("a1")
			b.Spec.State, b.Spec.ResourceSnapshotName = v1beta1.BindingStateUnscheduled, "p-9-snapshot"
			if mover := tt.of(f); mover.Name != "" {
				bindingrules.RecordMove(b, mover)
			}
			f.steps()
			f.wantClusters(tt.want...)
		})
	}
	t.Run("in a later stage", func(t *testing.T) {
		w := initWorld(1, stage("a"), stage("b"))
		w.Policies = []*policy.Policy{guard("a", stagedRule)}
		f := newFixtureIn(t, w)
		f.world.Governance = w.Governance
		b := f.binding("b1")
		b.Spec.State, b.Spec.ResourceSnapshotName = v1beta1.BindingStateUnscheduled, "p-9-snapshot"
		bindingrules.RecordMove(b, bindingrules.Mover{Name: "gone", Turn: 1})
		f.steps()
		f.wantClusters("a1", "b1")
		f.wantCondition(v1beta1.RunProgressing, fmt.Sprintf(waitsOutside, "b1", "a"))
	})
}

// A strategy that turns its stages around breaks no cluster more than the run that comes to mend the others may.
func TestBrokenClustersOfLaterStagesCountWhereThereAreMoreThanTheStageHasRoomFor(t *testing.T) {
	for name, tt := range map[string]struct {
		limit  string
		broken []string
		want   string
	}{
		"as many as there is room for":    {"1", []string{"b1"}, "a1 Started"},
		"more":                            {"1", []string{"b1", "b2"}, "a1"},
		"as many, where there is more":    {"2", []string{"b1", "b2"}, "a1 Started"},
		"more, one of them in this stage": {"1", []string{"a1", "b1", "b2"}, "a1 Started"},
	} {
		t.Run(name, func(t *testing.T) {
			w := initWorld(3, stage("a", concurrency(tt.limit)), stage("b"))
			w.Policies = []*policy.Policy{guard("a", stagedRule)}
			f := newFixtureIn(t, w)
			f.world.Governance = w.Governance
			for _, name := range tt.broken {
				b := f.binding(name)
				b.Spec.State, b.Spec.ResourceSnapshotName = v1beta1.BindingStateBound, "p-9-snapshot"
				bindingrules.RecordMove(b, bindingrules.Mover{Name: "gone", Turn: 1})
			}
			f.steps()
			if got := f.clusters()[0]; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if tt.want == "a1" {
				f.wantCondition(v1beta1.RunProgressing, "False UpdateRunWaiting: The updateRun is waiting for cluster(s) b1, b2, which other runs have left unavailable: "+
					"more of them than maxConcurrency of stage a come in later stages. Mend them, roll back the runs that left them, or create a run whose strategy has them in its first stage")
			}
			f.available(tt.broken...)
			f.steps()
			if got := f.clusters()[0]; !strings.HasPrefix(got, "a1 S") {
				t.Errorf("got %q once they are mended", got)
			}
		})
	}
}

// Whoever has a broken cluster that is not picked needs nobody's leave to come out of that.
func TestThereIsAWayOutOfABrokenClusterThatIsNotPicked(t *testing.T) {
	t.Run("it is picked again, and the next run mends it", func(t *testing.T) {
		w := initWorld(2, stage("a"))
		w.Policies = []*policy.Policy{guard("a", stagedRule)}
		f := newFixtureIn(t, w)
		f.world.Governance = w.Governance
		b := f.binding("a2")
		b.Spec.State, b.Spec.ResourceSnapshotName = v1beta1.BindingStateBound, "p-9-snapshot"
		bindingrules.RecordMove(b, bindingrules.Mover{Name: "gone", Turn: 1})
		// Another one is broken still.
		f.breakOutside("x")
		f.steps()
		f.wantClusters("a1", "a2 Started")
		f.available("a2", "x")
		f.steps()
		f.wantClusters("a1 Started", "a2 Succeeded")
	})
	t.Run("a run of what the others have removes it", func(t *testing.T) {
		w := initWorld(2, stage("a"))
		w.Policies = []*policy.Policy{guard("a", stagedRule)}
		broken := w.Bindings[1].(*v1beta1.ClusterResourceBinding)
		broken.Spec.State, broken.Spec.ResourceSnapshotName = v1beta1.BindingStateUnscheduled, "p-9-snapshot"
		bindingrules.RecordMove(broken, bindingrules.Mover{Name: "gone", Turn: 1})
		f := newFixtureIn(t, w)
		f.world.Governance = w.Governance
		f.steps()
		f.wantClusters("a1", "a2")
		f.wantCondition(v1beta1.RunProgressing, fmt.Sprintf(waitsOutside, "a2", "a"))

		// The scheduler has written the binding since the rollout was announced.
		f.had("1", "a1")
		f.binding("a1").Generation++
		f.available("a1")
		f.steps()
		f.wantClusters("a1 Succeeded", "a2 Started")
		if b := f.binding("a2"); b.DeletionTimestamp == nil {
			t.Error("the resources stay on the cluster")
		}
	})
	t.Run("it leaves the fleet", func(t *testing.T) {
		f := newHeldFixture(t, 1, stage("a"))
		f.breakOutside("x")
		f.steps()
		f.world.Left["x"] = true
		f.steps()
		f.wantClusters("a1 Started")
	})
}

func TestARunThatWaitsForClustersOutsideOfItCanBeStopped(t *testing.T) {
	f := newHeldFixture(t, 1, stage("a"))
	f.breakOutside("x")
	f.steps()
	f.setState(v1beta1.StateStop)
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunStopped: The update run has been stopped")
}

// What was left behind counts as long as it is not available, however many clusters of the run are.
func TestClustersOutsideOfARunLeaveItTheRestOfTheRoom(t *testing.T) {
	f := newHeldFixture(t, 3, stage("a", concurrency("2")))
	f.breakOutside("x")
	f.steps()
	f.wantClusters("a1 Started", "a2", "a3")
	f.wantCondition(v1beta1.RunProgressing, "True UpdateRunProgressing: The update run is making progress")
	f.available("a1")
	f.steps()
	f.wantClusters("a1 Succeeded", "a2 Started", "a3")
	f.available("a2")
	f.steps()
	f.available("a3")
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
}
