// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Self maps each change to the key of the object that changed.
func Self(oldObj, newObj any) []Key {
	return ByObject(func(o metav1.Object) []Key { return []Key{KeyOf(o)} })(oldObj, newObj)
}

// KeyOf is the key of an object.
func KeyOf(o metav1.Object) Key { return Key{Namespace: o.GetNamespace(), Name: o.GetName()} }

// ByObject maps a change by both states of the object, so that what it was related to before hears of it as well.
func ByObject(f func(metav1.Object) []Key) MapFunc {
	return func(oldObj, newObj any) []Key {
		var keys []Key
		for _, obj := range []any{oldObj, newObj} {
			if o, ok := obj.(metav1.Object); ok {
				keys = append(keys, f(o)...)
			}
		}
		return keys
	}
}

// ByLabel maps a change to the object of the same namespace that the label names.
func ByLabel(label string) MapFunc {
	return ByObject(func(o metav1.Object) []Key {
		if name := o.GetLabels()[label]; name != "" {
			return []Key{{Namespace: o.GetNamespace(), Name: name}}
		}
		return nil
	})
}

// IgnoreNotFound drops the error of an object that is gone, for writes after which nothing is left to do.
func IgnoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
