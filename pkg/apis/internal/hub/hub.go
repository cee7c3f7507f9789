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

// Mirror panics if a version does not have the types of another one, field by field. The generated conversions between such versions
// reinterpret memory: code that was not generated after a field was added would corrupt it.
func Mirror(scheme *runtime.Scheme, version, of schema.GroupVersion) {
	seen := map[[2]reflect.Type]bool{}
	for kind, goType := range scheme.KnownTypes(of) {
		mirrored, ok := scheme.KnownTypes(version)[kind]
		path := kind
		if ok {
			path = difference(mirrored, goType, kind, seen)
		}
		if path != "" {
			panic(path + " is not the same in " + version.String() + " and in " + of.String() + ": run make generate")
		}
	}
}

// difference returns the path of the first field in which two types differ, empty where they do not.
func difference(a, b reflect.Type, path string, seen map[[2]reflect.Type]bool) string {
	if a == b || seen[[2]reflect.Type{a, b}] {
		return ""
	}
	seen[[2]reflect.Type{a, b}] = true
	if a.Kind() != b.Kind() || a.Name() != b.Name() {
		return path
	}
	switch a.Kind() {
	case reflect.Map:
		if d := difference(a.Key(), b.Key(), path, seen); d != "" {
			return d
		}
		return difference(a.Elem(), b.Elem(), path, seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return difference(a.Elem(), b.Elem(), path, seen)
	case reflect.Struct:
		for i := range max(a.NumField(), b.NumField()) {
			if i >= a.NumField() || i >= b.NumField() {
				return path
			}
			of, in := a.Field(i), b.Field(i)
			if of.Name != in.Name || of.Tag != in.Tag {
				return path + "." + in.Name
			}
			if d := difference(of.Type, in.Type, path+"."+in.Name, seen); d != "" {
				return d
			}
		}
	}
	return ""
}
