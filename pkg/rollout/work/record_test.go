// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// synchronized is the snapshot of the version that the binding records.
func (b *bench) synchronized() string {
	held, _ := bindingrules.Synchronized(b.current())
	return held.ResourceSnapshot
}

// A Work whose name the next version needs may be going for as long as something on the member holds it. The binding tells that, and still
// records the version of before: that is what a rollback goes back to.
func TestABindingTellsThatItWaitsForAWorkThatGoes(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMapJSON, wrapping("e", configMap("a")))
	b.binding(nil)
	b.settle()
	if got := b.synchronized(); got != "web-1-snapshot" {
		t.Fatalf("the Works hold %q", got)
	}
	b.version(2, configMapJSON)
	if got := b.synchronized(); got != "web-2-snapshot" {
		t.Fatalf("the Works hold %q", got)
	}
	// The envelope's Work stays until its finalizer is taken off.
	envelope := b.workOf("e")
	stays := metav1.Now()
	for _, w := range b.works() {
		if w.Name == envelope {
			t.Fatalf("the fake API keeps %s, which has a finalizer of its own", envelope)
		}
	}
	going := &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{
		Namespace: "fleet-member-member1", Name: envelope, DeletionTimestamp: &stays, Finalizers: []string{"x/y"}, Generation: 1,
		Labels: map[string]string{wellknown.ParentBindingLabel: "web-member1", wellknown.ParentPlacementLabel: "web"},
	}}
	going.Status.Conditions = []metav1.Condition{{
		Type: v1beta1.WorkObjectsRemaining, Status: metav1.ConditionTrue, ObservedGeneration: 1, Reason: "WaitsForFinalizers", Message: "ConfigMap a is held by x/y",
	}}
	b.add(going)
	b.version(3, configMapJSON, wrapping("e", configMap("b")))
	said := strings.Join(b.said(), "\n")
	for _, want := range []string{
		"WorkSynchronized=False WaitingForRemoval: Nothing of web-3-snapshot is written before what Work " + envelope + " of an earlier version has placed is removed",
		"ObjectsRemaining=True WaitsForFinalizers: ConfigMap a is held by x/y",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("the binding says %s, want %q", said, want)
		}
	}
	if got := b.synchronized(); got != "web-2-snapshot" {
		t.Errorf("the Works hold %q", got)
	}
	if previous, known := bindingrules.Previous(b.current()); !known || previous.ResourceSnapshot != "web-2-snapshot" {
		t.Errorf("a run would record %+v as the version of before", previous)
	}

	if err := b.api.Tracker().Delete(v1beta1.SchemeGroupVersion.WithResource("works"), going.Namespace, going.Name); err != nil {
		t.Fatal(err)
	}
	b.settle()
	if got := b.synchronized(); got != "web-3-snapshot" || len(b.works()) != 2 {
		t.Errorf("the Works hold %q, and are %v", got, b.holding())
	}
}

// The cluster that a policy keeps is announced as not rolled out. What it has is looked after all the same.
func TestAWorkThatIsLostComesBackOnAClusterThatIsKept(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMapJSON)
	b.binding(nil)
	b.settle()
	b.edit(func(o v1beta1.BindingObject) {
		started := &o.BindingStatus().Conditions[0]
		started.Status, started.Reason = metav1.ConditionFalse, "RolloutPolicyViolated"
	})
	lost := b.works()[0]
	if err := b.api.Tracker().Delete(v1beta1.SchemeGroupVersion.WithResource("works"), lost.Namespace, lost.Name); err != nil {
		t.Fatal(err)
	}
	b.settle()
	if len(b.works()) != 1 {
		t.Errorf("the Work is not back: %v", b.said())
	}
}

// A Work may hold a version by a name that means another one by now, if its binding went on to the next before all Works held it.
func TestOverridesOfTheSameNameAreAppliedAnewUnlessAllWorksHoldThem(t *testing.T) {
	for name, all := range map[string]bool{"all Works hold the version": true, "another version was held last": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "")
			b.snapshot("web-1-snapshot", nil, configMapJSON)
			b.configMapOverride("o-0", rule("", `add /data {"o":"OLD"}`))
			b.binding(named("test-namespace/o-0"))
			b.settle()
			if !all {
				b.edit(func(o v1beta1.BindingObject) {
					o.BindingStatus().SynchronizedVersion.ResourceSnapshotName = "web-0-snapshot"
				})
			}
			overrides := v1beta1.SchemeGroupVersion.WithResource("resourceoverridesnapshots")
			if err := b.api.Tracker().Delete(overrides, "test-namespace", "o-0"); err != nil {
				t.Fatal(err)
			}
			b.configMapOverride("o-0", rule("", `add /data {"o":"NEW"}`))
			b.change(func(v1beta1.BindingObject) {})
			b.settle()
			if got := string(b.works()[0].Spec.Workload.Manifests[0].Raw); strings.Contains(got, "OLD") != all {
				t.Errorf("the Work holds %s", got)
			}
		})
	}
}

