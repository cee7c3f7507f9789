// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// lineUp makes one run in each situation.
func (f *fixture) lineUp() {
	for _, name := range []string{"unplanned", "planned", "holding", "waiting", "over"} {
		f.newRun(name, v1beta1.StateRun)
		update(f, f.fleet.Runs, name, true, func(r v1beta1.UpdateRunObject) {
			status := r.RunStatus()
			set := func(conditionType string) {
				meta.SetStatusCondition(&status.Conditions, metav1.Condition{Type: conditionType, Status: metav1.ConditionTrue})
			}
			if name != "unplanned" {
				set(v1beta1.RunInitialized)
			}
			switch name {
			case "planned":
				r.RunSpec().State = v1beta1.StateInitialize
			case "holding":
				status.Turn = &v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 1}
			case "waiting":
				status.Turn = &v1beta1.UpdateRunTurn{State: v1beta1.TurnWaiting}
			case "over":
				set(v1beta1.RunSucceeded)
			}
		})
		f.eventually(name+" is in the cache", func() bool {
			return name == "unplanned" || len(f.run(name).RunStatus().Conditions) > 0
		})
	}
}

func (f *fixture) wantWoken(what string, got []reconcile.Key, want ...string) {
	f.Helper()
	var names []string
	for _, key := range got {
		if key.Namespace != f.namespace {
			f.Errorf("%s: wakes %s", what, key)
		}
		names = append(names, key.Name)
	}
	slices.Sort(names)
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Compact(names)); diff != "" {
		f.Errorf("%s wakes (-want +got):\n%s", what, diff)
	}
}

// changed is an object before and after a change.
func changed[O fleet.Object](o O, change func(O)) (oldObj, newObj O) {
	newObj = fleet.Copy(o)
	change(newObj)
	return o, newObj
}

// failing has a member report an object that it cannot apply.
func failing(why string) func(v1beta1.BindingObject) {
	return func(b v1beta1.BindingObject) {
		meta.SetStatusCondition(&b.BindingStatus().Conditions, metav1.Condition{
			Type: v1beta1.BindingApplied, Status: metav1.ConditionFalse, Reason: "NotAllWorkHaveBeenApplied", ObservedGeneration: b.GetGeneration(),
		})
		b.BindingStatus().FailedPlacements = []v1beta1.FailedResourcePlacement{{
			ResourceIdentifier: v1beta1.ResourceIdentifier{Kind: "ConfigMap", Name: "settings"}, Condition: metav1.Condition{Message: why},
		}}
	}
}

