// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +genclient:nonNamespaced
// +genclient:noStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceOverride changes selected cluster-scoped objects on the way to some of the member clusters.
type ClusterResourceOverride struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec says what is changed and where.
	// +required
	Spec ClusterResourceOverrideSpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceOverrideList is a list of ClusterResourceOverrides.
type ClusterResourceOverrideList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ClusterResourceOverrides.
	Items []ClusterResourceOverride `json:"items"`
}

// +genclient
// +genclient:noStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceOverride changes selected objects of its namespace on the way to some of the member clusters.
type ResourceOverride struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec says what is changed and where.
	// +required
	Spec ResourceOverrideSpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceOverrideList is a list of ResourceOverrides.
type ResourceOverrideList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ResourceOverrides.
	Items []ResourceOverride `json:"items"`
}

// +genclient
// +genclient:nonNamespaced
// +genclient:noStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceOverrideSnapshot is one version of a ClusterResourceOverride, named <override>-<index>.
type ClusterResourceOverrideSnapshot struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec is that version. It is never changed.
	// +required
	Spec ClusterResourceOverrideSnapshotSpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceOverrideSnapshotList is a list of ClusterResourceOverrideSnapshots.
type ClusterResourceOverrideSnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ClusterResourceOverrideSnapshots.
	Items []ClusterResourceOverrideSnapshot `json:"items"`
}

// +genclient
// +genclient:noStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceOverrideSnapshot is one version of a ResourceOverride, named <override>-<index>.
type ResourceOverrideSnapshot struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec is that version. It is never changed.
	// +required
	Spec ResourceOverrideSnapshotSpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceOverrideSnapshotList is a list of ResourceOverrideSnapshots.
type ResourceOverrideSnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ResourceOverrideSnapshots.
	Items []ResourceOverrideSnapshot `json:"items"`
}

// ResourceScope says which kind of placement is meant.
// +enum
// +k8s:enum
type ResourceScope string

const (
	// ClusterScoped means a ClusterResourcePlacement.
	ClusterScoped ResourceScope = "Cluster"
	// NamespaceScoped means a ResourcePlacement of the same namespace.
	NamespaceScoped ResourceScope = "Namespaced"
)

// PlacementRef names a placement.
type PlacementRef struct {
	// Name of the placement.
	// +required
	// +k8s:required
	Name string `json:"name"`

	// Scope is Cluster or Namespaced. It defaults to Cluster.
	// +optional
	// +k8s:optional
	// +default="Cluster"
	Scope ResourceScope `json:"scope,omitempty"`
}

// ClusterResourceOverrideSpec says what is changed and where.
type ClusterResourceOverrideSpec struct {
	// Placement that the override is for. Absent means every placement. It cannot be changed.
	// +optional
	// +k8s:optional
	Placement *PlacementRef `json:"placement,omitempty"`

	// ClusterResourceSelectors name the cluster-scoped objects to change, 1 to 20. Who names a Namespace changes everything in it.
	// +required
	// +k8s:required
	// +k8s:maxItems=20
	// +listType=atomic
	ClusterResourceSelectors []ResourceSelectorTerm `json:"clusterResourceSelectors"`

	// Policy are the changes.
	// +required
	// +k8s:optional
	Policy *OverridePolicy `json:"policy"`
}

// ResourceOverrideSpec says what is changed and where.
type ResourceOverrideSpec struct {
	// Placement that the override is for. Absent means every placement. It cannot be changed.
	// +optional
	// +k8s:optional
	Placement *PlacementRef `json:"placement,omitempty"`

	// ResourceSelectors name the objects of the override's namespace to change, 1 to 20.
	// +required
	// +k8s:required
	// +k8s:maxItems=20
	// +listType=atomic
	ResourceSelectors []ResourceSelector `json:"resourceSelectors"`

	// Policy are the changes.
	// +required
	// +k8s:optional
	Policy *OverridePolicy `json:"policy"`
}

