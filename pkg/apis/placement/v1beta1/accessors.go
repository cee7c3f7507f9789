// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// The interfaces below are the two scopes of a kind seen as one. Code that treats both alike takes the interface; only what makes
// new objects names the kinds.

// PlacementObject is a ClusterResourcePlacement or a ResourcePlacement.
// +k8s:deepcopy-gen=false
type PlacementObject interface {
	metav1.Object
	runtime.Object

	// PlacementSpec points into the object.
	PlacementSpec() *PlacementSpec
	// PlacementStatus points into the object.
	PlacementStatus() *PlacementStatus
}

// PlacementSpec implements PlacementObject.
func (o *ClusterResourcePlacement) PlacementSpec() *PlacementSpec { return &o.Spec }

// PlacementStatus implements PlacementObject.
func (o *ClusterResourcePlacement) PlacementStatus() *PlacementStatus { return &o.Status }

// PlacementSpec implements PlacementObject.
func (o *ResourcePlacement) PlacementSpec() *PlacementSpec { return &o.Spec }

// PlacementStatus implements PlacementObject.
func (o *ResourcePlacement) PlacementStatus() *PlacementStatus { return &o.Status }

// UpdateRunObject is a ClusterStagedUpdateRun or a StagedUpdateRun.
// +k8s:deepcopy-gen=false
type UpdateRunObject interface {
	metav1.Object
	runtime.Object

	// RunSpec points into the object.
	RunSpec() *UpdateRunSpec
	// RunStatus points into the object.
	RunStatus() *UpdateRunStatus
}

// RunSpec implements UpdateRunObject.
func (o *ClusterStagedUpdateRun) RunSpec() *UpdateRunSpec { return &o.Spec }

// RunStatus implements UpdateRunObject.
func (o *ClusterStagedUpdateRun) RunStatus() *UpdateRunStatus { return &o.Status }

// RunSpec implements UpdateRunObject.
func (o *StagedUpdateRun) RunSpec() *UpdateRunSpec { return &o.Spec }

// RunStatus implements UpdateRunObject.
func (o *StagedUpdateRun) RunStatus() *UpdateRunStatus { return &o.Status }

// UpdateStrategyObject is a ClusterStagedUpdateStrategy or a StagedUpdateStrategy.
// +k8s:deepcopy-gen=false
type UpdateStrategyObject interface {
	metav1.Object
	runtime.Object

	// StrategySpec points into the object.
	StrategySpec() *UpdateStrategySpec
}

// StrategySpec implements UpdateStrategyObject.
func (o *ClusterStagedUpdateStrategy) StrategySpec() *UpdateStrategySpec { return &o.Spec }

// StrategySpec implements UpdateStrategyObject.
func (o *StagedUpdateStrategy) StrategySpec() *UpdateStrategySpec { return &o.Spec }

// ApprovalRequestObject is a ClusterApprovalRequest or a ApprovalRequest.
// +k8s:deepcopy-gen=false
type ApprovalRequestObject interface {
	metav1.Object
	runtime.Object

	// RequestSpec points into the object.
	RequestSpec() *ApprovalRequestSpec
	// RequestStatus points into the object.
	RequestStatus() *ApprovalRequestStatus
}

// RequestSpec implements ApprovalRequestObject.
func (o *ClusterApprovalRequest) RequestSpec() *ApprovalRequestSpec { return &o.Spec }

// RequestStatus implements ApprovalRequestObject.
func (o *ClusterApprovalRequest) RequestStatus() *ApprovalRequestStatus { return &o.Status }

// RequestSpec implements ApprovalRequestObject.
func (o *ApprovalRequest) RequestSpec() *ApprovalRequestSpec { return &o.Spec }

// RequestStatus implements ApprovalRequestObject.
func (o *ApprovalRequest) RequestStatus() *ApprovalRequestStatus { return &o.Status }

// ResourceSnapshotObject is a ClusterResourceSnapshot or a ResourceSnapshot.
// +k8s:deepcopy-gen=false
type ResourceSnapshotObject interface {
	metav1.Object
	runtime.Object

	// SnapshotSpec points into the object.
	SnapshotSpec() *ResourceSnapshotSpec
	// SnapshotStatus points into the object.
	SnapshotStatus() *ResourceSnapshotStatus
}

