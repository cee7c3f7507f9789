// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// SelectionScope is the extent to which selecting a Namespace selects its contents.
// +enum
// +k8s:enum
type SelectionScope string

const (
	// NamespaceOnly selects the Namespace object alone.
	NamespaceOnly SelectionScope = "NamespaceOnly"
	// NamespaceWithResources selects the Namespace and everything in it.
	NamespaceWithResources SelectionScope = "NamespaceWithResources"
	// NamespaceWithResourceSelectors selects the Namespace and, in it, the objects that the other selectors of the
	// placement select. Exactly one Namespace must be selected in this way.
	NamespaceWithResourceSelectors SelectionScope = "NamespaceWithResourceSelectors"
)

// ResourceSelectorTerm selects objects of one kind on the hub. Without name and labelSelector it selects all objects
// of the kind.
type ResourceSelectorTerm struct {
	// group is the API group of the kind. It is empty for the core group.
	// +required
	Group string `json:"group"`

	// version is the API version of the kind, for example v1.
	// +required
	// +k8s:required
	Version string `json:"version"`

	// kind is the kind of the objects to select, for example Namespace.
	// +required
	// +k8s:required
	Kind string `json:"kind"`

	// name is the name of the one object to select. Not allowed together with labelSelector.
	// +optional
	Name string `json:"name,omitempty"`

	// labelSelector selects the objects whose labels match. Not allowed together with name, and not in overrides.
	// +optional
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`

	// selectionScope is the extent to which selecting a Namespace selects its contents: NamespaceWithResources,
	// NamespaceOnly or NamespaceWithResourceSelectors. It has no effect on other kinds. It defaults to
	// NamespaceWithResources.
	// +optional
	// +k8s:optional
	// +default="NamespaceWithResources"
	SelectionScope SelectionScope `json:"selectionScope,omitempty"`
}

// ResourceContent is one complete object as it is placed on the member clusters.
type ResourceContent struct {
	runtime.RawExtension `json:",inline"`
}

// EnvelopeType is the kind of an envelope.
// +enum
// +k8s:enum
type EnvelopeType string

const (
	// ConfigMapEnvelopeType is a ConfigMap marked as an envelope, which older versions of KubeFleet used. The server does
	// not unwrap such a ConfigMap and never writes this type.
	ConfigMapEnvelopeType EnvelopeType = "ConfigMap"
	// ClusterResourceEnvelopeType is a ClusterResourceEnvelope.
	ClusterResourceEnvelopeType EnvelopeType = "ClusterResourceEnvelope"
	// ResourceEnvelopeType is a ResourceEnvelope.
	ResourceEnvelopeType EnvelopeType = "ResourceEnvelope"
)

// EnvelopeIdentifier names the envelope that contains an object.
type EnvelopeIdentifier struct {
	// name is the name of the envelope.
	// +required
	Name string `json:"name"`

	// namespace is the namespace of the envelope, if it has one.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// type is the kind of the envelope: ClusterResourceEnvelope or ResourceEnvelope. It defaults to ConfigMap, which the
	// server never writes.
	// +optional
	// +k8s:optional
	// +default="ConfigMap"
	Type EnvelopeType `json:"type,omitempty"`
}

// ResourceIdentifier names one selected object.
type ResourceIdentifier struct {
	// group is the API group of the object. It is empty for the core group.
	// +optional
	Group string `json:"group,omitempty"`

	// version is the API version of the object.
	// +required
	Version string `json:"version"`

	// kind is the kind of the object.
	// +required
	Kind string `json:"kind"`

	// name is the name of the object.
	// +required
	Name string `json:"name"`

	// namespace is the namespace of the object. It is empty for cluster-scoped kinds.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// envelope is the envelope that contains the object, if any.
	// +optional
	// +k8s:optional
	Envelope *EnvelopeIdentifier `json:"envelope,omitempty"`
}

// NamespacedName names an object in a namespace.
type NamespacedName struct {
	// name is the name of the object.
	// +required
	Name string `json:"name"`

	// namespace is the namespace of the object.
	// +required
	Namespace string `json:"namespace"`
}

// PatchDetail is one field in which the member's object differs from the manifest.
type PatchDetail struct {
	// path is a JSON pointer into the object.
	// +required
	Path string `json:"path"`

	// valueInMember is the value on the member cluster, shortened to 256 bytes. It is empty if the member's object lacks
	// the field. Values of Secrets are not shown.
	// +optional
	ValueInMember string `json:"valueInMember,omitempty"`

	// valueInHub is the value in the manifest, shortened to 256 bytes. It is empty if the manifest lacks the field. Values
	// of Secrets are not shown.
	// +optional
	ValueInHub string `json:"valueInHub,omitempty"`
}

// DriftedResourcePlacement is a placed object that was changed on a member cluster.
type DriftedResourcePlacement struct {
	ResourceIdentifier `json:",inline"`

	// observationTime is when the drift was last seen.
	// +required
	ObservationTime metav1.Time `json:"observationTime"`

	// targetClusterObservedGeneration is the generation of the object on the member at observationTime.
	// +required
	TargetClusterObservedGeneration int64 `json:"targetClusterObservedGeneration"`

	// firstDriftedObservedTime is when the drift was first seen.
	// +required
	FirstDriftedObservedTime metav1.Time `json:"firstDriftedObservedTime"`

	// observedDrifts are the fields that differ, at most 100.
	// +optional
	// +listType=atomic
	ObservedDrifts []PatchDetail `json:"observedDrifts,omitempty"`
}

// DiffedResourcePlacement is an object whose state on a member cluster differs from the manifest.
type DiffedResourcePlacement struct {
	ResourceIdentifier `json:",inline"`

	// observationTime is when the difference was last seen.
	// +required
	ObservationTime metav1.Time `json:"observationTime"`

	// targetClusterObservedGeneration is the generation of the object on the member at observationTime. It is absent
	// if the object does not exist there.
	// +optional
	TargetClusterObservedGeneration *int64 `json:"targetClusterObservedGeneration,omitempty"`

	// firstDiffedObservedTime is when the difference was first seen.
	// +required
	FirstDiffedObservedTime metav1.Time `json:"firstDiffedObservedTime"`

	// observedDiffs are the fields that differ, at most 100.
	// +optional
	// +listType=atomic
	ObservedDiffs []PatchDetail `json:"observedDiffs,omitempty"`
}

// FailedResourcePlacement is an object that could not be applied, or is not available, on a member cluster.
type FailedResourcePlacement struct {
	ResourceIdentifier `json:",inline"`

	// condition is the failed condition of the object, Applied or Available, with the reason.
	// +required
	Condition metav1.Condition `json:"condition"`
}
