// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// versions remembers what was written until the caches show it, so that nothing is decided on an object as it was before.
type versions struct {
	mu  sync.Mutex
	ids map[string]string
}

// note takes down the resourceVersion that a write has given.
func (v *versions) note(id, resourceVersion string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ids == nil {
		v.ids = map[string]string{}
	}
	v.ids[id] = resourceVersion
}

// knows says whether an object was written that the cache has not shown since.
func (v *versions) knows(id string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, known := v.ids[id]
	return known
}

// ahead says whether more was written than a cache shows. What the cache has caught up with is forgotten.
func (v *versions) ahead(id, cached string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	written, known := v.ids[id]
	if !known {
		return false
	}
	if order, err := resourceversion.CompareResourceVersion(cached, written); err == nil && order < 0 {
		return true
	}
	delete(v.ids, id)
	return false
}

// forget takes an object for gone.
func (v *versions) forget(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.ids, id)
}

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
