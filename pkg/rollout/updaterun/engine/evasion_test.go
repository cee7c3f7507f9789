// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// Whoever may write a placement can have it pick other clusters while a run is under way, stopped or only planned. None of that may get a run
// past the rollout policies that hold it.

var stagedRule = v1alpha1.PolicyRules{Staged: true}

// newHeldFixture is newFixture for a run that a policy about the clusters of the last stage holds.
func newHeldFixture(t *testing.T, n int, stages ...v1beta1.StageConfig) *fixture {
	t.Helper()
	w := initWorld(n, stages...)
	w.Policies = []*policy.Policy{guard(stages[len(stages)-1].Name, stagedRule)}
	f := newFixtureIn(t, w)
	f.world.Governance = w.Governance
	return f
}

// unpick has the placement not pick a cluster any more, and pick has it picked again, as long as its binding is there.
func (f *fixture) unpick(cluster string) {
	b := f.binding(cluster)
	b.Spec.State = v1beta1.BindingStateUnscheduled
	b.Generation++
}

func (f *fixture) pick(cluster string) {
	b := f.binding(cluster)
	b.Spec.State = v1beta1.BindingStateBound
	if b.Spec.ResourceSnapshotName == "" {
		b.Spec.State = v1beta1.BindingStateScheduled
	}
	b.Generation++
}

// renew is what is left of a cluster that a run has cleaned up and that was picked again: a new binding.
func (f *fixture) renew(cluster string) {
	b := f.binding(cluster)
	*b = v1beta1.ClusterResourceBinding{
		ObjectMeta: metav1.ObjectMeta{Name: b.Name, Generation: 1, CreationTimestamp: metav1.NewTime(f.now.Add(time.Minute))},
		Spec:       v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateScheduled, TargetCluster: cluster, SchedulingPolicySnapshotName: "p-0"},
	}
}

// movedBy has another run give a cluster a version.
func (f *fixture) movedBy(run string, turn int64, index, cluster string) {
	b := f.binding(cluster)
	b.Spec.ResourceSnapshotName = "p-" + index + "-snapshot"
	b.Generation++
	bindingrules.RecordMove(b, bindingrules.Mover{Name: run, UID: types.UID(run + "-uid"), Turn: turn})
	f.available(cluster)
}

func (f *fixture) wantFailure(end string) {
	f.Helper()
	if got := f.condition(v1beta1.RunSucceeded); !strings.HasPrefix(got, "False UpdateRunFailed: ") || !strings.HasSuffix(got, end) {
		f.Errorf("Succeeded is %q, want a failure with %q", got, end)
	}
}

func TestAHeldRunWaitsForAClusterThatThePlacementUnpicks(t *testing.T) {
	f := newHeldFixture(t, 1, stage("soak", waitAfter(time.Minute)), stage("prod"))
	f.unpick("soak1")
	f.steps()
	f.wantClusters("soak1", "prod1")
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunWaiting: The updateRun is waiting for cluster(s) soak1 in stage soak, "+
		"which the placement does not pick any more: pick them again, or skip them")
	const message = "the placement does not pick the cluster any more: pick it again, or skip it"
	if got := f.run.Status.StagesStatus[0].Clusters[0].Message; got != message {
		t.Errorf("the cluster says %q", got)
	}
	f.pass(time.Hour)
	f.steps()
	f.wantClusters("soak1", "prod1")

	f.pick("soak1")
	f.steps()
	f.wantClusters("soak1 Started", "prod1")
	if got := f.run.Status.StagesStatus[0].Clusters[0].Message; got != "" {
		t.Errorf("the cluster says %q", got)
	}
	f.available("soak1")
	f.steps()
	f.pass(time.Minute)
	f.steps()
	f.wantClusters("soak1 Succeeded", "prod1 Started")
}

func TestAClusterThatAHeldRunWaitsForCanBeSkipped(t *testing.T) {
	f := newHeldFixture(t, 1, stage("soak"), stage("prod"))
	f.unpick("soak1")
	f.steps()
	f.ask(v1beta1.OperationSkip, func(e *v1beta1.UpdateRunHistoryEntry) { e.Clusters = []string{"soak1"} })
	f.steps()
	f.wantClusters("soak1 Skipped", "prod1 Started")
}

