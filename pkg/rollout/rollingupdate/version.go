// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollingupdate

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/lru"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// versions says what each cluster of a placement is to hold: the latest resource snapshot, with the overrides that are in force there.
type versions struct {
	version bindingrules.Version
	rules   overrides.Rules
	labels  func(cluster string) labels.Set
}

// on is what a cluster is to hold.
func (v *versions) on(cluster string) bindingrules.Version {
	version := v.version
	version.ClusterOverrides, version.Overrides = v.rules.On(v.labels(cluster))
	return version
}

// versions are nil as long as something of them is not there yet: a snapshot, a part of it, or the version of an override. It comes
// with an event.
func (c *Controller) versions(placement v1beta1.PlacementObject) (*versions, error) {
	key := reconcile.KeyOf(placement)
	snapshots := c.fleet.Snapshots.ByIndex(fleet.ByPlacement, key)
	snapshot := snapshotrules.Latest(snapshots)
	if snapshot == nil || !snapshotrules.IsInForce(snapshot) {
		return nil, nil
	}
	v := &versions{
		version: bindingrules.Version{ResourceSnapshot: snapshot.GetName(), ApplyStrategy: placement.PlacementSpec().Strategy.ApplyStrategy.WithDefaults()},
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

// of returns the resources in a snapshot and its parts, and whether all of these are there.
func (s selections) of(master v1beta1.ResourceSnapshotObject, snapshots []v1beta1.ResourceSnapshotObject) (selected []v1beta1.ResourceIdentifier, whole bool) {
	if known, ok := s.known.Get(master.GetUID()); ok && master.GetUID() != "" {
		return known.([]v1beta1.ResourceIdentifier), true
	}
	// A number that cannot be read is for those to refuse who place the snapshot.
	if parts, want, err := snapshotrules.Parts(master, snapshots); err == nil && len(parts) != want {
		return nil, false
	}
	selected = snapshotrules.IDs(snapshotrules.Contents(snapshotrules.Resources(snapshots, snapshotrules.Index(master))))
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

// memberChanged wakes every placement where overrides may be for a cluster, or policies protect it, that were or did not before, or the other
// way round.
func (c *Controller) memberChanged(oldObj, newObj any) []reconcile.Key {
	before, _ := oldObj.(*clusterv1beta1.MemberCluster)
	after, _ := newObj.(*clusterv1beta1.MemberCluster)
	leaves := after == nil || before != nil && before.DeletionTimestamp == nil && after.DeletionTimestamp != nil
	labeled := after != nil && (before == nil || !equality.Semantic.DeepEqual(before.Labels, after.Labels))
	if overrides, policies := len(c.fleet.Overrides.All()) > 0, len(c.fleet.Policies.All()) > 0; leaves && policies || labeled && (overrides || policies) {
		return c.rollingIn("")
	}
	return nil
}

// rolling are the placements that this controller moves.
func (c *Controller) rolling() []v1beta1.PlacementObject {
	return slices.DeleteFunc(c.fleet.Placements.All(), func(p v1beta1.PlacementObject) bool {
		return runrules.IsExternal(p.PlacementSpec())
	})
}
