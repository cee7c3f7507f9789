// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceOverride changes selected cluster-scoped objects on the way to some of the member clusters.
type ClusterResourceOverride struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec says what is changed and where.
	Spec ClusterResourceOverrideSpec
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceOverrideList is a list of ClusterResourceOverrides.
type ClusterResourceOverrideList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ClusterResourceOverrides.
	Items []ClusterResourceOverride
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceOverride changes selected objects of its namespace on the way to some of the member clusters.
type ResourceOverride struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec says what is changed and where.
	Spec ResourceOverrideSpec
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceOverrideList is a list of ResourceOverrides.
type ResourceOverrideList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ResourceOverrides.
	Items []ResourceOverride
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceOverrideSnapshot is one version of a ClusterResourceOverride, named <override>-<index>.
type ClusterResourceOverrideSnapshot struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec is that version. It is never changed.
	Spec ClusterResourceOverrideSnapshotSpec
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceOverrideSnapshotList is a list of ClusterResourceOverrideSnapshots.
type ClusterResourceOverrideSnapshotList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ClusterResourceOverrideSnapshots.
	Items []ClusterResourceOverrideSnapshot
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceOverrideSnapshot is one version of a ResourceOverride, named <override>-<index>.
type ResourceOverrideSnapshot struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec is that version. It is never changed.
	Spec ResourceOverrideSnapshotSpec
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceOverrideSnapshotList is a list of ResourceOverrideSnapshots.
type ResourceOverrideSnapshotList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ResourceOverrideSnapshots.
	Items []ResourceOverrideSnapshot
}

// ResourceScope says which kind of placement is meant.
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
	Name string

	// Scope is Cluster or Namespaced. It defaults to Cluster.
	Scope ResourceScope
}

// ClusterResourceOverrideSpec says what is changed and where.
type ClusterResourceOverrideSpec struct {
	// Placement that the override is for. Absent means every placement. It cannot be changed.
	Placement *PlacementRef

	// ClusterResourceSelectors name the cluster-scoped objects to change, 1 to 20. Who names a Namespace changes everything in it.
	ClusterResourceSelectors []ResourceSelectorTerm

	// Policy are the changes.
	Policy *OverridePolicy
}

// ResourceOverrideSpec says what is changed and where.
type ResourceOverrideSpec struct {
	// Placement that the override is for. Absent means every placement. It cannot be changed.
	Placement *PlacementRef

	// ResourceSelectors name the objects of the override's namespace to change, 1 to 20.
	ResourceSelectors []ResourceSelector

	// Policy are the changes.
	Policy *OverridePolicy
}

// ResourceSelector names one object of a namespace.
type ResourceSelector struct {
	// Group of the object; empty for the core group.
	Group string

	// Version of the object's kind.
	Version string

	// Kind of the object.
	Kind string

	// Name of the object.
	Name string
}

// OverridePolicy are the changes of an override.
type OverridePolicy struct {
	// OverrideRules are applied one after the other, 1 to 20.
	OverrideRules []OverrideRule
}

// OverrideType says how an object is changed.
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
	ClusterSelector *ClusterSelector

	// OverrideType is JSONPatch or Delete. It defaults to JSONPatch.
	OverrideType OverrideType

	// JSONPatchOverrides are the steps of the patch, 1 to 20. Only for JSONPatch.
	JSONPatchOverrides []JSONPatchOverride
}

// JSONPatchOverrideOperator is what a step of a patch does.
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
	Operator JSONPatchOverrideOperator

	// Path is a JSON pointer to the place to change. Type, name, namespace and status cannot be changed.
	Path string

	// Value to add, or to replace with; any JSON. ${MEMBER-CLUSTER-NAME} and ${MEMBER-CLUSTER-LABEL-KEY-<key>} in it stand for
	// the cluster's name and the value of its label.
	Value apiextensionsv1.JSON
}

// ClusterResourceOverrideSnapshotSpec is one version of a ClusterResourceOverride.
type ClusterResourceOverrideSnapshotSpec struct {
	// OverrideSpec is the override's spec in that version.
	OverrideSpec ClusterResourceOverrideSpec

	// OverrideHash is a hash of it, in hexadecimal.
	OverrideHash []byte
}

// ResourceOverrideSnapshotSpec is one version of a ResourceOverride.
type ResourceOverrideSnapshotSpec struct {
	// OverrideSpec is the override's spec in that version.
	OverrideSpec ResourceOverrideSpec

	// OverrideHash is a hash of it, in hexadecimal.
	OverrideHash []byte
}
