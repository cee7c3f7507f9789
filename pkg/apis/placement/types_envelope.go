// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceEnvelope wraps cluster-scoped objects that are to take effect on the member clusters and not on the hub.
type ClusterResourceEnvelope struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Data are the wrapped objects under names of your choice, 1 to 50.
	Data map[string]runtime.RawExtension
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceEnvelopeList is a list of ClusterResourceEnvelopes.
type ClusterResourceEnvelopeList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ClusterResourceEnvelopes.
	Items []ClusterResourceEnvelope
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceEnvelope wraps objects of its namespace that are to take effect on the member clusters and not on the hub.
type ResourceEnvelope struct {
	metav1.TypeMeta
	// Standard object's metadata.
	metav1.ObjectMeta

	// Data are the wrapped objects under names of your choice, 1 to 50.
	Data map[string]runtime.RawExtension
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceEnvelopeList is a list of ResourceEnvelopes.
type ResourceEnvelopeList struct {
	metav1.TypeMeta
	// Standard list metadata.
	metav1.ListMeta

	// Items are the ResourceEnvelopes.
	Items []ResourceEnvelope
}