func TestAHeldRunSkipsAClusterThatLeavesTheFleet(t *testing.T) {
	f := newHeldFixture(t, 1, stage("soak"), stage("prod"))
	f.unpick("soak1")
	f.world.Left["soak1"] = true
	f.steps()
	f.wantClusters("soak1 Skipped", "prod1 Started")
}

func TestNoPolicyHasARunWaitForWhatIsUnpicked(t *testing.T) {
	for name, policies := range map[string][]*policy.Policy{
		"no policy":                 nil,
		"one that only warns":       {guard("prod", approvalRule, warnOnly)},
		"one that warns and is met": {guard("prod", stagedRule, warnOnly)},
		"one of others":             {guard("other", stagedRule)},
	} {
		t.Run(name, func(t *testing.T) {
			w := initWorld(1, stage("soak"), stage("prod"))
			w.Policies = policies
			f := newFixtureIn(t, w)
			f.world.Governance = w.Governance
			f.unpick("soak1")
			f.steps()
			f.wantClusters("soak1 Skipped", "prod1 Started")
			f.available("prod1")
			f.steps()
			f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully, with skipped clusters: soak1")
		})
	}
}

// A policy may come between the plan of a run and its start.
func TestARunIsHeldByWhatGovernsItAsItStarts(t *testing.T) {
	f := newFixture(t, 1, stage("soak"), stage("prod"))
	w := initWorld(1, stage("soak"), stage("prod"))
	f.world.Governance = w.Governance
	f.world.Policies = []*policy.Policy{guard("prod", stagedRule)}
	f.unpick("soak1")
	f.steps()
	f.wantClusters("soak1", "prod1")
	if got := f.run.Status.Policies; len(got) != 1 || got[0].Name != "prod-guard" {
		t.Errorf("the run is governed by %+v", got)
	}
	// From now on nothing is asked.
	f.world.Policies = nil
	f.steps()
	f.wantClusters("soak1", "prod1")
}

func TestAFailedClusterThatIsUnpickedIsNotSkippedByARetry(t *testing.T) {
	f := newHeldFixture(t, 1, stage("soak", func(c *v1beta1.StageConfig) {
		c.FailurePolicy = &v1beta1.FailurePolicy{ClusterTimeout: metav1.Duration{Duration: time.Minute}, OnFailure: v1beta1.FailureActionPause}
	}), stage("prod"))
	f.steps()
	f.pass(2 * time.Minute)
	f.steps()
	f.wantClusters("soak1 Failed", "prod1")
	f.unpick("soak1")
	f.ask(v1beta1.OperationRetry, nil)
	f.steps()
	f.wantClusters("soak1", "prod1")
}

func TestAClusterInFlightThatIsUnpickedStaysInFlight(t *testing.T) {
	failing := func(c *v1beta1.StageConfig) {
		c.FailurePolicy = &v1beta1.FailurePolicy{ClusterTimeout: metav1.Duration{Duration: 10 * time.Minute}}
	}
	f := newHeldFixture(t, 2, stage("prod", failing))
	f.steps()
	f.wantClusters("prod1 Started", "prod2")
	f.unpick("prod1")
	f.steps()
	f.wantClusters("prod1 Started", "prod2")
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunWaiting: The updateRun is waiting for cluster(s) prod1 in stage prod, "+
		"which the placement does not pick any more: pick them again, or skip them")
	f.pass(10 * time.Minute)
	f.steps()
	f.wantClusters("prod1 Failed", "prod2")
	f.wantFailure("prod1: Cluster update failed: not available within 10m0s: the placement does not pick the cluster any more: pick it again, or skip it")
}

