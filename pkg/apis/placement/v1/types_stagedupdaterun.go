// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// +genclient
// +genclient:nonNamespaced
// +genclient:method=Stop,verb=create,subresource=stop,input=UpdateRunOperation,result=UpdateRunOperation
// +genclient:method=Resume,verb=create,subresource=resume,input=UpdateRunOperation,result=UpdateRunOperation
// +genclient:method=Skip,verb=create,subresource=skip,input=UpdateRunOperation,result=UpdateRunOperation
// +genclient:method=Retry,verb=create,subresource=retry,input=UpdateRunOperation,result=UpdateRunOperation
// +genclient:method=Rollback,verb=create,subresource=rollback,input=UpdateRunOperation,result=UpdateRunOperation
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"

// ClusterStagedUpdateRun moves the clusters of a ClusterResourcePlacement to one version of its resources, stage by stage.
// Its name has at most 63 characters.
type ClusterStagedUpdateRun struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec says what to roll out, and whether to run.
	// +required
	Spec UpdateRunSpec `json:"spec"`

	// Status is how far the run has come, written by Stagegate.
	// +optional
	Status UpdateRunStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterStagedUpdateRunList is a list of ClusterStagedUpdateRuns.
type ClusterStagedUpdateRunList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ClusterStagedUpdateRuns.
	Items []ClusterStagedUpdateRun `json:"items"`
}

// +genclient
// +genclient:method=Stop,verb=create,subresource=stop,input=UpdateRunOperation,result=UpdateRunOperation
// +genclient:method=Resume,verb=create,subresource=resume,input=UpdateRunOperation,result=UpdateRunOperation
// +genclient:method=Skip,verb=create,subresource=skip,input=UpdateRunOperation,result=UpdateRunOperation
// +genclient:method=Retry,verb=create,subresource=retry,input=UpdateRunOperation,result=UpdateRunOperation
// +genclient:method=Rollback,verb=create,subresource=rollback,input=UpdateRunOperation,result=UpdateRunOperation
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"

// StagedUpdateRun moves the clusters of a ResourcePlacement in its namespace to one version of its resources, stage by stage.
// Its name has at most 63 characters.
type StagedUpdateRun struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec says what to roll out, and whether to run.
	// +required
	Spec UpdateRunSpec `json:"spec"`

	// Status is how far the run has come, written by Stagegate.
	// +optional
	Status UpdateRunStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StagedUpdateRunList is a list of StagedUpdateRuns.
type StagedUpdateRunList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the StagedUpdateRuns.
	Items []StagedUpdateRun `json:"items"`
}

// State is what the user wants of a run.
// +enum
// +k8s:enum
type State string

const (
	// StateInitialize plans the run and does not start it.
	StateInitialize State = "Initialize"
	// StateRun plans the run where that is not done, and lets it go on.
	StateRun State = "Run"
	// StateStop lets the clusters in flight finish and starts no other.
	StateStop State = "Stop"
)

// UpdateRunSpec says what to roll out, and whether to run.
type UpdateRunSpec struct {
	// PlacementName is the placement whose clusters are moved: a ClusterResourcePlacement for a ClusterStagedUpdateRun, a
	// ResourcePlacement of the same namespace for a StagedUpdateRun. Its strategy must be External. At most 255 characters;
	// it cannot be changed.
	// +required
	// +k8s:required
	// +k8s:maxLength=255
	PlacementName string `json:"placementName"`

	// ResourceSnapshotIndex is the version to roll out: the index of a resource snapshot of the placement, in quotes in YAML
	// ("1"). Empty means what the selected resources are when the run initialises. It cannot be changed.
	// +optional
	ResourceSnapshotIndex string `json:"resourceSnapshotIndex,omitempty"`

	// The name of the strategy to follow: a ClusterStagedUpdateStrategy for a ClusterStagedUpdateRun, a
	// StagedUpdateStrategy of the same namespace for a StagedUpdateRun. It cannot be changed.
	// +required
	// +k8s:required
	StagedUpdateStrategyName string `json:"stagedRolloutStrategyName"`

	// State is Initialize, Run or Stop. From Initialize it can become Run, from Run Stop, and from Stop Run again. It defaults
	// to Initialize.
	// +optional
	// +k8s:optional
	// +default="Initialize"
	State State `json:"state,omitempty"`

	// RollbackOf is the name of an earlier run of the same placement to roll back: each cluster that it has begun to update goes back to
	// the resource snapshot that it had before, in the reverse order, stage by stage, without tasks between them. A cluster that had
	// none before stays as it is. ResourceSnapshotIndex must be empty then, and stagedRolloutStrategyName that of the earlier run. It
	// cannot be changed.
	// +optional
	// +k8s:optional
	// +k8s:maxLength=63
	RollbackOf string `json:"rollbackOf,omitempty"`
}

