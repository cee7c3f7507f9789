// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/metrics"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// watch has every change that can matter to a run wake it, and as few others as possible.
func (c *Controller) watch() {
	c.fleet.Runs.Watch(c.queue, c.latency.Hearing(c.runChanged))
	c.fleet.Approvals.Watch(c.queue, c.latency.Hearing(approvalChanged))
	c.fleet.Placements.Watch(c.queue, c.placementChanged)
	c.fleet.Strategies.Watch(c.queue, reconcile.ByObject(func(o metav1.Object) []reconcile.Key {
		return keys(c.fleet.Runs.ByIndex(fleet.ByStrategy, keyOf(o)), isUnplanned)
	}))
	c.fleet.PolicySnapshots.Watch(c.queue, c.ofPlacement(isUnplanned))
	c.fleet.Snapshots.Watch(c.queue, c.ofPlacement(isUnplanned))
	// Which runs an override matters to is known once they are planned.
	anyUnplanned := func(_, _ any) []reconcile.Key { return keys(c.fleet.Runs.All(), isUnplanned) }
	c.fleet.Overrides.Watch(c.queue, anyUnplanned)
	c.fleet.OverrideSnapshots.Watch(c.queue, anyUnplanned)
	c.fleet.Policies.Watch(c.queue, c.policyChanged)
	if c.fleet.Namespaces != nil {
		c.queue.Watch(c.fleet.Namespaces.Informer(), c.namespaceChanged)
	}
	for _, informer := range c.fleet.Bindings.Informers() {
		c.queue.WatchCoalesced(informer, coalesce, c.latency.Hearing(c.bindingChanged))
	}
	c.queue.Watch(c.fleet.MemberClusters.Informer(), c.memberChanged)
}

// isUnplanned is a run that waits for something to be planned with.
func isUnplanned(run v1beta1.UpdateRunObject) bool {
	return !runrules.IsPlanned(run.RunStatus()) && !runrules.IsOver(run.RunStatus())
}

// isJudged is a run that policies, and what they select by, matter to.
func isJudged(run v1beta1.UpdateRunObject) bool { return isUnplanned(run) || mayYetStart(run) }

// isAlive is a run that something can still happen to.
func isAlive(run v1beta1.UpdateRunObject) bool { return !runrules.IsOver(run.RunStatus()) }

// isActive is a run that clusters matter to.
func isActive(run v1beta1.UpdateRunObject) bool {
	return isUnplanned(run) || isAlive(run) && run.RunSpec().State != v1beta1.StateInitialize
}

func keys(runs []v1beta1.UpdateRunObject, which func(v1beta1.UpdateRunObject) bool) []reconcile.Key {
	var found []reconcile.Key
	for _, run := range runs {
		if which(run) {
			found = append(found, keyOf(run))
		}
	}
	return found
}

// ofPlacement maps a change of what is labeled with its placement.
func (c *Controller) ofPlacement(which func(v1beta1.UpdateRunObject) bool) reconcile.MapFunc {
	return reconcile.ByObject(func(o metav1.Object) []reconcile.Key { return c.runsOf(o, which) })
}

func (c *Controller) runsOf(o metav1.Object, which func(v1beta1.UpdateRunObject) bool) []reconcile.Key {
	placement := o.GetLabels()[wellknown.ParentPlacementLabel]
	if placement == "" {
		return nil
	}
	return keys(c.fleet.Runs.ByIndex(fleet.ByPlacement, reconcile.Key{Namespace: o.GetNamespace(), Name: placement}), which)
}

// runChanged wakes the run and the one that it rolls back; and where its turn has changed, those that wait for theirs, or to roll it back.
func (c *Controller) runChanged(oldObj, newObj any) []reconcile.Key {
	found := reconcile.Self(nil, either(oldObj, newObj))
	before, _ := oldObj.(v1beta1.UpdateRunObject)
	after, _ := newObj.(v1beta1.UpdateRunObject)
	changed := either(oldObj, newObj).(v1beta1.UpdateRunObject)
	if earlier := changed.RunSpec().RollbackOf; earlier != "" {
		found = append(found, reconcile.Key{Namespace: changed.GetNamespace(), Name: earlier})
	}
	if before != nil && after != nil && sameTurn(before, after) {
		return found
	}
	return append(found, keys(c.fleet.Runs.ByIndex(fleet.ByPlacement, placementOf(changed)), func(run v1beta1.UpdateRunObject) bool {
		return run.GetName() != changed.GetName() && isAlive(run) &&
			(before != nil && isInLine(run) || run.RunSpec().RollbackOf == changed.GetName() && isUnplanned(run))
	})...)
}

// isInLine is a run that would move clusters but for others.
func isInLine(run v1beta1.UpdateRunObject) bool {
	turn := run.RunStatus().Turn
	return turn != nil && (turn.State == v1beta1.TurnWaiting || turn.State == v1beta1.TurnClaimed)
}

