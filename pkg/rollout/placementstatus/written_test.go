// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"testing"

	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

func TestACacheOlderThanTheLastWriteIsNotLookedAt(t *testing.T) {
	var w written
	key := reconcile.Key{Name: "app"}
	if w.ahead(key, "3") {
		t.Error("what was never written is ahead of the cache")
	}
	w.note(key, "7")
	if !w.ahead(key, "3") {
		t.Error("the cache is older than the write, and taken for new")
	}
	if w.ahead(key, "7") {
		t.Error("the cache has the write, and is taken for old")
	}
	w.note(key, "9")
	w.forget(key)
	if w.ahead(key, "3") {
		t.Error("what is forgotten is ahead of the cache")
	}
}
