// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// +genclient
// +genclient:nonNamespaced
// +k8s:supportsSubresource="/status"
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterRolloutPolicy binds rollouts to rules that their strategies must meet. It is the platform's: it can bind the rollouts of
// namespaces, whose teams write their strategies themselves. A policy changes no strategy; what does not meet it is refused.
type ClusterRolloutPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says which rollouts the policy binds, which clusters it protects, and what it demands.
	// +required
	Spec RolloutPolicySpec `json:"spec"`

	// status says what the policy governs, written by Stagegate.
	// +optional
	Status RolloutPolicyStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterRolloutPolicyList is a list of ClusterRolloutPolicies.
type ClusterRolloutPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the ClusterRolloutPolicies.
	Items []ClusterRolloutPolicy `json:"items"`
}

// +genclient
// +k8s:supportsSubresource="/status"
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// RolloutPolicy binds the rollouts of its namespace to rules that their strategies must meet. It can only add to what
// ClusterRolloutPolicies demand.
type RolloutPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says which clusters the policy protects, and what it demands.
	// +required
	Spec RolloutPolicySpec `json:"spec"`

	// status says what the policy governs, written by Stagegate.
	// +optional
	Status RolloutPolicyStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// RolloutPolicyList is a list of RolloutPolicies.
type RolloutPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the RolloutPolicies.
	Items []RolloutPolicy `json:"items"`
}

// PolicyMatch says which rollouts a policy binds.
type PolicyMatch struct {
	// clusterScoped reports whether the policy binds ClusterStagedUpdateRuns and ClusterResourcePlacements. It defaults to true.
	// +optional
	ClusterScoped *bool `json:"clusterScoped,omitempty"`

	// namespaceSelector picks the namespaces whose StagedUpdateRuns and ResourcePlacements the policy binds, by the labels of the
	// Namespace on the hub. Absent picks none, empty picks all.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// placementSelector picks among the cluster-scoped placements by their labels. Absent picks all. It says nothing of placements in
	// namespaces, since teams write the labels of their own placements.
	// +optional
	PlacementSelector *metav1.LabelSelector `json:"placementSelector,omitempty"`
}

// PolicyEnforcement says what happens to a rollout that does not meet a policy.
// +enum
// +k8s:enum
type PolicyEnforcement string

const (
	// PolicyEnforcementEnforce refuses what does not meet the policy.
	PolicyEnforcementEnforce PolicyEnforcement = "Enforce"
	// PolicyEnforcementWarn warns whoever creates a run, and lets it go on.
	PolicyEnforcementWarn PolicyEnforcement = "Warn"
)

// RolloutPolicySpec is which clusters a policy protects, and what it demands of rollouts that reach them.
type RolloutPolicySpec struct {
	// match says which rollouts a ClusterRolloutPolicy binds. Absent, it binds those of all cluster-scoped placements, and none in a
	// namespace. A RolloutPolicy must not have it: it binds those of its namespace.
	// +optional
	// +k8s:optional
	Match *PolicyMatch `json:"match,omitempty"`

	// description says in a sentence what the policy is for. Every refusal quotes it. At most 256 characters.
	// +optional
	// +k8s:optional
	// +k8s:maxLength=256
	Description string `json:"description,omitempty"`

	// enforcement is Enforce or Warn. It defaults to Enforce.
	// +optional
	// +k8s:optional
	// +default="Enforce"
	Enforcement PolicyEnforcement `json:"enforcement,omitempty"`

	// clusters picks the member clusters that the policy protects, by their labels. Absent or empty picks all.
	// +optional
	Clusters *metav1.LabelSelector `json:"clusters,omitempty"`

	// rules are what the policy demands. A rollout must meet all that are given, and those of all other policies.
	// +required
	Rules PolicyRules `json:"rules"`
}

// PolicyRules are what a policy demands of rollouts to protected clusters. A stage that has a protected cluster is a governed stage.
type PolicyRules struct {
	// deny keeps every version off the protected clusters. A placement that is on them can leave them, by the other rules.
	// +optional
	Deny bool `json:"deny,omitempty"`

	// staged demands that the strategy of a placement which picks protected clusters is of type External, so that runs alone move
	// them. Such a placement can be deleted only once runs have taken it off the protected clusters, or with its namespace, and
	// evictions from protected clusters are refused. All rules but deny demand it too: without runs there are no stages.
	// +optional
	Staged bool `json:"staged,omitempty"`

	// approval demands an approval at each governed stage.
	// +optional
	// +k8s:optional
	Approval *ApprovalRule `json:"approval,omitempty"`

	// soak demands that other clusters have the version for some time first.
	// +optional
	// +k8s:optional
	Soak *SoakRule `json:"soak,omitempty"`

	// maxConcurrency is the largest maxConcurrency of a governed stage: a number from 1, or a percentage from 1% to 100% of the stage's
	// protected clusters, rounded down and at least 1. maxConcurrency of the stage and maxFailures of this one and of those before it together
	// must not be more: a failed cluster makes room for another one.
	// +optional
	MaxConcurrency *intstr.IntOrString `json:"maxConcurrency,omitempty"`

	// maxStageClusters is the largest number of protected clusters in one stage, at least 1.
	// +optional
	// +k8s:optional
	// +k8s:minimum=1
	MaxStageClusters *int32 `json:"maxStageClusters,omitempty"`

	// failurePolicy demands that a governed stage gives clusters up that do not become available.
	// +optional
	// +k8s:optional
	FailurePolicy *FailurePolicyRule `json:"failurePolicy,omitempty"`
}

