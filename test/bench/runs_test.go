// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

const app = "app"

func BenchmarkRunWithNothingToChange(b *testing.B) {
	r := newRig(b)
	r.join(100)
	r.strategyOf("all", "100%")
	r.place(100, app)
	r.run("first", app, "all", 0)
	var times []time.Duration
	cost := startMeter()
	for b.Loop() {
		for i := range 5 {
			times = append(times, r.run(fmt.Sprintf("again-%d-%d", b.N, i), app, "all", 0))
		}
	}
	took := median(times)
	cost.stop(nothingToChange)
	b.ReportMetric(took.Seconds(), "s/run")
	result(nothingToChange, "%.2f s", took.Seconds())
}

func BenchmarkOneClusterAfterTheOther(b *testing.B) {
	const clusters = 20
	took := measure(b, clusters, "1", oneByOne)
	b.ReportMetric(took.Seconds()/clusters, "s/cluster")
	result(oneByOne, "%.3f s", took.Seconds()/clusters)
}

func BenchmarkAllClustersAtOnce(b *testing.B) {
	for _, size := range []struct {
		clusters int
		row      *row
	}{
		{100, clusters100}, {500, clusters500}, {2000, clusters2000},
	} {
		b.Run(fmt.Sprint(size.clusters), func(b *testing.B) {
			took := measure(b, size.clusters, "100%", size.row)
			result(size.row, "%.1f s", took.Seconds())
		})
	}
}

// measure updates a fleet that has version 0 to version 1, and returns how long that takes.
func measure(b *testing.B, clusters int, maxConcurrency string, row *row) time.Duration {
	r := newRig(b)
	r.join(clusters)
	r.strategyOf("all", maxConcurrency)
	r.strategyOf("first", "100%")
	r.place(clusters, app)
	r.run("first", app, "first", 0)

	version, before, n := 0, r.writes.since(nil), 0
	var total time.Duration
	cost := startMeter()
	for b.Loop() {
		version, n = 1-version, n+1
		total += r.run(fmt.Sprintf("run-%d", n), app, "all", version)
	}
	reportCost(b, cost, row, clusters*n)
	counts := r.writes.since(before)
	took := total / time.Duration(n)
	b.ReportMetric(took.Seconds(), "s/run")
	b.ReportMetric(milliseconds(took)/float64(clusters), "ms/cluster")
	reportWrites(b, counts, clusters*n)
	return took
}

// reportCost tells what moving so many clusters cost: in time of processors, which depends less than the time that passes on what
// else the machine does, and in bytes of etcd's log.
func reportCost(b *testing.B, cost meter, row *row, clusters int) {
	b.ReportMetric(milliseconds(cost.spent())/float64(clusters), "ms-CPU/cluster")
	b.ReportMetric(cost.logged()/float64(clusters)/1024, "KiB-log/cluster")
	cost.stop(row)
}

// reportWrites tells what moving so many clusters cost in writes, those of the members included.
func reportWrites(b *testing.B, counts map[string]count, clusters int) {
	all, bindings, conflicts := 0, 0, 0
	var details []string
	for _, resource := range slices.Sorted(maps.Keys(counts)) {
		c := counts[resource]
		all += c.all
		if strings.HasPrefix(resource, "clusterresourcebindings") {
			bindings += c.all
			conflicts += c.conflicts
		}
		if c.all > 0 {
			details = append(details, fmt.Sprintf("%s %d (%d conflicts)", resource, c.all, c.conflicts))
		}
	}
	perCluster, inConflict := float64(all)/float64(clusters), 100*float64(conflicts)/float64(bindings)
	b.ReportMetric(perCluster, "writes/cluster")
	b.ReportMetric(inConflict, "%conflicts")
	b.Logf("writes for %d cluster updates: %s", clusters, strings.Join(details, ", "))
	if clusters == 500 {
		result(writesPerCluster, "%.2f; %.1f %%", perCluster, inConflict)
	}
}

