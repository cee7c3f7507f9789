// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

const (
	// quiet is how long nothing may change before a snapshot is made, so that what is applied together is one version.
	quiet = 250 * time.Millisecond
	// patience is how long after the first change a snapshot is made, even if changes go on.
	patience = time.Second
)

// bursts are the placements whose selection has changed and not been looked at since.
type bursts struct {
	clock clock.PassiveClock

	mu  sync.Mutex
	due map[reconcile.Key]burst
}

type burst struct{ first, last time.Time }

func newBursts(c clock.PassiveClock) *bursts {
	return &bursts{clock: c, due: map[reconcile.Key]burst{}}
}

// changed notes a change.
func (b *bursts) changed(key reconcile.Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	seen, found := b.due[key]
	if !found {
		seen.first = now
	}
	seen.last = now
	b.due[key] = seen
}

// wait is how long to wait still. With 0, or if nothing has changed, a new burst begins with the next change.
func (b *bursts) wait(key reconcile.Key) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen, found := b.due[key]
	if !found {
		return 0
	}
	now := b.clock.Now()
	if left := min(seen.last.Add(quiet).Sub(now), seen.first.Add(patience).Sub(now)); left > 0 {
		return left
	}
	delete(b.due, key)
	return 0
}

// forget drops a placement.
func (b *bursts) forget(key reconcile.Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.due, key)
}
