// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"reflect"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	placementvalidation "github.com/stagegate/stagegate/pkg/apis/placement/validation"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

var (
	specPath   = field.NewPath("spec")
	statusPath = field.NewPath("status")
)

// ValidateRolloutPolicy returns what is wrong with a new policy.
func ValidateRolloutPolicy(object v1alpha1.RolloutPolicyObject) field.ErrorList {
	spec := object.PolicySpec()
	var errs field.ErrorList
	if _, namespaced := object.(*v1alpha1.RolloutPolicy); namespaced && spec.Match != nil {
		errs = append(errs, field.Forbidden(specPath.Child("match"), "a RolloutPolicy binds the rollouts of its namespace: leave match out, or write a ClusterRolloutPolicy"))
	} else {
		errs = append(errs, validateMatch(spec.Match, specPath.Child("match"))...)
	}
	errs = append(errs, validateSelector(spec.Clusters, specPath.Child("clusters"), "the selector of protected clusters is invalid")...)
	return append(errs, validateRules(&spec.Rules, specPath.Child("rules"))...)
}

// ValidateRolloutPolicyUpdate returns what is wrong with a changed policy. A spec that an older rule let in may stay.
func ValidateRolloutPolicyUpdate(object, old v1alpha1.RolloutPolicyObject) field.ErrorList {
	if apiequality.Semantic.DeepEqual(object.PolicySpec(), old.PolicySpec()) {
		return nil
	}
	return ValidateRolloutPolicy(object)
}

// ValidateRolloutPolicyStatusUpdate returns what is wrong with a policy's new status.
func ValidateRolloutPolicyStatusUpdate(object, _ v1alpha1.RolloutPolicyObject) field.ErrorList {
	return metav1validation.ValidateConditions(object.PolicyStatus().Conditions, statusPath.Child("conditions"))
}

// maxSelectorValues is how many labels and values a selector may have: every rollout is looked at by all policies that may bind it.
const maxSelectorValues = 1000

func validateSelector(selector *metav1.LabelSelector, path *field.Path, prefix string) field.ErrorList {
	if selector != nil {
		values := len(selector.MatchLabels)
		for i := range selector.MatchExpressions {
			values += max(len(selector.MatchExpressions[i].Values), 1)
		}
		if values > maxSelectorValues {
			return field.ErrorList{field.TooMany(path, values, maxSelectorValues).WithOrigin("maxItems")}
		}
	}
	return placementvalidation.ValidateLabelSelector(selector, path, prefix)
}

func validateMatch(match *v1alpha1.PolicyMatch, path *field.Path) field.ErrorList {
	if match == nil {
		return nil
	}
	errs := validateSelector(match.NamespaceSelector, path.Child("namespaceSelector"), "the selector of namespaces is invalid")
	return append(errs, validateSelector(match.PlacementSelector, path.Child("placementSelector"), "the selector of placements is invalid")...)
}

func validateRules(rules *v1alpha1.PolicyRules, path *field.Path) field.ErrorList {
	if reflect.ValueOf(*rules).IsZero() {
		return field.ErrorList{field.Required(path,
			"write what the policy demands: deny, staged, approval, soak, maxConcurrency, maxStageClusters, failurePolicy, or several of them")}
	}
	errs := validateApproval(rules.Approval, path.Child("approval"))
	errs = append(errs, validateSoak(rules.Soak, path.Child("soak"))...)
	errs = append(errs, placementvalidation.ValidateMaxConcurrency(rules.MaxConcurrency, path.Child("maxConcurrency"))...)
	return append(errs, validateFailurePolicy(rules.FailurePolicy, path.Child("failurePolicy"))...)
}

func validateApproval(rule *v1alpha1.ApprovalRule, path *field.Path) field.ErrorList {
	if rule == nil {
		return nil
	}
	var errs field.ErrorList
	for i, group := range rule.Groups {
		errs = append(errs, placementvalidation.ValidateGroupName(group, path.Child("groups").Index(i))...)
	}
	return append(errs, validateLongerThanZero(rule.MaxExpiresAfter, path, "maxExpiresAfter")...)
}

// validateSoak refuses a selector of all clusters: they would include the protected ones, which cannot have the version before themselves.
// One that is not set is for the type to refuse.
func validateSoak(rule *v1alpha1.SoakRule, path *field.Path) field.ErrorList {
	if rule == nil {
		return nil
	}
	clusters := path.Child("clusters")
	errs := validateSelector(rule.Clusters, clusters, "the selector of clusters that have the version first is invalid")
	if rule.Clusters != nil && len(rule.Clusters.MatchLabels)+len(rule.Clusters.MatchExpressions) == 0 {
		errs = append(errs, field.Required(clusters, "say by their labels which clusters must have the version first, such as matchLabels: {environment: canary}"))
	}
	if rule.Duration.Duration == 0 {
		return append(errs, field.Required(path.Child("duration"), "say how long these clusters must have the version first, such as 30m"))
	}
	return append(errs, validateLongerThanZero(&rule.Duration, path, "duration")...)
}

func validateFailurePolicy(rule *v1alpha1.FailurePolicyRule, path *field.Path) field.ErrorList {
	if rule == nil {
		return nil
	}
	errs := validateLongerThanZero(rule.MaxClusterTimeout, path, "maxClusterTimeout")
	return append(errs, placementvalidation.ValidateShareOfClusters(rule.MaxFailures, path, "maxFailures")...)
}

func validateLongerThanZero(duration *metav1.Duration, path *field.Path, name string) field.ErrorList {
	if duration == nil || duration.Duration > 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(path.Child(name), duration.Duration.String(), name+" must be longer than zero")}
}
