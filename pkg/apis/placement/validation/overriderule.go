// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

const (
	// maxOverrideSteps is how many JSON patch steps the rules of an override may have together. Each is applied for each cluster, in
	// each plan.
	maxOverrideSteps = 500
	// maxStepBytes is the largest value in bytes of JSON that a step may have.
	maxStepBytes = 256 << 10
	// maxStepLevels is how many levels the path of a step may go down. The manifest is written again for each of them.
	maxStepLevels = 64
	// maxTold is how many bytes of a path a message repeats beside the value that it is about: a path may be as long as an object.
	maxTold = 256
)

// validateOverrideChange refuses what a policy may have only if it has it already: earlier versions took it. old is the stored policy, nil for
// a new override. Versions of overrides are not held to it, since they say what their override says.
func validateOverrideChange(policy, old *v1beta1.OverridePolicy, path *field.Path) field.ErrorList {
	return append(validateOverrideAmount(policy, old, path), validateNewPaths(policy, old, path)...)
}

// validateNewPaths refuses paths that fit no object.
func validateNewPaths(policy, old *v1beta1.OverridePolicy, path *field.Path) field.ErrorList {
	stored := sets.New[string]()
	eachStep(old, nil, func(step *v1beta1.JSONPatchOverride, _ *field.Path) { stored.Insert(step.Path) })
	var errs field.ErrorList
	eachStep(policy, path, func(step *v1beta1.JSONPatchOverride, stepPath *field.Path) {
		// What is refused for another reason needs no second one.
		if why := misfit(step.Path); why != "" && refusedPath(step.Path) == "" && !stored.Has(step.Path) {
			errs = append(errs, field.Invalid(stepPath.Child("path"), step.Path, "invalid JSONPatchOverride: "+why))
		}
	})
	return errs
}

// misfit says why a JSON pointer fits no object, and how to write what may be meant, or nothing.
func misfit(pointer string) string {
	if strings.Contains(pointer, wellknown.ClusterNameVariable) || strings.Contains(pointer, wellknown.ClusterLabelVariable) {
		return "variables such as " + wellknown.ClusterNameVariable +
			" are replaced in values only: replace the parent with a value that has them, or write a rule for each cluster"
	}
	if strings.Contains(pointerEscapes.Replace(pointer), "~") {
		return "~ must be followed by 0 or 1: write ~0 for ~ in a key, and ~1 for /"
	}
	segments := strings.Split(pointer, "/")
	if len(segments) < 4 || segments[1] != "metadata" {
		return ""
	}
	// What is below metadata, and may be patched, is a map of strings.
	if len(segments) > 4 {
		return fmt.Sprintf("%s have keys and nothing below them: write ~1 for / in a key, as in /metadata/%s/%s",
			segments[2], segments[2], wording.Shorten(strings.Join(segments[3:], "~1"), maxTold))
	}
	key := unescapePointer.Replace(segments[3])
	if segments[2] == "annotations" {
		key = strings.ToLower(key)
	}
	if why := validation.IsQualifiedName(key); len(why) > 0 {
		return fmt.Sprintf("%q is no key of %s: %s", wording.Shorten(unescapePointer.Replace(segments[3]), maxTold), segments[2], strings.Join(why, "; "))
	}
	return ""
}

var (
	pointerEscapes  = strings.NewReplacer("~0", "", "~1", "")
	unescapePointer = strings.NewReplacer("~0", "~", "~1", "/")
)

// eachStep calls f for each step of a policy, and its path below that of the policy.
func eachStep(policy *v1beta1.OverridePolicy, path *field.Path, f func(*v1beta1.JSONPatchOverride, *field.Path)) {
	if policy == nil {
		return
	}
	for i := range policy.OverrideRules {
		patches := policy.OverrideRules[i].JSONPatchOverrides
		for j := range patches {
			f(&patches[j], path.Child("overrideRules").Index(i).Child("jsonPatchOverrides").Index(j))
		}
	}
}

// validateOverrideAmount refuses more steps, or larger or deeper ones, than an override may have. One that has more already may keep as
// many: old is the stored policy, nil for a new override.
func validateOverrideAmount(policy, old *v1beta1.OverridePolicy, path *field.Path) field.ErrorList {
	has, had := amountOf(policy, path), amountOf(old, path)
	var errs field.ErrorList
	if has.steps > max(maxOverrideSteps, had.steps) {
		errs = append(errs, field.Forbidden(path.Child("overrideRules"), fmt.Sprintf(
			"the rules have %d JSON patch steps together, and may have %d: put what several add into one value", has.steps, maxOverrideSteps)))
	}
	if has.bytes > max(maxStepBytes, had.bytes) {
		errs = append(errs, field.Forbidden(has.largest.Child("value"), fmt.Sprintf("the value has %d bytes, and may have %d", has.bytes, maxStepBytes)))
	}
	if has.levels > max(maxStepLevels, had.levels) {
		errs = append(errs, field.Forbidden(has.deepest.Child("path"), fmt.Sprintf("the path goes down %d levels, and may go down %d: replace more of the object in one step", has.levels, maxStepLevels)))
	}
	return errs
}

