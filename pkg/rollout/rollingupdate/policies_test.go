// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollingupdate

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// members makes the clusters, of which a is one of production.
func (r rollout) members() {
	r.Helper()
	for name, environment := range map[string]string{"a": "prod", "b": "dev", "c": "dev"} {
		_, err := r.Client.ClusterV1beta1().MemberClusters().Create(r.Context(), &clusterv1beta1.MemberCluster{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"environment": environment}},
		}, metav1.CreateOptions{})
		r.Must(err)
		r.Eventually(name+" is in the cache", func() bool { _, err := r.Fleet.MemberClusters.Lister().Get(name); return err == nil })
	}
}

// relabel makes a cluster one of another environment.
func (r rollout) relabel(cluster, environment string) {
	r.Helper()
	client := r.Client.ClusterV1beta1().MemberClusters()
	member, err := client.Get(r.Context(), cluster, metav1.GetOptions{})
	r.Must(err)
	member.Labels["environment"] = environment
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
		r.members()
		r.snapshot(0)
		r.Run(r.controller().Run)
		r.until("a Bound p-0-snapshot RolloutStarted, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		r.available("a", "b", "c")

		r.guard()
		r.snapshot(1)
		// The others have the budget for themselves, whatever becomes of the cluster that is kept.
		r.until("a Bound p-0-snapshot RolloutPolicyViolated, b Bound p-1-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		if got, want := r.message("a"), "1 cluster protected: spec.strategy.type must be External ("; !strings.HasPrefix(got, want) {
			r.Errorf("the message is %q, want %q", got, want)
		}
		fleettest.UpdateStatus(w, w.Fleet.Bindings, "a", func(b v1beta1.BindingObject) {
			meta.RemoveStatusCondition(&b.BindingStatus().Conditions, v1beta1.BindingAvailable)
		})
		r.available("b")
		r.until("a Bound p-0-snapshot RolloutPolicyViolated, b Bound p-1-snapshot RolloutStarted, c Bound p-1-snapshot RolloutStarted")

		w.Must(w.Fleet.Policies.Client(w.Namespace).Delete(w.Context(), "guard", metav1.DeleteOptions{}))
		r.until("a Bound p-1-snapshot RolloutStarted, b Bound p-1-snapshot RolloutStarted, c Bound p-1-snapshot RolloutStarted")
	})
}

func TestPoliciesKeepAClusterFromItsFirstVersion(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.members()
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
		r.members()
		r.snapshot(0)
		r.Run(r.controller().Run)
		r.until("a Bound p-0-snapshot RolloutStarted, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
		r.guard()
		fleettest.UpdateStatus(w, w.Fleet.Bindings, "a", func(b v1beta1.BindingObject) { b.BindingStatus().Conditions = nil })
		r.until("a Bound p-0-snapshot RolloutStarted, b Bound p-0-snapshot RolloutStarted, c Bound p-0-snapshot RolloutStarted")
	})
}

func TestPoliciesKeepWhatAClusterHas(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.members()
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
		w.Must(w.Client.ClusterV1beta1().MemberClusters().Delete(w.Context(), "a", metav1.DeleteOptions{}))
		r.until("c Bound p-0-snapshot RolloutStarted")
	})
}

func TestWhatWaitsForTheBudgetIsNotSaidToBeKeptByPolicies(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		r := newRollout(w, v1beta1.RollingUpdateRolloutStrategyType)
		r.members()
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
		r.members()
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
