// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package eviction

import (
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
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
