// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	"k8s.io/apimachinery/pkg/util/intstr"
)

// RolloutStrategyType is the way in which the clusters of a placement are updated to a new version of the resources.
// +enum
// +k8s:enum
type RolloutStrategyType string

const (
	// RollingUpdateRolloutStrategyType updates the clusters automatically, some at a time.
	RollingUpdateRolloutStrategyType RolloutStrategyType = "RollingUpdate"
	// ExternalRolloutStrategyType updates clusters only through staged update runs.
	ExternalRolloutStrategyType RolloutStrategyType = "External"
)

// RolloutStrategy specifies how the selected resources reach the clusters.
type RolloutStrategy struct {
	// type is RollingUpdate or External. It defaults to RollingUpdate. External cannot be changed back to
	// RollingUpdate.
	// +optional
	// +k8s:optional
	// +default="RollingUpdate"
	Type RolloutStrategyType `json:"type,omitempty"`

	// rollingUpdate sets the pace of a rolling update. Only for the type RollingUpdate.
	// +optional
	// +k8s:optional
	RollingUpdate *RollingUpdateConfig `json:"rollingUpdate,omitempty"`

	// applyStrategy specifies how manifests are applied to a member cluster.
	// +optional
	// +k8s:optional
	ApplyStrategy *ApplyStrategy `json:"applyStrategy,omitempty"`

	// deleteStrategy specifies whether the resources stay on the member clusters when the placement is deleted.
	// +optional
	// +k8s:optional
	DeleteStrategy *DeleteStrategy `json:"deleteStrategy,omitempty"`

	// reportBackStrategy specifies whether the status of the resources on the member clusters is copied to the hub.
	// +optional
	// +k8s:optional
	ReportBackStrategy *ReportBackStrategy `json:"reportBackStrategy,omitempty"`
}

// RollingUpdateConfig sets the pace of a rolling update.
type RollingUpdateConfig struct {
	// maxUnavailable is the number of target clusters that may lack available resources at once: a number, or a
	// percentage of the target number rounded up. It defaults to 25%.
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// maxSurge is the number of clusters beyond the target number that may have the resources at once while clusters
	// are replaced: a number, or a percentage of the target number rounded up. It defaults to 25%.
	// +optional
	MaxSurge *intstr.IntOrString `json:"maxSurge,omitempty"`

	// unavailablePeriodSeconds is the time in seconds for which a cluster counts as unavailable after resources were
	// applied whose availability cannot be observed. It defaults to 60.
	// +optional
	// +k8s:optional
	// +k8s:minimum=0
	// +default=60
	UnavailablePeriodSeconds *int `json:"unavailablePeriodSeconds,omitempty"`
}

// ApplyStrategyType is the way to apply a manifest to a member cluster.
// +enum
// +k8s:enum
type ApplyStrategyType string

const (
	// ApplyStrategyTypeClientSideApply merges the manifest three ways, with the last one applied as base. A manifest that is too large for
	// an annotation is applied server-side.
	ApplyStrategyTypeClientSideApply ApplyStrategyType = "ClientSideApply"
	// ApplyStrategyTypeServerSideApply lets the member's API server merge by field ownership.
	ApplyStrategyTypeServerSideApply ApplyStrategyType = "ServerSideApply"
	// ApplyStrategyTypeReportDiff writes nothing and reports how the member differs.
	ApplyStrategyTypeReportDiff ApplyStrategyType = "ReportDiff"
)

// ComparisonOptionType is the set of fields to compare between a member's object and the manifest.
// +enum
// +k8s:enum
type ComparisonOptionType string

const (
	// ComparisonOptionTypePartialComparison compares the fields that the manifest has.
	ComparisonOptionTypePartialComparison ComparisonOptionType = "PartialComparison"
	// ComparisonOptionTypeFullComparison compares every field, except the status, finalizers, owners, what the API server sets in the
	// metadata, and records of what was applied.
	ComparisonOptionTypeFullComparison ComparisonOptionType = "FullComparison"
)

// WhenToApplyType is the condition on which a manifest is applied over changes made on the member.
// +enum
// +k8s:enum
type WhenToApplyType string

const (
	// WhenToApplyTypeAlways applies the manifest, whatever was changed on the member.
	WhenToApplyTypeAlways WhenToApplyType = "Always"
	// WhenToApplyTypeIfNotDrifted does not write to an object that was changed on the member, and reports the drift.
	WhenToApplyTypeIfNotDrifted WhenToApplyType = "IfNotDrifted"
)

// WhenToTakeOverType is the condition on which objects that existed on the member before the placement are taken
// over.
// +enum
// +k8s:enum
type WhenToTakeOverType string

