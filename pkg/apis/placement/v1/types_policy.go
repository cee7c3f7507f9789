// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PlacementType says how the clusters of a placement are chosen.
// +enum
// +k8s:enum
type PlacementType string

const (
	// PickAllPlacementType picks every cluster that meets the policy.
	PickAllPlacementType PlacementType = "PickAll"
	// PickNPlacementType picks the numberOfClusters best clusters that meet the policy.
	PickNPlacementType PlacementType = "PickN"
	// PickFixedPlacementType picks the clusters named by clusterNames.
	PickFixedPlacementType PlacementType = "PickFixed"
)

// PlacementPolicy says which member clusters receive the selected resources.
type PlacementPolicy struct {
	// PlacementType is the way clusters are chosen: PickAll, PickN or PickFixed. It defaults to PickAll and cannot be changed.
	// +optional
	// +k8s:optional
	// +default="PickAll"
	PlacementType PlacementType `json:"placementType,omitempty"`

	// ClusterNames are the member clusters to pick, at most 100. Only for PickFixed. A name that is no member yet is picked as
	// soon as that member joins.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=100
	// +listType=atomic
	ClusterNames []string `json:"clusterNames,omitempty"`

	// NumberOfClusters is how many clusters to pick, 0 or more. Required for PickN, not allowed otherwise.
	// +optional
	// +k8s:optional
	// +k8s:minimum=0
	NumberOfClusters *int32 `json:"numberOfClusters,omitempty"`

	// Affinity restricts (required terms) and ranks (preferred terms) the clusters. For PickAll and PickN.
	// +optional
	// +k8s:optional
	Affinity *Affinity `json:"affinity,omitempty"`

	// TopologySpreadConstraints spread the picked clusters over the values of cluster labels. Only for PickN.
	// +optional
	// +k8s:optional
	// +listType=map
	// +listMapKey=topologyKey
	// +k8s:listType=map
	// +k8s:listMapKey=topologyKey
	// +patchMergeKey=topologyKey
	// +patchStrategy=merge
	TopologySpreadConstraints []TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty" patchStrategy:"merge" patchMergeKey:"topologyKey"`

	// Tolerations let the placement be scheduled to clusters that carry matching taints, at most 100. For PickAll and PickN.
	// Tolerations can be added later, but neither changed nor removed.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=100
	// +listType=atomic
	Tolerations []Toleration `json:"tolerations,omitempty"`
}

// Affinity holds the scheduling rules of a placement.
type Affinity struct {
	// ClusterAffinity are the rules on member clusters.
	// +optional
	// +k8s:optional
	ClusterAffinity *ClusterAffinity `json:"clusterAffinity,omitempty"`
}

// ClusterAffinity restricts and ranks member clusters. Rules are looked at when a cluster is scheduled; a cluster that stops to
// match later keeps its placement.
type ClusterAffinity struct {
	// RequiredDuringSchedulingIgnoredDuringExecution must be met by a cluster to be picked.
	// +optional
	// +k8s:optional
	RequiredDuringSchedulingIgnoredDuringExecution *ClusterSelector `json:"requiredDuringSchedulingIgnoredDuringExecution,omitempty"`

	// PreferredDuringSchedulingIgnoredDuringExecution ranks the clusters that meet the required rules. Only for PickN.
	// +optional
	// +k8s:optional
	// +listType=atomic
	PreferredDuringSchedulingIgnoredDuringExecution []PreferredClusterSelector `json:"preferredDuringSchedulingIgnoredDuringExecution,omitempty"`
}

// PreferredClusterSelector adds its weight to the score of every cluster that matches.
type PreferredClusterSelector struct {
	// Weight is added to the score of a matching cluster, from -100 to 100.
	// +required
	// +k8s:optional
	// +k8s:minimum=-100
	// +k8s:maximum=100
	Weight int32 `json:"weight"`

	// Preference is the term that a cluster has to match.
	// +required
	Preference ClusterSelectorTerm `json:"preference"`
}

// ClusterSelector picks clusters that match at least one of its terms.
type ClusterSelector struct {
	// ClusterSelectorTerms are alternatives: one match suffices. At most 10.
	// +required
	// +k8s:optional
	// +k8s:maxItems=10
	// +listType=atomic
	ClusterSelectorTerms []ClusterSelectorTerm `json:"clusterSelectorTerms"`
}

