// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package stagedupdatestrategyvalidation

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/client/scoped"
)

// find reads an object from the cache and, where it is missing there or not as expected, from the API: the object may have been
// written a moment ago by the same kubectl apply.
func find[O scoped.Object](ctx context.Context, kind scoped.Kind[O], key types.NamespacedName, expected func(O) bool) (O, bool, error) {
	if cached, err := kind.Get(key); err == nil && expected(cached) {
		return cached, true, nil
	}
	object, err := kind.Client(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return object, false, nil
	}
	if err != nil {
		return object, false, apierrors.NewInternalError(fmt.Errorf("looking for %s %s: %w", kindOf(kind, key), cache.NamespacedNameAsObjectName(key), err))
	}
	return object, true, nil
}

func kindOf[O scoped.Object](kind scoped.Kind[O], key types.NamespacedName) string {
	return kind.GroupVersionKind(key.Namespace).Kind
}
