// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// SelectionScope says how much a selected Namespace brings along.
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
	Group string

	// Version of the kind, for example v1.
	Version string

	// Kind to select, for example Namespace.
	Kind string

	// Name of the one object to select. Not together with labelSelector.
	Name string

	// LabelSelector selects the objects whose labels match. Not together with name.
	LabelSelector *metav1.LabelSelector

	// SelectionScope says how much a selected Namespace brings along: NamespaceWithResources, NamespaceOnly or
	// NamespaceWithResourceSelectors. It means nothing for other kinds. It defaults to NamespaceWithResources.
	SelectionScope SelectionScope
}

// ResourceContent is one complete object, as it is to be on the member clusters.
type ResourceContent struct {
	runtime.RawExtension
}

// EnvelopeType is the kind of an envelope.
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
	Name string

	// Namespace of the envelope, if it has one.
	Namespace string

	// Type of the envelope. It defaults to ConfigMap.
	Type EnvelopeType
}

// ResourceIdentifier names one selected object.
type ResourceIdentifier struct {
	// Group of the object; empty for the core group.
	Group string

	// Version of the object's kind.
	Version string

	// Kind of the object.
	Kind string

	// Name of the object.
	Name string

	// Namespace of the object; empty for cluster-scoped kinds.
	Namespace string

	// Envelope that the object came in, if it did.
	Envelope *EnvelopeIdentifier
}

// NamespacedName names an object in a namespace.
type NamespacedName struct {
	// Name of the object.
	Name string

	// Namespace of the object.
	Namespace string
}

// PatchDetail is one place in which the member's object differs from the manifest.
type PatchDetail struct {
	// Path is a JSON pointer into the object.
	Path string

	// ValueInMember is the value on the member cluster; empty where the member lacks the field.
	ValueInMember string

	// ValueInHub is the value in the manifest; empty where the manifest lacks the field.
	ValueInHub string
}

// DriftedResourcePlacement is a placed object that was changed on a member cluster.
type DriftedResourcePlacement struct {
	ResourceIdentifier

	// ObservationTime is when the drift was last seen.
	ObservationTime metav1.Time

	// TargetClusterObservedGeneration is the generation that the object had on the member then.
	TargetClusterObservedGeneration int64

	// FirstDriftedObservedTime is when the drift was first seen.
	FirstDriftedObservedTime metav1.Time

	// ObservedDrifts are the places that differ, at most 100.
	ObservedDrifts []PatchDetail
}

// DiffedResourcePlacement is an object whose state on a member cluster differs from the manifest.
type DiffedResourcePlacement struct {
	ResourceIdentifier

	// ObservationTime is when the difference was last seen.
	ObservationTime metav1.Time

	// TargetClusterObservedGeneration is the generation that the object had on the member then; absent where it does not exist.
	TargetClusterObservedGeneration *int64

	// FirstDiffedObservedTime is when the difference was first seen.
	FirstDiffedObservedTime metav1.Time

	// ObservedDiffs are the places that differ, at most 100.
	ObservedDiffs []PatchDetail
}

// FailedResourcePlacement is an object that could not be applied, or is not available, on a member cluster.
type FailedResourcePlacement struct {
	ResourceIdentifier

	// Condition says what failed and why.
	Condition metav1.Condition
}
