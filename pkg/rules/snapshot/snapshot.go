// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package snapshot tells what the snapshots of a placement say: which of them is the newest, and what a resource snapshot holds. A
// resource snapshot is a master and, where that is too small for everything, parts.
package snapshot

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// IsMarked reports whether a snapshot of resources or of a policy, or a version of an override, is marked as the newest of its parent.
// One that is being deleted may be: see IsInForce.
func IsMarked(o metav1.Object) bool { return o.GetLabels()[wellknown.LatestSnapshotLabel] == "true" }

// IsInForce reports whether a snapshot is marked as the newest and not being deleted. Nothing new is decided by one that is on its way
// out: another comes in its place.
//
// Of policy snapshots, two are in force for a moment while one replaces the other. A plan waits then; scheduling goes by the one made for
// the placement as it is; the status of the placement reports by either, and again when the other is gone.
func IsInForce(o metav1.Object) bool { return IsMarked(o) && o.GetDeletionTimestamp() == nil }

// Latest returns the newest master of a placement's resource snapshots, nil as long as there is none. One that is being deleted is
// returned where no other is marked: it still is what clusters were told to have last, and a status must not forget that. Who rolls out
// must ask IsInForce as well.
func Latest(snapshots []v1beta1.ResourceSnapshotObject) (latest v1beta1.ResourceSnapshotObject) {
	for _, s := range snapshots {
		if IsMaster(s) && IsMarked(s) && (latest == nil || IsInForce(s)) {
			latest = s
		}
	}
	return latest
}

// Index returns the index of a master, or of the master that a part belongs to; "" for neither.
func Index(s v1beta1.ResourceSnapshotObject) string {
	return s.GetLabels()[wellknown.ResourceIndexLabel]
}

// IsMaster reports whether a resource snapshot is the master of its index, which is what bindings and runs name.
func IsMaster(s v1beta1.ResourceSnapshotObject) bool {
	_, ok := s.GetAnnotations()[wellknown.ResourceHashAnnotation]
	return ok
}

// IsPart reports whether a resource snapshot is a part of the one with its index.
func IsPart(s v1beta1.ResourceSnapshotObject) bool {
	return s.GetAnnotations()[wellknown.SubindexAnnotation] != ""
}

// Master returns the master at an index, nil for none.
func Master(snapshots []v1beta1.ResourceSnapshotObject, index string) v1beta1.ResourceSnapshotObject {
	i := slices.IndexFunc(snapshots, func(s v1beta1.ResourceSnapshotObject) bool { return Index(s) == index && IsMaster(s) })
	if i < 0 {
		return nil
	}
	return snapshots[i]
}

// Parts returns a master and those of the given snapshots that are its parts, in order, and how many these must be for the snapshot to be
// whole: fewer are not all that is to be placed, and more are what nobody has selected. A master that says of no others holds everything,
// whatever passes for a part of it. It fails where the number cannot be read.
func Parts(master v1beta1.ResourceSnapshotObject, snapshots []v1beta1.ResourceSnapshotObject) (parts []v1beta1.ResourceSnapshotObject, want int, err error) {
	parts, want = []v1beta1.ResourceSnapshotObject{master}, 1
	if number := master.GetAnnotations()[wellknown.NumberOfSnapshotsAnnotation]; number != "" {
		if want, err = strconv.Atoi(number); err != nil {
			return parts, 0, fmt.Errorf("resource snapshot %q: annotation %s: %w", master.GetName(), wellknown.NumberOfSnapshotsAnnotation, err)
		}
	}
	if want <= 1 {
		return parts, 1, nil
	}
	for _, s := range snapshots {
		if IsPart(s) && Index(s) == Index(master) {
			parts = append(parts, s)
		}
	}
	slices.SortStableFunc(parts[1:], func(a, b v1beta1.ResourceSnapshotObject) int { return cmp.Compare(subindex(a), subindex(b)) })
	return parts, want, nil
}

// subindex is the number of a part. One that is no number comes first, as if it were 0.
func subindex(part v1beta1.ResourceSnapshotObject) int {
	n, _ := strconv.Atoi(part.GetAnnotations()[wellknown.SubindexAnnotation])
	return n
}