func BenchmarkStages(b *testing.B) {
	for _, size := range []struct {
		runs int
		row  *row
	}{
		{1, stages}, {100, hundredRuns},
	} {
		b.Run(fmt.Sprintf("runs=%d", size.runs), func(b *testing.B) {
			const clusters = 100
			r := newRig(b)
			r.join(clusters, 20, 30, 50)
			r.createStrategy("staged", stage(stageName(0), "50%"), stage(stageName(1), "50%"), stage(stageName(2), "50%"))
			placements := make([]string, size.runs)
			for i := range placements {
				placements[i] = fmt.Sprintf("%s-%d", app, i)
			}
			r.place(clusters, placements...)
			before, n, cost := r.writes.since(nil), 0, startMeter()
			var total time.Duration
			for b.Loop() {
				n++
				name := func(i int) string { return fmt.Sprintf("run-%d-%d", n, i) }
				waiting := sets.New[string]()
				for i := range placements {
					waiting.Insert(name(i))
				}
				total += until(r, r.runs(""), func() error {
					r.each(len(placements), func(i int) error { return r.startRun(name(i), placements[i], "staged", n%2) })
					return nil
				}, func(run *v1beta1.ClusterStagedUpdateRun) bool {
					if r.succeeded(run) {
						waiting.Delete(run.Name)
					}
					return waiting.Len() == 0
				})
			}
			took := total / time.Duration(n)
			b.ReportMetric(took.Seconds(), "s/all-runs")
			reportCost(b, cost, size.row, clusters*size.runs*n)
			reportWrites(b, r.writes.since(before), clusters*size.runs*n)
			result(size.row, "%.1f s", took.Seconds())
		})
	}
}

// BenchmarkOneRun moves large fleets that have no version yet by one run, and tells how large the run gets.
func BenchmarkOneRun(b *testing.B) {
	for _, size := range []struct {
		clusters int
		row      *row
	}{
		{1000, run1000}, {5000, run5000}, {10000, run10000},
	} {
		b.Run(fmt.Sprint(size.clusters), func(b *testing.B) { measureRun(b, size.clusters, size.row) })
	}
}

func measureRun(b *testing.B, clusters int, row *row) {
	r := newRig(b)
	start := time.Now()
	r.join(clusters)
	r.strategyOf("all", "100%")
	r.place(clusters, app)
	b.Logf("joining and scheduling %d clusters took %.0f s", clusters, time.Since(start).Seconds())
	before, cost := r.writes.since(nil), startMeter()
	for b.Loop() {
		var planned time.Duration
		start := time.Now()
		took := until(r, r.runs("large"), func() error { return r.startRun("large", app, "all", 0) },
			func(run *v1beta1.ClusterStagedUpdateRun) bool {
				if planned == 0 && meta.IsStatusConditionTrue(run.Status.Conditions, v1beta1.RunInitialized) {
					planned = time.Since(start)
				}
				return r.succeeded(run)
			})
		run, err := r.api.ClusterStagedUpdateRuns().Get(r.ctx, "large", metav1.GetOptions{})
		r.must(err)
		data, err := json.Marshal(run)
		r.must(err)
		stored := r.stored("clusterstagedupdateruns", "large")
		b.ReportMetric(planned.Seconds(), "s/plan")
		b.ReportMetric(took.Seconds(), "s/run")
		b.ReportMetric(mebibytes(len(data)), "MiB")
		b.ReportMetric(mebibytes(stored), "MiB-stored")
		result(row, "%.0f s; planned in %.1f s; %.1f MiB of JSON, %.2f stored; %.1f KiB of etcd's log per cluster",
			took.Seconds(), planned.Seconds(), mebibytes(len(data)), mebibytes(stored), cost.logged()/float64(clusters)/1024)
	}
	reportCost(b, cost, row, clusters)
	reportWrites(b, r.writes.since(before), clusters)
}

func mebibytes(n int) float64 { return float64(n) / (1 << 20) }
