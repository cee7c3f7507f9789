// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// Work is the set of manifests to apply to one member cluster, in the namespace fleet-member-<cluster> of the hub.
type Work struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec are the manifests.
	Spec WorkSpec

	// Status says what became of them on the member cluster.
	Status WorkStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// WorkList is a list of Works.
type WorkList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the Works.
	Items []Work
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// AppliedWork stands on the member cluster for a Work; it owns what was applied for it.
type AppliedWork struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec names the Work.
	Spec AppliedWorkSpec

	// Status lists what was applied.
	Status AppliedWorkStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// AppliedWorkList is a list of AppliedWorks.
type AppliedWorkList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the AppliedWorks.
	Items []AppliedWork
}

// WorkSpec are the manifests of a Work.
type WorkSpec struct {
	// Workload are the manifests.
	Workload WorkloadTemplate

	// ApplyStrategy says how they are written to the member cluster.
	ApplyStrategy *ApplyStrategy

	// ReportBackStrategy says whether their status is brought back.
	ReportBackStrategy *ReportBackStrategy
}

// WorkloadTemplate are the manifests of a Work.
type WorkloadTemplate struct {
	// Manifests are complete objects to apply to the member cluster.
	Manifests []Manifest
}

// Manifest is one complete object to apply.
type Manifest struct {
	runtime.RawExtension
}

// WorkStatus says what became of a Work on its member cluster.
type WorkStatus struct {
	// Conditions of the Work: Applied, Available, DiffReported, StatusTrimmed, ObjectsKept and ObjectsRemaining.
	Conditions []metav1.Condition

	// ManifestConditions has one entry a manifest.
	ManifestConditions []ManifestCondition
}

// WorkResourceIdentifier names a manifest of a Work.
type WorkResourceIdentifier struct {
	// Ordinal is the position of the manifest in the Work, from 0.
	Ordinal int

	// Group of the object; empty for the core group.
	Group string

	// Version of the object's kind.
	Version string

	// Kind of the object.
	Kind string

	// Resource is the plural name of the kind.
	Resource string

	// Namespace of the object; empty for cluster-scoped kinds.
	Namespace string

	// Name of the object.
	Name string
}

// ManifestCondition says what became of one manifest.
type ManifestCondition struct {
	// Identifier names the manifest.
	Identifier WorkResourceIdentifier

	// Conditions of the manifest: Applied, Available and DiffReported. Their observedGeneration is that of the object on the
	// member cluster.
	Conditions []metav1.Condition

	// DriftDetails say how the object was changed on the member cluster.
	DriftDetails *DriftDetails

	// DiffDetails say how the object differs from the manifest.
	DiffDetails *DiffDetails

	// BackReportedStatus is the status that the object has on the member cluster.
	BackReportedStatus *BackReportedStatus
}

// DriftDetails say how an object was changed on a member cluster.
type DriftDetails struct {
	// ObservationTime is when the drift was last seen.
	ObservationTime metav1.Time

	// ObservedInMemberClusterGeneration is the generation that the object had then.
	ObservedInMemberClusterGeneration int64

	// FirstDriftedObservedTime is when the drift was first seen.
	FirstDriftedObservedTime metav1.Time

	// ObservedDrifts are the places that differ, at most 100.
	ObservedDrifts []PatchDetail
}

// DiffDetails say how an object on a member cluster differs from its manifest.
type DiffDetails struct {
	// ObservationTime is when the difference was last seen.
	ObservationTime metav1.Time

	// ObservedInMemberClusterGeneration is the generation that the object had then; absent where it does not exist.
	ObservedInMemberClusterGeneration *int64

	// FirstDiffedObservedTime is when the difference was first seen.
	FirstDiffedObservedTime metav1.Time

	// ObservedDiffs are the places that differ, at most 100.
	ObservedDiffs []PatchDetail
}

// BackReportedStatus is the status of an object on a member cluster.
type BackReportedStatus struct {
	// ObservedStatus is an object of the same kind and name that holds nothing but the status.
	ObservedStatus runtime.RawExtension

	// ObservationTime is when the status was read.
	ObservationTime metav1.Time
}

// AppliedWorkSpec names the Work that an AppliedWork stands for.
type AppliedWorkSpec struct {
	// WorkName is the name of the Work on the hub.
	WorkName string

	// WorkNamespace is the namespace of the Work on the hub.
	WorkNamespace string
}

// AppliedWorkStatus lists what was applied for a Work.
type AppliedWorkStatus struct {
	// AppliedResources are the objects that the AppliedWork owns.
	AppliedResources []AppliedResourceMeta
}

// AppliedResourceMeta names an applied object.
type AppliedResourceMeta struct {
	WorkResourceIdentifier

	// UID of the object on the member cluster.
	UID types.UID
}
