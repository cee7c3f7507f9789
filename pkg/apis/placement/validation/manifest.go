// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"bytes"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateManifest wants what every applier needs to find the object.
func validateManifest(manifest runtime.RawExtension, path *field.Path) field.ErrorList {
	var object metav1.PartialObjectMetadata
	data, err := manifest.MarshalJSON()
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte(`"`)) {
		return field.ErrorList{field.Invalid(path, "", "must be a Kubernetes object and not text: write the object itself here, without the | of a text in YAML")}
	}
	if err == nil {
		err = json.Unmarshal(data, &object)
	}
	if err != nil {
		return field.ErrorList{field.Invalid(path, "", fmt.Sprintf("must be a Kubernetes object: %v", err))}
	}
	var errs field.ErrorList
	for _, required := range []struct{ name, value string }{
		{"apiVersion", object.APIVersion},
		{"kind", object.Kind},
		{"metadata.name", object.Name},
	} {
		if required.value == "" {
			errs = append(errs, field.Required(path.Child(required.name), "must not be empty"))
		}
	}
	return errs
}
