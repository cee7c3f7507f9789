// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollingupdate

import (
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/lru"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/overrides"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/binding"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/internal/resources"
)

// versions says what each cluster of a placement is to hold: the latest resource snapshot, with the overrides that are in force there.
type versions struct {
	version binding.Version
	rules   overrides.Rules
	labels  func(cluster string) labels.Set
}

// on is what a cluster is to hold.
func (v *versions) on(cluster string) binding.Version {
	version := v.version
	version.ClusterOverrides, version.Overrides = v.rules.On(v.labels(cluster))
	return version
}

// versions are nil as long as something of them is not there yet: a snapshot, a part of it, or the version of an override. It comes
// with an event.
func (c *Controller) versions(placement v1beta1.PlacementObject) (*versions, error) {
	key := reconcile.KeyOf(placement)
	snapshots := c.fleet.Snapshots.ByIndex(fleet.ByPlacement, key)
	snapshot := latest(snapshots)
	if snapshot == nil {
		return nil, nil
	}
	v := &versions{
		version: binding.Version{ResourceSnapshot: snapshot.GetName(), ApplyStrategy: placement.PlacementSpec().Strategy.ApplyStrategy.WithDefaults()},
		labels:  c.labelsOf,
	}
	candidates := overrides.OfPlacement(c.fleet.Overrides.All(), placement)
	if len(candidates) == 0 {
		return v, nil
	}
	selected, whole := c.selected.of(snapshot, snapshots)
	if !whole {
		return nil, nil
	}
	matter := overrides.For(candidates, placement, selected)
	var known []v1beta1.OverrideSnapshotObject
	for _, o := range matter {
		known = append(known, c.fleet.OverrideSnapshots.ByIndex(fleet.ByOverride, reconcile.KeyOf(o))...)
	}
	inForce, pending := overrides.Latest(matter, known)
	if len(pending) > 0 {
		return nil, nil
	}
	var err error
	v.rules, err = overrides.NewRules(inForce)
	return v, err
}

// latest is the newest master snapshot, or nil as long as there is none.
func latest(snapshots []v1beta1.ResourceSnapshotObject) v1beta1.ResourceSnapshotObject {
	for _, snapshot := range snapshots {
		_, master := snapshot.GetAnnotations()[wellknown.ResourceHashAnnotation]
		if master && snapshot.GetLabels()[wellknown.LatestSnapshotLabel] == "true" && snapshot.GetDeletionTimestamp().IsZero() {
			return snapshot
		}
	}
	return nil
}

// labelsOf are the labels of a member; one that has left has none.
func (c *Controller) labelsOf(cluster string) labels.Set {
	member, err := c.fleet.MemberClusters.Lister().Get(cluster)
	if err != nil {
		return nil
	}
	return member.Labels
}

// selections remember what is in resource snapshots, which never changes: a rollout looks at one again and again.
type selections struct{ known *lru.Cache }

func newSelections() selections { return selections{lru.New(256)} }

// of are the resources in a snapshot and its parts, as long as not all of those are there false.
func (s selections) of(master v1beta1.ResourceSnapshotObject, snapshots []v1beta1.ResourceSnapshotObject) (selected []v1beta1.ResourceIdentifier, whole bool) {
	if known, ok := s.known.Get(master.GetUID()); ok && master.GetUID() != "" {
		return known.([]v1beta1.ResourceIdentifier), true
	}
	index := resources.Index(master)
	found := 0
	for _, snapshot := range snapshots {
		if resources.Index(snapshot) == index {
			found++
		}
	}
	// A number that cannot be read is for those to refuse who place the snapshot.
	if parts, err := strconv.Atoi(master.GetAnnotations()[wellknown.NumberOfSnapshotsAnnotation]); err == nil && found < parts {
		return nil, false
	}
	selected = resources.Of(snapshots, index)
	s.known.Add(master.GetUID(), selected)
	return selected, true
}

// overrideChanged wakes the placement that an override, or a version of one, is for, or all of them.
func (c *Controller) overrideChanged(oldObj, newObj any) []reconcile.Key {
	var keys []reconcile.Key
	for _, o := range []any{oldObj, newObj} {
		override, ok := o.(v1beta1.Override)
		if !ok {
			continue
		}
		for _, placement := range c.rolling() {
			if overrides.IsFor(override, placement) {
				keys = append(keys, reconcile.KeyOf(placement))
			}
		}
	}
	return keys
}

// memberChanged wakes every placement where overrides may be for a cluster that were not, or the other way round.
func (c *Controller) memberChanged(oldObj, newObj any) []reconcile.Key {
	before, _ := oldObj.(*clusterv1beta1.MemberCluster)
	after, _ := newObj.(*clusterv1beta1.MemberCluster)
	if after == nil || before != nil && equality.Semantic.DeepEqual(before.Labels, after.Labels) || len(c.fleet.Overrides.All()) == 0 {
		return nil
	}
	var keys []reconcile.Key
	for _, placement := range c.rolling() {
		keys = append(keys, reconcile.KeyOf(placement))
	}
	return keys
}

// rolling are the placements that this loop moves.
func (c *Controller) rolling() []v1beta1.PlacementObject {
	return slices.DeleteFunc(c.fleet.Placements.All(), func(p v1beta1.PlacementObject) bool {
		return p.PlacementSpec().Strategy.Type == v1beta1.ExternalRolloutStrategyType
	})
}