// UpdateRunStatus is how far a run has come. Once it is initialised, what was planned cannot be changed: the indices, the number of clusters,
// the apply strategy, the strategy, and the stages with their clusters and tasks. Before, the indices, the number of clusters and the apply
// strategy are as far as the last attempt to plan the run got.
type UpdateRunStatus struct {
	// CreatedBy is who created the run, as the server authenticated them. Only the server writes here.
	// +optional
	// +k8s:optional
	CreatedBy *DecisionUser `json:"createdBy,omitempty"`

	// PolicySnapshotIndexUsed is the index of the scheduling policy snapshot that picked the clusters.
	// +optional
	PolicySnapshotIndexUsed string `json:"policySnapshotIndexUsed,omitempty"`

	// PolicyObservedClusterCount is the number of clusters that the run moves.
	// +optional
	PolicyObservedClusterCount int `json:"policyObservedClusterCount,omitempty"`

	// ResourceSnapshotIndexUsed is the index of the resource snapshot that the run rolls out.
	// +optional
	ResourceSnapshotIndexUsed string `json:"resourceSnapshotIndexUsed,omitempty"`

	// How manifests are applied in this run, copied from the placement.
	// +optional
	// +k8s:optional
	ApplyStrategy *ApplyStrategy `json:"appliedStrategy,omitempty"`

	// The stages of this run, copied from the strategy.
	// +optional
	// +k8s:optional
	UpdateStrategySnapshot *UpdateStrategySpec `json:"stagedUpdateStrategySnapshot,omitempty"`

	// StagesStatus has one entry a stage, in order.
	// +optional
	// +k8s:optional
	// +listType=atomic
	StagesStatus []StageUpdatingStatus `json:"stagesStatus,omitempty"`

	// DeletionStageStatus is the last stage of every run, which takes the resources off clusters that are no longer picked.
	// +optional
	// +k8s:optional
	DeletionStageStatus *StageUpdatingStatus `json:"deletionStageStatus,omitempty"`

	// InitializationStartTime is when Stagegate first tried to initialise a run that refers to something which is not there. It
	// may turn up until one minute later. Absent once the run is initialised or has failed to be.
	// +optional
	// +k8s:optional
	InitializationStartTime *metav1.Time `json:"initializationStartTime,omitempty"`

	// PlacementUID is the uid of the placement. A placement of the same name that is made later is another one.
	// +optional
	PlacementUID types.UID `json:"placementUID,omitempty"`

	// Turn is the run's turn to move the placement, which one run has at a time.
	// +optional
	// +k8s:optional
	Turn *UpdateRunTurn `json:"turn,omitempty"`

	// Outcome is how the run ended. Absent as long as it goes on, or waits. What waits for any end waits for this:
	// kubectl wait --for=jsonpath='{.status.outcome}'.
	// +optional
	Outcome UpdateRunOutcome `json:"outcome,omitempty"`

	// EndTime is when the run ended. Absent as long as it has no outcome.
	// +optional
	// +k8s:optional
	EndTime *metav1.Time `json:"endTime,omitempty"`

	// RolledBackBy is the run that rolls this one back.
	// +optional
	// +k8s:optional
	RolledBackBy *UpdateRunReference `json:"rolledBackBy,omitempty"`

	// RollbackOfUID is the uid of the run that this one rolls back.
	// +optional
	RollbackOfUID types.UID `json:"rollbackOfUID,omitempty"`

	// History is what happened to the run and what users asked of it, oldest first. Where there is more than 100, the oldest is dropped,
	// what users did last. Only the server writes here.
	// +optional
	// +k8s:optional
	// +listType=map
	// +listMapKey=number
	// +k8s:listType=map
	// +k8s:listMapKey=number
	History []UpdateRunHistoryEntry `json:"history,omitempty"`

	// ObservedOperation is the number of the last operation in History that the run has acted on.
	// +optional
	ObservedOperation int64 `json:"observedOperation,omitempty"`

	// Conditions of the run: Initialized, Progressing and Succeeded.
	// +optional
	// +k8s:optional
	// +listType=map
	// +listMapKey=type
	// +k8s:listType=map
	// +k8s:listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`
}

