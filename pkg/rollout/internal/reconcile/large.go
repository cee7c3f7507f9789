// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"runtime"
)

// minLarge is from how many clusters on a status is large. To write one of 1,000 keeps a core busy for some 100 ms, and a small one for one.
const minLarge = 200

// large are the writes of large statuses under way in this process. As long as they have half of the cores, what is small does not wait behind them.
var large = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))

// BeginLarge waits for its turn to make and write a status that lists so many clusters, until the context ends. A small one has no need to wait. The
// caller calls end afterwards, and before that waits for neither a member nor what the hub has to answer.
func BeginLarge(ctx context.Context, clusters int) (end func(), err error) {
	if clusters < minLarge {
		return func() {}, nil
	}
	select {
	case large <- struct{}{}:
		return func() { <-large }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
