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

// Work is a set of manifests to apply to one member cluster. It is in the namespace fleet-member-<cluster> of the
// hub.
type Work struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec specifies the manifests.
	// +required
	Spec WorkSpec `json:"spec"`

	// status is the state of the manifests on the member cluster.
	// +optional
	Status WorkStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// WorkList is a list of Works.
type WorkList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the Works.
	Items []Work `json:"items"`
}

// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"

// AppliedWork represents a Work on the member cluster. It owns the objects that were applied for the Work.
type AppliedWork struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec names the Work.
	// +required
	Spec AppliedWorkSpec `json:"spec"`

	// status lists the objects that were applied.
	// +optional
	Status AppliedWorkStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// AppliedWorkList is a list of AppliedWorks.
type AppliedWorkList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the AppliedWorks.
	Items []AppliedWork `json:"items"`
}

// WorkSpec specifies the manifests of a Work.
type WorkSpec struct {
	// workload is the list of manifests.
	// +optional
	Workload WorkloadTemplate `json:"workload,omitempty,omitzero"`

	// applyStrategy specifies how the manifests are applied to the member cluster.
	// +optional
	// +k8s:optional
	ApplyStrategy *ApplyStrategy `json:"applyStrategy,omitempty"`

	// reportBackStrategy specifies whether the status of the applied objects is copied to the hub.
	// +optional
	// +k8s:optional
	ReportBackStrategy *ReportBackStrategy `json:"reportBackStrategy,omitempty"`
}

// WorkloadTemplate is the list of manifests of a Work.
type WorkloadTemplate struct {
	// manifests are the complete objects to apply to the member cluster.
	// +optional
	// +listType=atomic
	Manifests []Manifest `json:"manifests,omitempty"`
}

// Manifest is one complete object to apply.
type Manifest struct {
	runtime.RawExtension `json:",inline"`
}

// WorkStatus is the state of a Work on its member cluster.
type WorkStatus struct {
	// conditions are the conditions of the Work: Applied, Available, DiffReported, StatusTrimmed, ObjectsKept and
	// ObjectsRemaining.
	// +required
	// +k8s:optional
	// +listType=atomic
	Conditions []metav1.Condition `json:"conditions"`

	// manifestConditions has one entry for each manifest.
	// +optional
	// +k8s:optional
	// +listType=atomic
	ManifestConditions []ManifestCondition `json:"manifestConditions,omitempty"`

	// leftObjects are objects that are left on the member: the Work placed them before and does not hold them any more, and the member has not deleted
	// them, keeps them since an adoption, or another Work is about to take them over. At most 100.
	// +optional
	// +k8s:optional
	// +listType=atomic
	LeftObjects []ResourceIdentifier `json:"leftObjects,omitempty"`

	// leftGeneration is the last generation of the Work of which leftObjects has all. Absent where there never was one.
	// +optional
	LeftGeneration int64 `json:"leftGeneration,omitempty"`
}

// WorkResourceIdentifier names a manifest of a Work.
type WorkResourceIdentifier struct {
	// ordinal is the position of the manifest in the Work, from 0.
	// +required
	Ordinal int `json:"ordinal"`

	// group is the API group of the object. It is empty for the core group.
	// +optional
	Group string `json:"group,omitempty"`

	// version is the API version of the object.
	// +optional
	Version string `json:"version,omitempty"`

	// kind is the kind of the object.
	// +optional
	Kind string `json:"kind,omitempty"`

	// resource is the plural name of the kind.
	// +optional
	Resource string `json:"resource,omitempty"`

	// namespace is the namespace of the object. It is empty for cluster-scoped kinds.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// name is the name of the object.
	// +optional
	Name string `json:"name,omitempty"`
}

// ManifestCondition is the state of one manifest.
type ManifestCondition struct {
	// identifier names the manifest.
	// +required
	Identifier WorkResourceIdentifier `json:"identifier"`

	// conditions are the conditions of the manifest: Applied, Available and DiffReported. Their observedGeneration is
	// that of the object on the member cluster.
	// +required
	// +k8s:optional
	// +listType=atomic
	Conditions []metav1.Condition `json:"conditions"`

	// driftDetails describe how the object was changed on the member cluster.
	// +optional
	// +k8s:optional
	DriftDetails *DriftDetails `json:"driftDetails,omitempty"`

	// diffDetails describe how the object differs from the manifest.
	// +optional
	// +k8s:optional
	DiffDetails *DiffDetails `json:"diffDetails,omitempty"`

	// backReportedStatus is the status of the object on the member cluster.
	// +optional
	BackReportedStatus *BackReportedStatus `json:"backReportedStatus,omitempty"`
}

// DriftDetails describe how an object was changed on a member cluster.
type DriftDetails struct {
	// observationTime is when the drift was last seen.
	// +required
	ObservationTime metav1.Time `json:"observationTime"`

	// observedInMemberClusterGeneration is the generation of the object on the member at observationTime.
	// +required
	ObservedInMemberClusterGeneration int64 `json:"observedInMemberClusterGeneration"`

	// firstDriftedObservedTime is when the drift was first seen.
	// +required
	FirstDriftedObservedTime metav1.Time `json:"firstDriftedObservedTime"`

	// observedDrifts are the fields that differ, at most 100.
	// +optional
	// +listType=atomic
	ObservedDrifts []PatchDetail `json:"observedDrifts,omitempty"`
}

// DiffDetails describe how an object on a member cluster differs from its manifest.
type DiffDetails struct {
	// observationTime is when the difference was last seen.
	// +required
	ObservationTime metav1.Time `json:"observationTime"`

	// observedInMemberClusterGeneration is the generation of the object on the member at observationTime. It is
	// absent if the object does not exist there.
	// +optional
	ObservedInMemberClusterGeneration *int64 `json:"observedInMemberClusterGeneration,omitempty"`

	// firstDiffedObservedTime is when the difference was first seen.
	// +required
	FirstDiffedObservedTime metav1.Time `json:"firstDiffedObservedTime"`

	// observedDiffs are the fields that differ, at most 100.
	// +optional
	// +listType=atomic
	ObservedDiffs []PatchDetail `json:"observedDiffs,omitempty"`
}

// BackReportedStatus is the status of an object on a member cluster.
type BackReportedStatus struct {
	// observedStatus is an object of the same kind and name that has only a status.
	// +optional
	ObservedStatus runtime.RawExtension `json:"observedStatus,omitempty,omitzero"`

	// observationTime is when the status was read.
	// +required
	ObservationTime metav1.Time `json:"observationTime"`
}

// AppliedWorkSpec names the Work that an AppliedWork represents.
type AppliedWorkSpec struct {
	// workName is the name of the Work on the hub.
	// +required
	WorkName string `json:"workName"`

	// workNamespace is the namespace of the Work on the hub.
	// +required
	WorkNamespace string `json:"workNamespace"`
}

// AppliedWorkStatus lists the objects that were applied for a Work.
type AppliedWorkStatus struct {
	// appliedResources are the objects that the AppliedWork owns.
	// +optional
	// +listType=atomic
	AppliedResources []AppliedResourceMeta `json:"appliedResources,omitempty"`
}

// AppliedResourceMeta names an applied object.
type AppliedResourceMeta struct {
	WorkResourceIdentifier `json:",inline"`

	// uid is the uid of the object on the member cluster.
	// +optional
	UID types.UID `json:"uid,omitempty"`
}