// ApprovalPosition is where a stage asks for an approval.
// +enum
// +k8s:enum
type ApprovalPosition string

const (
	// ApprovalBefore is before the first cluster of the stage.
	ApprovalBefore ApprovalPosition = "Before"
	// ApprovalAfter is after the last cluster of the stage.
	ApprovalAfter ApprovalPosition = "After"
	// ApprovalAny is before or after the stage.
	ApprovalAny ApprovalPosition = "Any"
)

// ApprovalRule says which approval a governed stage must ask for. A stage may ask for more.
type ApprovalRule struct {
	// position is Before, After or Any. It defaults to Before, which alone keeps a version off the clusters.
	// +optional
	// +k8s:optional
	// +default="Before"
	Position ApprovalPosition `json:"position,omitempty"`

	// required is how many different users must approve, from 1 to 10. It defaults to 1.
	// +optional
	// +k8s:optional
	// +default=1
	// +k8s:minimum=1
	// +k8s:maximum=10
	Required int32 `json:"required,omitempty"`

	// groups are groups of which a stage must name one or more, and no other, at most 10. Empty demands none.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=10
	// +listType=set
	// +k8s:listType=set
	Groups []string `json:"groups,omitempty"`

	// allowRequester reports whether the approval may be by the user who created the run. It defaults to true.
	// +optional
	AllowRequester *bool `json:"allowRequester,omitempty"`

	// maxExpiresAfter is the longest time in which the stage may take the approval, such as 72h. Not set means for ever.
	// +optional
	MaxExpiresAfter *metav1.Duration `json:"maxExpiresAfter,omitempty"`
}

// SoakRule says which clusters must have a version first, and for how long.
type SoakRule struct {
	// clusters picks the member clusters that must have the version first, by their labels. At least one of them must be in the run, and
	// all that are in it in stages before those with other protected clusters. A protected cluster may be one of them. Their stages must
	// not go on past failed clusters.
	// +required
	// +k8s:required
	Clusters *metav1.LabelSelector `json:"clusters"`

	// duration is how long the last stage of these clusters, or one after it, must wait after its last cluster, such as 30m.
	// +required
	Duration metav1.Duration `json:"duration"`
}

// FailurePolicyRule says which failurePolicy a governed stage must have.
type FailurePolicyRule struct {
	// maxClusterTimeout is the longest clusterTimeout, such as 30m. Not set means any.
	// +optional
	MaxClusterTimeout *metav1.Duration `json:"maxClusterTimeout,omitempty"`

	// maxFailures is the largest maxFailures: a number, or a percentage from 0% to 100% of the stage's protected clusters. Not set means any.
	// +optional
	MaxFailures *intstr.IntOrString `json:"maxFailures,omitempty"`

	// onFailure are the actions of which the stage must have one. Empty means any.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=3
	// +listType=set
	// +k8s:listType=set
	OnFailure []v1beta1.FailureAction `json:"onFailure,omitempty"`
}

// RolloutPolicyStatus is what a policy governs at present.
type RolloutPolicyStatus struct {
	// observedGeneration is the generation of the policy that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// governs counts what the policy governs at present.
	// +optional
	Governs PolicyGoverns `json:"governs,omitempty,omitzero"`

	// conditions of the policy: Effective, Compatible, and Ready while both are True.
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

// PolicyGoverns counts what a policy governs.
type PolicyGoverns struct {
	// clusters is the number of member clusters that the policy protects.
	// +optional
	Clusters int32 `json:"clusters,omitempty"`

	// placements is the number of placements that the policy binds and that pick a protected cluster, or have a version on one.
	// +optional
	Placements int32 `json:"placements,omitempty"`

	// activeRuns is the number of runs that the policy governs and that are not over.
	// +optional
	ActiveRuns int32 `json:"activeRuns,omitempty"`

	// violatingPlacements is the number of those placements that violate the policy: they pick clusters that it denies, or have a strategy
	// that is not External where it demands runs. What was there before the policy, or is only warned of, stays.
	// +optional
	ViolatingPlacements int32 `json:"violatingPlacements,omitempty"`

	// violatingRuns is the number of those runs whose plan violates the policy, which only warns or which they override.
	// +optional
	ViolatingRuns int32 `json:"violatingRuns,omitempty"`
}
