// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/prune"

// PlacementPrune asks that the clusters of a placement let go of what they have kept since an adoption and their version does not
// have: the body of the subresource prune of placements.
type PlacementPrune struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata. Name, uid and resourceVersion, where given, must be those of the placement.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec is what the user asks, and when read what was asked last. A patch starts from an empty one: it must say all that is asked.
	// +optional
	Spec PlacementPruneSpec `json:"spec,omitempty,omitzero"`

	// Status is the last request as the server recorded it; empty as long as there was none.
	// +optional
	Status PlacementPruneStatus `json:"status,omitempty,omitzero"`
}

// PlacementPruneSpec is what a user asks of a placement.
type PlacementPruneSpec struct {
	// Reason is why, for those who read the placement: an incident, a change number. At most 1024 characters.
	// +required
	// +k8s:required
	// +k8s:maxLength=1024
	Reason string `json:"reason,omitempty"`

	// ResourceSnapshotName is the version that the user has seen in the status of the placement, such as web-4-snapshot. Clusters that
	// have another version keep what they have kept. At most 253 characters.
	// +required
	// +k8s:required
	// +k8s:maxLength=253
	ResourceSnapshotName string `json:"resourceSnapshotName,omitempty"`
}

// PlacementPruneStatus is a request as the server recorded it.
type PlacementPruneStatus struct {
	// User is who asked, as the server authenticated them.
	// +optional
	// +k8s:optional
	User *DecisionUser `json:"user,omitempty"`

	// Time when they did, by the server's clock.
	// +optional
	// +k8s:optional
	Time *metav1.Time `json:"time,omitempty"`
}

// PlacementPruneRecord is the server's record of the last request that clusters let go of what they have kept since an adoption.
type PlacementPruneRecord struct {
	// ResourceSnapshotName is the version whose clusters are to let go.
	// +required
	ResourceSnapshotName string `json:"resourceSnapshotName"`

	// Reason is why, as the user said.
	// +required
	Reason string `json:"reason"`

	// User who asked, as the server authenticated them.
	// +required
	User DecisionUser `json:"user"`

	// Time when they did, by the server's clock. What a cluster has kept only since a later time stays there.
	// +required
	Time metav1.Time `json:"time"`
}
