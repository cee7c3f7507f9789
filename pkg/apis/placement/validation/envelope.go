// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// maxEnvelopeManifests is how many objects an envelope holds at most.
const maxEnvelopeManifests = 50

// ValidateClusterResourceEnvelope returns what is wrong with a new ClusterResourceEnvelope.
func ValidateClusterResourceEnvelope(object *v1beta1.ClusterResourceEnvelope) field.ErrorList {
	return validateEnvelope(object.Data, func(namespace string) string {
		if namespace == "" {
			return ""
		}
		return "a ClusterResourceEnvelope holds cluster-scoped objects only; use a ResourceEnvelope in the namespace of the object"
	})
}

// ValidateClusterResourceEnvelopeUpdate returns what is wrong with a changed ClusterResourceEnvelope.
func ValidateClusterResourceEnvelopeUpdate(object, old *v1beta1.ClusterResourceEnvelope) field.ErrorList {
	return ifChanged(object.Data, old.Data, func() field.ErrorList { return ValidateClusterResourceEnvelope(object) })
}

// ValidateResourceEnvelope returns what is wrong with a new ResourceEnvelope. Whether an object without a namespace is namespaced
// at all is not for this package to know.
func ValidateResourceEnvelope(object *v1beta1.ResourceEnvelope) field.ErrorList {
	return validateEnvelope(object.Data, func(namespace string) string {
		if namespace == "" || namespace == object.Namespace {
			return ""
		}
		return fmt.Sprintf("must be the namespace of the envelope, %s", object.Namespace)
	})
}

// ValidateResourceEnvelopeUpdate returns what is wrong with a changed ResourceEnvelope.
func ValidateResourceEnvelopeUpdate(object, old *v1beta1.ResourceEnvelope) field.ErrorList {
	return ifChanged(object.Data, old.Data, func() field.ErrorList { return ValidateResourceEnvelope(object) })
}

// validateEnvelope takes the rule for a wrapped object's namespace, which returns what is wrong with it.
func validateEnvelope(data map[string]runtime.RawExtension, namespaceRule func(string) string) field.ErrorList {
	path := field.NewPath("data")
	switch {
	case len(data) == 0:
		return field.ErrorList{field.Required(path, "must have at least 1 item")}
	case len(data) > maxEnvelopeManifests:
		return field.ErrorList{field.TooMany(path, len(data), maxEnvelopeManifests)}
	}
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(data)) {
		object, manifestErrs := parseManifest(data[key], path.Key(key))
		errs = append(errs, manifestErrs...)
		if wrong := namespaceRule(object.Namespace); wrong != "" {
			errs = append(errs, field.Invalid(path.Key(key).Child("metadata", "namespace"), object.Namespace, wrong))
		}
	}
	return errs
}