// SnapshotSpec implements ResourceSnapshotObject.
func (o *ClusterResourceSnapshot) SnapshotSpec() *ResourceSnapshotSpec { return &o.Spec }

// SnapshotStatus implements ResourceSnapshotObject.
func (o *ClusterResourceSnapshot) SnapshotStatus() *ResourceSnapshotStatus { return &o.Status }

// SnapshotSpec implements ResourceSnapshotObject.
func (o *ResourceSnapshot) SnapshotSpec() *ResourceSnapshotSpec { return &o.Spec }

// SnapshotStatus implements ResourceSnapshotObject.
func (o *ResourceSnapshot) SnapshotStatus() *ResourceSnapshotStatus { return &o.Status }

// PolicySnapshotObject is a ClusterSchedulingPolicySnapshot or a SchedulingPolicySnapshot.
// +k8s:deepcopy-gen=false
type PolicySnapshotObject interface {
	metav1.Object
	runtime.Object

	// PolicySnapshotSpec points into the object.
	PolicySnapshotSpec() *SchedulingPolicySnapshotSpec
	// PolicySnapshotStatus points into the object.
	PolicySnapshotStatus() *SchedulingPolicySnapshotStatus
}

// PolicySnapshotSpec implements PolicySnapshotObject.
func (o *ClusterSchedulingPolicySnapshot) PolicySnapshotSpec() *SchedulingPolicySnapshotSpec {
	return &o.Spec
}

// PolicySnapshotStatus implements PolicySnapshotObject.
func (o *ClusterSchedulingPolicySnapshot) PolicySnapshotStatus() *SchedulingPolicySnapshotStatus {
	return &o.Status
}

// PolicySnapshotSpec implements PolicySnapshotObject.
func (o *SchedulingPolicySnapshot) PolicySnapshotSpec() *SchedulingPolicySnapshotSpec { return &o.Spec }

// PolicySnapshotStatus implements PolicySnapshotObject.
func (o *SchedulingPolicySnapshot) PolicySnapshotStatus() *SchedulingPolicySnapshotStatus {
	return &o.Status
}

// BindingObject is a ClusterResourceBinding or a ResourceBinding.
// +k8s:deepcopy-gen=false
type BindingObject interface {
	metav1.Object
	runtime.Object

	// BindingSpec points into the object.
	BindingSpec() *ResourceBindingSpec
	// BindingStatus points into the object.
	BindingStatus() *ResourceBindingStatus
}

// BindingSpec implements BindingObject.
func (o *ClusterResourceBinding) BindingSpec() *ResourceBindingSpec { return &o.Spec }

// BindingStatus implements BindingObject.
func (o *ClusterResourceBinding) BindingStatus() *ResourceBindingStatus { return &o.Status }

// BindingSpec implements BindingObject.
func (o *ResourceBinding) BindingSpec() *ResourceBindingSpec { return &o.Spec }

// BindingStatus implements BindingObject.
func (o *ResourceBinding) BindingStatus() *ResourceBindingStatus { return &o.Status }

// Override is what an override and a version of it have in common.
// +k8s:deepcopy-gen=false
type Override interface {
	metav1.Object
	runtime.Object

	// OverriddenPlacement is the placement that the override is for, nil for every placement. It points into the object.
	OverriddenPlacement() *PlacementRef
	// OverriddenResources name the objects that the override changes, namespaces included.
	OverriddenResources() []ResourceIdentifier
	// OverridePolicy points into the object.
	OverridePolicy() *OverridePolicy
}

// OverrideObject is a ClusterResourceOverride or a ResourceOverride.
// +k8s:deepcopy-gen=false
type OverrideObject interface {
	Override

	// NewSnapshot makes a version of the override that says what it says now, without metadata.
	NewSnapshot(hash []byte) OverrideSnapshotObject
}

