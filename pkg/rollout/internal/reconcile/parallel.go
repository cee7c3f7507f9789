// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

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
	return join(ctx, Each(ctx, atOnce, n, func(i int) error { return IgnoreNotFound(do(i)) }))
}

// extraRequests is how many requests of FanOut are under way in this process beside those that its callers make themselves. Sixteen for each core keep
// it and a disk busy. With many more, whatever else there is to do waits behind them for a core: of ten runs with sixteen each, those that somebody
// had approved meanwhile waited for a second.
var extraRequests = make(chan struct{}, 16*runtime.GOMAXPROCS(0))

// FanOut makes n requests to the API, and joins what goes wrong as InParallel does. The caller makes one at a time, so that nobody who has few waits
// for others who have thousands. It has more of them made at once as long as there are few of all callers.
func FanOut(ctx context.Context, n int, do func(i int) error) error {
	errs := make([]error, n)
	one := func(i int) {
		errs[i] = Safely(ctx, func() error { return IgnoreNotFound(do(i)) })
	}
	var extra sync.WaitGroup
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		if i == n-1 {
			one(i)
			break
		}
		select {
		case extraRequests <- struct{}{}:
			extra.Go(func() {
				defer func() { <-extraRequests }()
				one(i)
			})
		default:
			one(i)
		}
	}
	extra.Wait()
	return join(ctx, errs)
}

// join makes one error of those of several things.
func join(ctx context.Context, errs []error) error {
	for i, err := range errs {
		// Errors name the object that they are about, and a panic knows none.
		if panicked := (*PanicError)(nil); errors.As(err, &panicked) {
			errs[i] = fmt.Errorf("%d of %d: %w", i+1, len(errs), err)
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
