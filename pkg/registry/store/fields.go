// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
)

// attributes says what selectors see of an object.
func attributes[O Object](namespaced bool, values map[string]func(obj O) string) storage.AttrFunc {
	return func(obj runtime.Object) (labels.Set, fields.Set, error) {
		o, ok := obj.(O)
		if !ok {
			return nil, nil, fmt.Errorf("cannot select on %T", obj)
		}
		set := make(fields.Set, len(values)+2)
		for label, value := range values {
			set[label] = value(o)
		}
		set["metadata.name"] = o.GetName()
		if namespaced {
			set["metadata.namespace"] = o.GetNamespace()
		}
		return labels.Set(o.GetLabels()), set, nil
	}
}