// A rollback may ask for the version of before again, and the placement let go of the cluster before the Works are written back.
func TestAClusterThatIsLetGoOfWithAnotherVersionInAWorkIsNotReady(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMapJSON, wrapping("e", configMap("a")))
	b.binding(nil)
	b.settle()
	ready := func(conditionType string) metav1.Condition {
		return metav1.Condition{Type: conditionType, Status: metav1.ConditionTrue, Reason: "x", LastTransitionTime: metav1.NewTime(testTime)}
	}
	for _, w := range b.works() {
		b.answer(w.Name, nil, ready(v1beta1.WorkApplied), ready(v1beta1.WorkAvailable))
	}
	one := b.works()[0]
	one.Annotations[wellknown.ParentSnapshotNameAnnotation] = "web-2-snapshot"
	if _, err := b.api.PlacementV1beta1().Works(one.Namespace).Update(t.Context(), &one, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	b.edit(func(o v1beta1.BindingObject) {
		o.BindingSpec().State = v1beta1.BindingStateUnscheduled
		o.SetGeneration(o.GetGeneration() + 1)
	})
	b.settle()
	if said := b.said(); bindingrules.IsReady(b.current()) || !strings.Contains(b.last(), "WorkSynchronized=False RolloutNotStarted") {
		t.Errorf("the binding says %v", said)
	}
	if got := b.synchronized(); got != "web-1-snapshot" {
		t.Errorf("the Works held %q last", got)
	}
}

// Of a first version only some Works may be written. The names of its overrides may mean others once the binding has asked for something else in between.
func TestOverridesOfTheSameNameAreAppliedAnewWhereNoVersionWasEverWhole(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMapJSON, wrapping("e", configMap("a")))
	b.configMapOverride("o-0", rule("", `add /data {"o":"OLD"}`))
	b.binding(named("test-namespace/o-0"))
	fails := true
	b.api.PrependReactor("create", "works", func(a clienttesting.Action) (bool, runtime.Object, error) {
		work := a.(clienttesting.CreateAction).GetObject().(*v1beta1.Work)
		return fails && work.Name == b.workOf("e"), nil, errors.New("the Work is too large to store")
	})
	b.cacheUp()
	for range 3 {
		_, _ = b.Controller.reconcile(t.Context(), b.key("web-member1"))
		b.cacheUp()
	}
	if works := b.works(); len(works) != 1 || !strings.Contains(string(works[0].Spec.Workload.Manifests[0].Raw), "OLD") || b.synchronized() != "" {
		t.Fatalf("the Works are %v, and the binding says %v", b.holding(), b.said())
	}
	overrides := v1beta1.SchemeGroupVersion.WithResource("resourceoverridesnapshots")
	if err := b.api.Tracker().Delete(overrides, "test-namespace", "o-0"); err != nil {
		t.Fatal(err)
	}
	b.configMapOverride("o-0", rule("", `add /data {"o":"NEW"}`))
	fails = false
	b.change(func(v1beta1.BindingObject) {})
	b.settle()
	if got := string(b.works()[0].Spec.Workload.Manifests[0].Raw); b.synchronized() != "web-1-snapshot" || !strings.Contains(got, "NEW") {
		t.Errorf("the Work holds %s, the binding says that all Works hold %q", got, b.synchronized())
	}
}

// A Work may still apply a version of which not all Works were written, when the placement is compared again and lets go of the cluster before that
// comes to the Work. Others go by what the binding says: nothing of it compares only.
func TestAClusterThatIsLetGoOfWithAWorkThatAppliesIsNotSynchronizedAsCompared(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMapJSON)
	b.snapshot("web-3-snapshot", nil, configMapJSON)
	compare := &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
	b.binding(func(o v1beta1.BindingObject) { o.BindingSpec().ApplyStrategy = compare })
	b.settle()
	if b.synchronized() != "web-1-snapshot" {
		t.Fatalf("the binding says %v", b.said())
	}
	// web-2 was to be applied, and one Work of it was written.
	one := b.works()[0]
	one.Annotations[wellknown.ParentSnapshotNameAnnotation] = "web-2-snapshot"
	one.Spec.ApplyStrategy = nil
	if _, err := b.api.PlacementV1beta1().Works(one.Namespace).Update(t.Context(), &one, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	b.edit(func(o v1beta1.BindingObject) {
		o.BindingSpec().ResourceSnapshotName = "web-3-snapshot"
		o.BindingSpec().State = v1beta1.BindingStateUnscheduled
		o.SetGeneration(o.GetGeneration() + 1)
	})
	b.settle()
	if strings.Contains(strings.Join(b.said(), "\n"), "WorkSynchronized=True") {
		t.Errorf("the binding says %v, and a Work of it applies", b.said())
	}
}

