// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterApprovalRequest asks for a decision about a stage of a ClusterStagedUpdateRun. Decide with its subresources approve and
// reject.
type ClusterApprovalRequest struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec says what is asked. It cannot be changed.
	Spec ApprovalRequestSpec

	// Status is the decision.
	Status ApprovalRequestStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterApprovalRequestList is a list of ClusterApprovalRequests.
type ClusterApprovalRequestList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ClusterApprovalRequests.
	Items []ClusterApprovalRequest
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ApprovalRequest asks for a decision about a stage of a StagedUpdateRun of its namespace. Decide with its subresources approve and
// reject.
type ApprovalRequest struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Spec says what is asked. It cannot be changed.
	Spec ApprovalRequestSpec

	// Status is the decision.
	Status ApprovalRequestStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ApprovalRequestList is a list of ApprovalRequests.
type ApprovalRequestList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ApprovalRequests.
	Items []ApprovalRequest
}

// ApprovalRequestSpec says what is asked.
type ApprovalRequestSpec struct {
	// The name of the run that waits.
	TargetUpdateRun string

	// TargetStage is the stage of the run that waits.
	TargetStage string

	// Policy says whose approvals it takes, copied from the run's strategy. Absent, one by anybody who is permitted.
	Policy *ApprovalPolicy

	// Requester is who created the run.
	Requester *DecisionUser

	// Rollout is what the run does in the stage, as it was planned when the run asked. Only the server writes it. Absent on requests that
	// users have made, or versions of the server that did not write it.
	Rollout *StageRollout
}

// StageRollout is what a run does in a stage, for those who decide about it.
type StageRollout struct {
	// PlacementName is the placement whose clusters the run moves, in the namespace of the request if that has one.
	PlacementName string

	// ResourceSnapshotIndex is the index of the resource snapshot that the run rolls out. Empty for the stage that removes resources.
	ResourceSnapshotIndex string

	// Clusters are the names of the clusters of the stage, in the order in which they are updated; for the stage that removes resources,
	// of those that lose them. At most 100: of a larger stage the first are named.
	Clusters []string

	// ClusterCount is the number of clusters of the stage, those that are not named among them.
	ClusterCount int32

	// RunClustersDone is how many clusters of the run, in all its stages, were done when the run asked.
	RunClustersDone int32

	// RunClusterCount is the number of clusters of the run, in all its stages.
	RunClusterCount int32
}

// ApprovalRequestStatus is the decision on a request.
type ApprovalRequestStatus struct {
	// Decisions are who decided what and when, as the server recorded it. Only the server writes here. At most 10.
	Decisions []ApprovalDecision

	// Conditions of the request: Approved, set by the decision, and ApprovalAccepted, set once the run has acted on it.
	Conditions []metav1.Condition
}

// DecisionType is what was decided.
type DecisionType string

const (
	// DecisionApproved lets the run go on.
	DecisionApproved DecisionType = "Approved"
	// DecisionRejected ends the run.
	DecisionRejected DecisionType = "Rejected"
)

// ApprovalDecision is the server's record of one decision.
type ApprovalDecision struct {
	// Decision is Approved or Rejected.
	Decision DecisionType

	// User who decided, as the server authenticated them.
	User DecisionUser

	// Time of the decision, by the server's clock.
	Time metav1.Time

	// Comment is what the user said with the decision.
	Comment string

	// RequestUID is the uid of the approval request that the decision is about.
	RequestUID types.UID

	// AuditID helps to find the request in the audit log, at most 64 characters. A client can choose it, so it proves nothing.
	AuditID string
}

// DecisionUser is who decided.
type DecisionUser struct {
	// Username of the user.
	Username string

	// UID of the user, where the hub passes it on.
	UID string

	// Groups of the user. Of more than 32, those that the policy names and then the first others; the audit log has all.
	Groups []string
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// Approval is a decision on an approval request: the body of its subresources approve and reject.
type Approval struct {
	metav1.TypeMeta
	// Standard object's metadata. Name, uid and resourceVersion, where given, must be those of the approval request.
	metav1.ObjectMeta

	// Spec is what the user says with the decision. A patch starts from an empty one.
	Spec ApprovalSpec

	// Status is the decision as the server recorded it; empty as long as none is taken.
	Status ApprovalStatus
}

// ApprovalSpec is what the user says with a decision.
type ApprovalSpec struct {
	// Comment is kept with the decision, for example a change number. At most 1024 characters.
	Comment string
}

// ApprovalStatus is a decision as the server recorded it.
type ApprovalStatus struct {
	// Decision is Approved or Rejected; empty as long as none is taken.
	Decision DecisionType

	// DecidedBy is who decided.
	DecidedBy *DecisionUser

	// DecidedAt is when, by the server's clock.
	DecidedAt *metav1.Time

	// AuditID helps to find the request in the audit log. A client can choose it, so it proves nothing.
	AuditID string

	// ObservedGeneration is the generation of the approval request that was decided.
	ObservedGeneration int64

	// Missing says what the request lacks yet, such as 1 of 2 approvals. Empty once it is decided, and where nobody has approved.
	Missing string
}