// amount is how much a policy has.
type amount struct {
	steps int
	// bytes of the largest value, and levels of the deepest path, with the steps that have them.
	bytes, levels    int
	largest, deepest *field.Path
}

func amountOf(policy *v1beta1.OverridePolicy, path *field.Path) amount {
	var a amount
	eachStep(policy, path, func(step *v1beta1.JSONPatchOverride, stepPath *field.Path) {
		a.steps++
		if bytes := len(step.Value.Raw); bytes > a.bytes {
			a.bytes, a.largest = bytes, stepPath
		}
		if levels := strings.Count(step.Path, "/"); levels > a.levels {
			a.levels, a.deepest = levels, stepPath
		}
	})
	return a
}

func validateOverridePolicy(policy *v1beta1.OverridePolicy, path *field.Path) field.ErrorList {
	if policy == nil {
		return field.ErrorList{field.Required(path, "must say what is changed")}
	}
	var errs field.ErrorList
	for i := range policy.OverrideRules {
		rule, rulePath := &policy.OverrideRules[i], path.Child("overrideRules").Index(i)
		errs = append(errs, validateOverrideClusters(rule.ClusterSelector, rulePath.Child("clusterSelector", "clusterSelectorTerms"))...)
		errs = append(errs, validateOverrideRule(rule, rulePath.Child("jsonPatchOverrides"))...)
	}
	return errs
}

// validateOverrideClusters wants labels only: properties change too often to decide what a cluster runs.
func validateOverrideClusters(selector *v1beta1.ClusterSelector, path *field.Path) field.ErrorList {
	if selector == nil {
		return nil
	}
	var errs field.ErrorList
	for i := range selector.ClusterSelectorTerms {
		term, termPath := &selector.ClusterSelectorTerms[i], path.Index(i)
		if term.PropertySelector != nil || term.PropertySorter != nil {
			errs = append(errs, field.Forbidden(termPath, "invalid clusterSelector: only labelSelector is supported"))
			continue
		}
		if term.LabelSelector == nil {
			errs = append(errs, field.Required(termPath.Child("labelSelector"), "invalid clusterSelector: labelSelector is required"))
			continue
		}
		errs = append(errs, ValidateLabelSelector(term.LabelSelector, termPath.Child("labelSelector"), "the labelSelector in cluster selector is invalid")...)
	}
	return errs
}

func validateOverrideRule(rule *v1beta1.OverrideRule, path *field.Path) field.ErrorList {
	if rule.OverrideType == v1beta1.DeleteOverrideType {
		if len(rule.JSONPatchOverrides) > 0 {
			return field.ErrorList{field.Forbidden(path, "invalid JSONPatchOverrides: JSONPatchOverrides cannot be set when the override type is Delete")}
		}
		return nil
	}
	if len(rule.JSONPatchOverrides) == 0 {
		return field.ErrorList{field.Required(path, "invalid JSONPatchOverrides: JSONPatchOverrides cannot be empty")}
	}
	var errs field.ErrorList
	for i := range rule.JSONPatchOverrides {
		patch, patchPath := &rule.JSONPatchOverrides[i], path.Index(i)
		if why := refusedPath(patch.Path); why != "" {
			errs = append(errs, field.Invalid(patchPath.Child("path"), patch.Path, "invalid JSONPatchOverride: "+why))
		}
		if patch.Operator == v1beta1.JSONPatchOverrideOpRemove && len(patch.Value.Raw) > 0 {
			errs = append(errs, field.Forbidden(patchPath.Child("value"), fmt.Sprintf("invalid JSONPatchOverride: %s operation cannot have value", patch.Operator)))
		}
	}
	return errs
}

// refusedPath says why a JSON pointer must not be patched, or nothing: an override changes what an object is like, never which
// object it is. That the pointer is empty says its type.
func refusedPath(pointer string) string {
	if pointer == "" {
		return ""
	}
	if !strings.HasPrefix(pointer, "/") {
		return "path must start with /"
	}
	segments := strings.Split(pointer[1:], "/")
	switch {
	case segments[0] == "kind" || segments[0] == "apiVersion":
		return "cannot override typeMeta fields"
	case segments[0] == "metadata" && len(segments) == 1:
		return "cannot override field metadata"
	case segments[0] == "metadata" && segments[1] != "annotations" && segments[1] != "labels":
		return "cannot override metadata fields except annotations and labels"
	case segments[0] == "status":
		return "cannot override status fields"
	case slices.Contains(segments, ""):
		return "path cannot contain empty string"
	}
	return ""
}
