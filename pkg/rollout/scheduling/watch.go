// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"slices"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/sets"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/clusterfilter"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
)

// bindingChanged lets the scheduler sleep through the changes that rolling out makes to a binding.
func bindingChanged(oldObj, newObj any) []reconcile.Key {
	before, wasThere := oldObj.(v1beta1.BindingObject)
	after, isThere := newObj.(v1beta1.BindingObject)
	if wasThere && isThere && before.GetDeletionTimestamp().IsZero() == after.GetDeletionTimestamp().IsZero() &&
		before.BindingSpec().SchedulingPolicySnapshotName == after.BindingSpec().SchedulingPolicySnapshotName &&
		before.BindingSpec().State == after.BindingSpec().State &&
		apiequality.Semantic.DeepEqual(before.BindingSpec().ClusterDecision, after.BindingSpec().ClusterDecision) {
		return nil
	}
	return reconcile.ByLabel(wellknown.ParentPlacementLabel)(oldObj, newObj)
}

// clusterChanges are in what two states of a cluster differ that a policy can see.
type clusterChanges struct {
	leaving, taints, namespaces bool
	labels, properties          []string
}

func changesBetween(a, b *clusterv1beta1.MemberCluster) clusterChanges {
	return clusterChanges{
		leaving:    a.DeletionTimestamp.IsZero() != b.DeletionTimestamp.IsZero(),
		taints:     !apiequality.Semantic.DeepEqual(a.Spec.Taints, b.Spec.Taints),
		namespaces: !sets.KeySet(a.Status.Namespaces).Equal(sets.KeySet(b.Status.Namespaces)) || collected(a) != collected(b),
		labels:     changedLabels(a.Labels, b.Labels),
		properties: clusterfilter.Changed(a, b),
	}
}

func (c clusterChanges) any() bool {
	return c.leaving || c.taints || c.namespaces || len(c.labels)+len(c.properties) > 0
}

// collected is how far a cluster's report of its namespaces may be believed.
func collected(cluster *clusterv1beta1.MemberCluster) string {
	if condition := meta.FindStatusCondition(cluster.Status.Conditions, clusterv1beta1.ConditionTypeNamespaceCollectionSucceeded); condition != nil {
		return string(condition.Status)
	}
	return ""
}

func changedLabels(a, b map[string]string) []string {
	var changed []string
	for key, value := range a {
		if other, there := b[key]; !there || other != value {
			changed = append(changed, key)
		}
	}
	for key := range b {
		if _, there := a[key]; !there {
			changed = append(changed, key)
		}
	}
	return changed
}

// clusterChange is a change of a cluster, as placements may be concerned by it.
type clusterChange struct {
	before, after *clusterv1beta1.MemberCluster
	clusterChanges
	// recovers reports whether what kept everything off the cluster is over, or is something else.
	recovers bool
}

// memberChanged wakes the placements that a change of a cluster can concern. Those that have the cluster already, or all the clusters they want, sleep on:
// nothing that a cluster reports takes a placement off it.
func (c *Controller) memberChanged(oldObj, newObj any) []reconcile.Key {
	before, wasThere := oldObj.(*clusterv1beta1.MemberCluster)
	after, isThere := newObj.(*clusterv1beta1.MemberCluster)
	if !wasThere || !isThere || before.UID != after.UID || before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero() {
		var keys []reconcile.Key
		for _, placement := range c.fleet.Placements.All() {
			keys = append(keys, reconcile.KeyOf(placement))
		}
		return keys
	}
	change := clusterChange{before: before, after: after, clusterChanges: changesBetween(before, after), recovers: recovers(before, after, c.clock.Now())}
	var keys []reconcile.Key
	for _, placement := range c.readersOf(change) {
		if c.concerns(change, placement) {
			keys = append(keys, reconcile.KeyOf(placement))
		}
	}
	return keys
}

func recovers(before, after *clusterv1beta1.MemberCluster, now time.Time) bool {
	was := withoutTime(ineligible(before, now, false))
	return was != "" && was != withoutTime(ineligible(after, now, false))
}

// readersOf returns the placements that look at what has changed; one may be there twice.
func (c *Controller) readersOf(change clusterChange) []v1beta1.PlacementObject {
	if change.recovers || change.taints || change.namespaces {
		return c.fleet.Placements.All()
	}
	var readers []v1beta1.PlacementObject
	for _, label := range change.labels {
		readers = append(readers, c.fleet.Placements.ByValue(fleet.ByLabelRead, label)...)
	}
	for _, property := range change.properties {
		readers = append(readers, c.fleet.Placements.ByValue(fleet.ByPropertyRead, property)...)
	}
	return readers
}

// concerns reports whether a change of a cluster may have a placement pick it, or tell another reason why it does not.
func (c *Controller) concerns(change clusterChange, placement v1beta1.PlacementObject) bool {
	policy := placement.PlacementSpec().Policy
	switch placementType(policy) {
	case v1beta1.PickFixedPlacementType:
		return change.recovers && slices.Contains(policy.ClusterNames, change.after.Name) && !c.holds(placement, change.after.Name)
	case v1beta1.PickNPlacementType:
		if c.isFulfilled(placement) {
			return false
		}
		// A relabeled cluster may make room for others.
		if slices.ContainsFunc(policy.TopologySpreadConstraints, func(t v1beta1.TopologySpreadConstraint) bool { return slices.Contains(change.labels, t.TopologyKey) }) {
			return true
		}
	}
	if c.holds(placement, change.after.Name) {
		return false
	}
	filter, namespace := clusterfilter.New(policy), placement.GetNamespace()
	unmatched := filter.Unmatched(change.after)
	if filter.Unmatched(change.before) != unmatched {
		return true
	}
	return unmatched == "" && (change.recovers || withoutNamespace(change.before, namespace) != withoutNamespace(change.after, namespace) ||
		filter.Untolerated(change.before) != filter.Untolerated(change.after))
}

// holds reports whether a placement picks a cluster already.
func (c *Controller) holds(placement v1beta1.PlacementObject, cluster string) bool {
	binding, err := c.fleet.Bindings.Get(reconcile.Key{Namespace: placement.GetNamespace(), Name: bindingName(placement, cluster)})
	return err == nil && bindingrules.IsPicked(binding)
}

// isFulfilled reports whether the placement as it is has all clusters that it wants. Should that change, the status of the policy snapshot changes,
// which wakes the placement.
func (c *Controller) isFulfilled(placement v1beta1.PlacementObject) bool {
	snapshot := c.latestPolicy(placement)
	if snapshot == nil {
		return false
	}
	status := snapshot.PolicySnapshotStatus()
	return status.ObservedCRPGeneration == placement.GetGeneration() && conditions.IsTrue(status.Conditions, v1beta1.PolicySnapshotScheduled, snapshot.GetGeneration())
}
