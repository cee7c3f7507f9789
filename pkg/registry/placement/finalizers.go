// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// KeepFinalizers has an object that a user writes keep finalizers of the server, which no manifest has. Who may take them off an object that is
// being deleted, admission decides.
func KeepFinalizers(ctx context.Context, object, old metav1.Object, server []string) {
	if IsController(ctx) || !old.GetDeletionTimestamp().IsZero() {
		return
	}
	finalizers := object.GetFinalizers()
	for _, finalizer := range server {
		if slices.Contains(old.GetFinalizers(), finalizer) && !slices.Contains(finalizers, finalizer) {
			finalizers = append(finalizers, finalizer)
		}
	}
	object.SetFinalizers(finalizers)
}
