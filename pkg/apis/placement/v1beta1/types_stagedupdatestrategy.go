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

// ClusterStagedUpdateStrategy is an order of stages that ClusterStagedUpdateRuns follow.
type ClusterStagedUpdateStrategy struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec are the stages.
	// +required
	Spec UpdateStrategySpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterStagedUpdateStrategyList is a list of ClusterStagedUpdateStrategies.
type ClusterStagedUpdateStrategyList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ClusterStagedUpdateStrategies.
	Items []ClusterStagedUpdateStrategy `json:"items"`
}

// +genclient
// +genclient:noStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StagedUpdateStrategy is an order of stages that the StagedUpdateRuns of its namespace follow.
type StagedUpdateStrategy struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec are the stages.
	// +required
	Spec UpdateStrategySpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StagedUpdateStrategyList is a list of StagedUpdateStrategies.
type StagedUpdateStrategyList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the StagedUpdateStrategies.
	Items []StagedUpdateStrategy `json:"items"`
}

// UpdateStrategySpec is an order of stages. A run copies it when it initialises; later edits are for later runs.
type UpdateStrategySpec struct {
	// Stages are gone through one after the other, at most 31. Every target cluster has to be in exactly one of them.
	// +required
	// +k8s:optional
	// +k8s:maxItems=31
	// +listType=map
	// +listMapKey=name
	// +k8s:listType=map
	// +k8s:listMapKey=name
	Stages []StageConfig `json:"stages"`

	// FailurePolicy says when clusters that do not become available are given up, for stages without a policy of their own. Absent,
	// a run waits for every cluster.
	// +optional
	// +k8s:optional
	FailurePolicy *FailurePolicy `json:"failurePolicy,omitempty"`
}

// StageConfig is one stage: a group of clusters, their order and pace, and the gates around them.
type StageConfig struct {
	// Name of the stage, unique in the strategy: lower-case letters and digits, at most 63.
	// +required
	// +k8s:required
	// +k8s:maxLength=63
	Name string `json:"name"`

	// LabelSelector picks the member clusters of the stage by their labels. Absent picks none, empty picks all.
	// +optional
	// +k8s:optional
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`

	// SortingLabelKey is the label whose value, an integer, orders the clusters of the stage, lowest first and by name where
	// equal. Every cluster of the stage needs it. Without it clusters are ordered by name.
	// +optional
	// +k8s:optional
	SortingLabelKey *string `json:"sortingLabelKey,omitempty"`

	// MaxConcurrency is how many clusters of the stage are updated at once: a number from 1, or a percentage from 1% to 100% of
	// the stage's clusters, rounded down and at least 1. It defaults to 1.
	// +optional
	// +k8s:optional
	MaxConcurrency *intstr.IntOrString `json:"maxConcurrency,omitempty"`

	// BeforeStageTasks are done before the first cluster of the stage is updated. At most one, an Approval.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=1
	// +listType=atomic
	BeforeStageTasks []StageTask `json:"beforeStageTasks,omitempty"`

	// AfterStageTasks are done after all clusters of the stage are updated and before the next stage. At most one of each type.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=2
	// +listType=atomic
	AfterStageTasks []StageTask `json:"afterStageTasks,omitempty"`

	// FailurePolicy says when clusters of the stage that do not become available are given up. It replaces the strategy's as a whole.
	// +optional
	// +k8s:optional
	FailurePolicy *FailurePolicy `json:"failurePolicy,omitempty"`
}

// StageTaskType is what a task waits for.
// +enum
// +k8s:enum
type StageTaskType string

const (
	// StageTaskTypeTimedWait waits for a time to pass.
	StageTaskTypeTimedWait StageTaskType = "TimedWait"
	// StageTaskTypeApproval waits for a person to approve.
	StageTaskTypeApproval StageTaskType = "Approval"
)

// StageTask is a gate before or after a stage.
type StageTask struct {
	// Type is Approval or, after a stage only, TimedWait.
	// +required
	// +k8s:required
	Type StageTaskType `json:"type"`

	// WaitTime is how long a TimedWait lasts from the moment the stage's last cluster was updated, such as 24h or 1h30m. Required for
	// TimedWait, longer than zero; not allowed for Approval.
	// +optional
	// +k8s:optional
	WaitTime *metav1.Duration `json:"waitTime,omitempty"`

	// Approval says whose approvals an Approval waits for. Absent, one by anybody who is permitted is enough. Not allowed for
	// TimedWait.
	// +optional
	// +k8s:optional
	Approval *ApprovalPolicy `json:"approval,omitempty"`
}

// MaxRequiredApprovals is the largest number of approvals that a policy can ask for.
const MaxRequiredApprovals = 10

// ApprovalPolicy says whose approvals open a gate. Whoever approves needs the permission in any case.
type ApprovalPolicy struct {
	// Required is how many different users have to approve, at most 10. Not set means 1.
	// +optional
	Required int32 `json:"required,omitempty"`

	// Groups are groups of which at least one of the approving users has to be a member, at most 10. Empty means anybody.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=10
	// +listType=atomic
	Groups []string `json:"groups,omitempty"`

	// AllowRequester says whether the user who created the run may be one of those who approve. It defaults to true.
	// +optional
	// +k8s:optional
	AllowRequester *bool `json:"allowRequester,omitempty"`

	// ExpiresAfter is how long the gate can be approved after it was asked for, such as 24h. Then the run ends. Not set means for
	// ever.
	// +optional
	// +k8s:optional
	ExpiresAfter *metav1.Duration `json:"expiresAfter,omitempty"`
}

// FailurePolicy says when a cluster is given up, and how many may be before the run fails.
type FailurePolicy struct {
	// ClusterTimeout is how long the update of a cluster may take until it is available, such as 15m. Then the cluster has failed, and
	// the run goes on without it as long as MaxFailures allows. The time starts anew when a stopped run is resumed,
	// and when a server that was away is back.
	// +required
	ClusterTimeout metav1.Duration `json:"clusterTimeout"`

	// MaxFailures is how many clusters of a stage may fail: a number, or a percentage from 0% to 100% of the stage's clusters, rounded
	// down. What happens with one more says OnFailure. It defaults to 0.
	// +optional
	// +k8s:optional
	MaxFailures *intstr.IntOrString `json:"maxFailures,omitempty"`

	// OnFailure is Fail, Pause or Rollback: what a run does when more clusters have failed than MaxFailures. It defaults to Fail.
	// +optional
	// +k8s:optional
	// +default="Fail"
	OnFailure FailureAction `json:"onFailure,omitempty"`
}

// FailureAction is what a run does when too many clusters have failed.
// +enum
// +k8s:enum
type FailureAction string

const (
	// FailureActionFail ends the run. What was moved stays moved.
	FailureActionFail FailureAction = "Fail"
	// FailureActionPause starts no other cluster until the failed ones are retried or skipped, or the run is stopped.
	FailureActionPause FailureAction = "Pause"
	// FailureActionRollback ends the run and creates one that brings its clusters back to what they had before.
	FailureActionRollback FailureAction = "Rollback"
)