// OverrideSnapshotObject is a ClusterResourceOverrideSnapshot or a ResourceOverrideSnapshot.
// +k8s:deepcopy-gen=false
type OverrideSnapshotObject interface {
	Override

	// OverrideHash points into the object.
	OverrideHash() []byte
}

// OverriddenPlacement implements Override.
func (o *ClusterResourceOverride) OverriddenPlacement() *PlacementRef { return o.Spec.Placement }

// OverriddenResources implements Override.
func (o *ClusterResourceOverride) OverriddenResources() []ResourceIdentifier {
	return o.Spec.resources()
}

// OverridePolicy implements Override.
func (o *ClusterResourceOverride) OverridePolicy() *OverridePolicy { return o.Spec.Policy }

// NewSnapshot implements OverrideObject.
func (o *ClusterResourceOverride) NewSnapshot(hash []byte) OverrideSnapshotObject {
	return &ClusterResourceOverrideSnapshot{Spec: ClusterResourceOverrideSnapshotSpec{OverrideSpec: *o.Spec.DeepCopy(), OverrideHash: hash}}
}

// OverriddenPlacement implements Override.
func (o *ResourceOverride) OverriddenPlacement() *PlacementRef { return o.Spec.Placement }

// OverriddenResources implements Override.
func (o *ResourceOverride) OverriddenResources() []ResourceIdentifier {
	return o.Spec.resources(o.Namespace)
}

// OverridePolicy implements Override.
func (o *ResourceOverride) OverridePolicy() *OverridePolicy { return o.Spec.Policy }

// NewSnapshot implements OverrideObject.
func (o *ResourceOverride) NewSnapshot(hash []byte) OverrideSnapshotObject {
	return &ResourceOverrideSnapshot{Spec: ResourceOverrideSnapshotSpec{OverrideSpec: *o.Spec.DeepCopy(), OverrideHash: hash}}
}

// OverriddenPlacement implements Override.
func (o *ClusterResourceOverrideSnapshot) OverriddenPlacement() *PlacementRef {
	return o.Spec.OverrideSpec.Placement
}

// OverriddenResources implements Override.
func (o *ClusterResourceOverrideSnapshot) OverriddenResources() []ResourceIdentifier {
	return o.Spec.OverrideSpec.resources()
}

// OverridePolicy implements Override.
func (o *ClusterResourceOverrideSnapshot) OverridePolicy() *OverridePolicy {
	return o.Spec.OverrideSpec.Policy
}

// OverrideHash implements OverrideSnapshotObject.
func (o *ClusterResourceOverrideSnapshot) OverrideHash() []byte { return o.Spec.OverrideHash }

// OverriddenPlacement implements Override.
func (o *ResourceOverrideSnapshot) OverriddenPlacement() *PlacementRef {
	return o.Spec.OverrideSpec.Placement
}

// OverriddenResources implements Override.
func (o *ResourceOverrideSnapshot) OverriddenResources() []ResourceIdentifier {
	return o.Spec.OverrideSpec.resources(o.Namespace)
}

// OverridePolicy implements Override.
func (o *ResourceOverrideSnapshot) OverridePolicy() *OverridePolicy {
	return o.Spec.OverrideSpec.Policy
}

// OverrideHash implements OverrideSnapshotObject.
func (o *ResourceOverrideSnapshot) OverrideHash() []byte { return o.Spec.OverrideHash }

func (s *ClusterResourceOverrideSpec) resources() []ResourceIdentifier {
	resources := make([]ResourceIdentifier, 0, len(s.ClusterResourceSelectors))
	for _, r := range s.ClusterResourceSelectors {
		resources = append(resources, ResourceIdentifier{Group: r.Group, Version: r.Version, Kind: r.Kind, Name: r.Name})
	}
	return resources
}

func (s *ResourceOverrideSpec) resources(namespace string) []ResourceIdentifier {
	resources := make([]ResourceIdentifier, 0, len(s.ResourceSelectors))
	for _, r := range s.ResourceSelectors {
		resources = append(resources, ResourceIdentifier{Group: r.Group, Version: r.Version, Kind: r.Kind, Name: r.Name, Namespace: namespace})
	}
	return resources
}
