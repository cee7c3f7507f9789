// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"os"
	"runtime/debug"

	"github.com/stagegate/stagegate/pkg/memory"
)

// gcPercent is the amount of garbage, in percent of the live heap, that starts a collection. Most of the live heap are the caches of the
// API and of the controllers, which each collection scans from end to end, while a rollout produces little but garbage: Go's default of
// 100 spends a tenth of the CPU time on that.
const gcPercent = 300

// TuneGarbageCollector sets how often garbage is collected, unless GOGC does. Near the limit of the memory that the process may have it is
// collected more often.
func TuneGarbageCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	memory.Bound()
}
