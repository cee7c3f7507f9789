// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagegate/stagegate/pkg/apis/overrides"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

func TestARunFreezesTheOverridesOfEachCluster(t *testing.T) {
	first, second := &simOverride{name: "first", stage: "a"}, &simOverride{name: "second", namespace: "shop", stage: "a"}
	w := initWorld(1, stage("a"), stage("b"))
	run := newRun()
	w.Overrides = plan.Overrides{
		Objects:   []v1beta1.OverrideObject{first.object(1), second.object(0)},
		Snapshots: []v1beta1.OverrideSnapshotObject{first.snapshot(0, 0), second.snapshot(0, 0)},
	}
	o := initialize(run, w, simStart)
	want := "cannot continue the updateRun: failed to validate the updateRun: no snapshot yet of what ClusterResourceOverride `first` says now"
	if o.Result != engine.ResultWaiting || o.Message != want {
		t.Fatalf("result %d %q, want to wait: %q", o.Result, o.Message, want)
	}
	w.Overrides.Snapshots = append(w.Overrides.Snapshots, first.snapshot(1, 1))
	o = initialize(run, w, simStart)
	if o.Result != engine.ResultInitialized {
		t.Fatalf("not planned: %s", o.Message)
	}
	stages := o.Decision.Status.StagesStatus
	if diff := cmp.Diff([]v1beta1.NamespacedName{{Name: "first-1"}, {Namespace: "shop", Name: "second-0"}}, runrules.OverrideSnapshotsOf(&stages[0].Clusters[0])); diff != "" {
		t.Errorf("overrides of a1 (-want +got):\n%s", diff)
	}
	if got := runrules.OverrideSnapshotsOf(&stages[1].Clusters[0]); len(got) > 0 {
		t.Errorf("overrides of b1: %v, want none", got)
	}
}

func TestAnOverrideThatDoesNotFitIsFoundBeforeAnythingMoves(t *testing.T) {
	first, second := &simOverride{name: "first", stage: "b"}, &simOverride{name: "second", namespace: "shop", stage: "b"}
	w := initWorld(2, stage("a"), stage("b"))
	var tried []string
	w.Overrides = plan.Overrides{
		Objects:   []v1beta1.OverrideObject{second.object(0), first.object(0)},
		Snapshots: []v1beta1.OverrideSnapshotObject{second.snapshot(0, 0), first.snapshot(0, 0)},
	}
	w.Misfits = func(member plan.Member, inForce []v1beta1.OverrideSnapshotObject) ([]overrides.LeftOut, error) {
		line := member.Name
		for _, s := range inForce {
			line += " " + s.GetName()
		}
		if tried = append(tried, line); member.Name == "b2" {
			return nil, errors.New("b2 lacks a label")
		}
		return nil, nil
	}
	o := initialize(newRun(), w, simStart)
	want := "cannot continue the updateRun: failed to validate the updateRun: failed to process the request due to a client error: b2 lacks a label"
	if o.Result != engine.ResultFailed || o.Message != want {
		t.Errorf("result %d %q, want %q", o.Result, o.Message, want)
	}
	// The history is for people: what went wrong goes before how it is classed.
	if got, want := o.Decision.Status.History[0].Message, "b2 lacks a label; this is final, create a new run once it is mended"; got != want {
		t.Errorf("the history says %q, want %q", got, want)
	}
	if diff := cmp.Diff([]string{"b1 first-0 second-0", "b2 first-0 second-0"}, tried); diff != "" {
		t.Errorf("tried (-want +got):\n%s", diff)
	}
}

