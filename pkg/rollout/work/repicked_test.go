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

// A run may have asked for a version, or to apply what was compared, just before the placement let go of the cluster, so that no Work has it. The
// cluster does not get it because the placement picks it again: runs and rolling updates announce it once more, or do not. Until then it counts
// as one that lacks the version.
func TestAClusterThatIsPickedAgainGetsNothingThatNobodyAnnounces(t *testing.T) {
	for name, tc := range map[string]struct {
		before v1beta1.ApplyStrategyType
		asked  func(*v1beta1.ResourceBindingSpec)
	}{
		"version":        {v1beta1.ApplyStrategyTypeClientSideApply, func(s *v1beta1.ResourceBindingSpec) { s.ResourceSnapshotName = "web-2-snapshot" }},
		"apply strategy": {v1beta1.ApplyStrategyTypeReportDiff, func(s *v1beta1.ResourceBindingSpec) { s.ApplyStrategy.Type = v1beta1.ApplyStrategyTypeClientSideApply }},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "")
			b.snapshot("web-1-snapshot", nil, configMapJSON)
			b.binding(func(o v1beta1.BindingObject) { o.BindingSpec().ApplyStrategy.Type = tc.before })
			b.settle()
			ready := func(conditionType string) metav1.Condition {
				return metav1.Condition{Type: conditionType, Status: metav1.ConditionTrue, Reason: "x", LastTransitionTime: metav1.NewTime(testTime)}
			}
			b.answer(b.works()[0].Name, nil, ready(v1beta1.WorkApplied), ready(v1beta1.WorkAvailable), ready(v1beta1.WorkDiffReported))
			b.settle()
			before := b.works()[0]
			if !bindingrules.IsReady(b.current()) {
				t.Fatalf("not ready: %v", b.said())
			}
			b.snapshot("web-2-snapshot", nil)
			b.change(func(o v1beta1.BindingObject) { tc.asked(o.BindingSpec()) })
			for _, state := range []v1beta1.BindingState{v1beta1.BindingStateUnscheduled, v1beta1.BindingStateBound} {
				b.edit(func(o v1beta1.BindingObject) {
					o.BindingSpec().State = state
					o.SetGeneration(o.GetGeneration() + 1)
				})
				b.settle()
				if said := b.said(); bindingrules.IsReady(b.current()) || !strings.Contains(said[len(said)-1], "WorkSynchronized=False RolloutNotStarted: The works do not hold web-") {
					t.Errorf("%s: the binding says %v", state, said)
				}
			}
			if after := b.works()[0]; after.ResourceVersion != before.ResourceVersion || after.Generation != before.Generation ||
				after.Annotations[wellknown.ParentSnapshotNameAnnotation] != "web-1-snapshot" {
				t.Errorf("the Work is %+v, which nobody has announced since the cluster was picked again", after)
			}

			b.change(func(v1beta1.BindingObject) {})
			b.settle()
			if got := b.works()[0]; got.Generation == before.Generation && got.Annotations[wellknown.ParentSnapshotNameAnnotation] == "web-1-snapshot" {
				t.Errorf("the Work stays %+v though the rollout has started", got)
			}
		})
	}
}

// A server that was killed between two Works has begun nothing that counts as ready, or that is gone on with unasked.
func TestAVersionOfWhichNotAllWorksWereWrittenHasNotBegun(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMapJSON)
	b.binding(nil)
	b.settle()
	b.snapshot("web-2-snapshot", nil, configMapJSON, wrapping("e", configMap("broken")))
	b.change(func(o v1beta1.BindingObject) { o.BindingSpec().ResourceSnapshotName = "web-2-snapshot" })
	killed := true
	b.api.PrependReactor("create", "works", func(a clienttesting.Action) (bool, runtime.Object, error) {
		work := a.(clienttesting.CreateAction).GetObject().(*v1beta1.Work)
		return killed && work.Name == b.workOf("e"), nil, errors.New("the server is gone")
	})
	b.cacheUp()
	if _, err := b.Controller.reconcile(t.Context(), b.key("web-member1")); err == nil {
		t.Fatal("all Works are written")
	}
	ready := func(conditionType string) metav1.Condition {
		return metav1.Condition{Type: conditionType, Status: metav1.ConditionTrue, Reason: "x", LastTransitionTime: metav1.NewTime(testTime)}
	}
	for _, w := range b.works() {
		b.answer(w.Name, nil, ready(v1beta1.WorkApplied), ready(v1beta1.WorkAvailable))
	}
	killed = false
	for _, state := range []v1beta1.BindingState{v1beta1.BindingStateUnscheduled, v1beta1.BindingStateBound} {
		b.edit(func(o v1beta1.BindingObject) {
			o.BindingSpec().State = state
			o.SetGeneration(o.GetGeneration() + 1)
		})
		b.settle()
		if len(b.works()) != 1 || bindingrules.IsReady(b.current()) {
			t.Errorf("%s: the Works are %v, and the binding says %v", state, b.holding(), b.said())
		}
	}
}

// What has begun is looked after, however often the placement is edited.
func TestAWorkThatIsLostComesBackAfterAnEditOfThePlacement(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMapJSON)
	b.binding(nil)
	b.settle()
	for range 2 {
		b.edit(func(o v1beta1.BindingObject) {
			o.BindingSpec().SchedulingPolicySnapshotName += "1"
			o.SetGeneration(o.GetGeneration() + 1)
		})
		b.settle()
		name := b.works()[0].Name
		if err := b.api.Tracker().Delete(v1beta1.SchemeGroupVersion.WithResource("works"), b.works()[0].Namespace, name); err != nil {
			t.Fatal(err)
		}
		b.settle()
		if len(b.works()) != 1 || b.works()[0].Name != name {
			t.Errorf("the Works are %v, and the binding says %v", b.holding(), b.said())
		}
	}
}
