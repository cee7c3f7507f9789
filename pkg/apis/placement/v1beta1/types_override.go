// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +genclient:nonNamespaced
// +genclient:noStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceOverride changes selected cluster-scoped objects for some of the member clusters.
type ClusterResourceOverride struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec specifies the objects to change, the changes and the clusters.
	// +required
	Spec ClusterResourceOverrideSpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceOverrideList is a list of ClusterResourceOverrides.
type ClusterResourceOverrideList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ClusterResourceOverrides.
	Items []ClusterResourceOverride `json:"items"`
}

// +genclient
// +genclient:noStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceOverride changes selected objects of its namespace for some of the member clusters.
type ResourceOverride struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec specifies the objects to change, the changes and the clusters.
	// +required
	Spec ResourceOverrideSpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceOverrideList is a list of ResourceOverrides.
type ResourceOverrideList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ResourceOverrides.
	Items []ResourceOverride `json:"items"`
}

// +genclient
// +genclient:nonNamespaced
// +genclient:noStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceOverrideSnapshot is one version of a ClusterResourceOverride, named <override>-<index>.
type ClusterResourceOverrideSnapshot struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the spec of the override in this version. It never changes.
	// +required
	Spec ClusterResourceOverrideSnapshotSpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceOverrideSnapshotList is a list of ClusterResourceOverrideSnapshots.
type ClusterResourceOverrideSnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ClusterResourceOverrideSnapshots.
	Items []ClusterResourceOverrideSnapshot `json:"items"`
}

// +genclient
// +genclient:noStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceOverrideSnapshot is one version of a ResourceOverride, named <override>-<index>.
type ResourceOverrideSnapshot struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the spec of the override in this version. It never changes.
	// +required
	Spec ResourceOverrideSnapshotSpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceOverrideSnapshotList is a list of ResourceOverrideSnapshots.
type ResourceOverrideSnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ResourceOverrideSnapshots.
	Items []ResourceOverrideSnapshot `json:"items"`
}

// ResourceScope is the kind of placement that a PlacementRef names.
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
	// name is the name of the placement.
	// +required
	// +k8s:required
	Name string `json:"name"`

	// scope is Cluster or Namespaced. It defaults to Cluster.
	// +optional
	// +k8s:optional
	// +default="Cluster"
	Scope ResourceScope `json:"scope,omitempty"`
}

// ClusterResourceOverrideSpec specifies the objects to change, the changes and the clusters.
type ClusterResourceOverrideSpec struct {
	// placement is the placement that the override applies to. If it is absent, the override applies to every
	// placement. It cannot be changed.
	// +optional
	// +k8s:optional
	Placement *PlacementRef `json:"placement,omitempty"`

	// clusterResourceSelectors name the cluster-scoped objects to change, 1 to 20. A Namespace stands for everything
	// in it.
	// +required
	// +k8s:required
	// +k8s:maxItems=20
	// +listType=atomic
	ClusterResourceSelectors []ResourceSelectorTerm `json:"clusterResourceSelectors"`

	// policy specifies the changes and the clusters that they are for.
	// +required
	// +k8s:optional
	Policy *OverridePolicy `json:"policy"`
}

// ResourceOverrideSpec specifies the objects to change, the changes and the clusters.
type ResourceOverrideSpec struct {
	// placement is the placement that the override applies to. If it is absent, the override applies to every
	// placement. It cannot be changed.
	// +optional
	// +k8s:optional
	Placement *PlacementRef `json:"placement,omitempty"`

	// resourceSelectors name the objects of the override's namespace to change, 1 to 20.
	// +required
	// +k8s:required
	// +k8s:maxItems=20
	// +listType=atomic
	ResourceSelectors []ResourceSelector `json:"resourceSelectors"`

	// policy specifies the changes and the clusters that they are for.
	// +required
	// +k8s:optional
	Policy *OverridePolicy `json:"policy"`
}

// ResourceSelector names one object of a namespace.
type ResourceSelector struct {
	// group is the API group of the object. It is empty for the core group.
	// +required
	Group string `json:"group"`

	// version is the API version of the object.
	// +required
	// +k8s:required
	Version string `json:"version"`

	// kind is the kind of the object.
	// +required
	// +k8s:required
	Kind string `json:"kind"`

	// name is the name of the object.
	// +required
	// +k8s:required
	Name string `json:"name"`
}

// OverridePolicy is the list of changes of an override.
type OverridePolicy struct {
	// overrideRules are applied one after the other, 1 to 20.
	// +required
	// +k8s:required
	// +k8s:maxItems=20
	// +listType=atomic
	OverrideRules []OverrideRule `json:"overrideRules"`
}

// OverrideType is the way in which a rule changes an object.
// +enum
// +k8s:enum
type OverrideType string

const (
	// JSONPatchOverrideType patches the object.
	JSONPatchOverrideType OverrideType = "JSONPatch"
	// DeleteOverrideType does not place the object.
	DeleteOverrideType OverrideType = "Delete"
)

// OverrideRule is a change for some clusters.
type OverrideRule struct {
	// clusterSelector selects clusters by label. If it is absent, the rule applies to no cluster; if it has no terms,
	// to all.
	// +optional
	// +k8s:optional
	ClusterSelector *ClusterSelector `json:"clusterSelector,omitempty"`

	// overrideType is JSONPatch or Delete. It defaults to JSONPatch.
	// +optional
	// +k8s:optional
	// +default="JSONPatch"
	OverrideType OverrideType `json:"overrideType,omitempty"`

	// jsonPatchOverrides are the steps of the patch, 1 to 20. Only for JSONPatch.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=20
	// +listType=atomic
	JSONPatchOverrides []JSONPatchOverride `json:"jsonPatchOverrides,omitempty"`
}

// JSONPatchOverrideOperator is the operation of a step of a patch.
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
	// op is add, remove or replace.
	// +required
	// +k8s:required
	Operator JSONPatchOverrideOperator `json:"op"`

	// path is a JSON pointer to the place to change: / in a key is ~1, and ~ is ~0. Type, name, namespace and status cannot be changed, and of
	// the metadata only labels and annotations can.
	// +required
	// +k8s:required
	Path string `json:"path"`

	// value is the JSON value to add, or to replace the present one with. In it, ${MEMBER-CLUSTER-NAME} stands for
	// the cluster's name and ${MEMBER-CLUSTER-LABEL-KEY-<key>} for the value of the cluster's label <key>.
	// +optional
	Value apiextensionsv1.JSON `json:"value,omitempty,omitzero"`
}

// ClusterResourceOverrideSnapshotSpec is one version of a ClusterResourceOverride.
type ClusterResourceOverrideSnapshotSpec struct {
	// overrideSpec is the override's spec in this version.
	// +required
	OverrideSpec ClusterResourceOverrideSpec `json:"overrideSpec"`

	// overrideHash is the hash of overrideSpec, in hexadecimal.
	// +required
	OverrideHash []byte `json:"overrideHash"`
}

// ResourceOverrideSnapshotSpec is one version of a ResourceOverride.
type ResourceOverrideSnapshotSpec struct {
	// overrideSpec is the override's spec in this version.
	// +required
	OverrideSpec ResourceOverrideSpec `json:"overrideSpec"`

	// overrideHash is the hash of overrideSpec, in hexadecimal.
	// +required
	OverrideHash []byte `json:"overrideHash"`
}
