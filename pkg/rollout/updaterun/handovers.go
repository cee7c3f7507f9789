// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// Handovers implements plan.Inputs. Nothing is read of versions as long as no other placement waits on one of the clusters.
func (in *inputs) Handovers(changes []plan.Change) (found []policy.Handover, err error) {
	waiting := in.waiting(changes)
	if len(waiting) == 0 {
		return nil, nil
	}
	own := keyOf(in.world.Placement)
	shared := shared{fleet: in.fleet, objects: map[version]map[object][]byte{}, both: map[[2]version][]object{}}
	for _, change := range changes {
		var next map[object][]byte
		if !change.Removes {
			next = in.next()
		}
		foreign := map[object]bool{}
		for _, id := range change.PlacedByOthers {
			foreign[objectOf(id)] = true
		}
		for _, heir := range waiting[change.Member.Name] {
			var handed []v1beta1.ResourceIdentifier
			both, err := shared.by(version{own, change.Had}, versionOf(heir))
			if err != nil {
				return nil, err
			}
			for _, o := range both {
				if foreign[o] {
					continue
				}
				keeps, err := in.keeps(change, next[o])
				if err != nil {
					return nil, err
				}
				if !keeps {
					handed = append(handed, v1beta1.ResourceIdentifier(o))
				}
			}
			if len(handed) > 0 {
				found = append(found, policy.Handover{Cluster: change.Member.Name, Placement: describePlacement(heir), Objects: sortedObjects(handed)})
			}
		}
	}
	return found, nil
}

// waiting returns, by cluster, the bindings of other placements that may get what the run's placement lets go of. One that has all its objects
// gets no more, and one that only compares writes nothing. A placement in a namespace shares objects with others of the namespace; what a
// cluster-scoped one has as well is not the run's to give.
func (in *inputs) waiting(changes []plan.Change) map[string][]v1beta1.BindingObject {
	clusters := sets.New[string]()
	for _, change := range changes {
		clusters.Insert(change.Member.Name)
	}
	var all []v1beta1.BindingObject
	if namespace := in.run.GetNamespace(); namespace == "" {
		all = in.fleet.Bindings.All()
	} else {
		for cluster := range clusters {
			all = append(all, in.fleet.Bindings.ByIndex(fleet.ByCluster, reconcile.Key{Namespace: namespace, Name: cluster})...)
		}
	}
	waiting := map[string][]v1beta1.BindingObject{}
	for _, b := range all {
		spec := b.BindingSpec()
		isOther := b.GetNamespace() != in.run.GetNamespace() || b.GetLabels()[wellknown.ParentPlacementLabel] != in.run.RunSpec().PlacementName
		if isOther && clusters.Has(spec.TargetCluster) && b.GetDeletionTimestamp() == nil && spec.ResourceSnapshotName != "" && !bindingrules.Compares(spec.ApplyStrategy) &&
			!conditions.IsTrue(b.BindingStatus().Conditions, v1beta1.BindingApplied, b.GetGeneration()) {
			waiting[spec.TargetCluster] = append(waiting[spec.TargetCluster], b)
		}
	}
	return waiting
}

// keeps reports whether a cluster goes on having an object, which is rolled out as this manifest or not at all.
func (in *inputs) keeps(change plan.Change, manifest []byte) (bool, error) {
	if manifest == nil || len(change.InForce) == 0 {
		return manifest != nil, nil
	}
	patcher, err := overrides.NewPatcher(in.run.GetNamespace(), change.Member.Name, change.Member.Labels, change.InForce)
	if err != nil {
		return false, err
	}
	// What does not fit was told of before.
	patched, _, err := patcher.Manifest(manifest)
	return patched != nil || err != nil, nil
}

// version is a resource snapshot of a placement.
type version struct {
	placement reconcile.Key
	snapshot  string
}

func versionOf(b v1beta1.BindingObject) version {
	return version{reconcile.Key{Namespace: b.GetNamespace(), Name: b.GetLabels()[wellknown.ParentPlacementLabel]}, b.BindingSpec().ResourceSnapshotName}
}

// object is an object on a member, in whatever version of its kind.
type object v1beta1.ResourceIdentifier

func objectOf(id v1beta1.ResourceIdentifier) object {
	return object{Group: id.Group, Kind: id.Kind, Namespace: id.Namespace, Name: id.Name}
}

// next has what the run rolls out, with its manifests.
func (in *inputs) next() map[object][]byte {
	if in.rolledOut == nil {
		resources := in.resources
		if !in.live {
			resources = snapshotrules.Resources(in.world.Snapshots, in.run.RunSpec().ResourceSnapshotIndex)
		}
		in.rolledOut = byObject(resources)
	}
	return in.rolledOut
}

// shared finds what versions have in common. Many clusters have the same ones.
type shared struct {
	fleet   *fleet.Fleet
	objects map[version]map[object][]byte
	both    map[[2]version][]object
}

func (s *shared) by(a, b version) ([]object, error) {
	pair := [2]version{a, b}
	if both, known := s.both[pair]; known {
		return both, nil
	}
	ours, err := s.of(a)
	if err != nil {
		return nil, err
	}
	theirs, err := s.of(b)
	if err != nil {
		return nil, err
	}
	s.both[pair] = nil
	for o := range ours {
		if _, listed := theirs[o]; listed {
			s.both[pair] = append(s.both[pair], o)
		}
	}
	return s.both[pair], nil
}

// of has what clusters get of a version: nothing of one that is gone, and an error as long as a part of it is not there.
func (s *shared) of(v version) (map[object][]byte, error) {
	if found, known := s.objects[v]; known {
		return found, nil
	}
	snapshots := s.fleet.Snapshots.ByIndex(fleet.ByPlacement, v.placement)
	var resources []snapshotrules.Resource
	for _, master := range snapshots {
		if master.GetName() != v.snapshot {
			continue
		}
		if parts, want, err := snapshotrules.Parts(master, snapshots); err == nil && len(parts) != want {
			return nil, &plan.Pending{Message: fmt.Sprintf("resource snapshot %s has %d of its %d parts", v.snapshot, len(parts), want)}
		}
		resources = snapshotrules.Resources(snapshots, snapshotrules.Index(master))
	}
	s.objects[v] = byObject(resources)
	return s.objects[v], nil
}

func byObject(resources []snapshotrules.Resource) map[object][]byte {
	found := map[object][]byte{}
	for _, r := range snapshotrules.Contents(resources) {
		found[objectOf(r.ID)] = r.Manifest
	}
	return found
}

// sortedObjects puts objects into the order in which messages name them.
func sortedObjects(objects []v1beta1.ResourceIdentifier) []v1beta1.ResourceIdentifier {
	return slices.SortedFunc(slices.Values(objects), func(a, b v1beta1.ResourceIdentifier) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Group, b.Group))
	})
}

func describePlacement(b v1beta1.BindingObject) string {
	kind := "ResourcePlacement"
	if b.GetNamespace() == "" {
		kind = "ClusterResourcePlacement"
	}
	return fmt.Sprintf("%s %s", kind, wording.Key(b.GetNamespace(), b.GetLabels()[wellknown.ParentPlacementLabel]))
}
