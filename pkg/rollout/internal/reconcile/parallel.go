// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/util/workqueue"
)

// Each does n things, so many at once, and returns the error of each. One that panics has a PanicError and does not keep the others
// back. What had not begun when the context ended is left out and has no error.
func Each(ctx context.Context, atOnce, n int, do func(i int) error) []error {
	errs := make([]error, n)
	workqueue.ParallelizeUntil(ctx, atOnce, n, func(i int) {
		errs[i] = Safely(ctx, func() error { return do(i) })
	})
	return errs
}

// InParallel does n things, so many at once, and joins what goes wrong; one that fails does not keep the others back. What is gone
// needs nothing more. A conflict is returned as one only where nothing worse happened, since it tells no more than to look again.
func InParallel(ctx context.Context, atOnce, n int, do func(i int) error) error {
	errs := Each(ctx, atOnce, n, func(i int) error { return IgnoreNotFound(do(i)) })
	for i, err := range errs {
		// Errors name the object that they are about, and a panic knows none.
		if panicked := (*PanicError)(nil); errors.As(err, &panicked) {
			errs[i] = fmt.Errorf("%d of %d: %w", i+1, n, err)
		}
	}
	var conflict error
	worse := slices.DeleteFunc(errs, func(err error) bool {
		if apierrors.IsConflict(err) {
			conflict = err
		}
		return err == nil || apierrors.IsConflict(err)
	})
	if len(worse) > 0 {
		return utilerrors.NewAggregate(worse)
	}
	if conflict != nil {
		return conflict
	}
	return ctx.Err()
}
