// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"os"
	"runtime/debug"
)

// gcPercent is how much of the live heap may be garbage before it is collected. Most of what is live are the caches of the API and of
// the loops, which a collection goes through from end to end, while a rollout makes little but garbage: Go's default of 100 spends a
// tenth of the processor on that.
const gcPercent = 300

// TuneGarbageCollector sets how often garbage is collected, unless the environment does. GOMEMLIMIT works beside it: near that limit
// garbage is collected as often as it takes.
func TuneGarbageCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
