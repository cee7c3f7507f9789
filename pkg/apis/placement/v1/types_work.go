// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"

// Work is the set of manifests to apply to one member cluster, in the namespace fleet-member-<cluster> of the hub.
type Work struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec are the manifests.
	// +required
	Spec WorkSpec `json:"spec"`

	// Status says what became of them on the member cluster.
	// +optional
	Status WorkStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// WorkList is a list of Works.
type WorkList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the Works.
	Items []Work `json:"items"`
}

// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"

// AppliedWork stands on the member cluster for a Work; it owns what was applied for it.
type AppliedWork struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec names the Work.
	// +required
	Spec AppliedWorkSpec `json:"spec"`

	// Status lists what was applied.
	// +optional
	Status AppliedWorkStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// AppliedWorkList is a list of AppliedWorks.
type AppliedWorkList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the AppliedWorks.
	Items []AppliedWork `json:"items"`
}

// WorkSpec are the manifests of a Work.
type WorkSpec struct {
	// Workload are the manifests.
	// +optional
	Workload WorkloadTemplate `json:"workload,omitempty,omitzero"`

	// ApplyStrategy says how they are written to the member cluster.
	// +optional
	// +k8s:optional
	ApplyStrategy *ApplyStrategy `json:"applyStrategy,omitempty"`

	// ReportBackStrategy says whether their status is brought back.
	// +optional
	// +k8s:optional
	ReportBackStrategy *ReportBackStrategy `json:"reportBackStrategy,omitempty"`
}

// WorkloadTemplate are the manifests of a Work.
type WorkloadTemplate struct {
	// Manifests are complete objects to apply to the member cluster.
	// +optional
	// +k8s:optional
	// +listType=atomic
	Manifests []Manifest `json:"manifests,omitempty"`
}

// Manifest is one complete object to apply.
type Manifest struct {
	runtime.RawExtension `json:",inline"`
}

// WorkStatus says what became of a Work on its member cluster.
type WorkStatus struct {
	// Conditions of the Work: Applied, Available, DiffReported, StatusTrimmed, ObjectsKept and ObjectsRemaining.
	// +required
	// +k8s:optional
	// +listType=atomic
	Conditions []metav1.Condition `json:"conditions"`

	// ManifestConditions has one entry a manifest.
	// +optional
	// +k8s:optional
	// +listType=atomic
	ManifestConditions []ManifestCondition `json:"manifestConditions,omitempty"`
}

// WorkResourceIdentifier names a manifest of a Work.
type WorkResourceIdentifier struct {
	// Ordinal is the position of the manifest in the Work, from 0.
	// +required
	Ordinal int `json:"ordinal"`

	// Group of the object; empty for the core group.
	// +optional
	Group string `json:"group,omitempty"`

	// Version of the object's kind.
	// +optional
	Version string `json:"version,omitempty"`

	// Kind of the object.
	// +optional
	Kind string `json:"kind,omitempty"`

	// Resource is the plural name of the kind.
	// +optional
	Resource string `json:"resource,omitempty"`

	// Namespace of the object; empty for cluster-scoped kinds.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// Name of the object.
	// +optional
	Name string `json:"name,omitempty"`
}

// ManifestCondition says what became of one manifest.
type ManifestCondition struct {
	// Identifier names the manifest.
	// +required
	Identifier WorkResourceIdentifier `json:"identifier"`

	// Conditions of the manifest: Applied, Available and DiffReported. Their observedGeneration is that of the object on the
	// member cluster.
	// +required
	// +k8s:optional
	// +listType=atomic
	Conditions []metav1.Condition `json:"conditions"`

	// DriftDetails say how the object was changed on the member cluster.
	// +optional
	// +k8s:optional
	DriftDetails *DriftDetails `json:"driftDetails,omitempty"`

	// DiffDetails say how the object differs from the manifest.
	// +optional
	// +k8s:optional
	DiffDetails *DiffDetails `json:"diffDetails,omitempty"`

	// BackReportedStatus is the status that the object has on the member cluster.
	// +optional
	// +k8s:optional
	BackReportedStatus *BackReportedStatus `json:"backReportedStatus,omitempty"`
}

// DriftDetails say how an object was changed on a member cluster.
type DriftDetails struct {
	// ObservationTime is when the drift was last seen.
	// +required
	ObservationTime metav1.Time `json:"observationTime"`

	// ObservedInMemberClusterGeneration is the generation that the object had then.
	// +required
	ObservedInMemberClusterGeneration int64 `json:"observedInMemberClusterGeneration"`

	// FirstDriftedObservedTime is when the drift was first seen.
	// +required
	FirstDriftedObservedTime metav1.Time `json:"firstDriftedObservedTime"`

	// ObservedDrifts are the places that differ, at most 100.
	// +optional
	// +k8s:optional
	// +listType=atomic
	ObservedDrifts []PatchDetail `json:"observedDrifts,omitempty"`
}

// DiffDetails say how an object on a member cluster differs from its manifest.
type DiffDetails struct {
	// ObservationTime is when the difference was last seen.
	// +required
	ObservationTime metav1.Time `json:"observationTime"`

	// ObservedInMemberClusterGeneration is the generation that the object had then; absent where it does not exist.
	// +optional
	// +k8s:optional
	ObservedInMemberClusterGeneration *int64 `json:"observedInMemberClusterGeneration,omitempty"`

	// FirstDiffedObservedTime is when the difference was first seen.
	// +required
	FirstDiffedObservedTime metav1.Time `json:"firstDiffedObservedTime"`

	// ObservedDiffs are the places that differ, at most 100.
	// +optional
	// +k8s:optional
	// +listType=atomic
	ObservedDiffs []PatchDetail `json:"observedDiffs,omitempty"`
}

// BackReportedStatus is the status of an object on a member cluster.
type BackReportedStatus struct {
	// ObservedStatus is an object of the same kind and name that holds nothing but the status.
	// +optional
	ObservedStatus runtime.RawExtension `json:"observedStatus,omitempty,omitzero"`

	// ObservationTime is when the status was read.
	// +required
	ObservationTime metav1.Time `json:"observationTime"`
}

// AppliedWorkSpec names the Work that an AppliedWork stands for.
type AppliedWorkSpec struct {
	// WorkName is the name of the Work on the hub.
	// +required
	WorkName string `json:"workName"`

	// WorkNamespace is the namespace of the Work on the hub.
	// +required
	WorkNamespace string `json:"workNamespace"`
}

// AppliedWorkStatus lists what was applied for a Work.
type AppliedWorkStatus struct {
	// AppliedResources are the objects that the AppliedWork owns.
	// +optional
	// +k8s:optional
	// +listType=atomic
	AppliedResources []AppliedResourceMeta `json:"appliedResources,omitempty"`
}

// AppliedResourceMeta names an applied object.
type AppliedResourceMeta struct {
	WorkResourceIdentifier `json:",inline"`

	// UID of the object on the member cluster.
	// +optional
	UID types.UID `json:"uid,omitempty"`
}
