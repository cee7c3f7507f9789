// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package authorvalidation

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// wrapped is what an envelope of a namespace wraps. A manifest of which it cannot be told what it is on a member is for those who may do
// everything.
func wrapped(ctx context.Context, r *review, namespace string, data map[string]runtime.RawExtension) error {
	for _, key := range slices.Sorted(maps.Keys(data)) {
		object, err := parse(data[key])
		if err != nil {
			r.refuse(wrap, "data["+key+"]", err.Error())
			continue
		}
		d := deed{does: wrap, kind: object.GroupVersionKind().GroupKind(), namespace: object.GetNamespace(), name: object.GetName(), verbs: writeVerbs}
		if d.binding() {
			d.roleRef = roleRefOf(object)
		}
		if d.namespace == "" && namespace != "" {
			// Whether the object is in a namespace at all, only a kind of the hub tells.
			kinds, err := r.kindsOf(ctx, d.kind)
			if err != nil {
				return err
			}
			if len(kinds) > 0 {
				d.namespace = namespace
			}
		}
		if err := r.add(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// parse reads a manifest as a member does: keys that differ in case are different keys.
func parse(manifest runtime.RawExtension) (*unstructured.Unstructured, error) {
	content, err := decode(manifest)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{Object: content}
	gv, err := schema.ParseGroupVersion(object.GetAPIVersion())
	switch {
	case err != nil || gv.Version == "" || object.GetKind() == "" || object.GetName() == "":
		return nil, fmt.Errorf("apiVersion, kind and metadata.name do not tell which object it is: write them in full")
	case object.IsList() || strings.HasSuffix(object.GetKind(), "List"):
		return nil, fmt.Errorf("%s is a list: wrap each of its objects by itself", object.GetKind())
	case gv.Group == v1beta1.GroupName:
		return nil, fmt.Errorf("what a wrapped %s would do is not checked: write it to the hub that it is for", object.GetKind())
	}
	return object, nil
}

// decode refuses a key that occurs twice, since not every reader takes the same one of them.
func decode(manifest runtime.RawExtension) (map[string]any, error) {
	raw, err := manifest.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("the manifest cannot be read: %w", err)
	}
	var content map[string]any
	strict, err := kjson.UnmarshalStrict(raw, &content)
	if err != nil {
		return nil, fmt.Errorf("the manifest cannot be read: %w", err)
	}
	if len(strict) > 0 {
		return nil, fmt.Errorf("the manifest can be read in two ways: %w", strict[0])
	}
	return content, nil
}

// sameManifests reports whether two envelopes wrap the same, however it is spelled: some ways of writing put the keys in another order.
func sameManifests(a, b map[string]runtime.RawExtension) bool {
	return maps.EqualFunc(a, b, func(a, b runtime.RawExtension) bool {
		if a.Object == nil && b.Object == nil && bytes.Equal(a.Raw, b.Raw) {
			return true
		}
		first, err := decode(a)
		second, otherErr := decode(b)
		return err == nil && otherErr == nil && reflect.DeepEqual(first, second)
	})
}

// roleRef is the role that a binding refers to.
type roleRef struct{ kind, name string }

// roleRefOf returns nil for a role that cannot be told.
func roleRefOf(binding *unstructured.Unstructured) *roleRef {
	kind, _, _ := unstructured.NestedString(binding.Object, "roleRef", "kind")
	name, _, _ := unstructured.NestedString(binding.Object, "roleRef", "name")
	if kind != "Role" && kind != "ClusterRole" || name == "" {
		return nil
	}
	return &roleRef{kind, name}
}