// UpdateRunOutcome is how a run ended.
// +enum
type UpdateRunOutcome string

const (
	// OutcomeSucceeded is that every cluster has what the run rolls out.
	OutcomeSucceeded UpdateRunOutcome = "Succeeded"
	// OutcomeSucceededWithFailures is that the run is through, and that clusters were given up or skipped as asked on its way.
	OutcomeSucceededWithFailures UpdateRunOutcome = "SucceededWithFailures"
	// OutcomeFailed is that the run cannot go on.
	OutcomeFailed UpdateRunOutcome = "Failed"
	// OutcomeRejected is that somebody has rejected an approval request of the run.
	OutcomeRejected UpdateRunOutcome = "Rejected"
	// OutcomeExpired is that an approval did not come in time.
	OutcomeExpired UpdateRunOutcome = "Expired"
	// OutcomeRolledBack is that another run has the turn, to take back what this one has moved.
	OutcomeRolledBack UpdateRunOutcome = "RolledBack"
	// OutcomeNotInitialized is that the run could not be planned. It has moved nothing.
	OutcomeNotInitialized UpdateRunOutcome = "NotInitialized"
)

// UpdateRunReference names another run of the placement.
type UpdateRunReference struct {
	// Name of the run.
	// +required
	Name string `json:"name"`

	// UID of the run; empty as long as it is about to be created.
	// +optional
	UID types.UID `json:"uid,omitempty"`
}

// TurnState says how a run stands to its turn.
// +enum
// +k8s:enum
type TurnState string

const (
	// TurnWaiting is a run that would move clusters but for others, which have or come first.
	TurnWaiting TurnState = "Waiting"
	// TurnClaimed is a run that asks for a turn nobody is seen to have.
	TurnClaimed TurnState = "Claimed"
	// TurnHeld is a run that moves clusters. No other run of the placement does.
	TurnHeld TurnState = "Held"
	// TurnReleased is a run that is stopped or over.
	TurnReleased TurnState = "Released"
)

// UpdateRunTurn is a run's turn to move a placement. A run holds its turn from its first write to a binding until it is over or
// fully stopped.
type UpdateRunTurn struct {
	// State is Waiting, Claimed, Held or Released.
	// +required
	// +k8s:required
	State TurnState `json:"state"`

	// Number of the last turn that the run held. The turns of all runs of a placement are counted, from 1. Bindings carry the
	// number of the turn in which they were moved.
	// +optional
	Number int64 `json:"number,omitempty"`

	// Claim is the number of the turn that the run asks for while its state is Claimed.
	// +optional
	Claim int64 `json:"claim,omitempty"`

	// WaitingFor is the name of the run that comes first, while State is Waiting.
	// +optional
	WaitingFor string `json:"waitingFor,omitempty"`
}

