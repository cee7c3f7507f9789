// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollingupdate

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// relabel makes a cluster one of another environment.
func (r rollout) relabel(cluster, environment string, change ...func(*clusterv1beta1.MemberCluster)) {
	r.Helper()
	client := r.Client.ClusterV1beta1().MemberClusters()
	member, err := client.Get(r.Context(), cluster, metav1.GetOptions{})
	r.Must(err)
	member.Labels["environment"] = environment
	for _, f := range change {
		f(member)
	}
	_, err = client.Update(r.Context(), member, metav1.UpdateOptions{})
	r.Must(err)
}

// guard makes a policy of the placement's scope that wants rollouts to production to be staged.
func (r rollout) guard() {
	r.Helper()
	fleettest.Create(r.World, r.Fleet.Policies, "guard", func(p v1alpha1.RolloutPolicyObject) {
		*p.PolicySpec() = v1alpha1.RolloutPolicySpec{
			Clusters: &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "prod"}}, Rules: v1alpha1.PolicyRules{Staged: true},
		}
	})
}

func (r rollout) message(cluster string) string {
	b, err := r.Fleet.Bindings.Get(r.Key(cluster))
	if err != nil {
		return err.Error()
	}
	c := meta.FindStatusCondition(b.BindingStatus().Conditions, v1beta1.BindingRolloutStarted)
	if c == nil {
		return ""
	}
	return c.Message
}

func TestPoliciesKeepAClusterFromANewVersion(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.snapshot(0)
		r.Run(r.controller().Run)
		r.until("a Bound p-0-snapshot RolloutStarted, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		r.available("a", "b", "c")

		r.guard()
		r.snapshot(1)
		// The others have the budget for themselves, whatever becomes of the cluster that is kept.
		r.until("a Bound p-0-snapshot RolloutPolicyViolated, b Bound p-1-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		if got, want := r.message("a"), "the placement (protected: a): spec.strategy.type must be External ("; !strings.HasPrefix(got, want) {
			r.Errorf("the message is %q, want %q", got, want)
		}
		fleettest.UpdateStatus(w, w.Fleet.Bindings, "a", func(b v1beta1.BindingObject) {
			meta.RemoveStatusCondition(&b.BindingStatus().Conditions, v1beta1.BindingAvailable)
		})
		r.available("b")
		r.until("a Bound p-0-snapshot RolloutPolicyViolated, b Bound p-1-snapshot RolloutStarted, c Bound p-1-snapshot RolloutStarted")

		r.available("c")
		w.Must(w.Fleet.Policies.Client(w.Namespace).Delete(w.Context(), "guard", metav1.DeleteOptions{}))
		r.until("a Bound p-1-snapshot RolloutStarted, b Bound p-1-snapshot RolloutStarted, c Bound p-1-snapshot RolloutStarted")
	})
}

func TestPoliciesKeepAClusterFromItsFirstVersion(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.guard()
		r.snapshot(0)
		r.Run(r.controller().Run)
		r.until("a Scheduled RolloutPolicyViolated, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		r.relabel("a", "dev")
		r.until("a Bound p-0-snapshot RolloutStarted, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
	})
}

func TestAClusterThatHasWhatItIsToHaveIsNotKept(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.snapshot(0)
		r.guard()
		fleettest.Update(w, w.Fleet.Bindings, "a", func(b v1beta1.BindingObject) {
			b.BindingSpec().State, b.BindingSpec().ResourceSnapshotName = v1beta1.BindingStateBound, "p-0-snapshot"
			b.BindingSpec().ApplyStrategy = (*v1beta1.ApplyStrategy)(nil).WithDefaults()
		})
		r.until("a Bound p-0-snapshot, b Scheduled, c Scheduled")
		r.Run(r.controller().Run)
		// It asks for it, and nobody knows that it has it: whoever asked may have been kept from it since.
		r.until("a Bound p-0-snapshot RolloutPolicyViolated, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		fleettest.UpdateStatus(w, w.Fleet.Bindings, "a", func(b v1beta1.BindingObject) {
			bindingrules.RecordSynchronized(b.BindingStatus(), b.BindingSpec())
		})
		// That it is on its way was not told before.
		r.until("a Bound p-0-snapshot RolloutStarted, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
	})
}

