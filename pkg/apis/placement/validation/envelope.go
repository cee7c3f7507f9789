// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxEnvelopeManifests is how many objects an envelope holds at most.
const maxEnvelopeManifests = 50

// ValidateEnvelope returns what is wrong with what a new envelope holds. Which objects it must not hold is not for this package to know: who
// serves envelopes adds check, which returns why a manifest must not be under its key.
func ValidateEnvelope(data map[string]runtime.RawExtension, check func(key string, manifest []byte) error) field.ErrorList {
	path := field.NewPath("data")
	switch {
	case len(data) == 0:
		return field.ErrorList{field.Required(path, "must have at least 1 item")}
	case len(data) > maxEnvelopeManifests:
		return field.ErrorList{field.TooMany(path, len(data), maxEnvelopeManifests)}
	}
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(data)) {
		manifest := data[key]
		if wrong := validateManifest(manifest, path.Key(key)); len(wrong) > 0 {
			errs = append(errs, wrong...)
			continue
		}
		raw, err := manifest.MarshalJSON()
		if err == nil {
			err = check(key, raw)
		}
		if err != nil {
			errs = append(errs, field.Forbidden(path.Key(key), err.Error()))
		}
	}
	return errs
}

// ValidateEnvelopeUpdate returns what is wrong with what a changed envelope holds.
func ValidateEnvelopeUpdate(data, old map[string]runtime.RawExtension, check func(key string, manifest []byte) error) field.ErrorList {
	return ifChanged(data, old, func() field.ErrorList { return ValidateEnvelope(data, check) })
}
