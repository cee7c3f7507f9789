// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/prune"

// PlacementPrune requests the removal of the objects that the clusters of a placement have kept since an adoption and
// that are not in their version. It is the body of the subresource prune of placements.
type PlacementPrune struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata. Its name, uid and resourceVersion, where given, must be those of the placement.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the user's request; a read returns the last one. A patch starts from an empty spec, so it must contain
	// the whole request.
	// +optional
	Spec PlacementPruneSpec `json:"spec,omitempty,omitzero"`

	// status is the last request as the server recorded it. It is empty until there is one.
	// +optional
	Status PlacementPruneStatus `json:"status,omitempty,omitzero"`
}

// PlacementPruneSpec is a user's request of a placement.
type PlacementPruneSpec struct {
	// reason is the user's reason for readers of the placement, such as an incident or a change number. At most 1024
	// characters.
	// +required
	// +k8s:required
	// +k8s:maxLength=1024
	Reason string `json:"reason,omitempty"`

	// resourceSnapshotName is the name of the resource snapshot that the user has seen in the status of the
	// placement, such as web-4-snapshot. Clusters with another version remove nothing. At most 253 characters.
	// +required
	// +k8s:required
	// +k8s:maxLength=253
	ResourceSnapshotName string `json:"resourceSnapshotName,omitempty"`
}

// PlacementPruneStatus is a prune request as the server recorded it.
type PlacementPruneStatus struct {
	// user is the user who made the request, as the server authenticated them.
	// +optional
	// +k8s:optional
	User *DecisionUser `json:"user,omitempty"`

	// time is when the user made the request, by the server's clock.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`
}

// PlacementPruneRecord is the server's record of the last request to remove objects that clusters have kept since an
// adoption.
type PlacementPruneRecord struct {
	// resourceSnapshotName is the name of the resource snapshot. Only clusters that have it remove what they have
	// kept.
	// +required
	ResourceSnapshotName string `json:"resourceSnapshotName"`

	// reason is the user's reason.
	// +required
	Reason string `json:"reason"`

	// user is the user who made the request, as the server authenticated them.
	// +required
	User DecisionUser `json:"user"`

	// time is when the user made the request, by the server's clock. Objects that a cluster has kept only since a
	// later time stay there.
	// +required
	Time metav1.Time `json:"time"`
}