func TestAnotherRunHasMovedAClusterThatThePlacementUnpicksMeanwhile(t *testing.T) {
	f := newFixture(t, 1, stage("a"), stage("b"))
	f.steps()
	f.available("a1")
	f.setState(v1beta1.StateStop)
	f.steps()
	f.movedBy("fix", 5, "2", "a1")
	f.unpick("a1")
	f.setState(v1beta1.StateRun)
	f.steps()
	f.wantFailure("ClusterStagedUpdateRun fix has moved cluster a1 since this run was stopped; create a new run instead of resuming this one")
}

// The attack: run b is stopped, c replaces its version, b is resumed while the clusters of c are not picked, and rolled back once they are.
func TestARollbackIsOfClustersThatItsRunWasTheLastToMove(t *testing.T) {
	const moved = "ClusterStagedUpdateRun fix has moved cluster a1 since run did; create a run with the resourceSnapshotIndex that the clusters are to have"
	for name, tt := range map[string]struct {
		change func(f *fixture)
		want   string
	}{
		"it is picked":                          {func(*fixture) {}, moved},
		"it is not picked":                      {func(f *fixture) { f.unpick("a1") }, moved},
		"the run had a later turn":              {func(f *fixture) { f.run.Status.Turn.Number = 9 }, moved},
		"a run of the name of the rollback was": {func(f *fixture) { f.movedBy(rollbackName, 6, "2", "a1") }, strings.Replace(moved, "fix", rollbackName, 1)},
		"it was removed in between":             {func(f *fixture) { f.renew("a1") }, ""},
		"the run never wrote to it":             {func(f *fixture) { f.movedBy("old", 0, "0", "a1") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a"), stage("b"))
			f.had("0", "a1", "b1")
			f.steps()
			f.available("a1")
			f.steps()
			f.available("b1")
			f.steps()
			f.movedBy("fix", 5, "2", "a1")
			tt.change(f)
			run, w := f.rollback()
			o := initialize(run, w, f.now)
			if tt.want != "" {
				if o.Result != engine.ResultFailed || !strings.HasSuffix(o.Message, tt.want) {
					t.Errorf("result %v: %s", o.Result, o.Message)
				}
				return
			}
			if o.Result != engine.ResultInitialized {
				t.Fatalf("result %v: %s", o.Result, o.Message)
			}
		})
	}
}

func TestARollbackLeavesOutClustersThatWerePickedAgain(t *testing.T) {
	f := newFixture(t, 1, stage("a"), stage("b"))
	f.had("0", "a1", "b1")
	f.steps()
	f.available("a1")
	f.steps()
	f.available("b1")
	f.steps()
	f.renew("a1")
	run, w := f.rollback()
	o := initialize(run, w, f.now)
	if o.Result != engine.ResultInitialized {
		t.Fatalf("result %v: %s", o.Result, o.Message)
	}
	want := []string{"left as they are, since they were removed from the placement and picked again after run had moved them: a1"}
	if diff := cmp.Diff(want, o.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	back := *f
	back.run = run
	back.run.Status = *roundTrip(o.Decision.Status)
	back.world.Others = []v1beta1.UpdateRunObject{f.run}
	back.steps()
	back.wantClusters("b1 Started")

	// Nothing is left to take back.
	f.renew("b1")
	run, w = f.rollback()
	if o := initialize(run, w, f.now); o.Result != engine.ResultFailed || !strings.Contains(o.Message, "were removed from the placement and picked again since") {
		t.Errorf("result %v: %s", o.Result, o.Message)
	}
}

// A rollback that was planned before takes no turn, nor starts a cluster, once another run has moved it.
func TestARollbackAsksAgainWhoMovedAClusterAsItStarts(t *testing.T) {
	for name, tt := range map[string]struct {
		before, during func(f *fixture)
		want           string
	}{
		"before its turn, and the cluster is not picked": {before: func(f *fixture) {
			f.movedBy("fix", 5, "2", "a1")
			f.unpick("a1")
		}, want: "fix has moved cluster a1 since run did"},
		"after its turn":                   {during: func(f *fixture) { f.movedBy("fix", 1, "2", "a1") }, want: "fix has moved cluster a1 since run did"},
		"after its turn, as a new binding": {during: func(f *fixture) { f.renew("a1") }},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a"), stage("b"))
			f.had("0", "a1", "b1")
			f.steps()
			f.available("a1")
			f.steps()
			f.available("b1")
			f.steps()
			back := f.planned()
			if tt.before != nil {
				tt.before(f)
			}
			back.steps()
			if tt.during != nil {
				back.wantClusters("b1 Started", "a1")
				tt.during(f)
				back.available("b1")
				back.steps()
			}
			if tt.want == "" {
				back.wantClusters("b1 Succeeded", "a1 Skipped")
				return
			}
			if got := back.condition(v1beta1.RunSucceeded); !strings.Contains(got, tt.want) {
				t.Errorf("Succeeded is %q", got)
			}
			if got := back.binding("a1").Spec.ResourceSnapshotName; got != "p-2-snapshot" {
				t.Errorf("a1 has %s", got)
			}
		})
	}
}

