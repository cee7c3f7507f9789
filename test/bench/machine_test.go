// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// machine says on what is measured. What only Linux tells is left out elsewhere.
func machine() string {
	parts := []string{
		fmt.Sprintf("%s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH),
		fmt.Sprintf("%d cores", runtime.GOMAXPROCS(0)),
	}
	if total := field("/proc/meminfo", "MemTotal:"); total != "" {
		parts = append(parts, "memory "+total)
	}
	if latency, err := syncLatency(); err == nil {
		parts = append(parts, fmt.Sprintf("a synced write of 4 KiB takes %.2f ms", milliseconds(latency)))
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		parts = append(parts, "load now "+strings.Join(strings.Fields(string(load))[:3], " "))
	}
	return strings.Join(parts, ", ")
}

// field is what follows a name in a file of the kernel's.
func field(file, name string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return ""
}

// syncLatency is the median time of what etcd does at each commit.
func syncLatency() (time.Duration, error) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file, err := os.Create(filepath.Join(dir, "wal"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	var times []time.Duration
	for range 50 {
		start := time.Now()
		if _, err := file.Write(make([]byte, 4096)); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start))
	}
	return median(times), nil
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// processCPU is what the server with its controllers, its etcd, the members and the clients have used: all of them are this process.
func processCPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
