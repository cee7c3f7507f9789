// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"strings"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// maxReasons is how many clusters a message tells of why they are not picked.
const maxReasons = 3

// unschedulable begins the reason of a cluster that PickAll or PickN leaves out.
const unschedulable = "ClusterUnschedulable, "

// nobody returns why a policy picks no cluster, and nothing where it picks one. It does not change as long as the reason does not.
func (o outcome) nobody(policy *v1beta1.PlacementPolicy) string {
	switch {
	case len(o.selected) > 0:
		return ""
	case placementType(policy) == v1beta1.PickFixedPlacementType && len(policy.ClusterNames) == 0:
		return wellknown.NoClusterPicked + "spec.policy.clusterNames names none"
	case placementType(policy) == v1beta1.PickNPlacementType && o.fulfilled:
		return wellknown.NoClusterPicked + "spec.policy.numberOfClusters is 0"
	case len(o.unselected) == 0:
		return wellknown.NoClusterPicked + "the fleet has no member cluster"
	}
	var reasons []string
	for _, d := range o.unselected[:min(len(o.unselected), maxReasons)] {
		// The time since a cluster is ill is for the cluster's own entry.
		why := withoutTime(d.Reason)
		if rest, ok := strings.CutPrefix(why, unschedulable); ok {
			why = d.ClusterName + ": " + rest
		}
		reasons = append(reasons, why)
	}
	return wellknown.NoClusterPicked + wording.Clauses(reasons, len(o.unselected))
}
