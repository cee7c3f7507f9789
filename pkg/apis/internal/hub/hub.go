// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hub makes one version of an API group its hub: the version that the server works on and through which the others convert.
package hub

import (
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Register registers the types of a version as the internal ones too. The version must be in the scheme already, since ObjectKinds must
// return it first: that is what clients are told.
func Register(scheme *runtime.Scheme, version schema.GroupVersion) {
	internal := schema.GroupVersion{Group: version.Group, Version: runtime.APIVersionInternal}
	for kind, goType := range scheme.KnownTypes(version) {
		obj := reflect.New(goType).Interface().(runtime.Object)
		switch obj.(type) {
		case metav1.Object, metav1.ListInterface:
			scheme.AddKnownTypeWithName(internal.WithKind(kind), obj)
		default:
			// Options of requests and watch events, which every version has, are Kubernetes' own to convert.
		}
	}
}
