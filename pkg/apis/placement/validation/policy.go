// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func validatePolicy(policy *v1beta1.PlacementPolicy, path *field.Path) field.ErrorList {
	errs := validatePlacementType(policy, path)
	errs = append(errs, validateClusterNames(policy.ClusterNames, path.Child("clusterNames"))...)
	if policy.Affinity != nil && policy.Affinity.ClusterAffinity != nil {
		errs = append(errs, validateClusterAffinity(policy.Affinity.ClusterAffinity, path.Child("affinity", "clusterAffinity"))...)
	}
	return append(errs, validateTolerations(policy.Tolerations, path.Child("tolerations"))...)
}

// validatePlacementType holds which fields each way of choosing clusters has.
func validatePlacementType(policy *v1beta1.PlacementPolicy, path *field.Path) field.ErrorList {
	names, number := len(policy.ClusterNames) > 0, policy.NumberOfClusters != nil
	affinity, spread, tolerations := policy.Affinity != nil, len(policy.TopologySpreadConstraints) > 0, len(policy.Tolerations) > 0

	var errs field.ErrorList
	switch policy.PlacementType {
	case v1beta1.PickFixedPlacementType:
		if affinity || number || spread || tolerations {
			errs = append(errs, field.Forbidden(path, "affinity, numberOfClusters, topologySpreadConstraints, and tolerations cannot be set when placementType is PickFixed"))
		}
	case v1beta1.PickAllPlacementType, "":
		if names || number || spread {
			errs = append(errs, field.Forbidden(path, "clusterNames, numberOfClusters, and topologySpreadConstraints cannot be set when placementType is PickAll"))
		}
		if affinity && policy.Affinity.ClusterAffinity != nil && len(policy.Affinity.ClusterAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0 {
			errs = append(errs, field.Forbidden(path.Child("affinity", "clusterAffinity", "preferredDuringSchedulingIgnoredDuringExecution"),
				"PreferredDuringSchedulingIgnoredDuringExecution will be ignored for placement policy type PickAll"))
		}
	case v1beta1.PickNPlacementType:
		if names || !number {
			errs = append(errs, field.Invalid(path, policy.PlacementType, "clusterNames cannot be set and numberOfClusters must be set when placementType is PickN"))
		}
	}
	return errs
}

func validateClusterNames(names []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, name := range names {
		for _, message := range validation.IsDNS1123Subdomain(name) {
			errs = append(errs, field.Invalid(path.Index(i), name, fmt.Sprintf("PickFixed cluster name %s is not a valid member name: %s", name, message)))
		}
		if len(name) > validation.DNS1123LabelMaxLength {
			errs = append(errs, field.Invalid(path.Index(i), name, fmt.Sprintf("PickFixed cluster name %s cannot have length exceeding 63", name)))
		}
		if seen.Has(name) {
			errs = append(errs, field.Invalid(path.Index(i), name, "cluster names must be unique for policy type PickFixed"))
		}
		seen.Insert(name)
	}
	return errs
}

// validatePolicyUpdate takes an absent policy for PickAll, and cannot lose one that is there.
func validatePolicyUpdate(policy, oldPolicy *v1beta1.PlacementPolicy, path *field.Path) field.ErrorList {
	if policy == nil && oldPolicy != nil {
		return field.ErrorList{field.Invalid(path, "", "policy cannot be removed once set")}
	}
	if policy == nil {
		return nil
	}
	if oldPolicy == nil {
		oldPolicy = &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickAllPlacementType}
	}
	errs := immutableField(policy.PlacementType, oldPolicy.PlacementType, path.Child("placementType"), "placement type is immutable")
	if !sets.New(policy.Tolerations...).HasAll(oldPolicy.Tolerations...) {
		errs = append(errs, field.Forbidden(path.Child("tolerations"), "tolerations have been updated/deleted, only additions to tolerations are allowed"))
	}
	return errs
}
