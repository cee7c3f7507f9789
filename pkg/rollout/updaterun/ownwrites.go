// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// ownWrites remembers the versions of what this controller wrote until its caches have them. Bindings are remembered by placement,
// since every run of the placement is judged by them.
type ownWrites struct {
	mu       sync.Mutex
	runs     map[reconcile.Key]string
	requests map[reconcile.Key]map[string]string
	bindings map[reconcile.Key]map[string]string
}

func newOwnWrites() *ownWrites {
	return &ownWrites{
		runs:     map[reconcile.Key]string{},
		requests: map[reconcile.Key]map[string]string{},
		bindings: map[reconcile.Key]map[string]string{},
	}
}

func (w *ownWrites) run(run metav1.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs[keyOf(run)] = run.GetResourceVersion()
}

func (w *ownWrites) request(run reconcile.Key, request metav1.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	remember(w.requests, run, request)
}

func (w *ownWrites) binding(placement reconcile.Key, binding metav1.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	remember(w.bindings, placement, binding)
}

func remember(writes map[reconcile.Key]map[string]string, key reconcile.Key, o metav1.Object) {
	if writes[key] == nil {
		writes[key] = map[string]string{}
	}
	writes[key][o.GetName()] = o.GetResourceVersion()
}

// forget drops what is known of a run that is gone.
func (w *ownWrites) forget(run reconcile.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.runs, run)
	delete(w.requests, run)
}

// isStale says whether the caches are older than what was written to the run, its approval requests or the placement's bindings.
func (c *Controller) isStale(run v1beta1.UpdateRunObject) bool {
	w := c.written
	w.mu.Lock()
	defer w.mu.Unlock()
	if version, ok := w.runs[keyOf(run)]; ok {
		if isOlder(run, version) {
			return true
		}
		delete(w.runs, keyOf(run))
	}
	return anyOlder(c.fleet.Approvals, w.requests, keyOf(run), run.GetNamespace()) ||
		anyOlder(c.fleet.Bindings, w.bindings, placementOf(run), run.GetNamespace())
}

// anyOlder says whether a cache lags behind what was written, and drops what it has caught up with.
func anyOlder[O fleet.Object](kind fleet.Kind[O], writes map[reconcile.Key]map[string]string, key reconcile.Key, namespace string) bool {
	for name, version := range writes[key] {
		// What was changed was in the cache before: if it is not there it is gone.
		if cached, err := kind.Get(reconcile.Key{Namespace: namespace, Name: name}); err == nil && isOlder(cached, version) {
			return true
		}
		delete(writes[key], name)
	}
	delete(writes, key)
	return false
}

// isOlder says whether an object is older than a version. Versions that cannot be compared make nothing wait.
func isOlder(o metav1.Object, version string) bool {
	order, err := resourceversion.CompareResourceVersion(o.GetResourceVersion(), version)
	return err == nil && order < 0
}