func TestPoliciesKeepWhatAClusterHas(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.snapshot(0)
		r.Run(r.controller().Run)
		r.until("a Bound p-0-snapshot RolloutStarted, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		r.available("a", "b", "c")
		r.guard()
		for _, cluster := range []string{"a", "b"} {
			fleettest.Update(w, w.Fleet.Bindings, cluster, func(b v1beta1.BindingObject) { b.BindingSpec().State = v1beta1.BindingStateUnscheduled })
		}
		r.until("a Unscheduled p-0-snapshot RolloutPolicyViolated, c Bound p-0-snapshot RolloutStarted")

		// A cluster that leaves the fleet is let go.
		r.relabel("a", "prod", func(m *clusterv1beta1.MemberCluster) { m.DeletionTimestamp = new(metav1.Now()) })
		r.until("c Bound p-0-snapshot RolloutStarted")
	})
}

func TestADeniedClusterMayBeLeft(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.snapshot(0)
		r.guard()
		fleettest.Update(w, w.Fleet.Policies, "guard", func(p v1alpha1.RolloutPolicyObject) { p.PolicySpec().Rules = v1alpha1.PolicyRules{Deny: true} })
		r.Run(r.controller().Run)
		r.until("a Scheduled RolloutPolicyViolated, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		fleettest.Update(w, w.Fleet.Bindings, "a", func(b v1beta1.BindingObject) { b.BindingSpec().State = v1beta1.BindingStateUnscheduled })
		r.until("b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
	})
}

