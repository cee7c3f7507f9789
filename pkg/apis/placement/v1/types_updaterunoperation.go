// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OperationType is what a user asks of a run.
// +enum
// +k8s:enum
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
// +k8s:supportsSubresource="/stop"
// +k8s:supportsSubresource="/resume"
// +k8s:supportsSubresource="/skip"
// +k8s:supportsSubresource="/retry"
// +k8s:supportsSubresource="/rollback"

// UpdateRunOperation is what a user asks of a run: the body of its subresources stop, resume, skip, retry and rollback.
type UpdateRunOperation struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata. Name, uid and resourceVersion, where given, must be those of the run.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec is what the user asks, and when read what was asked last. A patch starts from an empty one: it must say all that is asked.
	// +optional
	Spec UpdateRunOperationSpec `json:"spec,omitempty,omitzero"`

	// Status is the last operation of the kind as the server recorded it; empty as long as there was none.
	// +optional
	Status UpdateRunOperationStatus `json:"status,omitempty,omitzero"`
}

// UpdateRunOperationSpec is what a user asks of a run.
type UpdateRunOperationSpec struct {
	// Reason is why, for those who read the history: an incident, a change number. At most 1024 characters.
	// +required
	// +k8s:required
	// +k8s:maxLength=1024
	Reason string `json:"reason,omitempty"`

	// Clusters are the clusters to skip or to retry, at most 100. Retry without any means all that have failed in the current stage.
	// Not allowed for stop, resume and rollback.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=100
	// +listType=atomic
	Clusters []string `json:"clusters,omitempty"`

	// Stage is the stage to skip: its clusters that are not done are left out and its timed wait is passed over. An approval after
	// the stage is still asked for. For skip only, and not together with Clusters.
	// +optional
	Stage string `json:"stage,omitempty"`

	// Task is TimedWait to skip the timed wait after Stage and nothing else of it.
	// +optional
	// +k8s:optional
	Task StageTaskType `json:"task,omitempty"`
}

// UpdateRunOperationStatus is an operation as the server recorded it.
type UpdateRunOperationStatus struct {
	// Number of the operation in the history of the run.
	// +optional
	Number int64 `json:"number,omitempty"`

	// User is the name of the user who asked, as the server authenticated them.
	// +optional
	User string `json:"user,omitempty"`

	// Time when they did, by the server's clock.
	// +optional
	// +k8s:optional
	Time *metav1.Time `json:"time,omitempty"`

	// Done reports whether the run has acted on it.
	// +optional
	Done bool `json:"done,omitempty"`
}

// UpdateRunHistoryEntry is one thing that happened to a run, or that a user asked of it.
type UpdateRunHistoryEntry struct {
	// Number counts what happened to the run, from 1.
	// +required
	Number int64 `json:"number"`

	// Time when it happened, by the server's clock.
	// +required
	Time metav1.Time `json:"time"`

	// Reason says in one word what happened. It is the reason of the Event that tells of it.
	// +required
	Reason string `json:"reason"`

	// Operation is what a user asked; empty for what happened to the run.
	// +optional
	// +k8s:optional
	Operation OperationType `json:"operation,omitempty"`

	// User is the name of the user who did it, as the server authenticated them; empty for what the run did by itself.
	// +optional
	User string `json:"user,omitempty"`

	// Stage that it is about.
	// +optional
	Stage string `json:"stage,omitempty"`

	// Clusters that it is about.
	// +optional
	// +k8s:optional
	// +listType=atomic
	Clusters []string `json:"clusters,omitempty"`

	// Task that it is about.
	// +optional
	// +k8s:optional
	Task StageTaskType `json:"task,omitempty"`

	// Message says in a sentence what happened, or why the user asked.
	// +optional
	Message string `json:"message,omitempty"`

	// AuditID helps to find the request of the user in the audit log, at most 64 characters. A client can choose it, so it proves nothing.
	// +optional
	AuditID string `json:"auditID,omitempty"`
}