const (
	// WhenToTakeOverTypeAlways takes over every such object.
	WhenToTakeOverTypeAlways WhenToTakeOverType = "Always"
	// WhenToTakeOverTypeIfNoDiff takes over objects that already match the manifest.
	WhenToTakeOverTypeIfNoDiff WhenToTakeOverType = "IfNoDiff"
	// WhenToTakeOverTypeNever takes over no object, and reports each as failed.
	WhenToTakeOverTypeNever WhenToTakeOverType = "Never"
)

// ApplyStrategy specifies how manifests are applied to a member cluster.
type ApplyStrategy struct {
	// comparisonOption is PartialComparison or FullComparison: the fields that are compared to find drift and
	// differences. It defaults to PartialComparison.
	// +optional
	// +k8s:optional
	// +default="PartialComparison"
	ComparisonOption ComparisonOptionType `json:"comparisonOption,omitempty"`

	// whenToApply is Always or IfNotDrifted: whether manifests are applied over changes made on the member. It
	// defaults to Always.
	// +optional
	// +k8s:optional
	// +default="Always"
	WhenToApply WhenToApplyType `json:"whenToApply,omitempty"`

	// type is ClientSideApply, ServerSideApply or ReportDiff. It defaults to ClientSideApply.
	// +optional
	// +k8s:optional
	// +default="ClientSideApply"
	Type ApplyStrategyType `json:"type,omitempty"`

	// allowCoOwnership allows placing an object that has other owners on the member. It defaults to false.
	// +optional
	AllowCoOwnership bool `json:"allowCoOwnership,omitempty"`

	// serverSideApplyConfig configures server-side apply. Only for the type ServerSideApply.
	// +optional
	ServerSideApplyConfig *ServerSideApplyConfig `json:"serverSideApplyConfig,omitempty"`

	// whenToTakeOver is Always, IfNoDiff or Never: whether objects that existed on the member before the placement
	// are taken over. It defaults to Always. The type ReportDiff takes over none.
	// +optional
	// +k8s:optional
	// +default="Always"
	WhenToTakeOver WhenToTakeOverType `json:"whenToTakeOver,omitempty"`
}

// ServerSideApplyConfig configures server-side apply on a member cluster.
type ServerSideApplyConfig struct {
	// force takes over fields that another manager owns. If it is false, such a conflict fails the manifest. It
	// defaults to false.
	// +optional
	ForceConflicts bool `json:"force"`
}

// DeletePropagationPolicy is the effect of deleting a placement on the placed resources.
// +enum
// +k8s:enum
type DeletePropagationPolicy string

const (
	// DeletePropagationPolicyAbandon leaves the resources on the member clusters.
	DeletePropagationPolicyAbandon DeletePropagationPolicy = "Abandon"
	// DeletePropagationPolicyDelete deletes the resources from the member clusters.
	DeletePropagationPolicyDelete DeletePropagationPolicy = "Delete"
)

// DeleteStrategy specifies whether placed resources stay when their placement is deleted.
type DeleteStrategy struct {
	// propagationPolicy is Delete or Abandon. It defaults to Delete.
	// +optional
	// +k8s:optional
	// +default="Delete"
	PropagationPolicy DeletePropagationPolicy `json:"propagationPolicy,omitempty"`
}

// ReportBackStrategyType is the way in which status is copied from the member clusters to the hub.
// +enum
// +k8s:enum
type ReportBackStrategyType string

const (
	// ReportBackStrategyTypeDisabled copies no status.
	ReportBackStrategyTypeDisabled ReportBackStrategyType = "Disabled"
	// ReportBackStrategyTypeMirror copies the status unchanged.
	ReportBackStrategyTypeMirror ReportBackStrategyType = "Mirror"
)

// ReportBackDestination is where status from the member clusters is written.
// +enum
// +k8s:enum
type ReportBackDestination string

const (
	// ReportBackDestinationOriginalResource is the selected object on the hub, for a placement that picks one cluster.
	ReportBackDestinationOriginalResource ReportBackDestination = "OriginalResource"
	// ReportBackDestinationWorkAPI is the manifest's condition in the status of the Work.
	ReportBackDestinationWorkAPI ReportBackDestination = "WorkAPI"
)

// ReportBackStrategy specifies whether status is copied from the member clusters, and where to.
type ReportBackStrategy struct {
	// type is Disabled or Mirror. It defaults to Disabled.
	// +required
	// +k8s:optional
	// +default="Disabled"
	Type ReportBackStrategyType `json:"type,omitempty"`

	// destination is WorkAPI or OriginalResource. Required for Mirror. The status is in the Work either way. With
	// OriginalResource it is also the status of the selected object on the hub, if the placement picks exactly one
	// cluster (PickFixed with one name, or PickN with numberOfClusters 1), and the object is a Deployment, a StatefulSet,
	// a DaemonSet or a custom resource. The author needs update on the status of what is selected. The placement's
	// condition StatusReportedBack reports what is written.
	// +optional
	// +k8s:optional
	Destination *ReportBackDestination `json:"destination,omitempty"`
}