// ClusterSelectorTerm matches clusters by label and by property; both have to match where both are given.
type ClusterSelectorTerm struct {
	// LabelSelector is matched against the labels of the MemberCluster.
	// +optional
	// +k8s:optional
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`

	// PropertySelector is matched against status.properties and status.resourceUsage of the MemberCluster. Not allowed in
	// preferred rules.
	// +optional
	// +k8s:optional
	PropertySelector *PropertySelector `json:"propertySelector,omitempty"`

	// PropertySorter scores clusters by a property, between the lowest and the highest value in the fleet. Not allowed in
	// required rules.
	// +optional
	// +k8s:optional
	PropertySorter *PropertySorter `json:"propertySorter,omitempty"`
}

// PropertySelector matches clusters by their properties.
type PropertySelector struct {
	// MatchExpressions all have to hold.
	// +required
	// +k8s:optional
	// +listType=atomic
	MatchExpressions []PropertySelectorRequirement `json:"matchExpressions"`
}

// PropertySelectorOperator compares a property of a cluster with a value. Other operators are refused.
type PropertySelectorOperator string

const (
	// PropertySelectorGreaterThan holds where the property is greater than the value.
	PropertySelectorGreaterThan PropertySelectorOperator = "Gt"
	// PropertySelectorGreaterThanOrEqualTo holds where the property is the value or greater.
	PropertySelectorGreaterThanOrEqualTo PropertySelectorOperator = "Ge"
	// PropertySelectorEqualTo holds where the property is the value.
	PropertySelectorEqualTo PropertySelectorOperator = "Eq"
	// PropertySelectorNotEqualTo holds where the property is not the value.
	PropertySelectorNotEqualTo PropertySelectorOperator = "Ne"
	// PropertySelectorLessThan holds where the property is less than the value.
	PropertySelectorLessThan PropertySelectorOperator = "Lt"
	// PropertySelectorLessThanOrEqualTo holds where the property is the value or less.
	PropertySelectorLessThanOrEqualTo PropertySelectorOperator = "Le"
)

// PropertySelectorRequirement compares one property of a cluster with one value.
type PropertySelectorRequirement struct {
	// Name of the property, for example kubernetes-fleet.io/node-count or resources.kubernetes-fleet.io/available-cpu.
	// +required
	// +k8s:required
	Name string `json:"name"`

	// Operator is one of Gt, Ge, Eq, Ne, Lt and Le.
	// +required
	// +k8s:required
	Operator PropertySelectorOperator `json:"operator"`

	// Values holds exactly one quantity to compare with, such as 10 or 4Gi.
	// +required
	// +k8s:optional
	// +k8s:maxItems=1
	// +listType=atomic
	Values []string `json:"values"`
}

// PropertySortOrder says which end of a property's range scores highest.
// +enum
// +k8s:enum
type PropertySortOrder string

const (
	// DescendingPropertySortOrder scores the highest value highest.
	DescendingPropertySortOrder PropertySortOrder = "Descending"
	// AscendingPropertySortOrder scores the lowest value highest.
	AscendingPropertySortOrder PropertySortOrder = "Ascending"
)

// PropertySorter scores clusters by a property.
type PropertySorter struct {
	// Name of the property.
	// +required
	// +k8s:required
	Name string `json:"name"`

	// SortOrder is Descending (most first) or Ascending (least first).
	// +required
	// +k8s:required
	SortOrder PropertySortOrder `json:"sortOrder"`
}

// UnsatisfiableConstraintAction says what a spread constraint that cannot be met does.
// +enum
// +k8s:enum
type UnsatisfiableConstraintAction string

const (
	// DoNotScheduleUnsatisfiableConstraint leaves a cluster out that would break the constraint.
	DoNotScheduleUnsatisfiableConstraint UnsatisfiableConstraintAction = "DoNotSchedule"
	// ScheduleAnywayUnsatisfiableConstraint only ranks such a cluster lower.
	ScheduleAnywayUnsatisfiableConstraint UnsatisfiableConstraintAction = "ScheduleAnyway"
)

// TopologySpreadConstraint spreads a placement over the values of one cluster label.
type TopologySpreadConstraint struct {
	// MaxSkew is the largest allowed difference in number of clusters between two label values, 1 or more. It defaults to 1.
	// +optional
	// +k8s:optional
	// +k8s:minimum=1
	// +default=1
	MaxSkew *int32 `json:"maxSkew,omitempty"`

	// TopologyKey is the label of the MemberCluster whose values are the domains to spread over.
	// +required
	// +k8s:required
	TopologyKey string `json:"topologyKey"`

	// WhenUnsatisfiable is DoNotSchedule or ScheduleAnyway. It defaults to DoNotSchedule.
	// +optional
	// +k8s:optional
	// +default="DoNotSchedule"
	WhenUnsatisfiable UnsatisfiableConstraintAction `json:"whenUnsatisfiable,omitempty"`
}

// TolerationOperator says how a toleration's value is compared with a taint's.
// +enum
// +k8s:enum
type TolerationOperator string

const (
	// TolerationOpEqual tolerates taints of the same key and value.
	TolerationOpEqual TolerationOperator = "Equal"
	// TolerationOpExists tolerates taints of the key whatever their value, and every taint where the key is empty.
	TolerationOpExists TolerationOperator = "Exists"
)

// TaintEffect is what a taint does to placements that do not tolerate it.
// +enum
// +k8s:enum
type TaintEffect string

const (
	// TaintEffectNoSchedule keeps new placements off the cluster; those already there stay.
	TaintEffectNoSchedule TaintEffect = "NoSchedule"
)

// Toleration lets a placement be scheduled to clusters with a matching taint.
type Toleration struct {
	// Key of the taints to tolerate. Empty means every key, and needs the operator Exists.
	// +optional
	Key string `json:"key,omitempty"`

	// Operator is Equal or Exists. It defaults to Equal.
	// +optional
	// +k8s:optional
	// +default="Equal"
	Operator TolerationOperator `json:"operator,omitempty"`

	// Value of the taints to tolerate. It has to be empty with the operator Exists.
	// +optional
	Value string `json:"value,omitempty,omitzero"`

	// Effect of the taints to tolerate. Empty means every effect.
	// +optional
	// +k8s:optional
	Effect TaintEffect `json:"effect,omitempty"`
}