// StageUpdatingStatus is how far a stage has come.
type StageUpdatingStatus struct {
	// StageName is the name of the stage.
	// +required
	StageName string `json:"stageName"`

	// Clusters of the stage, in the order in which they are updated.
	// +required
	// +k8s:optional
	// +listType=atomic
	Clusters []ClusterUpdatingStatus `json:"clusters"`

	// BeforeStageTaskStatus has one entry a task before the stage.
	// +optional
	// +k8s:optional
	// +listType=atomic
	BeforeStageTaskStatus []StageTaskStatus `json:"beforeStageTaskStatus,omitempty"`

	// AfterStageTaskStatus has one entry a task after the stage.
	// +optional
	// +k8s:optional
	// +listType=atomic
	AfterStageTaskStatus []StageTaskStatus `json:"afterStageTaskStatus,omitempty"`

	// StartTime is when the stage was entered.
	// +optional
	// +k8s:optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// UpdatedTime is when the last cluster of the stage was updated; a TimedWait counts from here.
	// +optional
	// +k8s:optional
	UpdatedTime *metav1.MicroTime `json:"updatedTime,omitempty"`

	// EndTime is when the stage finished, failed or was skipped.
	// +optional
	// +k8s:optional
	EndTime *metav1.Time `json:"endTime,omitempty"`

	// Conditions of the stage: Progressing and Succeeded.
	// +optional
	// +k8s:optional
	// +listType=map
	// +listMapKey=type
	// +k8s:listType=map
	// +k8s:listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`
}

// ClusterUpdatingStatus is how far a cluster has come.
type ClusterUpdatingStatus struct {
	// ClusterName is the member cluster.
	// +required
	ClusterName string `json:"clusterName"`

	// ResourceOverrideSnapshots are the ResourceOverride snapshots in force on the cluster in this run.
	// +optional
	// +k8s:optional
	// +listType=atomic
	ResourceOverrideSnapshots []NamespacedName `json:"resourceOverrideSnapshots,omitempty"`

	// ClusterResourceOverrideSnapshots are the ClusterResourceOverride snapshots in force on the cluster in this run.
	// +optional
	// +k8s:optional
	// +listType=atomic
	ClusterResourceOverrideSnapshots []string `json:"clusterResourceOverrideSnapshots,omitempty"`

	// ResourceSnapshotIndex is the index of the resource snapshot that the cluster gets, where it is not that of the run.
	// +optional
	ResourceSnapshotIndex string `json:"resourceSnapshotIndex,omitempty"`

	// PreviousResourceSnapshotIndex is the index of the resource snapshot that the cluster had when its update began, empty where it had
	// none. Absent as long as the update has not begun.
	// +optional
	// +k8s:optional
	PreviousResourceSnapshotIndex *string `json:"previousResourceSnapshotIndex,omitempty"`

	// PreviousResourceOverrideSnapshots are the ResourceOverride snapshots that were in force on the cluster when its update began.
	// +optional
	// +k8s:optional
	// +listType=atomic
	PreviousResourceOverrideSnapshots []NamespacedName `json:"previousResourceOverrideSnapshots,omitempty"`

	// PreviousClusterResourceOverrideSnapshots are the ClusterResourceOverride snapshots that were in force on the cluster when its
	// update began.
	// +optional
	// +k8s:optional
	// +listType=atomic
	PreviousClusterResourceOverrideSnapshots []string `json:"previousClusterResourceOverrideSnapshots,omitempty"`

	// Message is what keeps a cluster that is being updated from being done, as its binding reports it: the first object that is
	// not applied or not available, and why. Empty where nothing is reported. At most 256 bytes.
	// +optional
	Message string `json:"message,omitempty"`

	// Conditions of the cluster: Started and Succeeded.
	// +optional
	// +k8s:optional
	// +listType=map
	// +listMapKey=type
	// +k8s:listType=map
	// +k8s:listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`
}

// StageTaskStatus is how far a task has come.
type StageTaskStatus struct {
	// Type of the task.
	// +required
	// +k8s:required
	Type StageTaskType `json:"type"`

	// ApprovalRequestName is the approval request of an Approval task: <run>-before-<stage> or <run>-after-<stage>.
	// +optional
	ApprovalRequestName string `json:"approvalRequestName,omitempty"`

	// Conditions of the task: ApprovalRequestCreated and ApprovalRequestApproved, or WaitTimeElapsed.
	// +optional
	// +k8s:optional
	// +listType=map
	// +listMapKey=type
	// +k8s:listType=map
	// +k8s:listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`
}
