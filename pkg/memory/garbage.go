// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	// manyPercent is the amount of garbage, in percent of what is live, that starts a collection of a small heap. A collection scans all that is
	// live, which are caches, while the work produces little but garbage: Go's default of 100 spends a tenth of the CPU time on that.
	manyPercent = 300
	// fewPercent is that of a large heap, which is Go's default.
	fewPercent = 100
	// room is how many bytes of garbage there may be at least, as long as they are not more than manyPercent. With more live there is less to be gained
	// by more garbage, while it would take all of the machine's memory.
	room = 1 << 30
)

// Spend has garbage collected less often than Go does, as long as the garbage takes up to 1 GiB, unless GOGC tells how often. It holds for the
// rest of the process.
func Spend() {
	if os.Getenv("GOGC") == "" {
		spend(room)
	}
}

func spend(room uint64) (stop func()) {
	var stopped atomic.Bool
	var percent int
	set := func() {
		if p := percentFor(live(), room); !stopped.Load() && p != percent {
			debug.SetGCPercent(p)
			percent = p
		}
	}
	set()
	afterEach(set, &stopped)
	return func() { stopped.Store(true) }
}

// percentFor is the amount of garbage that starts a collection, in percent of the bytes that are live, in steps of ten.
func percentFor(live, room uint64) int {
	percent := uint64(manyPercent)
	if live > 0 {
		percent = min(room*100/live, manyPercent)
	}
	return int(max(percent, fewPercent)) / 10 * 10
}

// live is how many bytes the last collection found in use, or 0 before the first one.
func live() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// afterEach calls do after each collection until it is stopped. Go tells of one only by what it collects.
func afterEach(do func(), stopped *atomic.Bool) {
	var next func(struct{})
	arm := func() {
		collected := new([2]uint64)
		runtime.AddCleanup(collected, next, struct{}{})
	}
	next = func(struct{}) {
		if !stopped.Load() {
			do()
			arm()
		}
	}
	arm()
}
