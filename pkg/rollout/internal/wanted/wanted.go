// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wanted tells what the clusters of a placement with RollingUpdate are to hold, for those who move them and for those who report which
// still wait. It knows nothing of budgets and of rollout policies.
package wanted

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

// Versions says what each cluster of a placement is to hold: the latest resource snapshot, with the overrides that are in force there.
type Versions struct {
	// Version is what is the same on all clusters.
	Version bindingrules.Version
	rules   overrides.Rules
	labels  func(cluster string) labels.Set
}

// On returns what a cluster is to hold.
func (v *Versions) On(cluster string) bindingrules.Version {
	version := v.Version
	version.ClusterOverrides, version.Overrides = v.rules.On(v.labels(cluster))
	return version
}

// Source finds the versions of placements in the caches.
type Source struct {
	fleet    *fleet.Fleet
	selected selections
}

// NewSource makes a source.
func NewSource(f *fleet.Fleet) *Source { return &Source{fleet: f, selected: newSelections()} }

// Versions returns nil as long as something is not there yet: a snapshot, a part of it, or the version of an override. It comes with an
// event. It fails for an override that cannot be read.
func (s *Source) Versions(placement v1beta1.PlacementObject) (*Versions, error) {
	key := reconcile.KeyOf(placement)
	snapshots := s.fleet.Snapshots.ByIndex(fleet.ByPlacement, key)
	snapshot := snapshotrules.Latest(snapshots)
	if snapshot == nil || !snapshotrules.IsInForce(snapshot) {
		return nil, nil
	}
	v := &Versions{
		Version: bindingrules.Version{ResourceSnapshot: snapshot.GetName(), ApplyStrategy: placement.PlacementSpec().Strategy.ApplyStrategy.WithDefaults()},
		labels:  s.labelsOf,
	}
	candidates := overrides.OfPlacement(s.fleet.Overrides.All(), placement)
	if len(candidates) == 0 {
		return v, nil
	}
	selected, whole := s.selected.of(snapshot, snapshots)
	if !whole {
		return nil, nil
	}
	matter := overrides.For(candidates, placement, selected)
	var known []v1beta1.OverrideSnapshotObject
	for _, o := range matter {
		known = append(known, s.fleet.OverrideSnapshots.ByIndex(fleet.ByOverride, reconcile.KeyOf(o))...)
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
func (s *Source) labelsOf(cluster string) labels.Set {
	member, err := s.fleet.MemberClusters.Lister().Get(cluster)
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

// OverrideChanged wakes the placement that an override, or a version of one, is for, or all of them.
func (s *Source) OverrideChanged(oldObj, newObj any) []reconcile.Key {
	var keys []reconcile.Key
	for _, o := range []any{oldObj, newObj} {
		override, ok := o.(v1beta1.Override)
		if !ok {
			continue
		}
		for _, placement := range s.Rolling() {
			if overrides.IsFor(override, placement) {
				keys = append(keys, reconcile.KeyOf(placement))
			}
		}
	}
	return keys
}

// Relabeled reports whether a member cluster has other labels now, by which overrides select.
func Relabeled(oldObj, newObj any) bool {
	before, _ := oldObj.(*clusterv1beta1.MemberCluster)
	after, _ := newObj.(*clusterv1beta1.MemberCluster)
	return after != nil && (before == nil || !equality.Semantic.DeepEqual(before.Labels, after.Labels))
}

// Rolling returns the placements with RollingUpdate.
func (s *Source) Rolling() []v1beta1.PlacementObject {
	return slices.DeleteFunc(s.fleet.Placements.All(), func(p v1beta1.PlacementObject) bool {
		return runrules.IsExternal(p.PlacementSpec())
	})
}