func TestWhatIsLeftOutIsToldAndKeepsNoRunFromBeingPlanned(t *testing.T) {
	var all []*simOverride
	w := initWorld(5, stage("a"), stage("b"))
	w.Overrides = plan.Overrides{}
	for i := range 12 {
		o := &simOverride{name: fmt.Sprintf("o%02d", i), namespace: "shop", stage: "a"}
		all = append(all, o)
		w.Overrides.Objects = append(w.Overrides.Objects, o.object(0))
		w.Overrides.Snapshots = append(w.Overrides.Snapshots, o.snapshot(0, 0))
	}
	w.Misfits = func(member plan.Member, inForce []v1beta1.OverrideSnapshotObject) (unfit []overrides.LeftOut, _ error) {
		for _, s := range inForce {
			if s.GetName() == "o00-0" && member.Name == "a5" {
				continue
			}
			for _, object := range []string{"first", "second"} {
				unfit = append(unfit, overrides.LeftOut{
					Version: v1beta1.NamespacedName{Namespace: s.GetNamespace(), Name: s.GetName()},
					Message: fmt.Sprintf("%s on %s in %s", s.GetName(), object, member.Name),
				})
			}
		}
		return unfit, nil
	}
	o := initialize(newRun(), w, simStart)
	if o.Result != engine.ResultInitialized {
		t.Fatalf("not planned: %s", o.Message)
	}
	want := []string{"an override does not fit and is left out on 4 clusters (a1, a2, a3...): o00-0 on first in a1"}
	for _, more := range all[1:10] {
		want = append(want, fmt.Sprintf("an override does not fit and is left out on 5 clusters (a1, a2, a3...): %s-0 on first in a1", more.name))
	}
	want = append(want, "2 more overrides do not fit either and are left out")
	if diff := cmp.Diff(want, o.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	// It is in force all the same: a cluster whose labels change before it is moved gets what fits then.
	if got := len(runrules.OverrideSnapshotsOf(&o.Decision.Status.StagesStatus[0].Clusters[0])); got != len(all) {
		t.Errorf("%d overrides are in force on a1, want %d", got, len(all))
	}
}

func TestASnapshotThatIsNotWholeIsWaitedFor(t *testing.T) {
	w := initWorld(1, stage("a"))
	w.Snapshots[0].SetName("p-1-snapshot")
	w.Snapshots[0].GetAnnotations()[wellknown.NumberOfSnapshotsAnnotation] = "2"
	o := initialize(newRun(), w, simStart)
	want := "cannot continue the updateRun: failed to validate the updateRun: resource snapshot p-1-snapshot has 1 of its 2 parts"
	if o.Result != engine.ResultWaiting || o.Message != want {
		t.Errorf("result %d %q, want to wait: %q", o.Result, o.Message, want)
	}
}

func TestARollbackBringsOverridesBack(t *testing.T) {
	f := newFixture(t, 2, stage("a", concurrency("2")))
	// Only the overrides are to change: a1 loses one, a2 keeps what it has.
	f.had("1", "a1", "a2")
	f.binding("a1").Spec.ClusterResourceOverrideSnapshots = []string{"o-0"}
	f.steps()
	if got := f.binding("a1").Spec.ClusterResourceOverrideSnapshots; len(got) > 0 {
		t.Fatalf("a1 has the overrides %v", got)
	}
	f.ask(v1beta1.OperationRollback, nil)
	f.step()

	run, w := f.rollback()
	o := initialize(run, w, f.now)
	want := "cannot continue the updateRun: failed to validate the updateRun: failed to process the request due to a client error: " +
		"cluster a1 had override snapshot o-0, which is not kept any more"
	if o.Result != engine.ResultFailed || o.Message != want {
		t.Errorf("result %d %q, want %q", o.Result, o.Message, want)
	}
	w.Overrides.Snapshots = []v1beta1.OverrideSnapshotObject{(&simOverride{name: "o"}).snapshot(0, 0)}
	o = initialize(run, w, f.now)
	if o.Result != engine.ResultInitialized {
		t.Fatalf("not planned: %s", o.Message)
	}
	back := *f
	back.run = run
	back.run.Status = *roundTrip(o.Decision.Status)
	back.world.Others = []v1beta1.UpdateRunObject{f.run}
	back.steps()
	back.available("a1")
	back.steps()
	back.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
	back.wantClusters("a1 Succeeded")
	if diff := cmp.Diff([]string{"o-0"}, back.binding("a1").Spec.ClusterResourceOverrideSnapshots); diff != "" {
		t.Errorf("a1 has (-want +got):\n%s", diff)
	}
}
