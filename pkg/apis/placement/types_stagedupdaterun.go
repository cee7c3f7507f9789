// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterStagedUpdateRun moves the clusters of a ClusterResourcePlacement to one version of its resources, stage by stage.
// Its name has at most 63 characters.
type ClusterStagedUpdateRun struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec says what to roll out, and whether to run.
	Spec UpdateRunSpec

	// Status is how far the run has come, written by Stagegate.
	Status UpdateRunStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterStagedUpdateRunList is a list of ClusterStagedUpdateRuns.
type ClusterStagedUpdateRunList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ClusterStagedUpdateRuns.
	Items []ClusterStagedUpdateRun
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StagedUpdateRun moves the clusters of a ResourcePlacement in its namespace to one version of its resources, stage by stage.
// Its name has at most 63 characters.
type StagedUpdateRun struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec says what to roll out, and whether to run.
	Spec UpdateRunSpec

	// Status is how far the run has come, written by Stagegate.
	Status UpdateRunStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StagedUpdateRunList is a list of StagedUpdateRuns.
type StagedUpdateRunList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the StagedUpdateRuns.
	Items []StagedUpdateRun
}

// State is what the user wants of a run.
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
	PlacementName string

	// ResourceSnapshotIndex is the version to roll out: the index of a resource snapshot of the placement, in quotes in YAML
	// ("1"). Empty means what the selected resources are when the run initialises. It cannot be changed.
	ResourceSnapshotIndex string

	// The name of the strategy to follow: a ClusterStagedUpdateStrategy for a ClusterStagedUpdateRun, a
	// StagedUpdateStrategy of the same namespace for a StagedUpdateRun. It cannot be changed.
	StagedUpdateStrategyName string

	// State is Initialize, Run or Stop. From Initialize it can become Run, from Run Stop, and from Stop Run again. It defaults
	// to Initialize.
	State State

	// RollbackOf is the name of an earlier run of the same placement to roll back: each cluster that it has begun to update goes back to
	// the resource snapshot that it had before, in the reverse order, stage by stage, without tasks between them. A cluster that had
	// none before stays as it is. ResourceSnapshotIndex must be empty then, and stagedRolloutStrategyName that of the earlier run. It
	// cannot be changed.
	RollbackOf string
}

// UpdateRunStatus is how far a run has come. Once it is initialised, what was planned cannot be changed: the indices, the number of clusters,
// the apply strategy, the strategy, and the stages with their clusters and tasks. Before, the indices, the number of clusters and the apply
// strategy are as far as the last attempt to plan the run got.
type UpdateRunStatus struct {
	// CreatedBy is who created the run, as the server authenticated them. Only the server writes here.
	CreatedBy *DecisionUser

	// PolicySnapshotIndexUsed is the index of the scheduling policy snapshot that picked the clusters.
	PolicySnapshotIndexUsed string

	// PolicyObservedClusterCount is the number of clusters that the run moves.
	PolicyObservedClusterCount int

	// ResourceSnapshotIndexUsed is the index of the resource snapshot that the run rolls out.
	ResourceSnapshotIndexUsed string

	// How manifests are applied in this run, copied from the placement.
	ApplyStrategy *ApplyStrategy

	// The stages of this run, copied from the strategy.
	UpdateStrategySnapshot *UpdateStrategySpec

	// StagesStatus has one entry a stage, in order.
	StagesStatus []StageUpdatingStatus

	// DeletionStageStatus is the last stage of every run, which takes the resources off clusters that are no longer picked.
	DeletionStageStatus *StageUpdatingStatus

	// InitializationStartTime is when Stagegate first tried to initialise a run that refers to something which is not there. It
	// may turn up until one minute later. Absent once the run is initialised or has failed to be.
	InitializationStartTime *metav1.Time

	// PlacementUID is the uid of the placement. A placement of the same name that is made later is another one.
	PlacementUID types.UID

	// Turn is the run's turn to move the placement, which one run has at a time.
	Turn *UpdateRunTurn

	// Outcome is how the run ended. Absent as long as it goes on, or waits. What waits for any end waits for this:
	// kubectl wait --for=jsonpath='{.status.outcome}'.
	Outcome UpdateRunOutcome

	// EndTime is when the run ended. Absent as long as it has no outcome.
	EndTime *metav1.Time

	// RolledBackBy is the run that rolls this one back.
	RolledBackBy *UpdateRunReference

	// RollbackOfUID is the uid of the run that this one rolls back.
	RollbackOfUID types.UID

	// History is what happened to the run and what users asked of it, oldest first. Where there is more than 100, the oldest is dropped,
	// what users did last. Only the server writes here.
	History []UpdateRunHistoryEntry

	// ObservedOperation is the number of the last operation in History that the run has acted on.
	ObservedOperation int64

	// Conditions of the run: Initialized, Progressing and Succeeded.
	Conditions []metav1.Condition
}

