// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package eviction

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/clusterfilter"
)

// tally is how many clusters a placement has.
type tally struct {
	// desired is how many its policy asks for, 0 for as many as there are.
	desired int
	// total is how many there are or ought to be, those included that the placement is being taken off.
	total int
	// available is how many have what they ought to.
	available int
}

// count counts the clusters of a placement. One that the policy asks for and that is not there is not available either.
func count(p *v1beta1.ClusterResourcePlacement, bindings []v1beta1.BindingObject) tally {
	t := tally{total: len(bindings)}
	if placementType(p) == v1beta1.PickNPlacementType {
		t.desired = int(ptr.Deref(p.Spec.Policy.NumberOfClusters, 0))
		t.total = max(t.total, t.desired)
	}
	for _, b := range bindings {
		if b.GetDeletionTimestamp() == nil && bindingrules.IsReady(b) {
			t.available++
		}
	}
	return t
}

// disruptions is how many clusters a placement may lose now. A budget that says nothing, or that cannot be read, which validation refuses,
// allows none.
func (t tally) disruptions(budget *v1beta1.PlacementDisruptionBudgetSpec) int {
	amount := func(value *intstr.IntOrString) (int, error) {
		return intstr.GetScaledValueFromIntOrPercent(value, t.desired, true)
	}
	switch {
	case budget.MaxUnavailable != nil:
		if unavailable, err := amount(budget.MaxUnavailable); err == nil {
			return max(0, unavailable-(t.total-t.available))
		}
	case budget.MinAvailable != nil:
		if available, err := amount(budget.MinAvailable); err == nil {
			return max(0, t.available-available)
		}
	}
	return 0
}

// leavesNone returns why a budget allows no eviction even if all clusters were available, in the words for whoever can change it; empty where
// it allows some then.
func (t tally) leavesNone(budget *v1beta1.PlacementDisruptionBudgetSpec) string {
	t.available = t.total
	switch {
	case t.disruptions(budget) > 0:
		return ""
	case budget.MaxUnavailable != nil:
		return fmt.Sprintf("maxUnavailable %s leaves none of %s to evict: raise it", budget.MaxUnavailable, wording.Count(t.total, "cluster"))
	case budget.MinAvailable != nil:
		return fmt.Sprintf("minAvailable %s leaves none of %s to evict: lower it", budget.MinAvailable, wording.Count(t.total, "cluster"))
	}
	return "it allows no eviction at all: set minAvailable"
}

// remedy is what can be done about a budget that allows no eviction now, up to the name of the budget.
func (t tally) remedy(budget *v1beta1.PlacementDisruptionBudgetSpec) string {
	if why := t.leavesNone(budget); why != "" {
		return why + " in"
	}
	limit := "minAvailable " + budget.MinAvailable.String()
	if budget.MaxUnavailable != nil {
		limit = "maxUnavailable " + budget.MaxUnavailable.String()
	}
	return "wait until more clusters are available, or change " + limit + " in"
}

// Doubts returns why a budget is probably not meant as it is, for whoever writes it: it limits nothing, or allows nothing. The placement is nil
// where there is none. What the budget cannot have at all Misfits tells.
func Doubts(p *v1beta1.ClusterResourcePlacement, budget *v1beta1.ClusterResourcePlacementDisruptionBudget) []string {
	var doubts []string
	spec := &budget.Spec
	if spec.MinAvailable == nil && spec.MaxUnavailable == nil {
		doubts = append(doubts, "spec: "+tally{}.leavesNone(spec))
	}
	switch {
	case p == nil:
		doubts = append(doubts, fmt.Sprintf("metadata.name: there is no ClusterResourcePlacement %s: the budget limits nothing before there is", budget.Name))
	case placementType(p) == v1beta1.PickFixedPlacementType:
		doubts = append(doubts, fmt.Sprintf("metadata.name: ClusterResourcePlacement %s is PickFixed, which is never evicted: the budget limits nothing", budget.Name))
	case len(doubts) == 0:
		t := tally{total: bindingrules.Clusters(&p.Status)}
		if placementType(p) == v1beta1.PickNPlacementType {
			t.desired = int(ptr.Deref(p.Spec.Policy.NumberOfClusters, 0))
			t.total = max(t.total, t.desired)
		}
		if why := t.leavesNone(spec); t.total > 0 && why != "" {
			doubts = append(doubts, "spec: "+why)
		}
	}
	return doubts
}

// Returns reports whether the placement is likely to come back to a cluster that it is evicted from, in the words for whoever evicts it; empty where a
// taint, or its own affinity, keeps it off.
func Returns(p *v1beta1.ClusterResourcePlacement, member *clusterv1beta1.MemberCluster) string {
	if clusterfilter.New(p.Spec.Policy).Rejected(member) != "" {
		return ""
	}
	comes := "picks it again at once"
	if placementType(p) == v1beta1.PickNPlacementType {
		comes = "may pick it again at once"
	}
	return fmt.Sprintf("MemberCluster %s has no taint that keeps ClusterResourcePlacement %s off, which %s: set a taint first", member.Name, p.Name, comes)
}

// Misfits returns what of a budget means nothing for a placement, in the words for whoever writes the budget: PickAll wants no number of
// clusters, of which something could be left or a percentage be taken.
func Misfits(p *v1beta1.ClusterResourcePlacement, budget *v1beta1.PlacementDisruptionBudgetSpec) []string {
	if placementType(p) != v1beta1.PickAllPlacementType {
		return nil
	}
	var misfits []string
	if budget.MaxUnavailable != nil {
		misfits = append(misfits, "cluster resource placement policy type PickAll is not supported with any specified max unavailable "+budget.MaxUnavailable.String()+": set minAvailable to a number")
	}
	if budget.MinAvailable != nil && budget.MinAvailable.Type == intstr.String {
		misfits = append(misfits, "cluster resource placement policy type PickAll is not supported with min available as a percentage "+budget.MinAvailable.String()+": set minAvailable to a number")
	}
	return misfits
}
