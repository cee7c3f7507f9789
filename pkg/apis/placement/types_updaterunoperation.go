// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OperationType is what a user asks of a run.
type OperationType string

const (
	// OperationStart starts a run that was only planned: its state became Run.
	OperationStart OperationType = "Start"
	// OperationStop lets the clusters in flight finish and starts no other.
	OperationStop OperationType = "Stop"
	// OperationResume lets a stopped run go on.
	OperationResume OperationType = "Resume"
	// OperationSkip has the run go on without clusters, a stage or a timed wait.
	OperationSkip OperationType = "Skip"
	// OperationRetry updates clusters once more that have failed.
	OperationRetry OperationType = "Retry"
	// OperationRollback ends the run where it is not over, and creates one that brings its clusters back.
	OperationRollback OperationType = "Rollback"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// UpdateRunOperation is what a user asks of a run: the body of its subresources stop, resume, skip, retry and rollback.
type UpdateRunOperation struct {
	metav1.TypeMeta
	// Standard object's metadata. Name, uid and resourceVersion, where given, must be those of the run.
	metav1.ObjectMeta

	// Spec is what the user asks, and when read what was asked last. A patch starts from an empty one: it must say all that is asked.
	Spec UpdateRunOperationSpec

	// Status is the last operation of the kind as the server recorded it; empty as long as there was none.
	Status UpdateRunOperationStatus
}

// UpdateRunOperationSpec is what a user asks of a run.
type UpdateRunOperationSpec struct {
	// Reason is why, for those who read the history: an incident, a change number. At most 1024 characters.
	Reason string

	// Clusters are the clusters to skip or to retry, at most 100. Retry without any means all that have failed in the current stage.
	// Not allowed for stop, resume and rollback.
	Clusters []string

	// Stage is the stage to skip: its clusters that are not done are left out and its timed wait is passed over. An approval after
	// the stage is still asked for. For skip only, and not together with Clusters.
	Stage string

	// Task is TimedWait to skip the timed wait after Stage and nothing else of it.
	Task StageTaskType
}

// UpdateRunOperationStatus is an operation as the server recorded it.
type UpdateRunOperationStatus struct {
	// Number of the operation in the history of the run.
	Number int64

	// User is the name of the user who asked, as the server authenticated them.
	User string

	// Time when they did, by the server's clock.
	Time *metav1.Time

	// Done reports whether the run has acted on it.
	Done bool
}

// UpdateRunHistoryEntry is one thing that happened to a run, or that a user asked of it.
type UpdateRunHistoryEntry struct {
	// Number counts what happened to the run, from 1.
	Number int64

	// Time when it happened, by the server's clock.
	Time metav1.Time

	// Reason says in one word what happened. It is the reason of the Event that tells of it.
	Reason string

	// Operation is what a user asked; empty for what happened to the run.
	Operation OperationType

	// User is the name of the user who did it, as the server authenticated them; empty for what the run did by itself.
	User string

	// Stage that it is about.
	Stage string

	// Clusters that it is about.
	Clusters []string

	// Task that it is about.
	Task StageTaskType

	// Message says in a sentence what happened, or why the user asked.
	Message string

	// AuditID helps to find the request of the user in the audit log, at most 64 characters. A client can choose it, so it proves nothing.
	AuditID string
}