// UpdateRunOutcome is how a run ended.
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
	Name string

	// UID of the run; empty as long as it is about to be created.
	UID types.UID
}

// TurnState says how a run stands to its turn.
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
	State TurnState

	// Number of the last turn that the run held. The turns of all runs of a placement are counted, from 1. Bindings carry the
	// number of the turn in which they were moved.
	Number int64

	// Claim is the number of the turn that the run asks for while its state is Claimed.
	Claim int64

	// WaitingFor is the name of the run that comes first, while State is Waiting.
	WaitingFor string
}

// StageUpdatingStatus is how far a stage has come.
type StageUpdatingStatus struct {
	// StageName is the name of the stage.
	StageName string

	// Clusters of the stage, in the order in which they are updated.
	Clusters []ClusterUpdatingStatus

	// BeforeStageTaskStatus has one entry a task before the stage.
	BeforeStageTaskStatus []StageTaskStatus

	// AfterStageTaskStatus has one entry a task after the stage.
	AfterStageTaskStatus []StageTaskStatus

	// StartTime is when the stage was entered.
	StartTime *metav1.Time

	// UpdatedTime is when the last cluster of the stage was updated; a TimedWait counts from here.
	UpdatedTime *metav1.MicroTime

	// EndTime is when the stage finished, failed or was skipped.
	EndTime *metav1.Time

	// Conditions of the stage: Progressing and Succeeded.
	Conditions []metav1.Condition
}

// ClusterUpdatingStatus is how far a cluster has come.
type ClusterUpdatingStatus struct {
	// ClusterName is the member cluster.
	ClusterName string

	// ResourceOverrideSnapshots are the ResourceOverride snapshots in force on the cluster in this run.
	ResourceOverrideSnapshots []NamespacedName

	// ClusterResourceOverrideSnapshots are the ClusterResourceOverride snapshots in force on the cluster in this run.
	ClusterResourceOverrideSnapshots []string

	// ResourceSnapshotIndex is the index of the resource snapshot that the cluster gets, where it is not that of the run.
	ResourceSnapshotIndex string

	// PreviousResourceSnapshotIndex is the index of the resource snapshot that the cluster had when its update began, empty where it had
	// none. Absent as long as the update has not begun.
	PreviousResourceSnapshotIndex *string
	// PreviousResourceOverrideSnapshots are the ResourceOverride snapshots that were in force on the cluster when its update began.
	PreviousResourceOverrideSnapshots []NamespacedName
	// PreviousClusterResourceOverrideSnapshots are the ClusterResourceOverride snapshots that were in force on the cluster when its
	// update began.
	PreviousClusterResourceOverrideSnapshots []string

	// Message is what keeps a cluster that is being updated from being done, as its binding reports it: the first object that is
	// not applied or not available, and why. Empty where nothing is reported. At most 256 bytes.
	Message string

	// Conditions of the cluster: Started and Succeeded.
	Conditions []metav1.Condition
}

// StageTaskStatus is how far a task has come.
type StageTaskStatus struct {
	// Type of the task.
	Type StageTaskType

	// ApprovalRequestName is the approval request of an Approval task: <run>-before-<stage> or <run>-after-<stage>.
	ApprovalRequestName string

	// Conditions of the task: ApprovalRequestCreated and ApprovalRequestApproved, or WaitTimeElapsed.
	Conditions []metav1.Condition
}