func TestAHeldRunStartsNoClusterThatWasRemovedAndPickedAgain(t *testing.T) {
	const resumed = "cluster %s was removed from the placement since this run was stopped; create a new run instead of resuming this one"
	for name, tt := range map[string]struct {
		change func(f *fixture)
		want   string
	}{
		"that was to come":                {func(f *fixture) { f.renew("prod1") }, strings.Replace(resumed, "%s", "prod1", 1)},
		"that was done":                   {func(f *fixture) { f.renew("soak1") }, strings.Replace(resumed, "%s", "soak1", 1)},
		"that was done, and is not there": {func(f *fixture) { f.world.Bindings = f.world.Bindings[1:] }, strings.Replace(resumed, "%s", "soak1", 1)},
		"that was done, and has left the fleet": {func(f *fixture) {
			f.world.Bindings = f.world.Bindings[1:]
			f.world.Left["soak1"] = true
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newHeldFixture(t, 1, stage("soak", waitAfter(time.Minute)), stage("prod"))
			f.steps()
			f.available("soak1")
			f.steps()
			f.setState(v1beta1.StateStop)
			f.steps()
			tt.change(f)
			f.pass(time.Hour)
			f.setState(v1beta1.StateRun)
			f.steps()
			if tt.want != "" {
				f.wantFailure(tt.want)
			} else {
				f.wantClusters("soak1 Succeeded", "prod1 Started")
			}
		})
	}
	t.Run("without a stop", func(t *testing.T) {
		f := newHeldFixture(t, 1, stage("soak"), stage("prod"))
		f.steps()
		f.renew("prod1")
		f.available("soak1")
		f.steps()
		f.wantFailure("cluster prod1 was removed from the placement and picked again since this run was planned; create a new run")
	})
}

// gatedFixture is newFixture for a run with a gate before prod that a policy demands, over two clusters of which none is moved before.
func gatedFixture(t *testing.T) *fixture {
	t.Helper()
	w := initWorld(2, stage("prod", approvedBefore))
	w.Policies = []*policy.Policy{guard("prod", approvalRule)}
	f := newFixtureIn(t, w)
	f.world.Governance = w.Governance
	return f
}

func (f *fixture) wantTurn(want v1beta1.UpdateRunTurn) {
	f.Helper()
	if diff := cmp.Diff(&want, f.run.Status.Turn); diff != "" {
		f.Errorf("turn (-want +got):\n%s", diff)
	}
}