func sameTurn(a, b v1beta1.UpdateRunObject) bool {
	return equality.Semantic.DeepEqual(a.RunStatus().Turn, b.RunStatus().Turn) &&
		a.RunSpec().State == b.RunSpec().State &&
		engine.LettingGo(a) == engine.LettingGo(b) &&
		runrules.IsOver(a.RunStatus()) == runrules.IsOver(b.RunStatus()) &&
		equality.Semantic.DeepEqual(a.RunStatus().RolledBackBy, b.RunStatus().RolledBackBy) &&
		reconcile.HasFinalizer(a, wellknown.UpdateRunFinalizer) == reconcile.HasFinalizer(b, wellknown.UpdateRunFinalizer) &&
		(a.GetDeletionTimestamp() == nil) == (b.GetDeletionTimestamp() == nil)
}

// approvalChanged counts decisions, and wakes the run that a request is about, and the one whose request the name says it is.
func approvalChanged(oldObj, newObj any) []reconcile.Key {
	before, _ := oldObj.(v1beta1.ApprovalRequestObject)
	after, _ := newObj.(v1beta1.ApprovalRequestObject)
	if before != nil && after != nil {
		metrics.Decided(before, after)
	}
	return runsOfRequest(oldObj, newObj)
}

var runsOfRequest = reconcile.ByObject(func(o metav1.Object) []reconcile.Key {
	names := []string{o.(v1beta1.ApprovalRequestObject).RequestSpec().TargetUpdateRun}
	for _, infix := range []string{wellknown.BeforeStageApprovalName("", ""), wellknown.AfterStageApprovalName("", "")} {
		if i := strings.LastIndex(o.GetName(), infix); i > 0 && o.GetName()[:i] != names[0] {
			names = append(names, o.GetName()[:i])
		}
	}
	var found []reconcile.Key
	for _, name := range names {
		found = append(found, reconcile.Key{Namespace: o.GetNamespace(), Name: name})
	}
	return found
})

// placementChanged wakes the runs of a placement when it comes, goes or is edited; its status matters to none.
func (c *Controller) placementChanged(oldObj, newObj any) []reconcile.Key {
	before, _ := oldObj.(v1beta1.PlacementObject)
	after, _ := newObj.(v1beta1.PlacementObject)
	which := isAlive
	if before != nil && after != nil && before.GetUID() == after.GetUID() && before.GetGeneration() == after.GetGeneration() &&
		(before.GetDeletionTimestamp() == nil) == (after.GetDeletionTimestamp() == nil) {
		if maps.Equal(before.GetLabels(), after.GetLabels()) {
			return nil
		}
		which = isJudged
	}
	return reconcile.ByObject(func(o metav1.Object) []reconcile.Key {
		return keys(c.fleet.Runs.ByIndex(fleet.ByPlacement, keyOf(o)), which)
	})(nil, either(oldObj, newObj))
}

// bindingChanged lets runs sleep through what happens between the start of a cluster and its end, trouble aside.
func (c *Controller) bindingChanged(oldObj, newObj any) []reconcile.Key {
	before, _ := oldObj.(v1beta1.BindingObject)
	after, _ := newObj.(v1beta1.BindingObject)
	if before != nil && after != nil &&
		before.GetGeneration() == after.GetGeneration() &&
		(before.GetDeletionTimestamp() == nil) == (after.GetDeletionTimestamp() == nil) &&
		before.BindingSpec().State == after.BindingSpec().State &&
		bindingrules.IsRolloutStarted(before) == bindingrules.IsRolloutStarted(after) &&
		engine.Trouble(before) == engine.Trouble(after) &&
		engine.Refusal(before) == engine.Refusal(after) &&
		bindingrules.IsReady(before) == bindingrules.IsReady(after) {
		return nil
	}
	return reconcile.ByObject(func(o metav1.Object) []reconcile.Key { return c.runsOf(o, isActive) })(nil, either(oldObj, newObj))
}

// memberChanged wakes runs when a cluster joins, leaves or is labeled.
func (c *Controller) memberChanged(oldObj, newObj any) []reconcile.Key {
	before, _ := oldObj.(*clusterv1beta1.MemberCluster)
	after, _ := newObj.(*clusterv1beta1.MemberCluster)
	switch {
	case before != nil && (after == nil || before.DeletionTimestamp == nil && after.DeletionTimestamp != nil):
		return keys(c.fleet.Runs.All(), isActive)
	case before == nil || !maps.Equal(before.Labels, after.Labels):
		return keys(c.fleet.Runs.All(), isJudged)
	}
	return nil
}

// policyChanged wakes the runs that a policy may bind.
func (c *Controller) policyChanged(oldObj, newObj any) []reconcile.Key {
	if namespace, matters := fleet.WhomPolicyBinds(oldObj, newObj); matters {
		return c.judgedIn(namespace)
	}
	return nil
}

// namespaceChanged wakes the runs of a namespace by whose labels policies select.
func (c *Controller) namespaceChanged(oldObj, newObj any) []reconcile.Key {
	if name, relabeled := fleet.RelabeledNamespace(oldObj, newObj); relabeled {
		return c.judgedIn(name)
	}
	return nil
}

// judgedIn are the runs of a namespace that policies matter to, all of them for "".
func (c *Controller) judgedIn(namespace string) []reconcile.Key {
	return keys(c.fleet.Runs.All(), func(run v1beta1.UpdateRunObject) bool {
		return isJudged(run) && (namespace == "" || namespace == run.GetNamespace())
	})
}

// either is the newer state of an object.
func either(oldObj, newObj any) any {
	if newObj != nil {
		return newObj
	}
	return oldObj
}
