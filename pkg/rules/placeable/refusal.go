// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placeable

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// Reserved returns why an object gets to no member, whoever has selected it: it is a reserved namespace or in one. It returns nil for any
// other object.
func Reserved(gk schema.GroupKind, namespace, name string) error {
	switch {
	case wellknown.IsReservedNamespace(namespace):
		return fmt.Errorf("%s %s is in namespace %s, which belongs to clusters or the fleet and is not allowed to propagate",
			gk.Kind, wording.Key(namespace, name), namespace)
	case gk == NamespaceKind.GroupKind() && wellknown.IsReservedNamespace(name):
		return fmt.Errorf("%s %s belongs to clusters or the fleet and is not allowed to propagate", gk.Kind, name)
	}
	return nil
}

// NeverWrapped returns why no envelope may carry an object: one that is on the hub by itself would not be placed either. It returns nil for
// an object that may be wrapped.
func NeverWrapped(gk schema.GroupKind, object metav1.Object) error {
	key := wording.Key(object.GetNamespace(), object.GetName())
	switch {
	case IsEnvelope(gk):
		return fmt.Errorf("%s %s is an envelope, and no envelope carries another: select it by itself", gk.Kind, key)
	case NeverSelected(gk):
		return fmt.Errorf("%s %s is of a kind that is never placed: leave it out", gk.Kind, key)
	case Excluded(gk, object):
		return fmt.Errorf("%s %s is never placed, since every cluster makes its own: leave it out", gk.Kind, key)
	}
	return Reserved(gk, object.GetNamespace(), object.GetName())
}
