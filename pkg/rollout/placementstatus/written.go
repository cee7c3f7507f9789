// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"sync"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// written remembers the versions that writes gave until the cache shows them: another write before that would only be a conflict.
type written struct {
	mu       sync.Mutex
	versions map[reconcile.Key]string
}

func (w *written) note(key reconcile.Key, version string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.versions == nil {
		w.versions = map[reconcile.Key]string{}
	}
	w.versions[key] = version
}

// ahead says whether more was written than the cache shows. What it has caught up with is forgotten.
func (w *written) ahead(key reconcile.Key, cached string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	version, known := w.versions[key]
	if !known {
		return false
	}
	if order, err := resourceversion.CompareResourceVersion(cached, version); err == nil && order < 0 {
		return true
	}
	delete(w.versions, key)
	return false
}

func (w *written) forget(key reconcile.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.versions, key)
}