// Nothing happens to the clusters between an approval and what follows from it.
func TestAHeldRunAsksForApprovalInItsTurn(t *testing.T) {
	after := func(c *v1beta1.StageConfig) {
		c.AfterStageTasks = append(c.AfterStageTasks, v1beta1.StageTask{Type: v1beta1.StageTaskTypeApproval})
	}
	for name, tt := range map[string]struct {
		stages []v1beta1.StageConfig
		change func(f *known)
		before func(f *fixture)
		// request is the one that the run makes first.
		request string
		want    []string
	}{
		"before a stage": {
			stages: []v1beta1.StageConfig{stage("prod", approvedBefore)}, request: "run-before-prod", want: []string{"prod1 Started"},
		},
		"before resources are removed": {
			stages: []v1beta1.StageConfig{stage("prod", approvedBefore)}, request: "run-before-prod",
			change: func(w *known) { w.Bindings[0].BindingSpec().State = v1beta1.BindingStateUnscheduled }, want: []string{"prod1"},
		},
		"after a stage of which all is skipped": {
			stages: []v1beta1.StageConfig{stage("canary", after), stage("prod")}, request: "run-after-canary",
			before: func(f *fixture) {
				f.ask(v1beta1.OperationSkip, func(e *v1beta1.UpdateRunHistoryEntry) { e.Clusters = []string{"canary1"} })
			},
			want: []string{"canary1 Skipped", "prod1 Started"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := initWorld(1, tt.stages...)
			if tt.change != nil {
				tt.change(&w)
			}
			w.Policies = []*policy.Policy{guard("prod", stagedRule)}
			f := newFixtureIn(t, w)
			f.world.Governance = w.Governance
			if tt.before != nil {
				tt.before(f)
			}
			other := f.other("other", -time.Hour, v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 1})
			f.steps()
			if len(f.world.Approvals) > 0 {
				t.Errorf("the run asks while another one moves clusters: %v", f.world.Approvals)
			}
			f.wantCondition(v1beta1.RunProgressing, "False UpdateRunWaiting: The updateRun is waiting for its turn: ClusterStagedUpdateRun other is moving placement p; stop or delete it to take over")
			other.Status.Turn.State = v1beta1.TurnReleased
			f.steps()
			if len(f.world.Approvals) != 1 || f.world.Approvals[tt.request] == nil {
				t.Fatalf("the run asks for %v, want %s", f.world.Approvals, tt.request)
			}
			f.wantTurn(v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 2, AwaitsStart: true})
			f.decide(tt.request, v1beta1.DecisionApproved)
			f.steps()
			if len(f.world.Approvals) == 1 {
				f.wantTurn(v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 2})
			}
			f.wantClusters(tt.want...)
		})
	}
}

func TestARunThatWaitsForApprovalInItsTurnIsToldOf(t *testing.T) {
	f := newFixture(t, 1, stage("prod"))
	f.other("other", -time.Hour, v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 1, AwaitsStart: true})
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunWaiting: The updateRun is waiting for its turn: "+
		"ClusterStagedUpdateRun other has its turn and waits for approval to move placement p; stop or delete it to take over")
}

// Policies judge a run until it starts, and name what governs it then, though it has its turn before.
func TestAHeldRunThatHasItsTurnIsJudgedUntilItStarts(t *testing.T) {
	stricter := guard("prod", v1alpha1.PolicyRules{Approval: &v1alpha1.ApprovalRule{Required: 2}})
	f := gatedFixture(t)
	f.steps()
	f.world.Policies = []*policy.Policy{stricter}
	f.decide("run-before-prod", v1beta1.DecisionApproved)
	f.steps()
	if got := f.condition(v1beta1.RunSucceeded); !strings.HasPrefix(got, changed) || f.run.Status.Turn.State != v1beta1.TurnReleased {
		t.Errorf("turn %v, Succeeded is %q", f.run.Status.Turn, got)
	}

	f = gatedFixture(t)
	f.steps()
	f.world.Policies = append(f.world.Policies, guard("prod", stagedRule, func(p *v1alpha1.ClusterRolloutPolicy) { p.Name, p.UID = "second", "second" }))
	f.steps()
	if got := f.run.Status.Policies; len(got) != 1 {
		t.Errorf("before its start the run is governed by %v", got)
	}
	f.decide("run-before-prod", v1beta1.DecisionApproved)
	f.steps()
	f.wantClusters("prod1 Started", "prod2")
	if got := f.run.Status.Policies; len(got) != 2 {
		t.Errorf("as it starts the run is governed by %v", got)
	}
}

