// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	"k8s.io/apimachinery/pkg/util/intstr"
)

// RolloutStrategyType says who moves a placement's clusters to a new version of the resources.
// +enum
// +k8s:enum
type RolloutStrategyType string

const (
	// RollingUpdateRolloutStrategyType moves the clusters by itself, some at a time.
	RollingUpdateRolloutStrategyType RolloutStrategyType = "RollingUpdate"
	// ExternalRolloutStrategyType leaves the clusters alone until a staged update run moves them.
	ExternalRolloutStrategyType RolloutStrategyType = "External"
)

// RolloutStrategy says how the selected resources reach the clusters.
type RolloutStrategy struct {
	// Type is RollingUpdate or External. It defaults to RollingUpdate. External cannot be changed back.
	// +optional
	// +k8s:optional
	// +default="RollingUpdate"
	Type RolloutStrategyType `json:"type,omitempty"`

	// RollingUpdate sets the pace. Only for the type RollingUpdate.
	// +optional
	// +k8s:optional
	RollingUpdate *RollingUpdateConfig `json:"rollingUpdate,omitempty"`

	// ApplyStrategy says how manifests are written to a member cluster.
	// +optional
	// +k8s:optional
	ApplyStrategy *ApplyStrategy `json:"applyStrategy,omitempty"`

	// DeleteStrategy says what becomes of the resources on the member clusters when the placement is deleted.
	// +optional
	// +k8s:optional
	DeleteStrategy *DeleteStrategy `json:"deleteStrategy,omitempty"`

	// ReportBackStrategy says whether the status that the resources have on the member clusters is brought back to the hub.
	// +optional
	// +k8s:optional
	ReportBackStrategy *ReportBackStrategy `json:"reportBackStrategy,omitempty"`
}

// RollingUpdateConfig sets the pace of a rolling update.
type RollingUpdateConfig struct {
	// MaxUnavailable is how many of the target clusters may be without available resources at once: a number, or a percentage
	// of the target number rounded up. It defaults to 25%.
	// +optional
	// +k8s:optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// MaxSurge is how many clusters more than the target number may hold the resources at once while clusters are replaced: a
	// number, or a percentage of the target number rounded up. It defaults to 25%.
	// +optional
	// +k8s:optional
	MaxSurge *intstr.IntOrString `json:"maxSurge,omitempty"`

	// UnavailablePeriodSeconds is how long, in seconds, a cluster counts as unavailable after its resources were applied where
	// their availability cannot be observed. It defaults to 60.
	// +optional
	// +k8s:optional
	// +k8s:minimum=0
	// +default=60
	UnavailablePeriodSeconds *int `json:"unavailablePeriodSeconds,omitempty"`
}

// ApplyStrategyType says how a manifest is written to a member cluster.
// +enum
// +k8s:enum
type ApplyStrategyType string

const (
	// ApplyStrategyTypeClientSideApply merges the manifest three ways, with the last one applied as base.
	ApplyStrategyTypeClientSideApply ApplyStrategyType = "ClientSideApply"
	// ApplyStrategyTypeServerSideApply lets the member's API server merge by field ownership.
	ApplyStrategyTypeServerSideApply ApplyStrategyType = "ServerSideApply"
	// ApplyStrategyTypeReportDiff writes nothing and reports how the member differs.
	ApplyStrategyTypeReportDiff ApplyStrategyType = "ReportDiff"
)

// ComparisonOptionType says which fields count when a member's object is compared with the manifest.
// +enum
// +k8s:enum
type ComparisonOptionType string

const (
	// ComparisonOptionTypePartialComparison compares the fields that the manifest has.
	ComparisonOptionTypePartialComparison ComparisonOptionType = "PartialComparison"
	// ComparisonOptionTypeFullComparison compares every field.
	ComparisonOptionTypeFullComparison ComparisonOptionType = "FullComparison"
)

// WhenToApplyType says whether a manifest is applied over changes made on the member.
// +enum
// +k8s:enum
type WhenToApplyType string

const (
	// WhenToApplyTypeAlways applies, whatever was changed on the member.
	WhenToApplyTypeAlways WhenToApplyType = "Always"
	// WhenToApplyTypeIfNotDrifted leaves an object alone that was changed on the member, and reports the drift.
	WhenToApplyTypeIfNotDrifted WhenToApplyType = "IfNotDrifted"
)

// WhenToTakeOverType says what becomes of objects that exist on the member before they are placed.
// +enum
// +k8s:enum
type WhenToTakeOverType string