// ResourceSelector names one object of a namespace.
type ResourceSelector struct {
	// Group of the object; empty for the core group.
	// +required
	Group string `json:"group"`

	// Version of the object's kind.
	// +required
	// +k8s:required
	Version string `json:"version"`

	// Kind of the object.
	// +required
	// +k8s:required
	Kind string `json:"kind"`

	// Name of the object.
	// +required
	// +k8s:required
	Name string `json:"name"`
}

// OverridePolicy are the changes of an override.
type OverridePolicy struct {
	// OverrideRules are applied one after the other, 1 to 20.
	// +required
	// +k8s:required
	// +k8s:maxItems=20
	// +listType=atomic
	OverrideRules []OverrideRule `json:"overrideRules"`
}

// OverrideType says how an object is changed.
// +enum
// +k8s:enum
type OverrideType string

const (
	// JSONPatchOverrideType patches the object.
	JSONPatchOverrideType OverrideType = "JSONPatch"
	// DeleteOverrideType leaves the object out.
	DeleteOverrideType OverrideType = "Delete"
)

// OverrideRule is a change for some clusters.
type OverrideRule struct {
	// ClusterSelector picks the clusters by label. Absent picks none, a selector without terms all.
	// +optional
	// +k8s:optional
	ClusterSelector *ClusterSelector `json:"clusterSelector,omitempty"`

	// OverrideType is JSONPatch or Delete. It defaults to JSONPatch.
	// +optional
	// +k8s:optional
	// +default="JSONPatch"
	OverrideType OverrideType `json:"overrideType,omitempty"`

	// JSONPatchOverrides are the steps of the patch, 1 to 20. Only for JSONPatch.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=20
	// +listType=atomic
	JSONPatchOverrides []JSONPatchOverride `json:"jsonPatchOverrides,omitempty"`
}

// JSONPatchOverrideOperator is what a step of a patch does.
// +enum
// +k8s:enum
type JSONPatchOverrideOperator string

const (
	// JSONPatchOverrideOpAdd adds a value.
	JSONPatchOverrideOpAdd JSONPatchOverrideOperator = "add"
	// JSONPatchOverrideOpRemove removes a value.
	JSONPatchOverrideOpRemove JSONPatchOverrideOperator = "remove"
	// JSONPatchOverrideOpReplace replaces a value.
	JSONPatchOverrideOpReplace JSONPatchOverrideOperator = "replace"
)

// JSONPatchOverride is one step of a JSON patch.
type JSONPatchOverride struct {
	// Operator is add, remove or replace.
	// +required
	// +k8s:required
	Operator JSONPatchOverrideOperator `json:"op"`

	// Path is a JSON pointer to the place to change. Type, name, namespace and status cannot be changed.
	// +required
	// +k8s:required
	Path string `json:"path"`

	// Value to add, or to replace with; any JSON. ${MEMBER-CLUSTER-NAME} and ${MEMBER-CLUSTER-LABEL-KEY-<key>} in it stand for
	// the cluster's name and the value of its label.
	// +optional
	Value apiextensionsv1.JSON `json:"value,omitempty,omitzero"`
}

// ClusterResourceOverrideSnapshotSpec is one version of a ClusterResourceOverride.
type ClusterResourceOverrideSnapshotSpec struct {
	// OverrideSpec is the override's spec in that version.
	// +required
	OverrideSpec ClusterResourceOverrideSpec `json:"overrideSpec"`

	// OverrideHash is a hash of it, in hexadecimal.
	// +required
	OverrideHash []byte `json:"overrideHash"`
}

// ResourceOverrideSnapshotSpec is one version of a ResourceOverride.
type ResourceOverrideSnapshotSpec struct {
	// OverrideSpec is the override's spec in that version.
	// +required
	OverrideSpec ResourceOverrideSpec `json:"overrideSpec"`

	// OverrideHash is a hash of it, in hexadecimal.
	// +required
	OverrideHash []byte `json:"overrideHash"`
}
