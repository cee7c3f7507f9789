// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placeable

import (
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	configMapKind     = schema.GroupKind{Kind: "ConfigMap"}
	accountKind       = schema.GroupKind{Kind: "ServiceAccount"}
	endpointSliceKind = schema.GroupKind{Group: "discovery.k8s.io", Kind: "EndpointSlice"}
	replicaSetKind    = schema.GroupKind{Group: "apps", Kind: "ReplicaSet"}
	revisionKind      = schema.GroupKind{Group: "apps", Kind: "ControllerRevision"}
)

// Excluded reports of an object's metadata whether it is never selected: it is on its way out, or every cluster makes its own.
func Excluded(gk schema.GroupKind, object metav1.Object) bool {
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

// IsGone reports whether the answer to a request for an object is that the object is not there, while its kind is.
func IsGone(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}
