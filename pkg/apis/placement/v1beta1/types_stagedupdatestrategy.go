// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// +genclient
// +genclient:nonNamespaced
// +genclient:noStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterStagedUpdateStrategy is a sequence of stages that ClusterStagedUpdateRuns follow.
type ClusterStagedUpdateStrategy struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec specifies the stages.
	// +required
	Spec UpdateStrategySpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterStagedUpdateStrategyList is a list of ClusterStagedUpdateStrategies.
type ClusterStagedUpdateStrategyList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ClusterStagedUpdateStrategies.
	Items []ClusterStagedUpdateStrategy `json:"items"`
}

// +genclient
// +genclient:noStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StagedUpdateStrategy is a sequence of stages that the StagedUpdateRuns of its namespace follow.
type StagedUpdateStrategy struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec specifies the stages.
	// +required
	Spec UpdateStrategySpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StagedUpdateStrategyList is a list of StagedUpdateStrategies.
type StagedUpdateStrategyList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the StagedUpdateStrategies.
	Items []StagedUpdateStrategy `json:"items"`
}

// UpdateStrategySpec is a sequence of stages. A run copies it when it is initialized; later changes affect later runs
// only.
type UpdateStrategySpec struct {
	// stages are the stages of a run in order, at most 31. Every target cluster must be in exactly one of them.
	// +required
	// +k8s:optional
	// +k8s:maxItems=31
	// +listType=map
	// +listMapKey=name
	// +k8s:listType=map
	// +k8s:listMapKey=name
	Stages []StageConfig `json:"stages"`

	// failurePolicy specifies when a cluster that does not become available has failed, for stages without a policy
	// of their own. If it is absent, a run waits for every cluster.
	// +optional
	// +k8s:optional
	FailurePolicy *FailurePolicy `json:"failurePolicy,omitempty"`
}

// StageConfig is one stage: a group of clusters, the order and pace of their update, and the tasks before and after.
type StageConfig struct {
	// name is the name of the stage, unique in the strategy. It consists of lower-case letters and digits, at most
	// 63.
	// +required
	// +k8s:required
	// +k8s:maxLength=63
	Name string `json:"name"`

	// labelSelector selects the member clusters of the stage by their labels. If it is absent, it selects none; if it
	// is empty, all.
	// +optional
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`

	// sortingLabelKey is the key of the label that orders the clusters of the stage. Its values must be integers; the
	// lowest comes first, and equal ones are ordered by name. Every cluster of the stage must have the label. If
	// sortingLabelKey is absent, clusters are ordered by name.
	// +optional
	SortingLabelKey *string `json:"sortingLabelKey,omitempty"`

	// maxConcurrency is the number of clusters of the stage to update at once: a number from 1, or a percentage from
	// 1% to 100% of the stage's clusters, rounded down and at least 1. It defaults to 1.
	// +optional
	MaxConcurrency *intstr.IntOrString `json:"maxConcurrency,omitempty"`

	// beforeStageTasks are the tasks to complete before the first cluster of the stage is updated. At most one, an
	// Approval.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=1
	// +listType=atomic
	BeforeStageTasks []StageTask `json:"beforeStageTasks,omitempty"`

	// afterStageTasks are the tasks to complete after all clusters of the stage are updated and before the next
	// stage. At most one of each type.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=2
	// +listType=atomic
	AfterStageTasks []StageTask `json:"afterStageTasks,omitempty"`

	// failurePolicy specifies when a cluster of the stage that does not become available has failed. It replaces the
	// strategy's policy as a whole.
	// +optional
	// +k8s:optional
	FailurePolicy *FailurePolicy `json:"failurePolicy,omitempty"`
}

// StageTaskType is the type of a task.
// +enum
// +k8s:enum
type StageTaskType string

const (
	// StageTaskTypeTimedWait waits for a duration.
	StageTaskTypeTimedWait StageTaskType = "TimedWait"
	// StageTaskTypeApproval waits for users to approve.
	StageTaskTypeApproval StageTaskType = "Approval"
)

// StageTask is a gate before or after a stage.
type StageTask struct {
	// type is Approval or, after a stage only, TimedWait.
	// +required
	// +k8s:required
	Type StageTaskType `json:"type"`

	// waitTime is the duration of a TimedWait after the stage's last cluster was updated, such as 24h or 1h30m.
	// Required for TimedWait, where it must be longer than zero; not allowed for Approval.
	// +optional
	WaitTime *metav1.Duration `json:"waitTime,omitempty"`

	// approval specifies whose approvals an Approval waits for. If it is absent, one approval by any permitted user
	// is enough. Not allowed for TimedWait.
	// +optional
	// +k8s:optional
	Approval *ApprovalPolicy `json:"approval,omitempty"`
}

// MaxRequiredApprovals is the largest number of approvals that a policy can require.
const MaxRequiredApprovals = 10

// ApprovalPolicy specifies whose approvals open a gate. Every approving user needs the permission to approve as well.
type ApprovalPolicy struct {
	// required is the number of different users who must approve, at most 10. If it is not set, one must.
	// +optional
	Required int32 `json:"required,omitempty"`

	// groups are the groups of which at least one approving user must be a member, at most 10. If it is empty,
	// membership is not required.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=10
	// +listType=atomic
	Groups []string `json:"groups,omitempty"`

	// allowRequester specifies whether the approval of the user who created the run counts. It defaults to true.
	// +optional
	AllowRequester *bool `json:"allowRequester,omitempty"`

	// expiresAfter is the time after the approval request was created in which it can be approved, such as 24h. Then
	// the run ends. If it is not set, the request never expires.
	// +optional
	ExpiresAfter *metav1.Duration `json:"expiresAfter,omitempty"`
}

// FailurePolicy specifies when a cluster has failed, how many clusters may fail, and what happens beyond that.
type FailurePolicy struct {
	// clusterTimeout is the time in which a cluster must become available after its update began, such as 15m. Then
	// the cluster has failed, and the run proceeds without it as long as maxFailures allows. The time restarts when a
	// stopped run is resumed, and when the server returns after an outage.
	// +required
	ClusterTimeout metav1.Duration `json:"clusterTimeout"`

	// maxFailures is the number of clusters of a stage that may fail: a number, or a percentage from 0% to 100% of
	// the stage's clusters, rounded down. If more fail, onFailure applies. It defaults to 0.
	// +optional
	MaxFailures *intstr.IntOrString `json:"maxFailures,omitempty"`

	// onFailure is Fail, Pause or Rollback: the action when more than maxFailures clusters of a stage have failed. It
	// defaults to Fail.
	// +optional
	// +k8s:optional
	// +default="Fail"
	OnFailure FailureAction `json:"onFailure,omitempty"`
}

// FailureAction is the action when too many clusters of a stage have failed.
// +enum
// +k8s:enum
type FailureAction string

const (
	// FailureActionFail ends the run. Updated clusters keep the new version.
	FailureActionFail FailureAction = "Fail"
	// FailureActionPause updates no other clusters until the failed ones are retried or skipped, or the run is
	// stopped.
	FailureActionPause FailureAction = "Pause"
	// FailureActionRollback ends the run and creates one that returns its clusters to their previous versions.
	FailureActionRollback FailureAction = "Rollback"
)
