// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollingupdate

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
)

// ways are how the clusters get which version.
func (r rollout) ways() string {
	var shown []string
	for _, b := range r.Fleet.Bindings.ByIndex(fleet.ByPlacement, r.Key("p")) {
		way := ""
		if s := b.BindingSpec().ApplyStrategy; s != nil {
			way = string(s.Type)
		}
		if c := meta.FindStatusCondition(b.BindingStatus().Conditions, v1beta1.BindingRolloutStarted); c == nil || c.ObservedGeneration != b.GetGeneration() {
			way += " unannounced"
		}
		shown = append(shown, b.GetName()+" "+b.BindingSpec().ResourceSnapshotName+" "+way)
	}
	slices.Sort(shown)
	return strings.Join(shown, ", ")
}

func (r rollout) untilWays(want string) {
	r.Helper()
	got := ""
	defer func() {
		if r.Failed() {
			r.Logf("got %s", got)
		}
	}()
	r.Eventually(want, func() bool { got = r.ways(); return got == want })
}

func (r rollout) apply(way v1beta1.ApplyStrategyType) {
	r.Helper()
	fleettest.Update(r.World, r.Fleet.Placements, "p", func(p v1beta1.PlacementObject) {
		p.PlacementSpec().Strategy.ApplyStrategy = &v1beta1.ApplyStrategy{Type: way}
	})
}

// tell has clusters report on what they are to have.
func (r rollout) tell(conditionType string, clusters ...string) {
	r.Helper()
	for _, cluster := range clusters {
		fleettest.UpdateStatus(r.World, r.Fleet.Bindings, cluster, func(b v1beta1.BindingObject) {
			meta.SetStatusCondition(&b.BindingStatus().Conditions, metav1.Condition{
				Type: conditionType, Status: metav1.ConditionTrue, Reason: "x", ObservedGeneration: b.GetGeneration(),
			})
		})
	}
}

func TestAStrategyThatWritesLessCountsAtOnceAndOneThatWritesMoreRolls(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.snapshot(0)
		r.Run(r.controller().Run)
		r.untilWays("a p-0-snapshot ClientSideApply, b p-0-snapshot ClientSideApply, c p-0-snapshot ClientSideApply")
		r.available("a", "b", "c")

		r.apply(v1beta1.ApplyStrategyTypeReportDiff)
		r.untilWays("a p-0-snapshot ReportDiff, b p-0-snapshot ReportDiff, c p-0-snapshot ReportDiff")

		r.tell(v1beta1.BindingDiffReported, "a", "b", "c")
		r.apply(v1beta1.ApplyStrategyTypeServerSideApply)
		r.untilWays("a p-0-snapshot ServerSideApply, b p-0-snapshot ReportDiff, c p-0-snapshot ReportDiff")
		r.available("a")
		r.untilWays("a p-0-snapshot ServerSideApply, b p-0-snapshot ServerSideApply, c p-0-snapshot ReportDiff")
	})
}

func TestAClusterKeepsItsVersionWhereItsStrategyOnlyRestrains(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.snapshot(0)
		r.Run(r.controller().Run)
		r.untilWays("a p-0-snapshot ClientSideApply, b p-0-snapshot ClientSideApply, c p-0-snapshot ClientSideApply")
		r.available("a", "b", "c")
		r.snapshot(1)
		r.untilWays("a p-1-snapshot ClientSideApply, b p-0-snapshot ClientSideApply, c p-0-snapshot ClientSideApply")

		// Nobody has told of anything since, so the version goes no further.
		r.apply(v1beta1.ApplyStrategyTypeReportDiff)
		r.untilWays("a p-1-snapshot ReportDiff, b p-0-snapshot ReportDiff, c p-0-snapshot ReportDiff")
		if again, err := r.controller().reconcile(t.Context(), w.Key("p")); again != 0 || err != nil {
			t.Errorf("again after %s, error %v", again, err)
		}
		r.untilWays("a p-1-snapshot ReportDiff, b p-0-snapshot ReportDiff, c p-0-snapshot ReportDiff")
		// Were c the last to tell, it could move as one that may be available while enough others are.
		r.tell(v1beta1.BindingDiffReported, "c", "b", "a")
		r.untilWays("a p-1-snapshot ReportDiff, b p-1-snapshot ReportDiff, c p-0-snapshot ReportDiff")
		b, err := w.Fleet.Bindings.Get(w.Key("b"))
		w.Must(err)
		if got := b.GetAnnotations()[wellknown.AppliedVersionAnnotation]; got != `{"resourceSnapshot":"p-0-snapshot","applyStrategy":{"comparisonOption":"PartialComparison","whenToApply":"Always","type":"ClientSideApply","whenToTakeOver":"Always"},"wasReady":true}` {
			t.Errorf("what was last applied is %s", got)
		}
	})
}

func TestPoliciesKeepAClusterFromAnotherStrategy(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.apply(v1beta1.ApplyStrategyTypeReportDiff)
		r.snapshot(0)
		r.Run(r.controller().Run)
		r.untilWays("a p-0-snapshot ReportDiff, b p-0-snapshot ReportDiff, c p-0-snapshot ReportDiff")
		r.tell(v1beta1.BindingDiffReported, "a", "b", "c")
		r.guard()
		r.apply(v1beta1.ApplyStrategyTypeClientSideApply)
		r.available("b", "c")
		r.until("a Bound p-0-snapshot RolloutPolicyViolated, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		r.Eventually("b is applied", func() bool { return strings.Contains(r.ways(), "b p-0-snapshot ClientSideApply") })
		r.available("b")
		r.untilWays("a p-0-snapshot ReportDiff, b p-0-snapshot ClientSideApply, c p-0-snapshot ClientSideApply")
	})
}

func TestAStrategyOfAPlacementThatRunsMoveWaitsForARun(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.ExternalRolloutStrategyType)
		r.snapshot(0)
		fleettest.Update(w, w.Fleet.Bindings, "a", func(b v1beta1.BindingObject) {
			b.BindingSpec().State, b.BindingSpec().ResourceSnapshotName = v1beta1.BindingStateBound, "p-0-snapshot"
		})
		r.apply(v1beta1.ApplyStrategyTypeReportDiff)
		w.Client.ClearActions()
		if _, err := r.controller().reconcile(t.Context(), w.Key("p")); err != nil {
			t.Error(err)
		}
		for _, action := range w.Client.Actions() {
			t.Errorf("%s %s", action.GetVerb(), action.GetResource().Resource)
		}
	})
}
