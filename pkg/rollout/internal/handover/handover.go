// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package handover finds what a placement hands over to others on clusters: an object that two placements have is of one of them there, and becomes what
// the other one's version says once the first lets go of it.
package handover

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
	"github.com/stagegate/stagegate/pkg/rules/memberreport"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// IncompleteError says that nobody can tell what is handed over, as a part of a resource snapshot is missing. It may come by itself.
type IncompleteError struct {
	snapshot string
	has, of  int
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("resource snapshot %s has %d of its %d parts", e.snapshot, e.has, e.of)
}

// Next returns the resources that clusters get which do not lose all of them.
type Next func() []snapshotrules.Resource

// Find returns what changes to the clusters of a placement hand over. Nothing is read of versions as long as no other placement waits on one of the
// clusters. An IncompleteError says that a part of a version is missing.
func Find(f *fleet.Fleet, placement reconcile.Key, changes []policy.Change, next Next) ([]policy.Handover, error) {
	in := &finder{fleet: f, placement: placement, resources: next}
	return in.find(changes)
}

// OfRemoval returns what a placement hands over once its resources are taken off clusters. Those to which nothing was applied have nothing to
// hand over.
func OfRemoval(f *fleet.Fleet, placement reconcile.Key, clusters []string) ([]policy.Handover, error) {
	var changes []policy.Change
	for _, b := range f.Bindings.ByIndex(fleet.ByPlacement, placement) {
		cluster := b.BindingSpec().TargetCluster
		if had := bindingrules.AppliedSnapshots(b); len(had) > 0 && slices.Contains(clusters, cluster) {
			changes = append(changes, policy.Change{
				Cluster: cluster, Had: had, PlacedByOthers: bindingrules.PlacedByOthers(b), Removes: true,
			})
		}
	}
	return Find(f, placement, changes, nil)
}

// finder looks for what one placement hands over.
type finder struct {
	fleet     *fleet.Fleet
	placement reconcile.Key
	// resources are asked once, and rolledOut has them by object from then on.
	resources Next
	rolledOut map[object][]byte
}

func (in *finder) find(changes []policy.Change) (found []policy.Handover, err error) {
	// What is found is told in messages, which must not change with the order of a cache.
	changes = slices.SortedFunc(slices.Values(changes), func(a, b policy.Change) int { return cmp.Compare(a.Cluster, b.Cluster) })
	waiting := in.waiting(changes)
	if len(waiting) == 0 {
		return nil, nil
	}
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
		if len(waiting[change.Cluster]) == 0 {
			continue
		}
		had := in.had(change, &shared)
		for _, heir := range waiting[change.Cluster] {
			both, err := shared.ofBoth(had, in.gets(heir, &shared))
			if err != nil {
				return nil, err
			}
			var handed []v1beta1.ResourceIdentifier
			for o := range both {
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
				found = append(found, policy.Handover{Cluster: change.Cluster, Placement: wording.Placement(heir.GetNamespace(), heir.GetLabels()[wellknown.ParentPlacementLabel]), Objects: sortedObjects(handed)})
			}
		}
	}
	return found, nil
}

// content is what a placement has, or gets, on a cluster.
type content struct {
	versions sets.Set[version]
	// loose are objects that are in no version: those that Works have left, and those in Works whose version is gone, since the snapshots of a placement
	// that is being deleted go before its Works do.
	loose sets.Set[object]
	// anything reports whether there may be any other object as well.
	anything bool
}

func newContent() content { return content{versions: sets.New[version](), loose: sets.New[object]()} }

// add adds what a Work of a placement holds.
func (c *content) add(shared *shared, placement reconcile.Key, w *v1beta1.Work) {
	if v := (version{placement, w.Annotations[wellknown.ParentSnapshotNameAnnotation]}); shared.master(v) != nil {
		c.versions.Insert(v)
		return
	}
	for i := range w.Spec.Workload.Manifests {
		// What cannot be read is never applied.
		if id, err := overrides.Identify(w.Spec.Workload.Manifests[i].Raw); err == nil {
			c.loose.Insert(objectOf(id))
		}
	}
}

// had returns what the placement may have on the cluster of a change: the versions of its binding, what its Works hold, of which some may be written
// already, and what they have left there.
func (in *finder) had(change policy.Change, shared *shared) content {
	had := newContent()
	for _, snapshot := range change.Had {
		had.versions.Insert(version{in.placement, snapshot})
	}
	for _, w := range in.fleet.WorksOn(in.placement, change.Cluster) {
		had.add(shared, in.placement, w)
		if !change.Removes && meta.IsStatusConditionTrue(w.Status.Conditions, v1beta1.WorkObjectsKept) {
			// What is kept since an adoption stays with any version, and goes with the Work.
			continue
		}
		for i := range w.Status.LeftObjects {
			had.loose.Insert(objectOf(w.Status.LeftObjects[i]))
		}
		had.anything = had.anything || len(w.Status.LeftObjects) >= memberreport.MaxLeftObjects
	}
	return had
}