// The attack: a run that waits for its first approval is stopped while the placement does not pick a cluster.
func TestAStopBeforeTheStartPassesOverNoCluster(t *testing.T) {
	f := gatedFixture(t)
	f.steps()
	f.unpick("prod1")
	f.setState(v1beta1.StateStop)
	f.steps()
	f.wantClusters("prod1", "prod2")
	f.wantTurn(v1beta1.UpdateRunTurn{State: v1beta1.TurnReleased, Number: 1, AwaitsStart: true})
	f.pick("prod1")
	f.setState(v1beta1.StateRun)
	f.steps()
	f.wantTurn(v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 2, AwaitsStart: true})
	f.decide("run-before-prod", v1beta1.DecisionApproved)
	f.steps()
	f.wantClusters("prod1 Started", "prod2")
}

func TestAnApprovalOfAStoppedRunIsVoidOnceAnotherRunHasMovedTheClusters(t *testing.T) {
	for by, want := range map[string]string{
		"":    "",
		"fix": "ClusterStagedUpdateRun fix has moved cluster prod2 since this run was stopped; create a new run instead of resuming this one",
	} {
		f := gatedFixture(t)
		f.steps()
		f.setState(v1beta1.StateStop)
		f.steps()
		f.decide("run-before-prod", v1beta1.DecisionApproved)
		if by != "" {
			f.movedBy(by, 2, "2", "prod2")
		}
		f.setState(v1beta1.StateRun)
		f.steps()
		if want != "" {
			f.wantFailure(want)
		} else {
			f.wantClusters("prod1 Started", "prod2")
		}
	}
}

// The attack: a run is approved before any policy is made, and while another run moves the clusters.
func TestARunThatAskedBeforeAPolicyHeldItIsNotGoneOnWith(t *testing.T) {
	const refused = changed + "cannot continue the updateRun: failed to process the request due to a client error: ClusterRolloutPolicy prod-guard governs the run by now, " +
		"and the run asked for its approval before stage prod before it had its turn: other runs may have moved clusters since; create a new run"
	for name, tt := range map[string]struct {
		before   func(f *fixture)
		policies []*policy.Policy
		want     string
	}{
		"it was approved": {before: func(f *fixture) { f.steps(); f.decide("run-before-prod", v1beta1.DecisionApproved) }, want: refused},
		"it was approved, and waits for its turn": {
			before: func(f *fixture) {
				f.other("other", -time.Hour, v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 1})
				f.steps()
				f.decide("run-before-prod", v1beta1.DecisionApproved)
				f.steps()
			},
			want: refused,
		},
		"nobody is known to have decided": {before: (*fixture).steps, want: refused},
		"it has not asked":                {before: func(*fixture) {}},
		"it has started":                  {before: func(f *fixture) { f.steps(); f.decide("run-before-prod", v1beta1.DecisionApproved); f.steps() }},
		"the policy only warns": {
			before: func(f *fixture) { f.steps(); f.decide("run-before-prod", v1beta1.DecisionApproved) }, policies: []*policy.Policy{guard("prod", approvalRule, warnOnly)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 2, stage("prod", approvedBefore))
			tt.before(f)
			if f.governedBy(guard("prod", approvalRule)); tt.policies != nil {
				f.world.Policies = tt.policies
			}
			f.steps()
			f.wantCondition(v1beta1.RunSucceeded, tt.want)
		})
	}
}

// Others wait for a run that is in line, which must not begin to wait for people then.
func TestARunThatIsInLineAsksForNothingBeforeItsTurn(t *testing.T) {
	f := gatedFixture(t)
	f.other("other", -time.Hour, v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 1})
	f.steps()
	f.world.Policies = nil
	f.steps()
	if len(f.world.Approvals) > 0 || f.run.Status.Turn.State != v1beta1.TurnWaiting {
		t.Errorf("turn %v, requests %v", f.run.Status.Turn, f.world.Approvals)
	}
}

