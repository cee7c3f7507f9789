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
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec specifies the version to roll out, the strategy and the state of the run.
	// +required
	Spec UpdateRunSpec `json:"spec"`

	// status is the progress of the run. Only the server writes it.
	// +optional
	Status UpdateRunStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterStagedUpdateRunList is a list of ClusterStagedUpdateRuns.
type ClusterStagedUpdateRunList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ClusterStagedUpdateRuns.
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
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec specifies the version to roll out, the strategy and the state of the run.
	// +required
	Spec UpdateRunSpec `json:"spec"`

	// status is the progress of the run. Only the server writes it.
	// +optional
	Status UpdateRunStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StagedUpdateRunList is a list of StagedUpdateRuns.
type StagedUpdateRunList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the StagedUpdateRuns.
	Items []StagedUpdateRun `json:"items"`
}

// State is the desired state of a run.
// +enum
// +k8s:enum
type State string

const (
	// StateInitialize plans the run without starting it.
	StateInitialize State = "Initialize"
	// StateRun plans the run if it is not planned yet, and lets it proceed.
	StateRun State = "Run"
	// StateStop lets the clusters in flight finish and updates no others.
	StateStop State = "Stop"
)

// UpdateRunSpec specifies the version to roll out, the strategy and the state of a run.
type UpdateRunSpec struct {
	// placementName is the name of the placement whose clusters are updated: a ClusterResourcePlacement for a
	// ClusterStagedUpdateRun, a ResourcePlacement of the same namespace for a StagedUpdateRun. Its strategy must be
	// External. At most 255 characters. It cannot be changed.
	// +required
	// +k8s:required
	// +k8s:maxLength=255
	PlacementName string `json:"placementName"`

	// resourceSnapshotIndex is the index of the resource snapshot to roll out, a string such as "1". Empty means the
	// selected resources as they are when the run is initialized. It cannot be changed.
	// +optional
	ResourceSnapshotIndex string `json:"resourceSnapshotIndex,omitempty"`

	// stagedRolloutStrategyName is the name of the strategy to follow: a ClusterStagedUpdateStrategy for a
	// ClusterStagedUpdateRun, a StagedUpdateStrategy of the same namespace for a StagedUpdateRun. It cannot be
	// changed.
	// +required
	// +k8s:required
	StagedUpdateStrategyName string `json:"stagedRolloutStrategyName"`

	// state is Initialize, Run or Stop. It can change from Initialize to Run, from Run to Stop and from Stop to Run.
	// It defaults to Initialize.
	// +optional
	// +k8s:optional
	// +default="Initialize"
	State State `json:"state,omitempty"`

	// rollbackOf is the name of an earlier run of the same placement to roll back. Each cluster whose update the
	// earlier run began returns to its previous resource snapshot, in reverse order, stage by stage, without tasks. A
	// cluster without a previous snapshot stays as it is. A cluster that was removed from the placement and picked again
	// since stays as it is. If rollbackOf is set, resourceSnapshotIndex must be empty
	// and stagedRolloutStrategyName must be that of the earlier run. It cannot be changed.
	// +optional
	// +k8s:optional
	// +k8s:maxLength=63
	RollbackOf string `json:"rollbackOf,omitempty"`

	// policyOverride lets the run violate rollout policies. The user who creates the run must have the verb override on each of them. It
	// cannot be changed.
	// +optional
	// +k8s:optional
	PolicyOverride *PolicyOverride `json:"policyOverride,omitempty"`
}

// PolicyOverride is which rollout policies a run may violate, and why.
type PolicyOverride struct {
	// policies are the names of ClusterRolloutPolicies, 1 to 10.
	// +required
	// +k8s:required
	// +k8s:maxItems=10
	// +listType=set
	// +k8s:listType=set
	Policies []string `json:"policies"`

	// reason is why, for the history of the run. At most 1024 characters.
	// +required
	// +k8s:required
	// +k8s:maxLength=1024
	Reason string `json:"reason"`
}

