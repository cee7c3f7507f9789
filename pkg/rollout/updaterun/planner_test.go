// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

func TestAPlanIsWhatTheRunBecomes(t *testing.T) {
	for name, index := range map[string]string{"an index": "1", "no index": ""} {
		t.Run(name, func(t *testing.T) {
			forBothScopes(t, func(f *fixture) {
				f.tutorial()
				run := f.fleet.Runs.New(f.key("example-run"))
				*run.RunSpec() = v1beta1.UpdateRunSpec{
					PlacementName: "example-placement", StagedUpdateStrategyName: "example-strategy", ResourceSnapshotIndex: index, State: v1beta1.StateInitialize,
				}
				run.SetGeneration(1)
				f.client.ClearActions()
				plan, warnings, err := NewPlanner(f.fleet, f.snapshots).Plan(f.ctx, run)
				f.must(err)
				if len(warnings) > 0 {
					f.Errorf("warnings: %q", warnings)
				}
				if n := f.writesTo("s"); n > 0 || f.snapshots.calls > 0 && !f.snapshots.dryRun {
					f.Errorf("planning wrote %d times", n)
				}

				defer f.start()()
				f.newRunAt("example-run", index, v1beta1.StateInitialize)
				f.untilCondition("example-run", v1beta1.RunInitialized, "True UpdateRunInitializedSuccessfully")
				if diff := cmp.Diff(plan, f.run("example-run").RunStatus(), cmpopts.IgnoreFields(metav1.Condition{}, "LastTransitionTime"),
					cmpopts.IgnoreFields(v1beta1.UpdateRunStatus{}, "History")); diff != "" {
					f.Errorf("plan (-) and run (+):\n%s", diff)
				}
			})
		})
	}
}

func TestAPlanSaysWhyThereIsNone(t *testing.T) {
	f := newFixture(t, "")
	run := f.fleet.Runs.New(f.key("example-run"))
	run.RunSpec().PlacementName = "missing"
	plan, warnings, err := NewPlanner(f.fleet, f.snapshots).Plan(f.ctx, run)
	f.must(err)
	want := "cannot continue the updateRun: failed to validate the updateRun: failed to process the request due to a client error: parent placement not found"
	if c := meta.FindStatusCondition(plan.Conditions, v1beta1.RunInitialized); c == nil || c.Status != metav1.ConditionFalse || c.Message != want {
		t.Errorf("condition is %v", c)
	}
	wantWarnings := []string{"the run cannot be initialized now and would be tried again for one minute: parent placement not found"}
	if diff := cmp.Diff(wantWarnings, warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// A dry run is a success whatever the plan, and most commands show nothing of its status.
func TestAPlanThatCannotBeMadeIsAWarning(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		update(f, f.fleet.Strategies, "example-strategy", false, func(s v1beta1.UpdateStrategyObject) {
			s.StrategySpec().Stages = s.StrategySpec().Stages[:1]
		})
		f.eventually("the cache has it", func() bool {
			s, err := f.fleet.Strategies.Get(f.key("example-strategy"))
			return err == nil && len(s.StrategySpec().Stages) == 1
		})
		run := f.fleet.Runs.New(f.key("example-run"))
		*run.RunSpec() = v1beta1.UpdateRunSpec{PlacementName: "example-placement", StagedUpdateStrategyName: "example-strategy", ResourceSnapshotIndex: "1"}
		_, warnings, err := NewPlanner(f.fleet, f.snapshots).Plan(f.ctx, run)
		f.must(err)
		want := []string{"the run cannot be initialized: some clusters are not placed in any stage, total 2, showing up to 10: member1, member3"}
		if diff := cmp.Diff(want, warnings); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
		const obstacle = "some clusters are not placed in any stage, total 2, showing up to 10: member1, member3"
		if got := NewPlanner(f.fleet, f.snapshots).Obstacle(f.ctx, run); got != obstacle {
			t.Errorf("obstacle %q, want %q", got, obstacle)
		}
		// What is missing may come with the next object of the same file.
		run.RunSpec().PlacementName = "missing"
		if got := NewPlanner(f.fleet, f.snapshots).Obstacle(f.ctx, run); got != "" {
			t.Errorf("obstacle %q of a placement that may come", got)
		}
	})
}

