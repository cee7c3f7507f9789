// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollingupdate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
)

// rollout is a placement p over the clusters a, b and c, of which one may be unavailable at a time, and a is one of production.
type rollout struct{ *fleettest.World }

func newRollout(w *fleettest.World, strategy v1beta1.RolloutStrategyType) rollout {
	r := rollout{w}
	fleettest.Create(w, w.Fleet.Placements, "p", func(p v1beta1.PlacementObject) {
		p.PlacementSpec().Strategy.Type = strategy
		if strategy == v1beta1.RollingUpdateRolloutStrategyType {
			p.PlacementSpec().Strategy.RollingUpdate = &v1beta1.RollingUpdateConfig{MaxUnavailable: ptr.To(intstr.FromInt32(1))}
		}
	})
	for cluster, environment := range map[string]string{"a": "prod", "b": "dev", "c": "dev"} {
		_, err := w.Client.ClusterV1beta1().MemberClusters().Create(w.Context(), &clusterv1beta1.MemberCluster{
			ObjectMeta: metav1.ObjectMeta{Name: cluster, Labels: map[string]string{"environment": environment}},
		}, metav1.CreateOptions{})
		w.Must(err)
		w.Eventually(cluster+" is in the cache", func() bool { _, err := w.Fleet.MemberClusters.Lister().Get(cluster); return err == nil })
		fleettest.Create(w, w.Fleet.Bindings, cluster, func(b v1beta1.BindingObject) {
			b.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "p"})
			*b.BindingSpec() = v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateScheduled, TargetCluster: cluster}
		})
	}
	return r
}

// snapshot makes a version of the resources, the latest.
func (r rollout) snapshot(index int) {
	r.Helper()
	if index > 0 {
		fleettest.Update(r.World, r.Fleet.Snapshots, wellknown.ResourceSnapshotName("p", index-1), func(s v1beta1.ResourceSnapshotObject) {
			s.GetLabels()[wellknown.LatestSnapshotLabel] = "false"
		})
	}
	fleettest.Create(r.World, r.Fleet.Snapshots, wellknown.ResourceSnapshotName("p", index), func(s v1beta1.ResourceSnapshotObject) {
		s.SetLabels(map[string]string{
			wellknown.ParentPlacementLabel: "p", wellknown.ResourceIndexLabel: fmt.Sprint(index), wellknown.LatestSnapshotLabel: "true",
		})
		s.SetAnnotations(map[string]string{wellknown.ResourceHashAnnotation: "hash"})
	})
}

// bindings are what the bindings ask for, and whether that is announced.
func (r rollout) bindings() string {
	var shown []string
	for _, b := range r.Fleet.Bindings.ByIndex(fleet.ByPlacement, r.Key("p")) {
		one := b.GetName() + " " + string(b.BindingSpec().State)
		if snapshot := b.BindingSpec().ResourceSnapshotName; snapshot != "" {
			one += " " + snapshot
		}
		if c := meta.FindStatusCondition(b.BindingStatus().Conditions, v1beta1.BindingRolloutStarted); c != nil && c.ObservedGeneration == b.GetGeneration() {
			one += " " + c.Reason
		}
		shown = append(shown, one)
	}
	slices.Sort(shown)
	return strings.Join(shown, ", ")
}

func (r rollout) until(want string) {
	r.Helper()
	var got string
	defer func() {
		if r.Failed() {
			r.Log(cmp.Diff(want, got))
		}
	}()
	r.Eventually(want, func() bool { got = r.bindings(); return got == want })
}

func (r rollout) available(clusters ...string) {
	r.Helper()
	for _, cluster := range clusters {
		fleettest.UpdateStatus(r.World, r.Fleet.Bindings, cluster, func(b v1beta1.BindingObject) {
			meta.SetStatusCondition(&b.BindingStatus().Conditions, metav1.Condition{
				Type: v1beta1.BindingAvailable, Status: metav1.ConditionTrue, Reason: "AllWorkAreAvailable", ObservedGeneration: b.GetGeneration(),
			})
		})
	}
}

func (r rollout) controller() *Controller {
	return New(r.Fleet, &record.FakeRecorder{}, clock.RealClock{})
}

func TestANewVersionReachesOneClusterAfterTheOther(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.snapshot(0)
		r.Run(r.controller().Run)
		r.until("a Bound p-0-snapshot RolloutStarted, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")

		r.available("a", "b", "c")
		r.snapshot(1)
		r.until("a Bound p-1-snapshot RolloutStarted, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		r.available("a")
		r.until("a Bound p-1-snapshot RolloutStarted, b Bound p-1-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		r.available("b")
		r.until("a Bound p-1-snapshot RolloutStarted, b Bound p-1-snapshot RolloutStarted, c Bound p-1-snapshot RolloutStarted")
	})
}

func TestAClusterThatIsNotPickedAnyMoreIsLetGo(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.snapshot(0)
		r.Run(r.controller().Run)
		r.until("a Bound p-0-snapshot RolloutStarted, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		r.available("a", "b", "c")
		fleettest.Update(w, w.Fleet.Bindings, "b", func(b v1beta1.BindingObject) { b.BindingSpec().State = v1beta1.BindingStateUnscheduled })
		r.until("a Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		for _, action := range w.Client.Actions() {
			if deletion, ok := action.(clienttesting.DeleteActionImpl); ok {
				if p := deletion.DeleteOptions.Preconditions; p == nil || p.UID == nil || p.ResourceVersion == nil {
					t.Errorf("%s is deleted also if it was picked again since", deletion.Name)
				}
			}
		}
	})
}

func TestNothingMovesWithoutAVersionOrForAPlacementThatRunsMove(t *testing.T) {
	for name, test := range map[string]struct {
		strategy v1beta1.RolloutStrategyType
		snapshot bool
	}{
		"no version yet": {v1beta1.RollingUpdateRolloutStrategyType, false},
		"External":       {v1beta1.ExternalRolloutStrategyType, true},
	} {
		t.Run(name, func(t *testing.T) {
			fleettest.InBothScopes(t, func(w *fleettest.World) {
				r := newRollout(w, test.strategy)
				if test.snapshot {
					r.snapshot(0)
				}
				w.Client.ClearActions()
				if again, err := r.controller().reconcile(t.Context(), w.Key("p")); again != 0 || err != nil {
					t.Errorf("again after %s, error %v", again, err)
				}
				for _, action := range w.Client.Actions() {
					t.Errorf("%s %s", action.GetVerb(), action.GetResource().Resource)
				}
			})
		})
	}
}