// The attack: a run that removes is stopped at its gate and approved; the cluster is picked, moved by another run, and unpicked.
func TestARemovalIsVoidOnceAnotherRunHasMovedTheCluster(t *testing.T) {
	w := initWorld(1, stage("soak", approvedBefore), stage("prod"))
	w.Bindings[1].BindingSpec().State = v1beta1.BindingStateUnscheduled
	w.Policies = []*policy.Policy{guard("prod", approvalRule)}
	f := newFixtureIn(t, w)
	f.world.Governance = w.Governance
	f.steps()
	f.decide("run-before-soak", v1beta1.DecisionApproved)
	f.steps()
	f.available("soak1")
	f.steps()
	f.setState(v1beta1.StateStop)
	f.steps()
	f.decide("run-before-delete-stage", v1beta1.DecisionApproved)
	f.pick("prod1")
	f.movedBy("fix", 5, "2", "prod1")
	f.unpick("prod1")
	f.setState(v1beta1.StateRun)
	f.steps()
	f.wantFailure("ClusterStagedUpdateRun fix has moved cluster prod1 since this run was stopped; create a new run instead of resuming this one")
	if f.binding("prod1").DeletionTimestamp != nil {
		t.Error("the resources are removed")
	}
}

func TestARollbackAppliesAsTheClustersHadIt(t *testing.T) {
	never := (&v1beta1.ApplyStrategy{WhenToTakeOver: v1beta1.WhenToTakeOverTypeNever}).WithDefaults()
	ifNoDiff := (&v1beta1.ApplyStrategy{WhenToTakeOver: v1beta1.WhenToTakeOverTypeIfNoDiff}).WithDefaults()
	always := (*v1beta1.ApplyStrategy)(nil).WithDefaults()
	for name, tt := range map[string]struct {
		// had is by cluster how it had its version, and run how the run applied another one.
		had map[string]*v1beta1.ApplyStrategy
		run *v1beta1.ApplyStrategy
		// shared is how the rollback applies, and own what clusters have of their own.
		shared *v1beta1.ApplyStrategy
		own    map[string]*v1beta1.ApplyStrategy
	}{
		"as the run did":              {map[string]*v1beta1.ApplyStrategy{"a1": never, "b1": never}, never, never, nil},
		"in another way than the run": {map[string]*v1beta1.ApplyStrategy{"a1": never, "b1": never}, ifNoDiff, never, nil},
		"each in its own way":         {map[string]*v1beta1.ApplyStrategy{"a1": never, "b1": ifNoDiff}, ifNoDiff, ifNoDiff, map[string]*v1beta1.ApplyStrategy{"a1": never}},
		"each in another way than the run": {map[string]*v1beta1.ApplyStrategy{"a1": never, "b1": ifNoDiff}, always, always,
			map[string]*v1beta1.ApplyStrategy{"a1": never, "b1": ifNoDiff}},
	} {
		t.Run(name, func(t *testing.T) {
			w := initWorld(1, stage("a"), stage("b"))
			w.Placement.PlacementSpec().Strategy.ApplyStrategy = tt.run
			f := newFixtureIn(t, w)
			f.had("0", "a1", "b1")
			for cluster, way := range tt.had {
				f.binding(cluster).Spec.ApplyStrategy = way
			}
			f.steps()
			f.available("a1")
			f.steps()
			f.available("b1")
			f.steps()
			// Somebody lets the placement take over everything.
			run, known := f.rollback()
			known.Placement.PlacementSpec().Strategy.ApplyStrategy = always
			o := initialize(run, known, f.now)
			if o.Result != engine.ResultInitialized {
				t.Fatal(o.Message)
			}
			if diff := cmp.Diff(tt.shared, o.Decision.Status.ApplyStrategy); diff != "" {
				t.Errorf("the rollback applies (-want +got):\n%s", diff)
			}
			back := *f
			back.run = run
			back.run.Status = *roundTrip(o.Decision.Status)
			back.world.Others = []v1beta1.UpdateRunObject{f.run}
			for i := range run.Status.StagesStatus {
				c := run.Status.StagesStatus[i].Clusters[0]
				if diff := cmp.Diff(tt.own[c.ClusterName], c.ApplyStrategy); diff != "" {
					t.Errorf("cluster %s has of its own (-want +got):\n%s", c.ClusterName, diff)
				}
				back.steps()
				if diff := cmp.Diff(tt.had[c.ClusterName], back.binding(c.ClusterName).Spec.ApplyStrategy); diff != "" {
					t.Errorf("cluster %s is asked for (-want +got):\n%s", c.ClusterName, diff)
				}
				back.available(c.ClusterName)
			}
		})
	}
}

