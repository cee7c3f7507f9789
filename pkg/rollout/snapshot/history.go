// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/internal/revisions"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

type (
	resourceRevision  = revisions.Revision[v1beta1.ResourceSnapshotObject]
	resourceRevisions = revisions.List[v1beta1.ResourceSnapshotObject]
	policyRevision    = revisions.Revision[v1beta1.PolicySnapshotObject]
	policyRevisions   = revisions.List[v1beta1.PolicySnapshotObject]
)

func resourceHistory(f *fleet.Fleet) revisions.History[v1beta1.ResourceSnapshotObject] {
	h := historyOf(f.Snapshots, wellknown.ResourceIndexLabel, wellknown.ResourceSnapshotName[int])
	h.PartOf = func(s v1beta1.ResourceSnapshotObject) (int, bool) {
		index, ok := indexOf(s, wellknown.ResourceIndexLabel)
		return index, ok && snapshotrules.IsPart(s)
	}
	return h
}

func policyHistory(f *fleet.Fleet) revisions.History[v1beta1.PolicySnapshotObject] {
	return historyOf(f.PolicySnapshots, wellknown.PolicyIndexLabel, wellknown.PolicySnapshotName)
}

// historyOf tells masters by their name and not by what is in them: the name is what two writers cannot both give.
func historyOf[O fleet.Object](kind fleet.Kind[O], indexLabel string, name func(placement string, index int) string) revisions.History[O] {
	return revisions.History[O]{Kind: kind, ByParent: fleet.ByPlacement, Name: name, IndexOf: func(o O) (int, bool) {
		index, ok := indexOf(o, indexLabel)
		return index, ok && o.GetName() == name(o.GetLabels()[wellknown.ParentPlacementLabel], index)
	}}
}

func indexOf(o metav1.Object, label string) (int, bool) {
	index, err := strconv.Atoi(o.GetLabels()[label])
	return index, err == nil && index >= 0
}

// newObject returns an empty object of a placement's revision.
func newObject[O fleet.Object](kind fleet.Kind[O], placement v1beta1.PlacementObject, owner metav1.OwnerReference, indexLabel string, index int, name string) O {
	obj := kind.New(reconcile.Key{Namespace: placement.GetNamespace(), Name: name})
	obj.SetLabels(map[string]string{
		wellknown.ParentPlacementLabel: placement.GetName(),
		indexLabel:                     strconv.Itoa(index),
	})
	obj.SetOwnerReferences([]metav1.OwnerReference{owner})
	return obj
}

const defaultHistoryLimit = 10

func historyLimit(placement v1beta1.PlacementObject) int {
	if limit := placement.PlacementSpec().RevisionHistoryLimit; limit != nil && *limit > 0 {
		return int(*limit)
	}
	return defaultHistoryLimit
}

// ownedBy reports whether an object was made for this very placement and not for an earlier one of its name.
func ownedBy(obj metav1.Object, placement v1beta1.PlacementObject) bool {
	owner := metav1.GetControllerOf(obj)
	return owner != nil && owner.UID == placement.GetUID()
}
