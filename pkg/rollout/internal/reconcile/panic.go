// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"
	"runtime/debug"

	"k8s.io/klog/v2"
)

// PanicError is a panic in the work on one object.
type PanicError struct {
	// Value is what the panic was raised with.
	Value any
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Safely returns a panic of f as a PanicError, counts it and logs where it was: one bad object must not end the process, and with it the work
// on all others.
func Safely(ctx context.Context, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{r}
			panicsTotal.WithLabelValues(controllerOf(ctx)).Inc()
			klog.FromContext(ctx).Error(err, "Recovered", "stack", string(debug.Stack()))
		}
	}()
	return f()
}
