// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"runtime"
	"strings"
	"testing"
)

func TestFewOfTheWritesStayInMemory(t *testing.T) {
	const writes, size = 1000, 256 << 10
	server := start(t, t.TempDir())
	client := newClient(t, server)
	value := strings.Repeat("v", size)
	before := heap()
	for range writes {
		// One key, since the database maps what it has into memory that is not the heap.
		if _, err := client.Put(t.Context(), "a", value); err != nil {
			t.Fatal(err)
		}
	}
	// The hundred entries that etcd collects before it drops any, and as much again for each of those that are being written to the log,
	// taken in and written to the database.
	if grown, limit := heap()-before, int64(400*size); grown > limit {
		t.Errorf("after %d MiB of writes the heap has grown by %d MiB, want at most %d", writes*size>>20, grown>>20, limit>>20)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
