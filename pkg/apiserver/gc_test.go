// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"runtime/debug"
	"testing"
)

func TestTheEnvironmentDecidesHowOftenGarbageIsCollected(t *testing.T) {
	before := debug.SetGCPercent(100)
	limit := debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(before)
		debug.SetMemoryLimit(limit)
	})
	for env, want := range map[string]int{"": 300, "100": 100, "off": 100} {
		t.Setenv("GOGC", env)
		TuneGarbageCollector()
		if got := debug.SetGCPercent(100); got != want {
			t.Errorf("with GOGC=%q the percentage is %d, want %d", env, got, want)
		}
	}
}
