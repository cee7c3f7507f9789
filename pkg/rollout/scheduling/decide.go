// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/clusterfilter"
)

// What a policy snapshot's status says at most.
const (
	maxDecisions  = 1000
	maxUnselected = 20
)

// request is all that a decision depends on.
type request struct {
	policy *v1beta1.PlacementPolicy
	// number is how many clusters PickN picks.
	number int
	// namespace of the placement, empty for a cluster-scoped one.
	namespace string
	// clusters of the fleet, in any order.
	clusters []*clusterv1beta1.MemberCluster
	// placed are the clusters with a binding that is not being deleted.
	placed map[string]place
	now    time.Time
}

// place is what a cluster has of a placement.
type place struct {
	// current is a cluster that is picked by what the policy chooses by now. It keeps its place whatever was edited since: scheduling rules are
	// looked at when a cluster is scheduled.
	current bool
	// picked is a cluster that is picked, if only by what the policy chose by before.
	picked bool
	// rolledOut is a cluster that may have resources of the placement.
	rolledOut bool
	// spread is how evenly the cluster spread the placement when it was picked, nil where that is not known.
	spread *int32
}

// outcome is what a policy comes to on the fleet as it is.
type outcome struct {
	// selected are sorted by cluster; unselected begin with those that have a score, the highest first, and are sorted by cluster where
	// they have none.
	selected, unselected []v1beta1.ClusterDecision
	// fulfilled reports whether the policy got all clusters it wants.
	fulfilled bool
}

// decide picks clusters. The same request has the same answer, whatever the order of its lists.
func decide(r request) outcome {
	r.clusters = slices.Clone(r.clusters)
	slices.SortFunc(r.clusters, func(a, b *clusterv1beta1.MemberCluster) int { return cmp.Compare(a.Name, b.Name) })
	var o outcome
	switch placementType(r.policy) {
	case v1beta1.PickFixedPlacementType:
		o = r.pickFixed()
	case v1beta1.PickNPlacementType:
		o = r.pickN()
	default:
		o = r.pickAll()
	}
	slices.SortFunc(o.selected, func(a, b v1beta1.ClusterDecision) int { return cmp.Compare(a.ClusterName, b.ClusterName) })
	return o
}

func placementType(policy *v1beta1.PlacementPolicy) v1beta1.PlacementType {
	if policy == nil || policy.PlacementType == "" {
		return v1beta1.PickAllPlacementType
	}
	return policy.PlacementType
}

func (r request) pickAll() outcome {
	o := outcome{fulfilled: true}
	filter := clusterfilter.New(r.policy)
	for _, cluster := range r.clusters {
		p := r.placed[cluster.Name]
		if p.current && cluster.DeletionTimestamp.IsZero() {
			o.selected = append(o.selected, picked(cluster.Name))
			continue
		}
		if why := r.rejected(filter, cluster, p.picked || p.rolledOut); why != "" {
			o.unselected = append(o.unselected, left(cluster.Name, unschedulable+why))
		} else {
			o.selected = append(o.selected, picked(cluster.Name))
		}
	}
	return o
}

func (r request) pickFixed() outcome {
	known := make(map[string]*clusterv1beta1.MemberCluster, len(r.clusters))
	for _, cluster := range r.clusters {
		known[cluster.Name] = cluster
	}
	o := outcome{fulfilled: true}
	for _, name := range r.policy.ClusterNames {
		cluster, found := known[name]
		if !found {
			o.unselected = append(o.unselected, left(name, fmt.Sprintf("Specified cluster %q is not found", name)))
			continue
		}
		p := r.placed[name]
		if why := ineligible(cluster, r.now, p.picked || p.rolledOut); why != "" {
			o.unselected = append(o.unselected, left(name, fmt.Sprintf("Cluster %q is not eligible for resource placement yet: %s", name, why)))
			continue
		}
		o.selected = append(o.selected, picked(name))
	}
	slices.SortFunc(o.unselected, func(a, b v1beta1.ClusterDecision) int { return cmp.Compare(a.ClusterName, b.ClusterName) })
	o.fulfilled = len(o.unselected) == 0
	return o
}

// rejected returns why a cluster that is not picked already is not to be, empty where nothing is against it. A cluster that holds the placement
// is judged by the policy alone: it is neither let go because it is ill, nor because it does not report its namespaces.
func (r request) rejected(filter *clusterfilter.Filter, cluster *clusterv1beta1.MemberCluster, holds bool) string {
	if why := filter.Unmatched(cluster); why != "" {
		return why
	}
	if why := ineligible(cluster, r.now, holds); why != "" {
		return why
	}
	if !holds {
		if why := withoutNamespace(cluster, r.namespace); why != "" {
			return why
		}
	}
	return filter.Untolerated(cluster)
}

func picked(cluster string) v1beta1.ClusterDecision {
	return v1beta1.ClusterDecision{
		ClusterName: cluster,
		Selected:    true,
		Reason:      fmt.Sprintf("Successfully scheduled resources for placement in %q: picked by scheduling policy", cluster),
	}
}

func left(cluster, reason string) v1beta1.ClusterDecision {
	return v1beta1.ClusterDecision{ClusterName: cluster, Reason: reason}
}

// decisions are what the status of a policy snapshot shows of an outcome.
func (o outcome) decisions() []v1beta1.ClusterDecision {
	shown := append(slices.Clone(o.selected), o.unselected[:min(len(o.unselected), maxUnselected)]...)
	return shown[:min(len(shown), maxDecisions)]
}
