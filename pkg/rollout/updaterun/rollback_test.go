// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// ask records what a user asks of a run as the server does.
func (f *fixture) ask(run string, operation v1beta1.OperationType) {
	f.Helper()
	update(f, f.fleet.Runs, run, true, func(r v1beta1.UpdateRunObject) {
		history := r.RunStatus().History
		r.RunStatus().History = append(history, v1beta1.UpdateRunHistoryEntry{
			Number: history[len(history)-1].Number + 1, Time: metav1.Now(), Reason: string(operation) + "Requested", Operation: operation, User: "ann", Message: "INC-7",
		})
	})
}

func TestARunIsRolledBackByAnotherAndTheyNameEachOther(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.membersApply()
		defer f.start()()
		f.newRunAt("first", "0", v1beta1.StateRun)
		f.decide("first-before-canary", v1beta1.DecisionApproved)
		f.untilCondition("first", v1beta1.RunSucceeded, "True UpdateRunSucceeded")

		// The second one waits with one cluster updated.
		f.newRun("second", v1beta1.StateRun)
		f.eventually("the second run has moved a cluster", func() bool {
			return f.binding("member2").BindingSpec().ResourceSnapshotName == "example-placement-1-snapshot"
		})
		f.ask("second", v1beta1.OperationRollback)
		f.untilCondition("second", v1beta1.RunSucceeded, "False UpdateRunRolledBack")
		f.eventually("the runs are linked", func() bool {
			by := f.run("second").RunStatus().RolledBackBy
			return by != nil && by.UID != "" && f.run(by.Name).RunStatus().RollbackOfUID == f.run("second").GetUID()
		})
		name := f.run("second").RunStatus().RolledBackBy.Name
		f.untilCondition(name, v1beta1.RunSucceeded, "True UpdateRunSucceeded")

		rollback := f.run(name)
		want := v1beta1.UpdateRunSpec{
			PlacementName: "example-placement", StagedUpdateStrategyName: "example-strategy", State: v1beta1.StateRun, RollbackOf: "second",
		}
		if diff := cmp.Diff(&want, rollback.RunSpec()); diff != "" {
			f.Errorf("the rollback (-want +got):\n%s", diff)
		}
		if by := rollback.RunStatus().CreatedBy; by == nil || by.Username != "ann" {
			f.Errorf("the rollback is created by %v, want ann", by)
		}
		for _, member := range []string{"member1", "member2", "member3"} {
			if got := f.binding(member).BindingSpec().ResourceSnapshotName; got != "example-placement-0-snapshot" {
				f.Errorf("%s has %s", member, got)
			}
		}
	})
}

func TestARunOfWhatWasOnlyComparedIsRolledBackToWhatWasApplied(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.membersApply()
		way := func(t v1beta1.ApplyStrategyType) {
			update(f, f.fleet.Placements, "example-placement", false, func(p v1beta1.PlacementObject) {
				p.PlacementSpec().Strategy.ApplyStrategy = &v1beta1.ApplyStrategy{Type: t}
			})
		}
		defer f.start()()
		f.newRunAt("first", "0", v1beta1.StateRun)
		f.decide("first-before-canary", v1beta1.DecisionApproved)
		f.untilCondition("first", v1beta1.RunSucceeded, "True UpdateRunSucceeded")

		way(v1beta1.ApplyStrategyTypeReportDiff)
		f.newRun("compare", v1beta1.StateRun)
		f.decide("compare-before-canary", v1beta1.DecisionApproved)
		f.untilCondition("compare", v1beta1.RunSucceeded, "True UpdateRunSucceeded")

		way(v1beta1.ApplyStrategyTypeClientSideApply)
		f.newRun("apply", v1beta1.StateRun)
		f.decide("apply-before-canary", v1beta1.DecisionApproved)
		f.untilCondition("apply", v1beta1.RunSucceeded, "True UpdateRunSucceeded")

		f.ask("apply", v1beta1.OperationRollback)
		f.eventually("the rollback is created", func() bool {
			by := f.run("apply").RunStatus().RolledBackBy
			return by != nil && by.UID != ""
		})
		f.untilCondition(f.run("apply").RunStatus().RolledBackBy.Name, v1beta1.RunSucceeded, "True UpdateRunSucceeded")
		for _, member := range []string{"member1", "member2", "member3"} {
			if got := f.binding(member).BindingSpec(); got.ResourceSnapshotName != "example-placement-0-snapshot" || bindingrules.Compares(got.ApplyStrategy) {
				f.Errorf("%s has %s by %v", member, got.ResourceSnapshotName, got.ApplyStrategy)
			}
		}
	})
}