func TestAPlanWarnsOfWhatIsProbablyNotMeant(t *testing.T) {
	f := newFixture(t, "team")
	f.tutorial()
	create(f, f.fleet.Bindings, "gone", func(b v1beta1.BindingObject) {
		b.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "example-placement"})
		*b.BindingSpec() = v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateUnscheduled, TargetCluster: "gone"}
	})
	update(f, f.fleet.Snapshots, "example-placement-0-snapshot", false, func(s v1beta1.ResourceSnapshotObject) {
		s.SnapshotSpec().SelectedResources = []v1beta1.ResourceContent{
			{RawExtension: runtime.RawExtension{Raw: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"team","name":"test-cm"}}`)}},
		}
	})
	update(f, f.fleet.Bindings, "example-placement-member1", false, func(b v1beta1.BindingObject) {
		b.BindingSpec().State = v1beta1.BindingStateBound
		b.BindingSpec().ResourceSnapshotName = "example-placement-0-snapshot"
	})
	update(f, f.fleet.Strategies, "example-strategy", false, func(s v1beta1.UpdateStrategyObject) {
		s.StrategySpec().Stages = append(s.StrategySpec().Stages, v1beta1.StageConfig{Name: "empty"})
	})
	f.eventually("the caches have it", func() bool {
		strategy, err := f.fleet.Strategies.Get(f.key("example-strategy"))
		snapshot, snapshotErr := f.fleet.Snapshots.Get(f.key("example-placement-0-snapshot"))
		return err == nil && len(strategy.StrategySpec().Stages) == 3 && f.binding("member1").BindingSpec().State == v1beta1.BindingStateBound &&
			snapshotErr == nil && strings.Contains(string(snapshot.SnapshotSpec().SelectedResources[0].Raw), "test-cm")
	})
	run := f.fleet.Runs.New(f.key("example-run"))
	*run.RunSpec() = v1beta1.UpdateRunSpec{PlacementName: "example-placement", StagedUpdateStrategyName: "example-strategy", ResourceSnapshotIndex: "1"}
	_, warnings, err := NewPlanner(f.fleet, f.snapshots).Plan(f.ctx, run)
	f.must(err)
	want := []string{
		"stage empty matches no cluster of the placement and is skipped",
		"the run removes all resources of the placement from 1 cluster that the placement does not pick any more: gone",
		"1 object(s) that member clusters have from placement example-placement are not in resource snapshot 1 and will be removed: ConfigMap team/test-cm",
	}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestNoPlanIsMadeFromCachesThatAreNotFilled(t *testing.T) {
	f := fleet.New(fake.NewClientset())
	planner, run := NewPlanner(f, &fakeSnapshots{}), &v1beta1.ClusterStagedUpdateRun{}
	_, _, err := planner.Plan(t.Context(), run)
	for what, err := range map[string]error{"plan": err, "rollback": planner.CheckRollback(t.Context(), run), "resume": planner.CheckResume(t.Context(), run)} {
		if !apierrors.IsServiceUnavailable(err) {
			t.Errorf("%s: error is %v, want ServiceUnavailable", what, err)
		}
	}
}

func TestARollbackIsCheckedBeforeItIsAsked(t *testing.T) {
	const compared = "cluster member2 was only compared with resource snapshot 0, by the applyStrategy ReportDiff, and did not have it: create a run for the version that it is to have"
	for name, tt := range map[string]struct {
		change func(f *fixture, run v1beta1.UpdateRunObject)
		// want is what the refusal says after the name of the run's kind, and empty for none.
		want string
	}{
		"a run under way": {func(_ *fixture, run v1beta1.UpdateRunObject) {
			run.RunStatus().Turn = &v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 1}
		}, ""},
		"another placement of the name": {func(_ *fixture, run v1beta1.UpdateRunObject) { run.RunStatus().PlacementUID = "old" },
			"run has moved clusters of another placement of that name"},
		"no placement": {func(_ *fixture, run v1beta1.UpdateRunObject) { run.RunSpec().PlacementName = "gone" }, "parent placement not found"},
		"a version that was only compared": {func(_ *fixture, run v1beta1.UpdateRunObject) {
			run.RunStatus().StagesStatus[0].Clusters[0].PreviousApplyType = v1beta1.ApplyStrategyTypeReportDiff
		}, compared},
		"a cluster that another run has moved": {func(_ *fixture, run v1beta1.UpdateRunObject) {
			run.SetName("earlier")
			run.SetUID("uid-of-earlier")
		},
			"run has moved cluster member2 since earlier did; create a run with the resourceSnapshotIndex that the clusters are to have"},
		"a version that is gone": {func(_ *fixture, run v1beta1.UpdateRunObject) {
			run.RunStatus().StagesStatus[0].Clusters[0].PreviousResourceSnapshotIndex = ptr.To("7")
		}, "cluster member2 had resource snapshot 7, which is not kept any more"},
	} {
		t.Run(name, func(t *testing.T) {
			forBothScopes(t, func(f *fixture) {
				f.tutorial()
				run := f.fleet.Runs.New(f.key("run"))
				run.SetUID("uid-of-run")
				*run.RunSpec() = v1beta1.UpdateRunSpec{PlacementName: "example-placement", StagedUpdateStrategyName: "example-strategy", State: v1beta1.StateRun}
				placement, err := f.fleet.Placements.Get(f.key("example-placement"))
				f.must(err)
				*run.RunStatus() = v1beta1.UpdateRunStatus{
					PlacementUID: placement.GetUID(), ResourceSnapshotIndexUsed: "1",
					UpdateStrategySnapshot: &v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{{Name: "canary"}}},
					StagesStatus: []v1beta1.StageUpdatingStatus{{StageName: "canary", Clusters: []v1beta1.ClusterUpdatingStatus{
						{ClusterName: "member2", PreviousResourceSnapshotIndex: ptr.To("0")},
					}}},
				}
				update(f, f.fleet.Bindings, f.binding("member2").GetName(), false, func(b v1beta1.BindingObject) {
					bindingrules.RecordMove(b, bindingrules.Mover{Name: "run", UID: "uid-of-run", Turn: 1})
				})
				f.eventually("the binding is seen", func() bool {
					name := bindingrules.LastMove(f.binding("member2")).Name
					return name == "run"
				})
				tt.change(f, run)
				stored := fleet.Copy(run)
				f.client.ClearActions()
				got := ""
				if err := NewPlanner(f.fleet, f.snapshots).CheckRollback(f.ctx, run); err != nil {
					got = strings.TrimPrefix(err.Error(), runrules.RunKind(run)+" ")
				}
				if got != tt.want {
					f.Errorf("refused because %q, want %q", got, tt.want)
				}
				if diff := cmp.Diff(stored, run); diff != "" || len(f.asked()) > 0 {
					f.Errorf("the check asks or writes %v, and changes the run (-before +after):\n%s", f.asked(), diff)
				}
			})
		})
	}
}

func TestARunThatOthersHaveOvertakenIsNotResumed(t *testing.T) {
	const moved = " later has moved cluster member2 since this run was stopped; create a new run instead of resuming this one"
	for name, tt := range map[string]struct {
		turn *v1beta1.UpdateRunTurn
		by   bindingrules.Mover
		want string
	}{
		"by a later turn":                       {&v1beta1.UpdateRunTurn{State: v1beta1.TurnReleased, Number: 3}, bindingrules.Mover{Name: "later", UID: "later", Turn: 4}, moved},
		"by a later turn, and awaits its start": {&v1beta1.UpdateRunTurn{State: v1beta1.TurnReleased, Number: 3, AwaitsStart: true}, bindingrules.Mover{Name: "later", UID: "later", Turn: 4}, moved},
		"by its own":                            {&v1beta1.UpdateRunTurn{State: v1beta1.TurnReleased, Number: 3}, bindingrules.Mover{Name: "run", UID: "uid-of-run", Turn: 4}, ""},
		"by an earlier one":                     {&v1beta1.UpdateRunTurn{State: v1beta1.TurnReleased, Number: 3}, bindingrules.Mover{Name: "earlier", UID: "earlier", Turn: 2}, ""},
		"before it had a turn":                  {nil, bindingrules.Mover{Name: "later", UID: "later", Turn: 4}, ""},
		"and is stopping":                       {&v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 3}, bindingrules.Mover{Name: "later", UID: "later", Turn: 4}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			forBothScopes(t, func(f *fixture) {
				f.tutorial()
				f.newRun("run", v1beta1.StateInitialize)
				p, err := attempt(f.ctx, f.fleet, f.snapshots, f.run("run"), f.controller().clock.Now(), false)
				f.must(err)
				run := fleet.Copy(f.run("run"))
				run.SetUID("uid-of-run")
				*run.RunStatus() = *p.outcome.Decision.Status
				run.RunSpec().State, run.RunStatus().Turn = v1beta1.StateStop, tt.turn
				update(f, f.fleet.Bindings, f.binding("member2").GetName(), false, func(b v1beta1.BindingObject) { bindingrules.RecordMove(b, tt.by) })
				f.eventually("the binding is seen", func() bool { return bindingrules.LastMove(f.binding("member2")).Name == tt.by.Name })
				stored := fleet.Copy(run)
				f.client.ClearActions()
				got := ""
				if err := NewPlanner(f.fleet, f.snapshots).CheckResume(f.ctx, run); err != nil {
					got = strings.TrimPrefix(err.Error(), runrules.RunKind(run))
				}
				if got != tt.want {
					f.Errorf("refused because %q, want %q", got, tt.want)
				}
				if diff := cmp.Diff(stored, run); diff != "" || len(f.asked()) > 0 {
					f.Errorf("the check asks or writes %v, and changes the run (-before +after):\n%s", f.asked(), diff)
				}
			})
		})
	}
}

// TestAPlanIsOfThePlacementAsItIsStored has the cache lag behind an edit that came before the run.
func TestAPlanIsOfThePlacementAsItIsStored(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		compares := func(p v1beta1.PlacementObject) bool {
			strategy := p.PlacementSpec().Strategy.ApplyStrategy
			return strategy != nil && strategy.Type == v1beta1.ApplyStrategyTypeReportDiff
		}
		stale, err := f.fleet.Placements.Get(f.key("example-placement"))
		f.must(err)
		update(f, f.fleet.Placements, "example-placement", false, func(p v1beta1.PlacementObject) {
			p.PlacementSpec().Strategy.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
		})
		f.eventually("the cache has the edit", func() bool {
			p, err := f.fleet.Placements.Get(f.key("example-placement"))
			return err == nil && compares(p)
		})
		informers := f.fleet.Placements.Informers()
		informer := informers[0]
		if f.namespace != "" {
			informer = informers[1]
		}
		f.must(informer.GetIndexer().Update(stale))
		f.newRun("first", v1beta1.StateInitialize)

		p, err := attempt(f.ctx, f.fleet, f.snapshots, f.run("first"), f.controller().clock.Now(), false)
		f.must(err)
		if got := p.outcome.Decision.Status.ApplyStrategy; got == nil || got.Type != v1beta1.ApplyStrategyTypeReportDiff {
			f.Errorf("the run is to apply by %v, want ReportDiff", got)
		}
	})
}
