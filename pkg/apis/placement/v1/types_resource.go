// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// SelectionScope says how much a selected Namespace brings along.
// +enum
// +k8s:enum
type SelectionScope string

const (
	// NamespaceOnly selects the Namespace object alone.
	NamespaceOnly SelectionScope = "NamespaceOnly"
	// NamespaceWithResources selects the Namespace and everything in it.
	NamespaceWithResources SelectionScope = "NamespaceWithResources"
	// NamespaceWithResourceSelectors selects the Namespace and, in it, what the other selectors of the placement name.
	NamespaceWithResourceSelectors SelectionScope = "NamespaceWithResourceSelectors"
)

// ResourceSelectorTerm selects objects of one kind on the hub. Without name and labelSelector it selects all of the kind.
type ResourceSelectorTerm struct {
	// Group of the kind; empty for the core group.
	// +required
	Group string `json:"group"`

	// Version of the kind, for example v1.
	// +required
	// +k8s:required
	Version string `json:"version"`

	// Kind to select, for example Namespace.
	// +required
	// +k8s:required
	Kind string `json:"kind"`

	// Name of the one object to select. Not together with labelSelector.
	// +optional
	Name string `json:"name,omitempty"`

	// LabelSelector selects the objects whose labels match. Not together with name.
	// +optional
	// +k8s:optional
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`

	// SelectionScope says how much a selected Namespace brings along: NamespaceWithResources, NamespaceOnly or
	// NamespaceWithResourceSelectors. It means nothing for other kinds. It defaults to NamespaceWithResources.
	// +optional
	// +k8s:optional
	// +default="NamespaceWithResources"
	SelectionScope SelectionScope `json:"selectionScope,omitempty"`
}

// ResourceContent is one complete object, as it is to be on the member clusters.
type ResourceContent struct {
	runtime.RawExtension `json:",inline"`
}

// EnvelopeType is the kind of an envelope.
// +enum
// +k8s:enum
type EnvelopeType string

const (
	// ConfigMapEnvelopeType is a ConfigMap marked as an envelope, as older versions had it.
	ConfigMapEnvelopeType EnvelopeType = "ConfigMap"
	// ClusterResourceEnvelopeType is a ClusterResourceEnvelope.
	ClusterResourceEnvelopeType EnvelopeType = "ClusterResourceEnvelope"
	// ResourceEnvelopeType is a ResourceEnvelope.
	ResourceEnvelopeType EnvelopeType = "ResourceEnvelope"
)

// EnvelopeIdentifier names the envelope that an object came in.
type EnvelopeIdentifier struct {
	// Name of the envelope.
	// +required
	Name string `json:"name"`

	// Namespace of the envelope, if it has one.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// Type of the envelope. It defaults to ConfigMap.
	// +optional
	// +k8s:optional
	// +default="ConfigMap"
	Type EnvelopeType `json:"type,omitempty"`
}

// ResourceIdentifier names one selected object.
type ResourceIdentifier struct {
	// Group of the object; empty for the core group.
	// +optional
	Group string `json:"group,omitempty"`

	// Version of the object's kind.
	// +required
	Version string `json:"version"`

	// Kind of the object.
	// +required
	Kind string `json:"kind"`

	// Name of the object.
	// +required
	Name string `json:"name"`

	// Namespace of the object; empty for cluster-scoped kinds.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// Envelope that the object came in, if it did.
	// +optional
	// +k8s:optional
	Envelope *EnvelopeIdentifier `json:"envelope,omitempty"`
}

// NamespacedName names an object in a namespace.
type NamespacedName struct {
	// Name of the object.
	// +required
	Name string `json:"name"`

	// Namespace of the object.
	// +required
	Namespace string `json:"namespace"`
}

// PatchDetail is one place in which the member's object differs from the manifest.
type PatchDetail struct {
	// Path is a JSON pointer into the object.
	// +required
	Path string `json:"path"`

	// ValueInMember is the value on the member cluster; empty where the member lacks the field.
	// +optional
	ValueInMember string `json:"valueInMember,omitempty"`

	// ValueInHub is the value in the manifest; empty where the manifest lacks the field.
	// +optional
	ValueInHub string `json:"valueInHub,omitempty"`
}

// DriftedResourcePlacement is a placed object that was changed on a member cluster.
type DriftedResourcePlacement struct {
	ResourceIdentifier `json:",inline"`

	// ObservationTime is when the drift was last seen.
	// +required
	ObservationTime metav1.Time `json:"observationTime"`

	// TargetClusterObservedGeneration is the generation that the object had on the member then.
	// +required
	TargetClusterObservedGeneration int64 `json:"targetClusterObservedGeneration"`

	// FirstDriftedObservedTime is when the drift was first seen.
	// +required
	FirstDriftedObservedTime metav1.Time `json:"firstDriftedObservedTime"`

	// ObservedDrifts are the places that differ, at most 100.
	// +optional
	// +k8s:optional
	// +listType=atomic
	ObservedDrifts []PatchDetail `json:"observedDrifts,omitempty"`
}

// DiffedResourcePlacement is an object whose state on a member cluster differs from the manifest.
type DiffedResourcePlacement struct {
	ResourceIdentifier `json:",inline"`

	// ObservationTime is when the difference was last seen.
	// +required
	ObservationTime metav1.Time `json:"observationTime"`

	// TargetClusterObservedGeneration is the generation that the object had on the member then; absent where it does not exist.
	// +optional
	// +k8s:optional
	TargetClusterObservedGeneration *int64 `json:"targetClusterObservedGeneration,omitempty"`

	// FirstDiffedObservedTime is when the difference was first seen.
	// +required
	FirstDiffedObservedTime metav1.Time `json:"firstDiffedObservedTime"`

	// ObservedDiffs are the places that differ, at most 100.
	// +optional
	// +k8s:optional
	// +listType=atomic
	ObservedDiffs []PatchDetail `json:"observedDiffs,omitempty"`
}

// FailedResourcePlacement is an object that could not be applied, or is not available, on a member cluster.
type FailedResourcePlacement struct {
	ResourceIdentifier `json:",inline"`

	// Condition says what failed and why.
	// +required
	Condition metav1.Condition `json:"condition"`
}
