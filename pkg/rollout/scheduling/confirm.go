// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"context"
	"errors"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// confirm asks the API whether clusters are really to be let go of: by a cache that lags behind, a cluster may have another label, the policy another
// number, or the fleet not that cluster at all, and a RollingUpdate would take the placement off it meanwhile. What differs is a conflict, after which
// the placement is tried again: the change is on its way to the cache.
func (c *Controller) confirm(ctx context.Context, placement v1beta1.PlacementObject, snapshot v1beta1.PolicySnapshotObject,
	clusters []*clusterv1beta1.MemberCluster, unscheduled []v1beta1.BindingObject) error {
	if len(unscheduled) == 0 {
		return nil
	}
	namespace := placement.GetNamespace()
	livePlacement, err := c.fleet.Placements.Client(namespace).Get(ctx, placement.GetName(), metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading placement %s before clusters are let go of: %w", reconcile.KeyOf(placement), err)
	}
	if livePlacement.GetUID() != placement.GetUID() || livePlacement.GetGeneration() != placement.GetGeneration() {
		return lagging("placements", placement.GetName())
	}
	liveSnapshot, err := c.fleet.PolicySnapshots.Client(namespace).Get(ctx, snapshot.GetName(), metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading policy snapshot %s before clusters are let go of: %w", reconcile.KeyOf(snapshot), err)
	}
	if liveSnapshot.GetUID() != snapshot.GetUID() || !snapshotrules.IsInForce(liveSnapshot) || !maps.Equal(liveSnapshot.GetAnnotations(), snapshot.GetAnnotations()) {
		return lagging("policysnapshots", snapshot.GetName())
	}
	seen := make(map[string]*clusterv1beta1.MemberCluster, len(clusters))
	for _, cluster := range clusters {
		seen[cluster.Name] = cluster
	}
	return reconcile.FanOut(ctx, len(unscheduled), func(i int) error {
		name := unscheduled[i].BindingSpec().TargetCluster
		return c.confirmCluster(ctx, name, seen[name])
	})
}

// confirmCluster compares a cluster as it was seen, nil where it was not, with what it is, in all that decides whether it is picked.
func (c *Controller) confirmCluster(ctx context.Context, name string, seen *clusterv1beta1.MemberCluster) error {
	live, err := c.fleet.Clientset.ClusterV1beta1().MemberClusters().Get(ctx, name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading cluster %s before it is let go of: %w", name, err)
	}
	isThere := err == nil
	if isThere != (seen != nil) || isThere && (live.UID != seen.UID || changesBetween(seen, live).any()) {
		return lagging("memberclusters", name)
	}
	return nil
}

func lagging(resource, name string) error {
	return apierrors.NewConflict(clusterv1beta1.Resource(resource), name, errors.New("the cache does not have its last change yet"))
}
