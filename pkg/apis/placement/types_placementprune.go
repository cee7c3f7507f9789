// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// PlacementPrune asks that the clusters of a placement let go of what they have kept since an adoption and their version does not
// have: the body of the subresource prune of placements.
type PlacementPrune struct {
	metav1.TypeMeta
	// Standard object's metadata. Name, uid and resourceVersion, where given, must be those of the placement.
	metav1.ObjectMeta

	// Spec is what the user asks, and when read what was asked last. A patch starts from an empty one: it must say all that is asked.
	Spec PlacementPruneSpec

	// Status is the last request as the server recorded it; empty as long as there was none.
	Status PlacementPruneStatus
}

// PlacementPruneSpec is what a user asks of a placement.
type PlacementPruneSpec struct {
	// Reason is why, for those who read the placement: an incident, a change number. At most 1024 characters.
	Reason string

	// ResourceSnapshotName is the version that the user has seen in the status of the placement, such as web-4-snapshot. Clusters that
	// have another version keep what they have kept. At most 253 characters.
	ResourceSnapshotName string
}

// PlacementPruneStatus is a request as the server recorded it.
type PlacementPruneStatus struct {
	// User is who asked, as the server authenticated them.
	User *DecisionUser

	// Time when they did, by the server's clock.
	Time *metav1.Time
}

// PlacementPruneRecord is the server's record of the last request that clusters let go of what they have kept since an adoption.
type PlacementPruneRecord struct {
	// ResourceSnapshotName is the version whose clusters are to let go.
	ResourceSnapshotName string

	// Reason is why, as the user said.
	Reason string

	// User who asked, as the server authenticated them.
	User DecisionUser

	// Time when they did, by the server's clock. What a cluster has kept only since a later time stays there.
	Time metav1.Time
}
