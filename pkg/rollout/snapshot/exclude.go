// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

var (
	namespaceKind = placeable.NamespaceKind
	serviceKind   = schema.GroupVersionKind{Version: "v1", Kind: "Service"}
	secretKind    = schema.GroupKind{Kind: "Secret"}
	endpointsKind = schema.GroupKind{Kind: "Endpoints"}
	jobKind       = schema.GroupKind{Group: "batch", Kind: "Job"}
)

// excludedContent says of a whole object what placeable.Excluded cannot tell from its metadata.
func excludedContent(object *unstructured.Unstructured) bool {
	if object.GroupVersionKind().GroupKind() != secretKind {
		return false
	}
	secretType, _, _ := unstructured.NestedString(object.Object, "type")
	return secretType == "kubernetes.io/service-account-token"
}
