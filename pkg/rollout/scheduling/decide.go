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

// outcome is what a policy comes to on the fleet as it is.
type outcome struct {
	// selected and unselected are sorted by cluster.
	selected, unselected []v1beta1.ClusterDecision
	// fulfilled reports whether the policy got all clusters it wants.
	fulfilled bool
	// message replaces the usual one of the Scheduled condition.
	message string
}

// decide picks clusters. A cluster in held keeps its place whatever was edited since: scheduling rules are looked at when a cluster
// is scheduled.
func decide(policy *v1beta1.PlacementPolicy, clusters []*clusterv1beta1.MemberCluster, held map[string]bool, now time.Time) (outcome, error) {
	var (
		o   outcome
		err error
	)
	switch placementType(policy) {
	case v1beta1.PickAllPlacementType:
		o, err = pickAll(policy, clusters, held, now)
	case v1beta1.PickFixedPlacementType:
		o = pickFixed(policy, clusters, held, now)
	default:
		return outcome{message: fmt.Sprintf("placementType %s is not supported yet, use PickAll or PickFixed", placementType(policy))}, nil
	}
	byName := func(a, b v1beta1.ClusterDecision) int { return cmp.Compare(a.ClusterName, b.ClusterName) }
	slices.SortFunc(o.selected, byName)
	slices.SortFunc(o.unselected, byName)
	return o, err
}

func placementType(policy *v1beta1.PlacementPolicy) v1beta1.PlacementType {
	if policy == nil || policy.PlacementType == "" {
		return v1beta1.PickAllPlacementType
	}
	return policy.PlacementType
}

func pickAll(policy *v1beta1.PlacementPolicy, clusters []*clusterv1beta1.MemberCluster, held map[string]bool, now time.Time) (outcome, error) {
	o := outcome{fulfilled: true}
	for _, cluster := range clusters {
		if held[cluster.Name] && cluster.DeletionTimestamp.IsZero() {
			o.selected = append(o.selected, picked(cluster.Name))
			continue
		}
		why := ineligible(cluster, now)
		if why == "" {
			var err error
			if why, err = clusterfilter.Rejected(cluster, policy); err != nil {
				return outcome{}, err
			}
		}
		if why == "" {
			o.selected = append(o.selected, picked(cluster.Name))
		} else {
			o.unselected = append(o.unselected, left(cluster.Name, unschedulable+why))
		}
	}
	return o, nil
}

func pickFixed(policy *v1beta1.PlacementPolicy, clusters []*clusterv1beta1.MemberCluster, held map[string]bool, now time.Time) outcome {
	known := make(map[string]*clusterv1beta1.MemberCluster, len(clusters))
	for _, cluster := range clusters {
		known[cluster.Name] = cluster
	}
	o := outcome{fulfilled: true}
	for _, name := range policy.ClusterNames {
		cluster, found := known[name]
		if !found {
			o.unselected = append(o.unselected, left(name, fmt.Sprintf("Specified cluster %q is not found", name)))
			continue
		}
		if held[name] && cluster.DeletionTimestamp.IsZero() {
			o.selected = append(o.selected, picked(name))
			continue
		}
		if why := ineligible(cluster, now); why != "" {
			o.unselected = append(o.unselected, left(name, fmt.Sprintf("Cluster %q is not eligible for resource placement yet: %s", name, why)))
			continue
		}
		o.selected = append(o.selected, picked(name))
	}
	o.fulfilled = len(o.unselected) == 0
	return o
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
