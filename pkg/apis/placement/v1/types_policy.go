// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PlacementType is the way to choose the clusters of a placement.
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

// PlacementPolicy specifies which member clusters receive the selected resources.
type PlacementPolicy struct {
	// placementType is the way to choose clusters: PickAll, PickN or PickFixed. It defaults to PickAll and cannot be
	// changed.
	// +optional
	// +k8s:optional
	// +default="PickAll"
	PlacementType PlacementType `json:"placementType,omitempty"`

	// clusterNames are the names of the member clusters to pick, at most 100. Only for PickFixed. A cluster that is
	// not a member yet is picked once it joins.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=100
	// +listType=atomic
	ClusterNames []string `json:"clusterNames,omitempty"`

	// numberOfClusters is the number of clusters to pick, 0 or more. Required for PickN, not allowed otherwise.
	// +optional
	// +k8s:optional
	// +k8s:minimum=0
	NumberOfClusters *int32 `json:"numberOfClusters,omitempty"`

	// affinity restricts the clusters with required terms and ranks them with preferred terms. Only for PickAll and
	// PickN.
	// +optional
	// +k8s:optional
	Affinity *Affinity `json:"affinity,omitempty"`

	// topologySpreadConstraints spread the picked clusters over the values of cluster labels, at most 20. They rank
	// clusters before the affinity does. Only for PickN.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=20
	// +listType=map
	// +listMapKey=topologyKey
	// +k8s:listType=map
	// +k8s:listMapKey=topologyKey
	// +patchMergeKey=topologyKey
	// +patchStrategy=merge
	TopologySpreadConstraints []TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty" patchStrategy:"merge" patchMergeKey:"topologyKey"`

	// tolerations allow the placement on clusters with matching taints, at most 100. Only for PickAll and PickN.
	// Tolerations can be added later, but neither changed nor removed.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=100
	// +listType=atomic
	Tolerations []Toleration `json:"tolerations,omitempty"`
}

// Affinity holds the scheduling rules of a placement.
type Affinity struct {
	// clusterAffinity are the rules on member clusters.
	// +optional
	// +k8s:optional
	ClusterAffinity *ClusterAffinity `json:"clusterAffinity,omitempty"`
}

// ClusterAffinity restricts and ranks member clusters. Its rules hold when a cluster is picked; a cluster that stops
// matching later keeps its placement.
type ClusterAffinity struct {
	// requiredDuringSchedulingIgnoredDuringExecution is a selector that a cluster must match to be picked.
	// +optional
	// +k8s:optional
	RequiredDuringSchedulingIgnoredDuringExecution *ClusterSelector `json:"requiredDuringSchedulingIgnoredDuringExecution,omitempty"`

	// preferredDuringSchedulingIgnoredDuringExecution ranks the clusters that match the required terms, by the sum of
	// the weights of the terms that they match. At most 100. Only for PickN.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=100
	// +listType=atomic
	PreferredDuringSchedulingIgnoredDuringExecution []PreferredClusterSelector `json:"preferredDuringSchedulingIgnoredDuringExecution,omitempty"`
}

// PreferredClusterSelector adds its weight to the score of every cluster that matches.
type PreferredClusterSelector struct {
	// weight is added to the score of a matching cluster, from -100 to 100.
	// +required
	// +k8s:optional
	// +k8s:minimum=-100
	// +k8s:maximum=100
	Weight int32 `json:"weight"`

	// preference is the term that a cluster must match to get the weight.
	// +required
	Preference ClusterSelectorTerm `json:"preference"`
}

// ClusterSelector selects the clusters that match at least one of its terms, or all clusters if it has none.
type ClusterSelector struct {
	// clusterSelectorTerms are the terms, of which a cluster must match at least one. At most 10. Without terms every
	// cluster matches.
	// +required
	// +k8s:optional
	// +k8s:maxItems=10
	// +listType=atomic
	ClusterSelectorTerms []ClusterSelectorTerm `json:"clusterSelectorTerms"`
}

