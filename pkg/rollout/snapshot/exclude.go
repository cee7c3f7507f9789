// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	namespaceKind     = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}
	serviceKind       = schema.GroupVersionKind{Version: "v1", Kind: "Service"}
	configMapKind     = schema.GroupKind{Kind: "ConfigMap"}
	secretKind        = schema.GroupKind{Kind: "Secret"}
	accountKind       = schema.GroupKind{Kind: "ServiceAccount"}
	endpointsKind     = schema.GroupKind{Kind: "Endpoints"}
	endpointSliceKind = schema.GroupKind{Group: "discovery.k8s.io", Kind: "EndpointSlice"}
	replicaSetKind    = schema.GroupKind{Group: "apps", Kind: "ReplicaSet"}
	revisionKind      = schema.GroupKind{Group: "apps", Kind: "ControllerRevision"}
	jobKind           = schema.GroupKind{Group: "batch", Kind: "Job"}
)

// excluded says of an object's metadata that it is never selected: it is on its way out, or every cluster makes its own.
func excluded(gk schema.GroupKind, object metav1.Object) bool {
	if object.GetDeletionTimestamp() != nil {
		return true
	}
	switch gk {
	case replicaSetKind, revisionKind:
		return len(object.GetOwnerReferences()) > 0
	case configMapKind:
		return object.GetName() == "kube-root-ca.crt"
	case accountKind:
		return object.GetName() == "default"
	case endpointSliceKind:
		_, managed := object.GetLabels()["endpointslice.kubernetes.io/managed-by"]
		return managed
	}
	return false
}

// excludedContent says of a whole object what excluded cannot tell from its metadata.
func excludedContent(object *unstructured.Unstructured) bool {
	if object.GroupVersionKind().GroupKind() != secretKind {
		return false
	}
	secretType, _, _ := unstructured.NestedString(object.Object, "type")
	return secretType == "kubernetes.io/service-account-token"
}
