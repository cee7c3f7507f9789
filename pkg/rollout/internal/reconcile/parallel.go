// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/util/workqueue"
)

// InParallel does n things, so many at once, and joins what goes wrong; one that fails does not keep the others back. What is gone
// needs nothing more. A conflict is returned as one only where nothing worse happened, since it tells no more than to look again.
func InParallel(ctx context.Context, atOnce, n int, do func(i int) error) error {
	errs := make([]error, n)
	workqueue.ParallelizeUntil(ctx, atOnce, n, func(i int) { errs[i] = IgnoreNotFound(do(i)) })
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
