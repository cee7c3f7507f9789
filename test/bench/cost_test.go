// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meter measures what a row costs beside its time, from when it is made.
type meter struct {
	cpu time.Duration
	log float64
}

// startMeter forgets what came before, the peak of the memory included.
func startMeter() meter {
	debug.FreeOSMemory()
	// Where there is no such file the peak is not told either.
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
	return meter{cpu: processCPU(), log: etcdLog()}
}

// spent is the processor's time since then.
func (m meter) spent() time.Duration { return processCPU() - m.cpu }

// logged is how many bytes etcd has written to its log since then.
func (m meter) logged() float64 { return etcdLog() - m.log }

// stop notes the cost of a row for the table at the end.
func (m meter) stop(r *row) {
	results.Lock()
	defer results.Unlock()
	results.costs[r] = fmt.Sprintf("%.1f s, %s", m.spent().Seconds(), peakMemory())
}

// peakMemory is the most that the process, etcd and members included, has held since the meter was started.
func peakMemory() string {
	kilobytes, err := strconv.ParseFloat(strings.TrimSuffix(field("/proc/self/status", "VmHWM:"), " kB"), 64)
	if err != nil {
		return "-"
	}
	return fmt.Sprintf("%.0f MiB", kilobytes/1024)
}

// etcdLog is how many bytes etcd has written to its log, by its own count.
func etcdLog() float64 {
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		return 0
	}
	for _, family := range families {
		if family.GetName() == "etcd_disk_wal_write_bytes_total" {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return 0
}
