// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

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
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the question. It cannot be changed.
	// +required
	Spec ApprovalRequestSpec `json:"spec"`

	// status is the decision.
	// +optional
	Status ApprovalRequestStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterApprovalRequestList is a list of ClusterApprovalRequests.
type ClusterApprovalRequestList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ClusterApprovalRequests.
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
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the question. It cannot be changed.
	// +required
	Spec ApprovalRequestSpec `json:"spec"`

	// status is the decision.
	// +optional
	Status ApprovalRequestStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ApprovalRequestList is a list of ApprovalRequests.
type ApprovalRequestList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ApprovalRequests.
	Items []ApprovalRequest `json:"items"`
}

// ApprovalRequestSpec is the question of an approval request.
type ApprovalRequestSpec struct {
	// parentStageRollout is the name of the run that waits for the decision.
	// +required
	TargetUpdateRun string `json:"parentStageRollout"`

	// targetStage is the name of the stage at whose gate the run waits.
	// +required
	TargetStage string `json:"targetStage"`

	// policy specifies whose approvals open the gate. It is copied from the run's strategy. If it is absent, one
	// approval by any permitted user is enough.
	// +optional
	// +k8s:optional
	Policy *ApprovalPolicy `json:"policy,omitempty"`

	// requester is the user who created the run.
	// +optional
	// +k8s:optional
	Requester *DecisionUser `json:"requester,omitempty"`

	// rollout describes what the run does in the stage, as planned when the request was created. Only the server
	// writes it. It is absent on requests that a user or an older version of the server created.
	// +optional
	// +k8s:optional
	Rollout *StageRollout `json:"rollout,omitempty"`
}

// StageRollout describes what a run does in a stage, for the users who decide about it.
type StageRollout struct {
	// placementName is the name of the placement whose clusters the run updates. The placement is in the namespace of
	// the request, if the request has one.
	// +required
	// +k8s:required
	PlacementName string `json:"placementName"`

	// resourceSnapshotIndex is the index of the resource snapshot that the run rolls out. It is empty for the stage
	// that removes resources.
	// +optional
	ResourceSnapshotIndex string `json:"resourceSnapshotIndex,omitempty"`

	// clusters are the names of the stage's clusters in the order of their update; for the stage that removes
	// resources, of the clusters that lose them. Only the first 100 clusters of a larger stage are named.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=100
	// +listType=atomic
	Clusters []string `json:"clusters,omitempty"`

	// clusterCount is the number of clusters of the stage, including those that clusters does not name.
	// +required
	ClusterCount int32 `json:"clusterCount"`

	// runClustersDone is the number of clusters that the run had updated or skipped in all its stages when the request
	// was created.
	// +required
	RunClustersDone int32 `json:"runClustersDone"`

	// runClusterCount is the number of clusters in all stages of the run.
	// +required
	RunClusterCount int32 `json:"runClusterCount"`
}

// ApprovalRequestStatus is the decision on a request.
type ApprovalRequestStatus struct {
	// decisions are the server's records of the decisions on the request, at most 10. Only the server writes them.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=10
	// +listType=atomic
	Decisions []ApprovalDecision `json:"decisions,omitempty"`

	// conditions are the conditions of the request: Approved, set by the decision, and ApprovalAccepted, set once the
	// run has acted on it.
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

// DecisionType is the outcome of a decision.
// +enum
// +k8s:enum
type DecisionType string

const (
	// DecisionApproved lets the run proceed.
	DecisionApproved DecisionType = "Approved"
	// DecisionRejected ends the run.
	DecisionRejected DecisionType = "Rejected"
)

// ApprovalDecision is the server's record of one decision.
type ApprovalDecision struct {
	// decision is Approved or Rejected.
	// +required
	// +k8s:required
	Decision DecisionType `json:"decision"`

	// user is the user who decided, as the server authenticated them.
	// +required
	User DecisionUser `json:"user"`

	// time is when the user decided, by the server's clock.
	// +required
	Time metav1.Time `json:"time"`

	// comment is the comment that the user gave with the decision.
	// +optional
	Comment string `json:"comment,omitempty"`

	// requestUID is the uid of the approval request that the decision is about.
	// +required
	RequestUID types.UID `json:"requestUID"`

	// auditID is the audit ID of the user's request, to find it in the audit log. At most 64 characters. A client can
	// choose it, so it proves nothing.
	// +optional
	AuditID string `json:"auditID,omitempty"`
}

// DecisionUser is a user as the server authenticated them.
type DecisionUser struct {
	// username is the name of the user.
	// +required
	Username string `json:"username"`

	// uid is the unique ID of the user, if the hub passes it on.
	// +optional
	UID string `json:"uid,omitempty"`

	// groups are the groups of the user. If there are more than 32, the groups that the policy names are kept, then
	// the first of the others. The audit log has all of them.
	// +optional
	// +listType=atomic
	Groups []string `json:"groups,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +k8s:supportsSubresource="/approve"
// +k8s:supportsSubresource="/reject"

// Approval is a decision on an approval request: the body of its subresources approve and reject.
type Approval struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata. Its name, uid and resourceVersion, where given, must be those of the approval request.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the user's part of the decision. A patch starts from an empty spec.
	// +optional
	Spec ApprovalSpec `json:"spec,omitempty,omitzero"`

	// status is the decision as the server recorded it. It is empty until the request is decided.
	// +optional
	Status ApprovalStatus `json:"status,omitempty,omitzero"`
}

// ApprovalSpec is the user's part of a decision.
type ApprovalSpec struct {
	// comment is recorded with the decision, for example a change number. At most 1024 characters.
	// +optional
	// +k8s:optional
	// +k8s:maxLength=1024
	Comment string `json:"comment,omitempty"`
}

// ApprovalStatus is a decision as the server recorded it.
type ApprovalStatus struct {
	// decision is Approved or Rejected. It is empty until the request is decided.
	// +optional
	// +k8s:optional
	Decision DecisionType `json:"decision,omitempty"`

	// decidedBy is the user who decided.
	// +optional
	// +k8s:optional
	DecidedBy *DecisionUser `json:"decidedBy,omitempty"`

	// decidedAt is when the user decided, by the server's clock.
	// +optional
	DecidedAt *metav1.Time `json:"decidedAt,omitempty"`

	// auditID is the audit ID of the user's request, to find it in the audit log. A client can choose it, so it
	// proves nothing.
	// +optional
	AuditID string `json:"auditID,omitempty"`

	// observedGeneration is the generation of the approval request that was decided.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// missing describes what the request still lacks, such as 1 of 2 approvals. It is empty once the request is
	// decided, and before the first approval.
	// +optional
	Missing string `json:"missing,omitempty"`
}