// Another placement that waits for an object there would have its version come to the cluster, where none may.
func TestADeniedClusterIsNotHandedOver(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		settings := []v1beta1.ResourceContent{{RawExtension: runtime.RawExtension{Raw: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"shop"}}`)}}}
		r.snapshot(0)
		fleettest.Update(w, w.Fleet.Snapshots, wellknown.ResourceSnapshotName("p", 0), func(s v1beta1.ResourceSnapshotObject) { s.SnapshotSpec().SelectedResources = settings })
		fleettest.Create(w, w.Fleet.Snapshots, wellknown.ResourceSnapshotName("other", 0), func(s v1beta1.ResourceSnapshotObject) {
			s.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "other", wellknown.ResourceIndexLabel: "0"})
			s.SetAnnotations(map[string]string{wellknown.ResourceHashAnnotation: "hash"})
			s.SnapshotSpec().SelectedResources = settings
		})
		fleettest.Create(w, w.Fleet.Bindings, "other-a", func(b v1beta1.BindingObject) {
			b.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "other"})
			*b.BindingSpec() = v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateBound, TargetCluster: "a", ResourceSnapshotName: wellknown.ResourceSnapshotName("other", 0)}
		})
		r.Run(r.controller().Run)
		r.until("a Bound p-0-snapshot RolloutStarted, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		r.available("a", "b", "c")
		r.guard()
		fleettest.Update(w, w.Fleet.Policies, "guard", func(p v1alpha1.RolloutPolicyObject) { p.PolicySpec().Rules = v1alpha1.PolicyRules{Deny: true} })
		fleettest.Update(w, w.Fleet.Bindings, "a", func(b v1beta1.BindingObject) { b.BindingSpec().State = v1beta1.BindingStateUnscheduled })
		r.until("a Unscheduled p-0-snapshot RolloutPolicyViolated, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		// The first look may have been at the policy as it was before.
		r.Eventually("the binding says what is handed over", func() bool {
			return strings.HasPrefix(r.message("a"), "the removal of resources (1 cluster, 1 protected): must not hand ConfigMap shop/settings on a over to the version of ")
		})
		// It waits no more.
		w.Must(w.Fleet.Bindings.Client(w.Namespace).Delete(w.Context(), "other-a", metav1.DeleteOptions{}))
		r.until("b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
	})
}

func TestWhatWaitsForTheBudgetIsNotSaidToBeKeptByPolicies(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.snapshot(0)
		r.Run(r.controller().Run)
		r.until("a Bound p-0-snapshot RolloutStarted, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		r.available("a", "b", "c")
		r.guard()
		r.snapshot(1)
		r.until("a Bound p-0-snapshot RolloutPolicyViolated, b Bound p-1-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		r.relabel("a", "dev")
		r.until("a Bound p-0-snapshot RolloutNotStartedYet, b Bound p-1-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
	})
}

func TestNothingMovesBeforeItIsKnownWhichPoliciesBindAPlacement(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.snapshot(0)
		p := r.Fleet.Policies.New(reconcile.Key{Name: "guard"})
		p.PolicySpec().Rules.Staged = true
		_, err := r.Fleet.Policies.Client("").Create(w.Context(), p, metav1.CreateOptions{})
		w.Must(err)
		w.Eventually("the policy is in the cache", func() bool { return len(r.Fleet.Policies.All()) == 1 })
		w.Client.ClearActions()
		_, err = r.controller().reconcile(t.Context(), w.Key("p"))
		if w.Namespace == "" {
			w.Must(err)
			return
		}
		want := "moving the clusters of placement team/p: the labels of Namespace team are not known, by which ClusterRolloutPolicies select"
		if err == nil || err.Error() != want {
			t.Errorf("error is %v, want %s", err, want)
		}
		for _, action := range w.Client.Actions() {
			t.Errorf("%s %s", action.GetVerb(), action.GetResource().Resource)
		}
	})
}

func TestWhatPoliciesSelectByWakesPlacements(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		newRollout(w, v1beta1.RollingUpdateRolloutStrategyType).guard()
		fleettest.Create(w, w.Fleet.Placements, "staged", func(p v1beta1.PlacementObject) {
			p.PlacementSpec().Strategy.Type = v1beta1.ExternalRolloutStrategyType
		})
		c := New(w.Fleet, &record.FakeRecorder{}, clock.RealClock{})
		member := &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
		labeled, leaving := member.DeepCopy(), member.DeepCopy()
		labeled.Labels, leaving.DeletionTimestamp = map[string]string{"environment": "prod"}, new(metav1.Now())
		guard, err := w.Fleet.Policies.Get(w.Key("guard"))
		w.Must(err)
		edited, reported, remade := fleet.Copy(guard), fleet.Copy(guard), fleet.Copy(guard)
		edited.SetGeneration(2)
		reported.PolicyStatus().ObservedGeneration = 1
		remade.SetUID("other")
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}
		labeledNamespace := namespace.DeepCopy()
		labeledNamespace.Labels = map[string]string{"tier": "1"}
		for what, tt := range map[string]struct {
			got  []reconcile.Key
			want bool
		}{
			"a member that joins":           {c.memberChanged(nil, member), true},
			"a member that is labeled":      {c.memberChanged(member, labeled), true},
			"a member that leaves":          {c.memberChanged(member, leaving), true},
			"a member that is gone":         {c.memberChanged(member, nil), true},
			"another change of a member":    {c.memberChanged(member, member.DeepCopy()), false},
			"a policy that is made":         {c.policyChanged(nil, guard), true},
			"a policy that is gone":         {c.policyChanged(guard, nil), true},
			"a policy that is edited":       {c.policyChanged(guard, edited), true},
			"a policy that is another":      {c.policyChanged(guard, remade), true},
			"the status of a policy":        {c.policyChanged(guard, reported), false},
			"a policy of another namespace": {c.policyChanged(nil, w.Fleet.Policies.New(reconcile.Key{Namespace: "other", Name: "guard"})), false},
			"a namespace that is labeled":   {c.namespaceChanged(namespace, labeledNamespace), true},
			"another change of a namespace": {c.namespaceChanged(namespace, namespace.DeepCopy()), false},
		} {
			var want []reconcile.Key
			if tt.want {
				want = []reconcile.Key{w.Key("p")}
			}
			if diff := cmp.Diff(want, tt.got); diff != "" {
				t.Errorf("%s wakes (-want +got):\n%s", what, diff)
			}
		}
	})
}

// Caches list bindings in any order. What the bindings are told must not change with it, or each write would be the reason for the next one.
func TestWhatPoliciesKeepIsToldInOneOrder(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		for _, cluster := range []string{"a", "b", "c"} {
			r.relabel(cluster, "prod")
		}
		r.guard()
		c := r.controller()
		var told []refusals
		w.Eventually("all clusters are kept", func() bool {
			placement, err := w.Fleet.Placements.Get(w.Key("p"))
			if err != nil {
				return false
			}
			bindings := w.Fleet.Bindings.ByIndex(fleet.ByPlacement, w.Key("p"))
			told = nil
			for range 2 {
				found, err := c.refusals(placement, bindings)
				w.Must(err)
				told = append(told, found)
				slices.Reverse(bindings)
			}
			return len(told[0]) == 3
		})
		if diff := cmp.Diff(told[0], told[1]); diff != "" {
			t.Errorf("in one order (-) and the other one (+):\n%s", diff)
		}
	})
}
