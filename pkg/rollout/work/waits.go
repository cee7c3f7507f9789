// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"sync"
	"time"

	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// waits are since when bindings' statuses are held back.
type waits struct {
	mu    sync.Mutex
	since map[reconcile.Key]wait
}

type wait struct {
	generation int64
	since      time.Time
}

// left is how long to hold the status of a binding's generation back still, from the first time it is asked for.
func (w *waits) left(key reconcile.Key, generation int64, now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since == nil {
		w.since = map[reconcile.Key]wait{}
	}
	held, known := w.since[key]
	if !known || held.generation != generation {
		held = wait{generation, now}
		w.since[key] = held
	}
	return held.since.Add(patience).Sub(now)
}

func (w *waits) forget(key reconcile.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.since, key)
}
