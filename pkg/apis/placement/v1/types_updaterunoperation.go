// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OperationType is an operation that a user requests of a run.
// +enum
// +k8s:enum
type OperationType string

const (
	// OperationStart starts a run that was only planned, by changing its state from Initialize to Run.
	OperationStart OperationType = "Start"
	// OperationStop lets the clusters in flight finish and updates no others.
	OperationStop OperationType = "Stop"
	// OperationResume lets a stopped run proceed.
	OperationResume OperationType = "Resume"
	// OperationSkip lets the run proceed without clusters, a stage or a timed wait.
	OperationSkip OperationType = "Skip"
	// OperationRetry updates failed clusters again.
	OperationRetry OperationType = "Retry"
	// OperationRollback ends the run if it is not over, and creates one that returns its clusters to their previous
	// versions.
	OperationRollback OperationType = "Rollback"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/stop"
// +k8s:supportsSubresource="/resume"
// +k8s:supportsSubresource="/skip"
// +k8s:supportsSubresource="/retry"
// +k8s:supportsSubresource="/rollback"

// UpdateRunOperation is an operation that a user requests of a run. It is the body of the subresources stop, resume,
// skip, retry and rollback.
type UpdateRunOperation struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata. Its name, uid and resourceVersion, where given, must be those of the run.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the user's request; a read returns the last one. A patch starts from an empty spec, so it must contain
	// the whole request.
	// +optional
	Spec UpdateRunOperationSpec `json:"spec,omitempty,omitzero"`

	// status is the last operation of this type as the server recorded it. It is empty until there is one.
	// +optional
	Status UpdateRunOperationStatus `json:"status,omitempty,omitzero"`
}

// UpdateRunOperationSpec is a user's request of a run.
type UpdateRunOperationSpec struct {
	// reason is the user's reason for readers of the history, such as an incident or a change number. At most 1024
	// characters.
	// +required
	// +k8s:required
	// +k8s:maxLength=1024
	Reason string `json:"reason,omitempty"`

	// clusters are the names of the clusters to skip or to retry, at most 100. A retry without clusters retries all
	// that have failed in the current stage. Not allowed for stop, resume and rollback.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=100
	// +listType=atomic
	Clusters []string `json:"clusters,omitempty"`

	// stage is the name of the stage to skip: clusters that are not updated yet and the timed wait after the stage
	// are skipped. An approval after the stage is still required. Only for skip; not allowed together with clusters.
	// +optional
	Stage string `json:"stage,omitempty"`

	// task is TimedWait to skip only the timed wait after the stage.
	// +optional
	// +k8s:optional
	Task StageTaskType `json:"task,omitempty"`
}

// UpdateRunOperationStatus is an operation as the server recorded it.
type UpdateRunOperationStatus struct {
	// number is the number of the operation in the history of the run.
	// +optional
	Number int64 `json:"number,omitempty"`

	// user is the name of the user who requested the operation, as the server authenticated them.
	// +optional
	User string `json:"user,omitempty"`

	// time is when the user made the request, by the server's clock.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`

	// done reports whether the run has acted on the operation.
	// +optional
	Done bool `json:"done,omitempty"`
}

// UpdateRunHistoryEntry is one event of a run, or one operation that a user requested of it.
type UpdateRunHistoryEntry struct {
	// number is the number of the entry. The entries of a run are numbered from 1.
	// +required
	Number int64 `json:"number"`

	// time is when it happened, by the server's clock.
	// +required
	Time metav1.Time `json:"time"`

	// reason is what happened, in one word. The Event about it has the same reason.
	// +required
	Reason string `json:"reason"`

	// operation is the operation that a user requested. It is empty for events of the run.
	// +optional
	// +k8s:optional
	Operation OperationType `json:"operation,omitempty"`

	// user is the name of the user who requested the operation, as the server authenticated them. It is empty for
	// events of the run.
	// +optional
	User string `json:"user,omitempty"`

	// stage is the name of the stage that the entry is about.
	// +optional
	Stage string `json:"stage,omitempty"`

	// clusters are the names of the clusters that the entry is about.
	// +optional
	// +listType=atomic
	Clusters []string `json:"clusters,omitempty"`

	// task is the type of the task that the entry is about.
	// +optional
	// +k8s:optional
	Task StageTaskType `json:"task,omitempty"`

	// message describes what happened, or is the user's reason.
	// +optional
	Message string `json:"message,omitempty"`

	// auditID is the audit ID of the user's request, to find it in the audit log. At most 64 characters. A client can
	// choose it, so it proves nothing.
	// +optional
	AuditID string `json:"auditID,omitempty"`
}