// What a cluster was compared with was decided for the labels that it had then.
func TestOverridesAreDecidedAnewWhereWhatWasComparedIsApplied(t *testing.T) {
	b := newBench(t, "")
	b.label(map[string]string{"region": "lab"})
	b.snapshot("web-1-snapshot", nil, configMapJSON)
	b.configMapOverride("o-0", rule("lab", `add /data {"o":"debug"}`), rule("live", `add /data {"o":"safe"}`))
	apply := func(way v1beta1.ApplyStrategyType) func(v1beta1.BindingObject) {
		return func(o v1beta1.BindingObject) {
			named("test-namespace/o-0")(o)
			o.BindingSpec().ApplyStrategy = &v1beta1.ApplyStrategy{Type: way}
		}
	}
	holds := func(want string) {
		t.Helper()
		b.settle()
		if got := string(b.works()[0].Spec.Workload.Manifests[0].Raw); !strings.Contains(got, want) {
			t.Errorf("the Work holds %s, want %s", got, want)
		}
	}
	b.binding(apply(v1beta1.ApplyStrategyTypeReportDiff))
	holds("debug")
	b.label(map[string]string{"region": "live"})
	b.change(func(v1beta1.BindingObject) {})
	holds("debug")
	b.change(apply(v1beta1.ApplyStrategyTypeClientSideApply))
	holds("safe")
	b.label(map[string]string{"region": "lab"})
	b.change(func(v1beta1.BindingObject) {})
	holds("safe")
}

// The overrides of a cluster are decided when it is moved. A run that takes it back from a version of which a part is there moves it.
func TestOverridesAreDecidedAnewForAllWorksOfAMove(t *testing.T) {
	b := newBench(t, "")
	b.label(map[string]string{"region": "lab"})
	b.cacheUp()
	b.snapshot("web-1-snapshot", nil, configMap("z"), wrapping("e", configMapJSON))
	b.snapshot("web-2-snapshot", nil, configMap("y"), wrapping("e", configMapJSON))
	b.configMapOverride("o-0", rule("lab", `add /data {"o":"debug"}`), rule("live", `add /data {"o":"safe"}`))
	b.binding(named("test-namespace/o-0"))
	b.settle()
	failing := true
	b.api.PrependReactor("update", "works", func(a clienttesting.Action) (bool, runtime.Object, error) {
		work := a.(clienttesting.UpdateAction).GetObject().(*v1beta1.Work)
		return failing && work.Name == b.workOf("e"), nil, errors.New("no")
	})
	ask := func(snapshot string) {
		b.change(func(x v1beta1.BindingObject) {
			spec := x.BindingSpec().DeepCopy()
			spec.ResourceSnapshotName = snapshot
			bindingrules.Become(x, spec)
		})
		b.settleFailing()
	}
	ask("web-2-snapshot")
	b.label(map[string]string{"region": "live"})
	b.cacheUp()
	failing = false
	ask("web-1-snapshot")
	for _, w := range b.works() {
		for _, m := range w.Spec.Workload.Manifests {
			if strings.Contains(string(m.Raw), "debug") {
				t.Errorf("%s holds what the override says of the labels of before the move: %s; the binding says %v", w.Name, m.Raw, b.said())
			}
		}
	}
}

// A binding is accounted for only once each of its Works tells all that is left of what it placed before.
func TestABindingIsAccountedForByAllItsWorks(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMapJSON, wrapping("e", configMap("a")))
	b.binding(nil)
	b.settle()
	tells := func(work v1beta1.Work, known bool) {
		t.Helper()
		work.Generation = 1
		work.Status.Conditions = []metav1.Condition{{
			Type: v1beta1.WorkApplied, Status: metav1.ConditionTrue, Reason: "x", LastTransitionTime: metav1.NewTime(testTime), ObservedGeneration: work.Generation,
		}}
		if known {
			work.Status.LeftGeneration = work.Generation
		}
		if _, err := b.api.PlacementV1beta1().Works(work.Namespace).UpdateStatus(t.Context(), &work, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		b.settle()
	}
	works := b.works()
	tells(works[0], true)
	tells(works[1], false)
	held := b.current().BindingStatus().SynchronizedVersion
	if held.CompletedGeneration != b.current().GetGeneration() || held.AccountedGeneration != 0 {
		t.Errorf("with one Work that does not tell: completed at generation %d, accounted for at %d", held.CompletedGeneration, held.AccountedGeneration)
	}
	tells(b.works()[1], true)
	if held := b.current().BindingStatus().SynchronizedVersion; held.AccountedGeneration != b.current().GetGeneration() {
		t.Errorf("accounted for at generation %d of %d", held.AccountedGeneration, b.current().GetGeneration())
	}
}
