// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestALargeHeapHasLessGarbage(t *testing.T) {
	for live, want := range map[uint64]int{
		0:         300,
		100 << 20: 300,
		341 << 20: 300,
		512 << 20: 200,
		600 << 20: 170,
		1 << 30:   100,
		8 << 30:   100,
		1 << 62:   100,
	} {
		if got := percentFor(live, room); got != want {
			t.Errorf("with %d MiB live it is %d %%, want %d", live>>20, got, want)
		}
	}
}

// gcPercent is what is set, as the runtime tells it.
func gcPercent() uint64 {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// TestTheHeapIsLookedAtAfterEachCollection grows and shrinks the heap around a small room.
func TestTheHeapIsLookedAtAfterEachCollection(t *testing.T) {
	before := debug.SetGCPercent(-1)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	stop := spend(64 << 20)
	defer stop()
	expect := func(when string, want func(percent uint64) bool) {
		t.Helper()
		deadline := time.After(20 * time.Second)
		for !want(gcPercent()) {
			select {
			case <-deadline:
				t.Fatalf("%s: it is %d %%", when, gcPercent())
			default:
				runtime.GC()
			}
		}
	}
	expect("with a small heap", func(percent uint64) bool { return percent == manyPercent })
	held := make([]byte, 128<<20)
	expect("with a large heap", func(percent uint64) bool { return percent == fewPercent })
	runtime.KeepAlive(held)
	held = nil
	expect("with a small heap again", func(percent uint64) bool { return percent == manyPercent })
}

func TestGOGCDecidesHowOftenGarbageIsCollected(t *testing.T) {
	before := debug.SetGCPercent(50)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	t.Setenv("GOGC", "50")
	Spend()
	if got := gcPercent(); got != 50 {
		t.Errorf("with GOGC=50 it is %d %%", got)
	}
}