// UpdateRunStatus is the progress of a run. Once the run is initialized, its plan cannot be changed: the indexes, the
// number of clusters, the apply strategy, the strategy, and the stages with their clusters and tasks. Before, the
// indexes, the number of clusters and the apply strategy are those of the last attempt to plan the run, as far as it
// got.
type UpdateRunStatus struct {
	// createdBy is the user who created the run, as the server authenticated them. Only the server writes it.
	// +optional
	// +k8s:optional
	CreatedBy *DecisionUser `json:"createdBy,omitempty"`

	// policySnapshotIndexUsed is the index of the scheduling policy snapshot that picked the clusters.
	// +optional
	PolicySnapshotIndexUsed string `json:"policySnapshotIndexUsed,omitempty"`

	// policyObservedClusterCount is the number of clusters that the run updates.
	// +optional
	PolicyObservedClusterCount int `json:"policyObservedClusterCount,omitempty"`

	// resourceSnapshotIndexUsed is the index of the resource snapshot that the run rolls out.
	// +optional
	ResourceSnapshotIndexUsed string `json:"resourceSnapshotIndexUsed,omitempty"`

	// appliedStrategy specifies how the run applies manifests. It is copied from the placement.
	// +optional
	// +k8s:optional
	ApplyStrategy *ApplyStrategy `json:"appliedStrategy,omitempty"`

	// stagedUpdateStrategySnapshot is the strategy that the run follows. It is copied when the run is initialized.
	// +optional
	// +k8s:optional
	UpdateStrategySnapshot *UpdateStrategySpec `json:"stagedUpdateStrategySnapshot,omitempty"`

	// stagesStatus has one entry for each stage, in order.
	// +optional
	// +k8s:optional
	// +listType=atomic
	StagesStatus []StageUpdatingStatus `json:"stagesStatus,omitempty"`

	// deletionStageStatus is the progress of the last stage of every run, which removes the resources from clusters
	// that are no longer picked.
	// +optional
	// +k8s:optional
	DeletionStageStatus *StageUpdatingStatus `json:"deletionStageStatus,omitempty"`

	// policies are the rollout policies that govern the run: until its first turn as they were when it was initialized, from then on as they
	// were when it started. A later change of a policy does not touch a run that has started.
	// +optional
	// +listType=atomic
	Policies []GoverningPolicy `json:"policies,omitempty"`

	// initializationStartTime is when the server first tried to initialize a run that refers to an object which does
	// not exist. The server retries for one minute. The field is absent once the initialization has succeeded or
	// failed.
	// +optional
	InitializationStartTime *metav1.Time `json:"initializationStartTime,omitempty"`

	// placementUID is the uid of the placement. A placement that is recreated under the same name is a different one.
	// +optional
	PlacementUID types.UID `json:"placementUID,omitempty"`

	// turn is the run's turn to update the clusters of the placement. One run of a placement has the turn at a time.
	// +optional
	// +k8s:optional
	Turn *UpdateRunTurn `json:"turn,omitempty"`

	// outcome is how the run ended. It is absent until the run ends. To wait for any outcome, use kubectl wait
	// --for=jsonpath='{.status.outcome}'.
	// +optional
	Outcome UpdateRunOutcome `json:"outcome,omitempty"`

	// endTime is when the run ended. It is absent until the run ends.
	// +optional
	EndTime *metav1.Time `json:"endTime,omitempty"`

	// rolledBackBy is the run that rolls this one back.
	// +optional
	RolledBackBy *UpdateRunReference `json:"rolledBackBy,omitempty"`

	// rollbackOfUID is the uid of the run that this one rolls back.
	// +optional
	RollbackOfUID types.UID `json:"rollbackOfUID,omitempty"`

	// history lists the events of the run and the operations of users, oldest first. At most 100 entries are kept:
	// the oldest events are dropped first, then the oldest operations. Only the server writes it.
	// +optional
	// +k8s:optional
	// +listType=map
	// +listMapKey=number
	// +k8s:listType=map
	// +k8s:listMapKey=number
	History []UpdateRunHistoryEntry `json:"history,omitempty"`

	// observedOperation is the number of the last operation in history that the run has acted on.
	// +optional
	ObservedOperation int64 `json:"observedOperation,omitempty"`

	// conditions are the conditions of the run: Initialized, Progressing and Succeeded.
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

// GoverningPolicy is a rollout policy that governs a run.
type GoverningPolicy struct {
	// kind is ClusterRolloutPolicy, or RolloutPolicy for one of the run's namespace.
	// +required
	Kind string `json:"kind"`

	// name is the name of the policy.
	// +required
	Name string `json:"name"`

	// uid is the uid of the policy.
	// +required
	UID types.UID `json:"uid"`

	// generation is the generation of the policy that the run was held to.
	// +required
	Generation int64 `json:"generation"`

	// stages are the names of the stages that have a cluster which the policy protects.
	// +optional
	// +listType=atomic
	Stages []string `json:"stages,omitempty"`

	// overridden reports whether the run violates the policy by its policyOverride.
	// +optional
	Overridden bool `json:"overridden,omitempty"`

	// violated reports whether the plan of the run violates the policy, which only warns or which the run overrides.
	// +optional
	Violated bool `json:"violated,omitempty"`

	// warns reports whether the policy only warns.
	// +optional
	Warns bool `json:"warns,omitempty"`
}

// UpdateRunOutcome is how a run ended.
// +enum
type UpdateRunOutcome string

const (
	// OutcomeSucceeded means that every cluster has the version of the run, except those that left the fleet or the
	// placement.
	OutcomeSucceeded UpdateRunOutcome = "Succeeded"
	// OutcomeSucceededWithFailures means that the run is complete, but clusters failed within the failure policy or
	// were skipped by users.
	OutcomeSucceededWithFailures UpdateRunOutcome = "SucceededWithFailures"
	// OutcomeFailed means that the run cannot proceed.
	OutcomeFailed UpdateRunOutcome = "Failed"
	// OutcomeRejected means that a user rejected an approval request of the run.
	OutcomeRejected UpdateRunOutcome = "Rejected"
	// OutcomeExpired means that an approval request of the run was not approved in time.
	OutcomeExpired UpdateRunOutcome = "Expired"
	// OutcomeRolledBack means that another run has the turn to roll this one back.
	OutcomeRolledBack UpdateRunOutcome = "RolledBack"
	// OutcomeNotInitialized means that the run could not be planned. It has updated no cluster.
	OutcomeNotInitialized UpdateRunOutcome = "NotInitialized"
)

// UpdateRunReference names another run of the placement.
type UpdateRunReference struct {
	// name is the name of the run.
	// +required
	Name string `json:"name"`

	// uid is the uid of the run. It is empty until the run is created.
	// +optional
	UID types.UID `json:"uid,omitempty"`
}

// TurnState is the state of a run's turn.
// +enum
// +k8s:enum
type TurnState string

const (
	// TurnWaiting is a run that waits for another run, which has the turn or comes first.
	TurnWaiting TurnState = "Waiting"
	// TurnClaimed is a run that claims a turn which no other run is known to have.
	TurnClaimed TurnState = "Claimed"
	// TurnHeld is a run that updates clusters, or waits for an approval to do so. No other run of the placement updates any.
	TurnHeld TurnState = "Held"
	// TurnReleased is a run that is stopped or over.
	TurnReleased TurnState = "Released"
)

// UpdateRunTurn is a run's turn to update the clusters of a placement. A run holds its turn from its first write to a
// binding until it is over or fully stopped. A run that rollout policies govern holds it before it asks for its first
// approval: nothing happens to the clusters between an approval and what follows from it.
type UpdateRunTurn struct {
	// state is Waiting, Claimed, Held or Released.
	// +required
	// +k8s:required
	State TurnState `json:"state"`

	// number is the number of the last turn that the run held. The turns of all runs of a placement are numbered from
	// 1. A binding carries the number of the turn in which it was last updated.
	// +optional
	Number int64 `json:"number,omitempty"`

	// awaitsStart reports whether the run has had its turn and has not started to update clusters. Rollout policies judge
	// the run until it starts. The field is absent from a run that none of them governs.
	// +optional
	AwaitsStart bool `json:"awaitsStart,omitempty"`

	// claim is the number of the turn that the run claims while state is Claimed.
	// +optional
	Claim int64 `json:"claim,omitempty"`

	// waitingFor is the name of the run that comes first, while state is Waiting.
	// +optional
	WaitingFor string `json:"waitingFor,omitempty"`
}

// StageUpdatingStatus is the progress of a stage.
type StageUpdatingStatus struct {
	// stageName is the name of the stage.
	// +required
	StageName string `json:"stageName"`

	// clusters are the clusters of the stage in the order of their update.
	// +required
	// +k8s:optional
	// +listType=atomic
	Clusters []ClusterUpdatingStatus `json:"clusters"`

	// beforeStageTaskStatus has one entry for each task before the stage.
	// +optional
	// +k8s:optional
	// +listType=atomic
	BeforeStageTaskStatus []StageTaskStatus `json:"beforeStageTaskStatus,omitempty"`

	// afterStageTaskStatus has one entry for each task after the stage.
	// +optional
	// +k8s:optional
	// +listType=atomic
	AfterStageTaskStatus []StageTaskStatus `json:"afterStageTaskStatus,omitempty"`

	// startTime is when the stage started.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// updatedTime is when the last cluster of the stage was updated. A TimedWait starts then.
	// +optional
	UpdatedTime *metav1.MicroTime `json:"updatedTime,omitempty"`

	// endTime is when the stage finished, failed or was skipped.
	// +optional
	EndTime *metav1.Time `json:"endTime,omitempty"`

	// conditions are the conditions of the stage: Progressing and Succeeded.
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

// ClusterUpdatingStatus is the progress of a cluster.
type ClusterUpdatingStatus struct {
	// clusterName is the name of the member cluster.
	// +required
	ClusterName string `json:"clusterName"`

	// resourceOverrideSnapshots are the ResourceOverride snapshots in force on the cluster in this run.
	// +optional
	// +listType=atomic
	ResourceOverrideSnapshots []NamespacedName `json:"resourceOverrideSnapshots,omitempty"`

	// clusterResourceOverrideSnapshots are the ClusterResourceOverride snapshots in force on the cluster in this run.
	// +optional
	// +listType=atomic
	ClusterResourceOverrideSnapshots []string `json:"clusterResourceOverrideSnapshots,omitempty"`

	// resourceSnapshotIndex is the index of the resource snapshot that the cluster gets, if it is not that of the
	// run.
	// +optional
	ResourceSnapshotIndex string `json:"resourceSnapshotIndex,omitempty"`

	// applyStrategy is how the resource snapshot is applied to the cluster, if that is not the applied strategy of the run. Only a run
	// with rollbackOf has it: it applies what a cluster had as that was applied.
	// +optional
	// +k8s:optional
	ApplyStrategy *ApplyStrategy `json:"applyStrategy,omitempty"`

	// previousResourceSnapshotIndex is the index of the resource snapshot that the cluster had when its update began.
	// It is empty if the cluster had none, and absent until the update begins.
	// +optional
	PreviousResourceSnapshotIndex *string `json:"previousResourceSnapshotIndex,omitempty"`

	// previousApplyType is ReportDiff if the cluster was only compared with its previous resource snapshot, by the apply strategy of that
	// name. It is absent if the snapshot was applied.
	// +optional
	// +k8s:optional
	PreviousApplyType ApplyStrategyType `json:"previousApplyType,omitempty"`

	// previousApplyStrategy is how the previous resource snapshot was applied, if that is not the applied strategy of the run.
	// +optional
	// +k8s:optional
	PreviousApplyStrategy *ApplyStrategy `json:"previousApplyStrategy,omitempty"`

	// previousResourceOverrideSnapshots are the ResourceOverride snapshots that were in force on the cluster when its update began.
	// +optional
	// +listType=atomic
	PreviousResourceOverrideSnapshots []NamespacedName `json:"previousResourceOverrideSnapshots,omitempty"`

	// previousClusterResourceOverrideSnapshots are the ClusterResourceOverride snapshots that were in force on the cluster when its
	// update began.
	// +optional
	// +listType=atomic
	PreviousClusterResourceOverrideSnapshots []string `json:"previousClusterResourceOverrideSnapshots,omitempty"`

	// diffedObjects is the number of objects that differed on the cluster when the run had compared it, by the applyStrategy ReportDiff, 0 for
	// none. At most 100 are counted. It is absent where the run applies, and until the cluster is compared.
	// +optional
	DiffedObjects *int32 `json:"diffedObjects,omitempty"`

	// message is the reason why the update of the cluster is not done, as its binding reports it: the first object
	// that is not applied or not available, and why. It is empty if the binding reports nothing. At most 256 bytes.
	// +optional
	Message string `json:"message,omitempty"`

	// conditions are the conditions of the cluster: Started and Succeeded.
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

// StageTaskStatus is the progress of a task.
type StageTaskStatus struct {
	// type is the type of the task.
	// +required
	// +k8s:required
	Type StageTaskType `json:"type"`

	// approvalRequestName is the name of the approval request of an Approval task: <run>-before-<stage> or
	// <run>-after-<stage>.
	// +optional
	ApprovalRequestName string `json:"approvalRequestName,omitempty"`

	// conditions are the conditions of the task: ApprovalRequestCreated and ApprovalRequestApproved, or
	// WaitTimeElapsed.
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