// gets returns what another placement may take over: the version that its binding asks for, and what its Works hold. What only compares takes
// nothing.
func (in *finder) gets(heir v1beta1.BindingObject, shared *shared) content {
	asked, gets := versionOf(heir), newContent()
	if heir.GetDeletionTimestamp() == nil {
		if !bindingrules.Compares(heir.BindingSpec().ApplyStrategy) {
			gets.versions.Insert(asked)
		}
		if !bindingrules.HasAnswered(heir) {
			// What its Works held before may be under way to the member still.
			for _, snapshot := range bindingrules.AppliedSnapshots(heir) {
				gets.versions.Insert(version{asked.placement, snapshot})
			}
		}
	}
	for _, w := range in.fleet.WorksOn(asked.placement, heir.BindingSpec().TargetCluster) {
		// The Works of a binding that goes do so one after the other. One that is about to be deleted may have a write under way.
		if w.DeletionTimestamp == nil && !bindingrules.Compares(w.Spec.ApplyStrategy) {
			gets.add(shared, asked.placement, w)
		}
	}
	return gets
}

// waiting returns, by cluster, the bindings of other placements that may get what the run's placement lets go of. One that has all its objects
// gets no more; of one that only compares, the Works tell. A placement in a namespace shares objects with others of the namespace; what a
// cluster-scoped one has as well is not the run's to give.
func (in *finder) waiting(changes []policy.Change) map[string][]v1beta1.BindingObject {
	clusters := sets.New[string]()
	for _, change := range changes {
		clusters.Insert(change.Cluster)
	}
	var all []v1beta1.BindingObject
	if namespace := in.placement.Namespace; namespace == "" {
		all = in.fleet.Bindings.All()
	} else {
		for cluster := range clusters {
			all = append(all, in.fleet.Bindings.ByIndex(fleet.ByCluster, reconcile.Key{Namespace: namespace, Name: cluster})...)
		}
	}
	waiting := map[string][]v1beta1.BindingObject{}
	for _, b := range all {
		spec := b.BindingSpec()
		isOther := b.GetNamespace() != in.placement.Namespace || b.GetLabels()[wellknown.ParentPlacementLabel] != in.placement.Name
		if isOther && clusters.Has(spec.TargetCluster) && spec.ResourceSnapshotName != "" &&
			!conditions.IsTrue(b.BindingStatus().Conditions, v1beta1.BindingApplied, b.GetGeneration()) {
			waiting[spec.TargetCluster] = append(waiting[spec.TargetCluster], b)
		}
	}
	for _, heirs := range waiting {
		slices.SortFunc(heirs, func(a, b v1beta1.BindingObject) int {
			return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
		})
	}
	return waiting
}

// keeps reports whether a cluster goes on having an object, which it gets as this manifest or not at all.
func (in *finder) keeps(change policy.Change, manifest []byte) (bool, error) {
	if manifest == nil || len(change.InForce) == 0 {
		return manifest != nil, nil
	}
	patcher, err := overrides.NewPatcher(in.placement.Namespace, change.Cluster, change.Labels, change.InForce)
	if err != nil {
		return false, err
	}
	// What does not fit was told of before.
	patched, _, err := patcher.Manifest(0, manifest)
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

// next has what the clusters get, with its manifests.
func (in *finder) next() map[object][]byte {
	if in.rolledOut == nil {
		in.rolledOut = byObject(in.resources())
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
	var resources []snapshotrules.Resource
	if master := s.master(v); master != nil {
		snapshots := s.fleet.Snapshots.ByIndex(fleet.ByPlacement, v.placement)
		if parts, want, err := snapshotrules.Parts(master, snapshots); err == nil && len(parts) != want {
			return nil, &IncompleteError{snapshot: v.snapshot, has: len(parts), of: want}
		}
		resources = snapshotrules.Resources(snapshots, snapshotrules.Index(master))
	}
	s.objects[v] = byObject(resources)
	return s.objects[v], nil
}

// master returns the snapshot of a version, nil where it is gone.
func (s *shared) master(v version) v1beta1.ResourceSnapshotObject {
	master, err := s.fleet.Snapshots.Get(reconcile.Key{Namespace: v.placement.Namespace, Name: v.snapshot})
	if err != nil || master.GetLabels()[wellknown.ParentPlacementLabel] != v.placement.Name {
		return nil
	}
	return master
}

// ofBoth returns the objects that one placement may have and another one gets.
func (s *shared) ofBoth(had, gets content) (map[object]bool, error) {
	both := map[object]bool{}
	for b := range gets.versions {
		theirs, err := s.of(b)
		if err != nil {
			return nil, err
		}
		if had.anything || len(had.loose) > 0 {
			for o := range theirs {
				if had.anything || had.loose.Has(o) {
					both[o] = true
				}
			}
		}
		for a := range had.versions {
			objects, err := s.by(a, b)
			if err != nil {
				return nil, err
			}
			for _, o := range objects {
				both[o] = true
			}
		}
	}
	for o := range gets.loose {
		has := had.anything || had.loose.Has(o)
		for a := range had.versions {
			ours, err := s.of(a)
			if err != nil {
				return nil, err
			}
			_, listed := ours[o]
			has = has || listed
		}
		if has {
			both[o] = true
		}
	}
	return both, nil
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
