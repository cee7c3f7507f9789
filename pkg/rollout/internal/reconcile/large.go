// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"runtime"
	"time"
)

// minLarge is from how many clusters on a status is large. To write one of 1,000 keeps a core busy for some 100 ms, and a small one for one.
const minLarge = 200

// maxTurnWait is how long a large status waits for its turn. A write may be held up by an admission webhook of the hub, which must not stop all others,
// and what is written was decided before.
const maxTurnWait = time.Second

// large are the writes of large statuses under way in this process. As long as they have half of the cores, what is small does not wait behind them.
var large = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))

// BeginLarge waits for its turn to make and write a status that lists so many clusters, and for a second at most. A small one has no need to wait. The
// caller calls end afterwards. The error is that of the context.
func BeginLarge(ctx context.Context, clusters int) (end func(), err error) {
	if clusters < minLarge {
		return func() {}, nil
	}
	longest := time.NewTimer(maxTurnWait)
	defer longest.Stop()
	select {
	case large <- struct{}{}:
		return func() { <-large }, nil
	case <-longest.C:
		return func() {}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