const (
	// WhenToTakeOverTypeAlways takes them over.
	WhenToTakeOverTypeAlways WhenToTakeOverType = "Always"
	// WhenToTakeOverTypeIfNoDiff takes them over where they already agree with the manifest.
	WhenToTakeOverTypeIfNoDiff WhenToTakeOverType = "IfNoDiff"
	// WhenToTakeOverTypeNever leaves them alone, and reports that.
	WhenToTakeOverTypeNever WhenToTakeOverType = "Never"
)

// ApplyStrategy says how manifests are written to a member cluster.
type ApplyStrategy struct {
	// ComparisonOption says which fields count as drift or difference. It defaults to PartialComparison.
	// +optional
	// +k8s:optional
	// +default="PartialComparison"
	ComparisonOption ComparisonOptionType `json:"comparisonOption,omitempty"`

	// WhenToApply says whether to apply over changes made on the member. It defaults to Always.
	// +optional
	// +k8s:optional
	// +default="Always"
	WhenToApply WhenToApplyType `json:"whenToApply,omitempty"`

	// Type is ClientSideApply, ServerSideApply or ReportDiff. It defaults to ClientSideApply.
	// +optional
	// +k8s:optional
	// +default="ClientSideApply"
	Type ApplyStrategyType `json:"type,omitempty"`

	// AllowCoOwnership lets an object be placed that has other owners on the member. It defaults to false.
	// +optional
	AllowCoOwnership bool `json:"allowCoOwnership,omitempty"`

	// ServerSideApplyConfig configures server-side apply. Only for the type ServerSideApply.
	// +optional
	// +k8s:optional
	ServerSideApplyConfig *ServerSideApplyConfig `json:"serverSideApplyConfig,omitempty"`

	// WhenToTakeOver says what becomes of objects that were on the member before. It defaults to Always.
	// +optional
	// +k8s:optional
	// +default="Always"
	WhenToTakeOver WhenToTakeOverType `json:"whenToTakeOver,omitempty"`
}

// ServerSideApplyConfig configures server-side apply on a member cluster.
type ServerSideApplyConfig struct {
	// ForceConflicts takes fields over that another manager owns. Without it, such a conflict fails the manifest. It defaults to
	// false.
	// +optional
	ForceConflicts bool `json:"force"`
}

// DeletePropagationPolicy says what becomes of placed resources when their placement is deleted.
// +enum
// +k8s:enum
type DeletePropagationPolicy string

const (
	// DeletePropagationPolicyAbandon leaves them on the member clusters.
	DeletePropagationPolicyAbandon DeletePropagationPolicy = "Abandon"
	// DeletePropagationPolicyDelete removes them from the member clusters.
	DeletePropagationPolicyDelete DeletePropagationPolicy = "Delete"
)

// DeleteStrategy says what becomes of placed resources when their placement is deleted.
type DeleteStrategy struct {
	// PropagationPolicy is Delete or Abandon. It defaults to Delete.
	// +optional
	// +k8s:optional
	// +default="Delete"
	PropagationPolicy DeletePropagationPolicy `json:"propagationPolicy,omitempty"`
}

// ReportBackStrategyType says whether status is brought back from the member clusters.
// +enum
// +k8s:enum
type ReportBackStrategyType string

const (
	// ReportBackStrategyTypeDisabled brings nothing back.
	ReportBackStrategyTypeDisabled ReportBackStrategyType = "Disabled"
	// ReportBackStrategyTypeMirror copies the status as it is on the member.
	ReportBackStrategyTypeMirror ReportBackStrategyType = "Mirror"
)

// ReportBackDestination says where status from the member clusters is written.
// +enum
// +k8s:enum
type ReportBackDestination string

const (
	// ReportBackDestinationOriginalResource writes it to the selected object on the hub.
	ReportBackDestinationOriginalResource ReportBackDestination = "OriginalResource"
	// ReportBackDestinationWorkAPI writes it to the Work's manifest conditions.
	ReportBackDestinationWorkAPI ReportBackDestination = "WorkAPI"
)

// ReportBackStrategy says whether and where status from the member clusters is brought back.
type ReportBackStrategy struct {
	// Type is Disabled or Mirror. It defaults to Disabled.
	// +required
	// +k8s:optional
	// +default="Disabled"
	Type ReportBackStrategyType `json:"type,omitempty"`

	// Destination is OriginalResource or WorkAPI. Required for Mirror.
	// +optional
	// +k8s:optional
	Destination *ReportBackDestination `json:"destination,omitempty"`
}