// A policy must not strand a run halfway that was under way when it was made, and nobody can use that.
func TestARunThatFailsRollsBackByWhatGovernsIt(t *testing.T) {
	byItself := &v1beta1.DecisionUser{Username: "system:apiserver"}
	for name, tt := range map[string]struct {
		createdBy *v1beta1.DecisionUser
		// governs is the generation of the policy by which the run was held, 0 for none.
		governs  int64
		violated bool
		asked    bool
		want     engine.Result
	}{
		"the policy came since":            {createdBy: byItself, want: engine.ResultInitialized},
		"the policy was changed since":     {createdBy: byItself, governs: 2, want: engine.ResultInitialized},
		"the run was held to it":           {createdBy: byItself, governs: 3, want: engine.ResultFailed},
		"the run violated it before":       {createdBy: byItself, governs: 2, violated: true, want: engine.ResultFailed},
		"somebody asks for it":             {createdBy: &v1beta1.DecisionUser{Username: "ann"}, want: engine.ResultFailed},
		"somebody creates it by hand":      {createdBy: mallory(), want: engine.ResultFailed},
		"under the name of the server":     {createdBy: &v1beta1.DecisionUser{Username: "system:apiserver", Groups: []string{"system:authenticated"}}, want: engine.ResultFailed},
		"of a run that rolls nothing back": {createdBy: byItself, asked: true, want: engine.ResultFailed},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("prod", func(c *v1beta1.StageConfig) {
				c.FailurePolicy = &v1beta1.FailurePolicy{
					ClusterTimeout: metav1.Duration{Duration: time.Minute}, OnFailure: v1beta1.FailureActionRollback, MaxFailures: ptr.To(intstr.FromInt32(0)),
				}
			}))
			f.had("0", "prod1")
			f.steps()
			f.pass(2 * time.Minute)
			f.steps()
			if f.run.Status.RolledBackBy == nil {
				t.Fatal("the run does not roll back")
			}
			if tt.asked {
				f.run.Status.RolledBackBy = nil
			}
			if tt.governs > 0 {
				f.run.Status.Policies = []v1beta1.GoverningPolicy{{Kind: policy.KindCluster, Name: "prod-guard", UID: "guard-uid", Generation: tt.governs, Violated: tt.violated}}
			}
			run, w := f.rollback()
			run.Status.CreatedBy = tt.createdBy
			members := initWorld(1, stage("prod"))
			w.Members, w.Policies = members.Members, []*policy.Policy{guard("prod", denyRule)}
			o := initialize(run, w, f.now)
			if o.Result != tt.want {
				t.Fatalf("result %v, want %v: %s", o.Result, tt.want, o.Message)
			}
			if tt.want != engine.ResultInitialized {
				return
			}
			// It is judged once more as it starts.
			back := *f
			back.run = run
			back.run.Status = *roundTrip(o.Decision.Status)
			back.world.Others, back.world.Governance = []v1beta1.UpdateRunObject{f.run}, w.Governance
			back.steps()
			back.wantClusters("prod1 Started")
		})
	}
}

// TestARollbackOfARunThatIsGoneMovesNothing has the run deleted that a planned rollback is of, and with it what tells who moved which cluster.
func TestARollbackOfARunThatIsGoneMovesNothing(t *testing.T) {
	f := newFixture(t, 1, stage("a"))
	f.had("0", "a1")
	f.steps()
	f.available("a1")
	f.steps()
	back := f.planned()
	f.movedBy("fix", 5, "2", "a1")
	back.world.Others = nil
	back.steps()
	if got := back.condition(v1beta1.RunSucceeded); !strings.Contains(got, "run was deleted since this run was planned to roll it back") {
		t.Errorf("Succeeded is %q", got)
	}
	if got := back.binding("a1").Spec.ResourceSnapshotName; got != "p-2-snapshot" {
		t.Errorf("a1 has %s", got)
	}
}
