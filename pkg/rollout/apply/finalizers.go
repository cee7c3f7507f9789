// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"fmt"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// Finalizers of an object are those of the controllers of one cluster. Those that a manifest has are not placed, since snapshots of
// KubeFleet and of earlier versions, and envelopes, may have those of the hub. Those that an object has on the member stay, whoever put
// them there: a controller of the member may clean up by one of the same name as an earlier version has placed, and would not any more.

// withoutFinalizers takes the finalizers out of an object's content. Those of a Namespace's spec are no metadata, and stay.
func withoutFinalizers(content map[string]any) {
	unstructured.RemoveNestedField(content, "metadata", "finalizers")
}

// lastApplied is the record of what was applied to an object client-side, without finalizers: a merge would take away what the record has
// and the manifest has not.
func lastApplied(live *unstructured.Unstructured) []byte {
	record := []byte(live.GetAnnotations()[wellknown.LastAppliedAnnotation])
	var content map[string]any
	if json.Unmarshal(record, &content) != nil {
		// The merge says what is wrong with it.
		return record
	}
	if _, has, _ := unstructured.NestedFieldNoCopy(content, "metadata", "finalizers"); !has {
		return record
	}
	withoutFinalizers(content)
	// What was decoded from JSON can be encoded again.
	record, _ = json.Marshal(content)
	return record
}

// managedPatch makes the managed fields of an object those that a server-side apply may start from, nil where they are. Fields of an
// earlier client-side apply become ours, or those that a manifest drops would stay. Finalizers become nobody's, or those that an earlier
// version has placed would go. The server refuses the patch where the object has changed.
func managedPatch(live *unstructured.Unstructured) ([]byte, error) {
	object := live.DeepCopy()
	if err := csaupgrade.UpgradeManagedFields(object, sets.New(wellknown.FieldManager), wellknown.FieldManager); err != nil {
		return nil, err
	}
	entries := object.GetManagedFields()
	for i := range entries {
		if entries[i].Manager != wellknown.FieldManager || entries[i].FieldsV1 == nil {
			continue
		}
		var fields map[string]any
		if err := json.Unmarshal(entries[i].FieldsV1.GetRawBytes(), &fields); err != nil {
			return nil, fmt.Errorf("fields of manager %s: %w", wellknown.FieldManager, err)
		}
		if _, has, _ := unstructured.NestedFieldNoCopy(fields, "f:metadata", "f:finalizers"); !has {
			continue
		}
		unstructured.RemoveNestedField(fields, "f:metadata", "f:finalizers")
		raw, err := json.Marshal(fields)
		if err != nil {
			return nil, err
		}
		entries[i].FieldsV1 = metav1.NewFieldsV1(string(raw))
	}
	if reflect.DeepEqual(live.GetManagedFields(), entries) {
		return nil, nil
	}
	return json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/managedFields", "value": entries},
		// A replacement is a conflict where the object has changed, and a test would be an invalid request.
		{"op": "replace", "path": "/metadata/resourceVersion", "value": live.GetResourceVersion()},
	})
}
