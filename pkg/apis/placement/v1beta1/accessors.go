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