// ClusterSelectorTerm matches clusters by label and by property. If both are set, both must match.
type ClusterSelectorTerm struct {
	// labelSelector is matched against the labels of the MemberCluster.
	// +optional
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`

	// propertySelector is matched against status.properties and status.resourceUsage of the MemberCluster. A property
	// that the cluster does not report, or that is no quantity, does not match. Not allowed in preferred rules.
	// +optional
	// +k8s:optional
	PropertySelector *PropertySelector `json:"propertySelector,omitempty"`

	// propertySorter scores clusters by a property, on the scale from the lowest to the highest value in the fleet.
	// A cluster that does not report the property scores below the worst that does. Not allowed in required rules.
	// +optional
	// +k8s:optional
	PropertySorter *PropertySorter `json:"propertySorter,omitempty"`
}

// PropertySelector matches clusters by their properties.
type PropertySelector struct {
	// matchExpressions are the requirements, all of which a cluster must meet.
	// +required
	// +k8s:optional
	// +listType=atomic
	MatchExpressions []PropertySelectorRequirement `json:"matchExpressions"`
}

// PropertySelectorOperator compares a property of a cluster with a value. Other operators are rejected.
type PropertySelectorOperator string

const (
	// PropertySelectorGreaterThan holds if the property is greater than the value.
	PropertySelectorGreaterThan PropertySelectorOperator = "Gt"
	// PropertySelectorGreaterThanOrEqualTo holds if the property is greater than or equal to the value.
	PropertySelectorGreaterThanOrEqualTo PropertySelectorOperator = "Ge"
	// PropertySelectorEqualTo holds if the property is equal to the value.
	PropertySelectorEqualTo PropertySelectorOperator = "Eq"
	// PropertySelectorNotEqualTo holds if the property is not equal to the value.
	PropertySelectorNotEqualTo PropertySelectorOperator = "Ne"
	// PropertySelectorLessThan holds if the property is less than the value.
	PropertySelectorLessThan PropertySelectorOperator = "Lt"
	// PropertySelectorLessThanOrEqualTo holds if the property is less than or equal to the value.
	PropertySelectorLessThanOrEqualTo PropertySelectorOperator = "Le"
)

// PropertySelectorRequirement compares one property of a cluster with one value.
type PropertySelectorRequirement struct {
	// name is the name of the property, for example kubernetes-fleet.io/node-count or
	// resources.kubernetes-fleet.io/available-cpu.
	// +required
	// +k8s:required
	Name string `json:"name"`

	// operator is one of Gt, Ge, Eq, Ne, Lt and Le.
	// +required
	// +k8s:required
	Operator PropertySelectorOperator `json:"operator"`

	// values is a list of exactly one quantity to compare the property with, such as 10 or 4Gi. At most 64 bytes, with
	// an exponent of at most two digits.
	// +required
	// +k8s:optional
	// +k8s:maxItems=1
	// +listType=atomic
	Values []string `json:"values"`
}

// PropertySortOrder is the end of a property's range that scores highest.
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
	// name is the name of the property.
	// +required
	// +k8s:required
	Name string `json:"name"`

	// sortOrder is Descending (the highest value scores highest) or Ascending (the lowest value scores highest).
	// +required
	// +k8s:required
	SortOrder PropertySortOrder `json:"sortOrder"`
}

// UnsatisfiableConstraintAction is the effect of a spread constraint that cannot be met.
// +enum
// +k8s:enum
type UnsatisfiableConstraintAction string

const (
	// DoNotScheduleUnsatisfiableConstraint does not pick a cluster that would violate the constraint.
	DoNotScheduleUnsatisfiableConstraint UnsatisfiableConstraintAction = "DoNotSchedule"
	// ScheduleAnywayUnsatisfiableConstraint only ranks such a cluster lower.
	ScheduleAnywayUnsatisfiableConstraint UnsatisfiableConstraintAction = "ScheduleAnyway"
)

// TopologySpreadConstraint spreads a placement over the values of one cluster label.
type TopologySpreadConstraint struct {
	// maxSkew is the largest allowed difference between the numbers of clusters of two label values, 1 or more. It
	// defaults to 1. Values count that a picked cluster has, or one that can be picked. A difference that is larger
	// already does not keep a cluster out that does not increase it.
	// +optional
	// +k8s:optional
	// +k8s:minimum=1
	// +default=1
	MaxSkew *int32 `json:"maxSkew,omitempty"`

	// topologyKey is the label of the MemberCluster whose values are the domains to spread over. DoNotSchedule keeps
	// out a cluster without the label; ScheduleAnyway does not rank it.
	// +required
	// +k8s:required
	TopologyKey string `json:"topologyKey"`

	// whenUnsatisfiable is DoNotSchedule or ScheduleAnyway. It defaults to DoNotSchedule.
	// +optional
	// +k8s:optional
	// +default="DoNotSchedule"
	WhenUnsatisfiable UnsatisfiableConstraintAction `json:"whenUnsatisfiable,omitempty"`
}

// TolerationOperator is the way to compare a toleration with a taint.
// +enum
// +k8s:enum
type TolerationOperator string

const (
	// TolerationOpEqual tolerates taints with the same key and value.
	TolerationOpEqual TolerationOperator = "Equal"
	// TolerationOpExists tolerates taints with the same key and any value; if the key is empty, every taint.
	TolerationOpExists TolerationOperator = "Exists"
)

// TaintEffect is the effect of a taint on placements that do not tolerate it.
// +enum
// +k8s:enum
type TaintEffect string

const (
	// TaintEffectNoSchedule keeps new placements off the cluster; those already there stay.
	TaintEffectNoSchedule TaintEffect = "NoSchedule"
)

// Toleration allows a placement on clusters with a matching taint.
type Toleration struct {
	// key is the key of the taints to tolerate. Empty means every key and requires the operator Exists.
	// +optional
	Key string `json:"key,omitempty"`

	// operator is Equal or Exists. It defaults to Equal.
	// +optional
	// +k8s:optional
	// +default="Equal"
	Operator TolerationOperator `json:"operator,omitempty"`

	// value is the value of the taints to tolerate. It must be empty if the operator is Exists.
	// +optional
	Value string `json:"value,omitempty,omitzero"`

	// effect is the effect of the taints to tolerate. Empty means every effect.
	// +optional
	// +k8s:optional
	Effect TaintEffect `json:"effect,omitempty"`
}
