// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// Reasons of conditions.
const (
	reasonInitialized = "UpdateRunInitializedSuccessfully"
	reasonInitFailed  = wellknown.ReasonRunNotInitialized

	reasonRunProgressing           = "UpdateRunProgressing"
	reasonRunWaiting               = wellknown.ReasonRunWaiting
	reasonRunStuck                 = wellknown.ReasonRunStuck
	reasonRunStopping              = wellknown.ReasonRunStopping
	reasonRunStopped               = wellknown.ReasonRunStopped
	reasonRunSucceeded             = "UpdateRunSucceeded"
	reasonRunSucceededWithFailures = "UpdateRunSucceededWithFailures"
	reasonRunFailed                = wellknown.ReasonRunFailed
	reasonRunPaused                = wellknown.ReasonRunPaused
	reasonRunRolledBack            = "UpdateRunRolledBack"
	reasonRunRejected              = "UpdateRunRejected"
	reasonRunExpired               = "UpdateRunApprovalExpired"
	reasonRunPolicyChanged         = "UpdateRunPolicyChanged"

	reasonStageStarted   = "StageUpdatingStarted"
	reasonStageWaiting   = "StageUpdatingWaiting"
	reasonStagePaused    = "StageUpdatingPaused"
	reasonStageStopping  = "StageUpdatingStopping"
	reasonStageStopped   = "StageUpdatingStopped"
	reasonStageSucceeded = "StageUpdatingSucceeded"
	reasonStageFailed    = "StageUpdatingFailed"
	reasonStageSkipped   = wellknown.ReasonStageSkipped

	reasonClusterStarted   = "ClusterUpdatingStarted"
	reasonClusterSucceeded = wellknown.ReasonClusterSucceeded
	reasonClusterSkipped   = wellknown.ReasonClusterSkipped
	reasonClusterFailed    = wellknown.ReasonClusterFailed
	// reasonClusterFailureSkipped is a failed cluster that somebody has decided to go on without.
	reasonClusterFailureSkipped = wellknown.ReasonClusterFailureSkipped

	reasonRequestCreated   = "StageTaskApprovalRequestCreated"
	reasonRequestApproved  = "StageTaskApprovalRequestApproved"
	reasonApprovalsMissing = "StageTaskApprovalsMissing"
	reasonWaitElapsed      = "StageTaskWaitTimeElapsed"
	reasonWaitSkipped      = wellknown.ReasonWaitSkipped
)

// Messages of conditions.
const (
	messageRunProgressing = "The update run is making progress"
	messageRunStopped     = "The update run has been stopped"
	messageRunDone        = "All stages are completed"
	messageRunSucceeded   = "All stages are completed successfully"
	messageRunFailed      = "The stages are aborted due to a non-recoverable error"

	messageStageBefore  = "Not all before-stage tasks are completed, waiting for approval"
	messageStageTurn    = "Waiting for the updateRun's turn to move the placement"
	messageStageSkipped = "Stage skipped because it has no clusters"

	messageStageUnpicked   = "Waiting for clusters that the placement does not pick any more"
	messageStageOutside    = "Waiting for clusters of the placement that the updateRun does not update, and that another run has left unavailable"
	messageClusterUnpicked = "the placement does not pick the cluster any more: pick it again, or skip it"

	messageWaitElapsed = "Wait time elapsed"
)

// Reasons of Events.
const (
	eventInitialized      = wellknown.HistoryInitialized
	eventInitFailed       = wellknown.HistoryInitFailed
	eventStarted          = wellknown.HistoryStarted
	eventResumed          = wellknown.HistoryResumed
	eventWaitingForTurn   = wellknown.HistoryWaitingForTurn
	eventStageStarted     = wellknown.HistoryStageStarted
	eventStageSkipped     = wellknown.HistoryStageSkipped
	eventStageSucceeded   = wellknown.HistoryStageSucceeded
	eventApproval         = wellknown.HistoryApproval
	eventApproved         = wellknown.HistoryApproved
	eventRejected         = wellknown.HistoryRejected
	eventExpired          = wellknown.HistoryExpired
	eventForeignRequest   = wellknown.HistoryForeignRequest
	eventWaitElapsed      = wellknown.HistoryWaitElapsed
	eventClusterSkipped   = wellknown.HistoryClusterSkipped
	eventClusterFailed    = wellknown.HistoryClusterFailed
	eventPaused           = wellknown.HistoryPaused
	eventRolledBack       = wellknown.HistoryRolledBack
	eventStuck            = wellknown.HistoryStuck
	eventRecovered        = wellknown.HistoryRecovered
	eventStopping         = wellknown.HistoryStopping
	eventStopped          = wellknown.HistoryStopped
	eventSucceeded        = wellknown.HistorySucceeded
	eventFailed           = wellknown.HistoryFailed
	eventPolicyChanged    = wellknown.HistoryPolicyChanged
	eventPolicyOverridden = wellknown.HistoryPolicyOverridden
	eventPolicyViolated   = wellknown.HistoryPolicyViolated
)