// A changed apply strategy reaches a cluster with the next run alone, and does not reach a rollback.
func TestAPlacementThatComparesFromNowOnTurnsNoRollbackOff(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.membersApply()
		defer f.start()()
		f.newRunAt("first", "0", v1beta1.StateRun)
		f.decide("first-before-canary", v1beta1.DecisionApproved)
		f.untilCondition("first", v1beta1.RunSucceeded, "True UpdateRunSucceeded")
		f.newRun("second", v1beta1.StateRun)
		f.eventually("the second run has moved a cluster", func() bool {
			return f.binding("member2").BindingSpec().ResourceSnapshotName == "example-placement-1-snapshot"
		})
		update(f, f.fleet.Placements, "example-placement", false, func(p v1beta1.PlacementObject) {
			p.PlacementSpec().Strategy.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
		})
		f.decide("second-before-canary", v1beta1.DecisionApproved)
		f.untilCondition("second", v1beta1.RunSucceeded, "True UpdateRunSucceeded")
		for _, member := range []string{"member1", "member2", "member3"} {
			if got := f.binding(member).BindingSpec(); bindingrules.Compares(got.ApplyStrategy) {
				f.Errorf("%s is only compared by now", member)
			}
		}
		f.ask("second", v1beta1.OperationRollback)
		f.eventually("the rollback is created", func() bool {
			by := f.run("second").RunStatus().RolledBackBy
			return by != nil && by.UID != ""
		})
		f.untilCondition(f.run("second").RunStatus().RolledBackBy.Name, v1beta1.RunSucceeded, "True UpdateRunSucceeded")
		for _, member := range []string{"member1", "member2", "member3"} {
			if got := f.binding(member).BindingSpec(); got.ResourceSnapshotName != "example-placement-0-snapshot" || bindingrules.Compares(got.ApplyStrategy) {
				f.Errorf("%s has %s by %v", member, got.ResourceSnapshotName, got.ApplyStrategy)
			}
		}
	})
}

func TestNobodyTakesTheNameOfARollback(t *testing.T) {
	for name, squat := range map[string]v1beta1.UpdateRunSpec{
		"a plan of a rollback": {
			PlacementName: "example-placement", StagedUpdateStrategyName: "example-strategy", State: v1beta1.StateInitialize, RollbackOf: "second",
		},
		"a run of another placement": {PlacementName: "other", StagedUpdateStrategyName: "example-strategy", State: v1beta1.StateInitialize},
	} {
		t.Run(name, func(t *testing.T) {
			forBothScopes(t, func(f *fixture) {
				f.tutorial()
				f.membersApply()
				defer f.start()()
				f.newRunAt("first", "0", v1beta1.StateRun)
				f.decide("first-before-canary", v1beta1.DecisionApproved)
				f.untilCondition("first", v1beta1.RunSucceeded, "True UpdateRunSucceeded")
				f.newRun("second", v1beta1.StateRun)
				f.eventually("the second run has moved a cluster", func() bool {
					return f.binding("member2").BindingSpec().ResourceSnapshotName == "example-placement-1-snapshot"
				})
				second := f.run("second")
				squatter := wellknown.RollbackName(second.GetName(), string(second.GetUID()), "")
				create(f, f.fleet.Runs, squatter, func(r v1beta1.UpdateRunObject) {
					*r.RunSpec() = squat
					r.RunStatus().CreatedBy = &v1beta1.DecisionUser{Username: "mallory", Groups: []string{"system:authenticated"}}
				})
				f.ask("second", v1beta1.OperationRollback)
				f.eventually("the runs are linked", func() bool {
					by := f.run("second").RunStatus().RolledBackBy
					return by != nil && by.UID != ""
				})
				by := f.run("second").RunStatus().RolledBackBy.Name
				if by == squatter {
					f.Fatalf("the run is rolled back by %s of %+v", by, f.run(by).RunStatus().CreatedBy)
				}
				f.untilCondition(by, v1beta1.RunSucceeded, "True UpdateRunSucceeded")
				if got := f.binding("member2").BindingSpec().ResourceSnapshotName; got != "example-placement-0-snapshot" {
					f.Errorf("member2 has %s", got)
				}
				if !slices.Contains(f.events.reasons(), "RollbackRenamed") {
					f.Errorf("nobody is told: %v", f.events.reasons())
				}
				rollbacks := 0
				for _, run := range f.fleet.Runs.All() {
					if runrules.IsRollback(run, f.run("second")) {
						rollbacks++
					}
				}
				if rollbacks != 1 {
					f.Errorf("%d runs roll it back", rollbacks)
				}
			})
		})
	}
}

func TestARollbackThatTheHubRefusesIsToldOf(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.membersApply()
		var refused atomic.Int32
		f.client.PrependReactor("create", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
			run, ok := a.(clienttesting.CreateAction).GetObject().(v1beta1.UpdateRunObject)
			if !ok || run.RunSpec().RollbackOf == "" || refused.Add(1) > 2 {
				return false, nil, nil
			}
			return true, nil, apierrors.NewForbidden(a.GetResource().GroupResource(), run.GetName(), errors.New("runs need an owner"))
		})
		defer f.start()()
		f.newRunAt("first", "0", v1beta1.StateRun)
		f.decide("first-before-canary", v1beta1.DecisionApproved)
		f.untilCondition("first", v1beta1.RunSucceeded, "True UpdateRunSucceeded")
		f.newRun("second", v1beta1.StateRun)
		f.eventually("the second run has moved a cluster", func() bool {
			return f.binding("member2").BindingSpec().ResourceSnapshotName == "example-placement-1-snapshot"
		})
		f.ask("second", v1beta1.OperationRollback)
		f.eventually("the refusal is told of", func() bool { return slices.Contains(f.events.reasons(), "RollbackRefused") })
		f.eventually("the runs are linked", func() bool {
			by := f.run("second").RunStatus().RolledBackBy
			return by != nil && by.UID != ""
		})
		f.untilCondition(f.run("second").RunStatus().RolledBackBy.Name, v1beta1.RunSucceeded, "True UpdateRunSucceeded")
	})
}
