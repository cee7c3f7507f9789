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
// +genclient:method=Approve,verb=create,subresource=approve,input=Approval,result=Approval
// +genclient:method=Reject,verb=create,subresource=reject,input=Approval,result=Approval
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"

// ClusterApprovalRequest asks for a decision about a stage of a ClusterStagedUpdateRun. Decide with its subresources approve and
// reject.
type ClusterApprovalRequest struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec says what is asked. It cannot be changed.
	// +required
	Spec ApprovalRequestSpec `json:"spec"`

	// Status is the decision.
	// +optional
	Status ApprovalRequestStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterApprovalRequestList is a list of ClusterApprovalRequests.
type ClusterApprovalRequestList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ClusterApprovalRequests.
	Items []ClusterApprovalRequest `json:"items"`
}

// +genclient
// +genclient:method=Approve,verb=create,subresource=approve,input=Approval,result=Approval
// +genclient:method=Reject,verb=create,subresource=reject,input=Approval,result=Approval
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/status"

// ApprovalRequest asks for a decision about a stage of a StagedUpdateRun of its namespace. Decide with its subresources approve and
// reject.
type ApprovalRequest struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec says what is asked. It cannot be changed.
	// +required
	Spec ApprovalRequestSpec `json:"spec"`

	// Status is the decision.
	// +optional
	Status ApprovalRequestStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ApprovalRequestList is a list of ApprovalRequests.
type ApprovalRequestList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ApprovalRequests.
	Items []ApprovalRequest `json:"items"`
}

// ApprovalRequestSpec says what is asked.
type ApprovalRequestSpec struct {
	// The name of the run that waits.
	// +required
	TargetUpdateRun string `json:"parentStageRollout"`

	// TargetStage is the stage of the run that waits.
	// +required
	TargetStage string `json:"targetStage"`

	// Policy says whose approvals it takes, copied from the run's strategy. Absent, one by anybody who is permitted.
	// +optional
	// +k8s:optional
	Policy *ApprovalPolicy `json:"policy,omitempty"`

	// Requester is who created the run.
	// +optional
	// +k8s:optional
	Requester *DecisionUser `json:"requester,omitempty"`

	// Rollout is what the run does in the stage, as it was planned when the run asked. Only the server writes it. Absent on requests that
	// users have made, or versions of the server that did not write it.
	// +optional
	// +k8s:optional
	Rollout *StageRollout `json:"rollout,omitempty"`
}

// StageRollout is what a run does in a stage, for those who decide about it.
type StageRollout struct {
	// PlacementName is the placement whose clusters the run moves, in the namespace of the request if that has one.
	// +required
	// +k8s:required
	PlacementName string `json:"placementName"`

	// ResourceSnapshotIndex is the index of the resource snapshot that the run rolls out. Empty for the stage that removes resources.
	// +optional
	ResourceSnapshotIndex string `json:"resourceSnapshotIndex,omitempty"`

	// Clusters are the names of the clusters of the stage, in the order in which they are updated; for the stage that removes resources,
	// of those that lose them. At most 100: of a larger stage the first are named.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=100
	// +listType=atomic
	Clusters []string `json:"clusters,omitempty"`

	// ClusterCount is the number of clusters of the stage, those that are not named among them.
	// +required
	ClusterCount int32 `json:"clusterCount"`

	// RunClustersDone is how many clusters of the run, in all its stages, were done when the run asked.
	// +required
	RunClustersDone int32 `json:"runClustersDone"`

	// RunClusterCount is the number of clusters of the run, in all its stages.
	// +required
	RunClusterCount int32 `json:"runClusterCount"`
}

// ApprovalRequestStatus is the decision on a request.
type ApprovalRequestStatus struct {
	// Decisions are who decided what and when, as the server recorded it. Only the server writes here. At most 10.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=10
	// +listType=atomic
	Decisions []ApprovalDecision `json:"decisions,omitempty"`

	// Conditions of the request: Approved, set by the decision, and ApprovalAccepted, set once the run has acted on it.
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

// DecisionType is what was decided.
// +enum
// +k8s:enum
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
	// +required
	// +k8s:required
	Decision DecisionType `json:"decision"`

	// User who decided, as the server authenticated them.
	// +required
	User DecisionUser `json:"user"`

	// Time of the decision, by the server's clock.
	// +required
	Time metav1.Time `json:"time"`

	// Comment is what the user said with the decision.
	// +optional
	Comment string `json:"comment,omitempty"`

	// RequestUID is the uid of the approval request that the decision is about.
	// +required
	RequestUID types.UID `json:"requestUID"`

	// AuditID helps to find the request in the audit log, at most 64 characters. A client can choose it, so it proves nothing.
	// +optional
	AuditID string `json:"auditID,omitempty"`
}

// DecisionUser is who decided.
type DecisionUser struct {
	// Username of the user.
	// +required
	Username string `json:"username"`

	// UID of the user, where the hub passes it on.
	// +optional
	UID string `json:"uid,omitempty"`

	// Groups of the user. Of more than 32, those that the policy names and then the first others; the audit log has all.
	// +optional
	// +k8s:optional
	// +listType=atomic
	Groups []string `json:"groups,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/approve"
// +k8s:supportsSubresource="/reject"

// Approval is a decision on an approval request: the body of its subresources approve and reject.
type Approval struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata. Name, uid and resourceVersion, where given, must be those of the approval request.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// Spec is what the user says with the decision. A patch starts from an empty one.
	// +optional
	Spec ApprovalSpec `json:"spec,omitempty,omitzero"`

	// Status is the decision as the server recorded it; empty as long as none is taken.
	// +optional
	Status ApprovalStatus `json:"status,omitempty,omitzero"`
}

// ApprovalSpec is what the user says with a decision.
type ApprovalSpec struct {
	// Comment is kept with the decision, for example a change number. At most 1024 characters.
	// +optional
	// +k8s:optional
	// +k8s:maxLength=1024
	Comment string `json:"comment,omitempty"`
}

// ApprovalStatus is a decision as the server recorded it.
type ApprovalStatus struct {
	// Decision is Approved or Rejected; empty as long as none is taken.
	// +optional
	// +k8s:optional
	Decision DecisionType `json:"decision,omitempty"`

	// DecidedBy is who decided.
	// +optional
	// +k8s:optional
	DecidedBy *DecisionUser `json:"decidedBy,omitempty"`

	// DecidedAt is when, by the server's clock.
	// +optional
	// +k8s:optional
	DecidedAt *metav1.Time `json:"decidedAt,omitempty"`

	// AuditID helps to find the request in the audit log. A client can choose it, so it proves nothing.
	// +optional
	AuditID string `json:"auditID,omitempty"`

	// ObservedGeneration is the generation of the approval request that was decided.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Missing says what the request lacks yet, such as 1 of 2 approvals. Empty once it is decided, and where nobody has approved.
	// +optional
	Missing string `json:"missing,omitempty"`
}
