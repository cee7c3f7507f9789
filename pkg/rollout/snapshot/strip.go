// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// strippedMetadata is what belongs to the hub's object alone. Its finalizers are those of controllers of the hub: on a member nobody may
// ever take them away, and the object could not be deleted there.
var strippedMetadata = []string{
	"resourceVersion", "generation", "uid", "selfLink", "deletionTimestamp", "managedFields", "ownerReferences", "creationTimestamp", "finalizers",
}

var strippedAnnotations = []string{
	"kubectl.kubernetes.io/last-applied-configuration",
	"deployment.kubernetes.io/revision",
	// Those of an object that is placed here as well, where the hub is or was a member.
	wellknown.SpecHashAnnotation,
	wellknown.LastAppliedAnnotation,
}

// jobUIDLabels tie a Job to its pods; each cluster's Job gets its own.
var jobUIDLabels = []string{"controller-uid", "batch.kubernetes.io/controller-uid"}

// strip takes away from an object what is the hub's alone.
func strip(object *unstructured.Unstructured) {
	content := object.Object
	delete(content, "status")
	for _, field := range strippedMetadata {
		unstructured.RemoveNestedField(content, "metadata", field)
	}
	for _, annotation := range strippedAnnotations {
		unstructured.RemoveNestedField(content, "metadata", "annotations", annotation)
	}
	if len(object.GetAnnotations()) == 0 {
		unstructured.RemoveNestedField(content, "metadata", "annotations")
	}
	switch gvk := object.GroupVersionKind(); {
	case gvk == serviceKind:
		stripService(content)
	case gvk.GroupKind() == jobKind:
		stripJob(content)
	}
}

// stripService lets each cluster choose addresses and ports. A headless service stays one.
func stripService(content map[string]any) {
	if ip, _, _ := unstructured.NestedString(content, "spec", "clusterIP"); ip != "None" {
		unstructured.RemoveNestedField(content, "spec", "clusterIP")
		unstructured.RemoveNestedField(content, "spec", "clusterIPs")
	}
	unstructured.RemoveNestedField(content, "spec", "healthCheckNodePort")
	ports, found, err := unstructured.NestedSlice(content, "spec", "ports")
	if !found || err != nil {
		return
	}
	for _, port := range ports {
		if port, ok := port.(map[string]any); ok {
			delete(port, "nodePort")
		}
	}
	_ = unstructured.SetNestedSlice(content, ports, "spec", "ports")
}

// stripJob undoes what the hub filled in, unless the user chose the selector.
func stripJob(content map[string]any) {
	if manual, _, _ := unstructured.NestedBool(content, "spec", "manualSelector"); manual {
		return
	}
	for _, label := range jobUIDLabels {
		unstructured.RemoveNestedField(content, "spec", "selector", "matchLabels", label)
		unstructured.RemoveNestedField(content, "spec", "template", "metadata", "labels", label)
	}
	unstructured.RemoveNestedField(content, "spec", "template", "metadata", "creationTimestamp")
}