func TestWhatWakesARun(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.lineUp()
		c := f.controller()
		condition := func(conditionType string) func(v1beta1.BindingObject) {
			return func(b v1beta1.BindingObject) {
				meta.SetStatusCondition(&b.BindingStatus().Conditions, metav1.Condition{
					Type: conditionType, Status: metav1.ConditionTrue, ObservedGeneration: b.GetGeneration(),
				})
			}
		}
		binding := f.binding("member1")
		for what, change := range map[string]func(v1beta1.BindingObject){
			"a cluster that is done":             condition(v1beta1.BindingAvailable),
			"a cluster that reported":            condition(v1beta1.BindingDiffReported),
			"a rollout that started":             condition(v1beta1.BindingRolloutStarted),
			"a binding of another spec":          func(b v1beta1.BindingObject) { b.SetGeneration(2) },
			"a binding that is not picked":       func(b v1beta1.BindingObject) { b.BindingSpec().State = v1beta1.BindingStateUnscheduled },
			"a binding that is going to be gone": func(b v1beta1.BindingObject) { b.SetDeletionTimestamp(&metav1.Time{}) },
			"an object that fails":               failing("no such kind"),
			"what keeps it from the member": func(b v1beta1.BindingObject) {
				meta.SetStatusCondition(&b.BindingStatus().Conditions, metav1.Condition{
					Type: v1beta1.BindingWorkSynchronized, Status: metav1.ConditionFalse, Message: "too large", ObservedGeneration: b.GetGeneration(),
				})
			},
		} {
			before, after := changed(binding, change)
			f.wantWoken(what, c.bindingChanged(before, after), "unplanned", "holding", "waiting")
		}
		f.wantWoken("a binding that is gone", c.bindingChanged(binding, nil), "unplanned", "holding", "waiting")
		before, after := changed(binding, condition(v1beta1.BindingApplied))
		f.wantWoken("a cluster on its way", c.bindingChanged(before, after))
		before, after = changed(binding, func(b v1beta1.BindingObject) {
			meta.SetStatusCondition(&b.BindingStatus().Conditions, metav1.Condition{
				Type: v1beta1.BindingApplied, Status: metav1.ConditionFalse, Message: "Resources are being applied", ObservedGeneration: b.GetGeneration(),
			})
		})
		f.wantWoken("a cluster that is being applied to", c.bindingChanged(before, after))
		before, after = changed(binding, func(b v1beta1.BindingObject) {
			meta.SetStatusCondition(&b.BindingStatus().Conditions, metav1.Condition{
				Type: v1beta1.BindingApplied, Status: metav1.ConditionFalse, Reason: wellknown.ReasonClusterUnreachable,
				Message: "The member cannot be reached", ObservedGeneration: b.GetGeneration(),
			})
		})
		f.wantWoken("a cluster that cannot be reached", c.bindingChanged(before, after), "unplanned", "holding", "waiting")
		_, failed := changed(binding, failing("no such kind"))
		before, after = changed(failed, func(b v1beta1.BindingObject) {
			b.BindingStatus().FailedPlacements[0].Condition.LastTransitionTime = metav1.Now()
		})
		f.wantWoken("an object that goes on failing", c.bindingChanged(before, after))
		before, after = changed(failed, failing("forbidden"))
		f.wantWoken("an object that fails otherwise", c.bindingChanged(before, after), "unplanned", "holding", "waiting")
		before, after = changed(failed, func(b v1beta1.BindingObject) {
			b.BindingStatus().FailedPlacements[0].Condition.Reason = wellknown.ReasonManifestRefused
		})
		f.wantWoken("an object that fails for good", c.bindingChanged(before, after), "unplanned", "holding", "waiting")

		placement, err := f.fleet.Placements.Get(f.key("example-placement"))
		f.must(err)
		f.wantWoken("a placement that is gone", c.placementChanged(placement, nil), "unplanned", "planned", "holding", "waiting")
		oldPlacement, newPlacement := changed(placement, func(p v1beta1.PlacementObject) { p.PlacementStatus().ObservedResourceIndex = "9" })
		f.wantWoken("the status of a placement", c.placementChanged(oldPlacement, newPlacement))
		oldPlacement, newPlacement = changed(placement, func(p v1beta1.PlacementObject) { p.SetDeletionTimestamp(&metav1.Time{}) })
		f.wantWoken("a placement that is deleted", c.placementChanged(oldPlacement, newPlacement), "unplanned", "planned", "holding", "waiting")

		oldPlacement, newPlacement = changed(placement, func(p v1beta1.PlacementObject) { p.SetLabels(map[string]string{"tier": "1"}) })
		f.wantWoken("a placement that is labeled", c.placementChanged(oldPlacement, newPlacement), "unplanned", "waiting")

		policy := f.fleet.Policies.New(f.key("guard"))
		f.wantWoken("a policy that is made", c.policyChanged(nil, policy), "unplanned", "waiting")
		f.wantWoken("a policy that is gone", c.policyChanged(policy, nil), "unplanned", "waiting")
		oldPolicy, newPolicy := changed(policy, func(p v1alpha1.RolloutPolicyObject) { p.SetGeneration(2) })
		f.wantWoken("a policy that is edited", c.policyChanged(oldPolicy, newPolicy), "unplanned", "waiting")
		oldPolicy, newPolicy = changed(policy, func(p v1alpha1.RolloutPolicyObject) { p.PolicyStatus().ObservedGeneration = 2 })
		f.wantWoken("the status of a policy", c.policyChanged(oldPolicy, newPolicy))
		f.wantWoken("a policy of another namespace", c.policyChanged(nil, f.fleet.Policies.New(reconcile.Key{Namespace: "other", Name: "guard"})))

		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: f.namespace}}
		labeledNamespace := namespace.DeepCopy()
		labeledNamespace.Labels = map[string]string{"tier": "1"}
		f.wantWoken("a namespace that is labeled", c.namespaceChanged(namespace, labeledNamespace), "unplanned", "waiting")
		f.wantWoken("another change of a namespace", c.namespaceChanged(namespace, namespace.DeepCopy()))

		oldRun, newRun := changed(f.run("holding"), func(r v1beta1.UpdateRunObject) { r.RunStatus().Turn.State = v1beta1.TurnReleased })
		f.wantWoken("a turn that ends", c.runChanged(oldRun, newRun), "holding", "waiting")
		oldRun, newRun = changed(f.run("holding"), func(r v1beta1.UpdateRunObject) { r.RunStatus().PolicyObservedClusterCount = 1 })
		f.wantWoken("a run that moves on", c.runChanged(oldRun, newRun), "holding")
		oldRun, newRun = changed(f.run("holding"), func(r v1beta1.UpdateRunObject) {
			r.RunSpec().State = v1beta1.StateStop
			r.RunStatus().StagesStatus = []v1beta1.StageUpdatingStatus{{StageName: "canary", Clusters: []v1beta1.ClusterUpdatingStatus{
				{ClusterName: "a", Conditions: []metav1.Condition{{Type: v1beta1.ClusterStarted, Status: metav1.ConditionTrue}}},
			}}}
		})
		f.wantWoken("a run that is stopped", c.runChanged(oldRun, newRun), "holding", "waiting")
		oldRun, newRun = changed(newRun, func(r v1beta1.UpdateRunObject) {
			cluster := &r.RunStatus().StagesStatus[0].Clusters[0]
			cluster.Conditions = append(cluster.Conditions, metav1.Condition{Type: v1beta1.ClusterSucceeded, Status: metav1.ConditionTrue})
		})
		f.wantWoken("a cluster that a stopping run waited for", c.runChanged(oldRun, newRun), "holding", "waiting")
		f.wantWoken("a run that is gone", c.runChanged(f.run("holding"), nil), "holding", "waiting")

		request := f.fleet.Approvals.New(f.key("holding-before-canary"))
		request.RequestSpec().TargetUpdateRun = "planned"
		f.wantWoken("a request of another run under a run's name", approvalChanged(nil, request), "holding", "planned")

		member := &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: "member1"}}
		f.wantWoken("a member that joins", c.memberChanged(nil, member), "unplanned", "waiting")
		f.wantWoken("a member that is gone", c.memberChanged(member, nil), "unplanned", "holding", "waiting")
		labeled := member.DeepCopy()
		labeled.Labels = map[string]string{"environment": "staging"}
		f.wantWoken("a member that is labeled", c.memberChanged(member, labeled), "unplanned", "waiting")
		healthy := member.DeepCopy()
		healthy.Status.Conditions = []metav1.Condition{{Type: "Healthy"}}
		f.wantWoken("a heartbeat", c.memberChanged(member, healthy))
	})
}
