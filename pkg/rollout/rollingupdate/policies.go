// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollingupdate

import (
	"cmp"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/handover"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/internal/wanted"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

// refusals say by cluster why rollout policies keep this controller from it. A cluster without one may be moved.
type refusals map[string]string

// refusals finds the clusters that policies keep for staged runs, or for nobody: whoever may write a placement could otherwise pass every
// policy by changing its strategy. Admission refuses such a placement; this holds for one that was there before, or came past admission. A
// cluster that leaves, or has left, the fleet is never kept: nothing may be in the way of that.
func (c *Controller) refusals(placement v1beta1.PlacementObject, bindings []v1beta1.BindingObject) (refusals, error) {
	policies := policy.NewAll(c.fleet.Policies.Covering(placement.GetNamespace()))
	subject := policy.Subject{
		Namespace: placement.GetNamespace(), NamespaceLabels: c.fleet.NamespaceLabels(placement.GetNamespace()), PlacementLabels: placement.GetLabels(),
	}
	if err := subject.Check(policies); err != nil {
		return nil, fmt.Errorf("moving the clusters of placement %s: %w", reconcile.KeyOf(placement), err)
	}
	binding := policy.Binding(policies, subject)
	if len(binding) == 0 {
		return nil, nil
	}
	// Bindings say what is refused: another order of the cache would have them be written again, without an end.
	bindings = slices.SortedFunc(slices.Values(bindings), func(a, b v1beta1.BindingObject) int {
		return cmp.Compare(a.BindingSpec().TargetCluster, b.BindingSpec().TargetCluster)
	})
	var picked, unpicked []strategy.Cluster
	for _, b := range bindings {
		name := b.BindingSpec().TargetCluster
		member, err := c.fleet.MemberClusters.Lister().Get(name)
		if err != nil || member.DeletionTimestamp != nil {
			continue
		}
		cluster := strategy.Cluster{Name: name, Labels: labels.Set(member.Labels)}
		if b.BindingSpec().State == v1beta1.BindingStateUnscheduled {
			unpicked = append(unpicked, cluster)
		} else {
			picked = append(picked, cluster)
		}
	}
	found := refusals{}
	found.add(policy.JudgeRemoval(binding, placement, unpicked), unpicked)
	if removal := policy.OfRemoval(unpicked); len(unpicked) > 0 {
		handovers, err := handover.OfRemoval(c.fleet, reconcile.KeyOf(placement), policy.Protected(binding, removal))
		if err != nil {
			return nil, fmt.Errorf("looking for what placement %s hands over: %w", reconcile.KeyOf(placement), err)
		}
		found.add(policy.JudgeHandovers(binding, removal, handovers), unpicked)
	}
	found.add(policy.JudgePlacement(binding, placement, picked), picked)
	return found, nil
}

// add has each cluster be refused by the policies that protect it.
func (r refusals) add(verdict policy.Verdict, clusters []strategy.Cluster) {
	for _, cluster := range clusters {
		var own policy.Verdict
		for _, violation := range verdict.Violations {
			if violation.Policy.Protects(cluster.Labels) {
				own.Violations = append(own.Violations, violation)
			}
		}
		if refusal := own.Refusal(); refusal != "" && r[cluster.Name] == "" {
			r[cluster.Name] = refusal
		}
	}
}

// divide returns the bindings that may be moved, or need no move, and those that are kept as they are. The latter take no part in the budget:
// they would have the others wait for them. A cluster needs no move that has what it is to have, or for which that was announced: a binding that
// asks for it alone may be one of a run that never came to the cluster.
func (r refusals) divide(bindings []v1beta1.BindingObject, want func(cluster string) bindingrules.Version) (free, kept []v1beta1.BindingObject) {
	for _, b := range bindings {
		cluster := b.BindingSpec().TargetCluster
		needsMove := !bindingrules.Holds(b.BindingSpec(), want(cluster)) || !bindingrules.HasBegun(b) && !bindingrules.IsRolloutStarted(b)
		if r[cluster] != "" && b.GetDeletionTimestamp().IsZero() && needsMove {
			kept = append(kept, b)
		} else {
			free = append(free, b)
		}
	}
	return free, kept
}

// mayWaitNoMore wakes the placements that are kept on a cluster since another one waits there for what they would hand over, once that changes.
func (c *Controller) mayWaitNoMore(changed metav1.Object) (keys []reconcile.Key) {
	b, ok := changed.(v1beta1.BindingObject)
	if !ok || len(c.fleet.Policies.All()) == 0 {
		return nil
	}
	namespaces := sets.New("", b.GetNamespace())
	for namespace := range namespaces {
		for _, other := range c.fleet.Bindings.ByIndex(fleet.ByCluster, reconcile.Key{Namespace: namespace, Name: b.BindingSpec().TargetCluster}) {
			parent := reconcile.Key{Namespace: namespace, Name: other.GetLabels()[wellknown.ParentPlacementLabel]}
			isOwn := namespace == b.GetNamespace() && parent.Name == b.GetLabels()[wellknown.ParentPlacementLabel]
			if !isOwn && other.BindingSpec().State == v1beta1.BindingStateUnscheduled && other.GetDeletionTimestamp() == nil {
				keys = append(keys, parent)
			}
		}
	}
	return keys
}

// policyChanged wakes the placements that a policy may bind.
func (c *Controller) policyChanged(oldObj, newObj any) []reconcile.Key {
	if namespace, matters := fleet.WhomPolicyBinds(oldObj, newObj); matters {
		return c.rollingIn(namespace)
	}
	return nil
}

// namespaceChanged wakes the placements of a namespace by whose labels policies select.
func (c *Controller) namespaceChanged(oldObj, newObj any) []reconcile.Key {
	if name, relabeled := fleet.RelabeledNamespace(oldObj, newObj); relabeled {
		return c.rollingIn(name)
	}
	return nil
}

// rollingIn are the placements of a namespace that this controller moves, all of them for "".
func (c *Controller) rollingIn(namespace string) []reconcile.Key {
	var keys []reconcile.Key
	for _, placement := range c.wanted.Rolling() {
		if namespace == "" || placement.GetNamespace() == namespace {
			keys = append(keys, reconcile.KeyOf(placement))
		}
	}
	return keys
}

// memberChanged wakes every placement that waits for a cluster which leaves the fleet, and where overrides may be for a cluster, or policies
// protect it, that were or did not before, or the other way round.
func (c *Controller) memberChanged(oldObj, newObj any) []reconcile.Key {
	before, _ := oldObj.(*clusterv1beta1.MemberCluster)
	after, _ := newObj.(*clusterv1beta1.MemberCluster)
	leaves := after == nil || before != nil && before.DeletionTimestamp == nil && after.DeletionTimestamp != nil
	labeled := wanted.Relabeled(oldObj, newObj)
	if overrides, policies := len(c.fleet.Overrides.All()) > 0, len(c.fleet.Policies.All()) > 0; leaves || labeled && (overrides || policies) {
		return c.rollingIn("")
	}
	return nil
}
