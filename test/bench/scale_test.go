// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apimachineryruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/rollingupdate"
)

var (
	fleetMembers    = flag.Int("fleet.members", 200, "how many clusters BenchmarkFleet has, at least 102")
	fleetPlacements = flag.Int("fleet.placements", 10, "how many placements BenchmarkFleet has on each of them, at least 10")
	fleetMemory     = flag.Int("fleet.memory", 12, "how many GiB BenchmarkFleet may hold before it gives up")
)

const (
	// runsAtOnce is how many runs are under way at once, each over all clusters.
	runsAtOnce = 10
	// probes is how many times each of the things is done whose 99th percentile is told.
	probes = 100
	// smallLabel and editedLabel are on clusters that small placements select.
	smallLabel  = "small"
	editedLabel = "edited"
)

// BenchmarkFleet has many placements on many clusters, and tells what it takes to deliver them, to move ten of them at once, to start
// again, and how long it takes users meanwhile and afterwards to see what they have done. Beside the large placements there are small
// ones on one cluster, on which that is seen.
func BenchmarkFleet(b *testing.B) {
	members, placements := max(*fleetMembers, probes+2), max(*fleetPlacements, runsAtOnce)
	r := newRigFor(b, patience*time.Duration(1+members*placements/2_000))
	r.controllers = append(r.controllers, rollingupdate.Name)
	r.boundMemory(*fleetMemory << 10)
	r.start(true)
	r.join(members)
	r.label(0, smallLabel)
	r.label(0, editedLabel)
	r.strategyOf("all", "100%")
	r.strategyOf("gated", "100%", needsApproval)
	large := names("large", placements)
	gated, rolling := names("gated", probes+1), names("rolling", probes)

	for b.Loop() {
		cost, start := startMeter(), time.Now()
		for batch := range slices.Chunk(large, runsAtOnce) {
			r.place(members, batch...)
			r.runAll("deliver", 0, batch)
		}
		took, updates := time.Since(start), members*placements
		live := liveHeap()
		b.ReportMetric(took.Seconds(), "s/deliver")
		b.ReportMetric(milliseconds(cost.spent())/float64(updates), "ms-CPU/cluster")
		b.ReportMetric(live, "MiB-live")
		cost.stop(fleetDelivery)
		result(fleetDelivery, "%d on %d: %.0f s; %.1f ms of CPU time for each Work; the live heap is %.0f MiB",
			placements, members, took.Seconds(), milliseconds(cost.spent())/float64(updates), live)

		r.placeBy(onlyWith(smallLabel), v1beta1.ExternalRolloutStrategyType, 1, gated...)
		r.placeBy(onlyWith(smallLabel), v1beta1.RollingUpdateRolloutStrategyType, 1, rolling...)
		r.placeBy(onlyWith(editedLabel), v1beta1.RollingUpdateRolloutStrategyType, 1, "edited")
		r.await(gated, 0)

		cost = startMeter()
		took, beside := r.runBeside(large[:runsAtOnce], gated[:probes])
		b.ReportMetric(took.Seconds(), "s/10-runs")
		b.ReportMetric(milliseconds(percentile99(beside)), "ms-p99-approval-beside")
		result(fleetRuns, "%.0f s; %.1f ms of CPU time for each cluster", took.Seconds(), milliseconds(cost.spent())/float64(members*runsAtOnce))
		result(fleetApproval, "%.0f ms; median of %d %.0f ms", milliseconds(percentile99(beside)), len(beside), milliseconds(median(beside)))
		cost.stop(fleetRuns)

		r.stop()
		r.start(false)
		r.must(r.approve(runOf("gated", gated[probes], 0)))
		r.label(1, editedLabel)
		r.stop()
		cost, start = startMeter(), time.Now()
		r.start(true)
		serving := time.Since(start)
		r.untilDelivered(gated[probes], 0)
		until(r, r.bindingsOf("edited"), nothing, func(binding *v1beta1.ClusterResourceBinding) bool { return binding.Spec.TargetCluster == memberName(1) })
		took = time.Since(start)
		live = liveHeap()
		b.ReportMetric(took.Seconds(), "s/restart")
		cost.stop(fleetRestart)
		result(fleetRestart, "%.1f s, of which the start of the server %.1f s; the live heap is %.0f MiB", took.Seconds(), serving.Seconds(), live)

		r.await(gated[:probes], 1)
		cost = startMeter()
		approved, err := r.approveEach(gated[:probes], 1, func() bool { return true })
		r.must(err)
		labeled := r.labelEach(2)
		versioned := r.versionEach(rolling)
		cost.stop(fleetIdle)
		result(fleetIdle, "%.0f, %.0f and %.0f ms; medians %.0f, %.0f and %.0f ms",
			milliseconds(percentile99(labeled)), milliseconds(percentile99(approved)), milliseconds(percentile99(versioned)),
			milliseconds(median(labeled)), milliseconds(median(approved)), milliseconds(median(versioned)))
	}
}

func names(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s-%03d", prefix, i)
	}
	return all
}

func runOf(what, placement string, version int) string {
	return fmt.Sprintf("%s-%s-%d", what, placement, version)
}

// onlyWith picks the clusters that have a label.
func onlyWith(label string) *v1beta1.PlacementPolicy {
	return &v1beta1.PlacementPolicy{
		PlacementType: v1beta1.PickAllPlacementType,
		Affinity: &v1beta1.Affinity{ClusterAffinity: &v1beta1.ClusterAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &v1beta1.ClusterSelector{
			ClusterSelectorTerms: []v1beta1.ClusterSelectorTerm{{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{label: "true"}}}},
		}}},
	}
}

func (r *rig) label(member int, label string) {
	r.Helper()
	r.must(r.labelMember(member, label))
}

func (r *rig) labelMember(member int, label string) error {
	_, err := r.fleet.ClusterV1beta1().MemberClusters().Patch(r.ctx, memberName(member), types.MergePatchType,
		fmt.Appendf(nil, `{"metadata":{"labels":{%q:"true"}}}`, label), metav1.PatchOptions{})
	return err
}

// runAll moves placements to a version at once, and returns how long it takes.
func (r *rig) runAll(what string, version int, placements []string) time.Duration {
	r.Helper()
	waiting := sets.New[string]()
	for _, placement := range placements {
		waiting.Insert(runOf(what, placement, version))
	}
	return until(r, r.runs(""), func() error {
		r.each(len(placements), func(i int) error {
			return r.startRun(runOf(what, placements[i], version), placements[i], "all", version)
		})
		return nil
	}, func(run *v1beta1.ClusterStagedUpdateRun) bool {
		if waiting.Has(run.Name) && r.succeeded(run) {
			waiting.Delete(run.Name)
		}
		return waiting.Len() == 0
	})
}

// await starts a run for each placement that waits for an approval, and returns when all of them wait.
func (r *rig) await(placements []string, version int) {
	r.Helper()
	waiting := sets.New[string]()
	for _, placement := range placements {
		waiting.Insert(wellknown.BeforeStageApprovalName(runOf("gated", placement, version), "all"))
	}
	until(r, r.requests(), func() error {
		r.each(len(placements), func(i int) error {
			return r.startRun(runOf("gated", placements[i], version), placements[i], "gated", version)
		})
		return nil
	}, func(request *v1beta1.ClusterApprovalRequest) bool {
		waiting.Delete(request.Name)
		return waiting.Len() == 0
	})
}

// runBeside moves large placements, and meanwhile approves the runs of small ones, one after the other. It returns how long the former took,
// and how long each of the latter.
func (r *rig) runBeside(large, small []string) (took time.Duration, approved []time.Duration) {
	r.Helper()
	moving, done := context.WithCancel(r.ctx)
	defer done()
	var approving sync.WaitGroup
	var err error
	approving.Go(func() {
		approved, err = r.approveEach(small, 0, func() bool { return moving.Err() == nil })
	})
	took = r.runAll("again", 1, large)
	done()
	approving.Wait()
	r.must(err)
	return took, approved
}

// approveEach approves the runs that wait, one after the other as long as it goes on, and returns how long it took from before each approval
// until the binding was seen with the new version.
func (r *rig) approveEach(placements []string, version int, goOn func() bool) ([]time.Duration, error) {
	taken := 0
	times, err := untilEach(r.ctx, r.bindingsOf(placements...), len(placements), func(i int) error {
		if goOn() {
			taken++
		}
		return r.approve(runOf("gated", placements[i], version))
	}, func(i int, binding *v1beta1.ClusterResourceBinding) bool {
		return binding.Spec.ResourceSnapshotName == wellknown.ResourceSnapshotName(placements[i], version)
	})
	return times[:min(taken, len(times))], err
}

// labelEach has clusters from the given one on selected by a label, one after the other, and returns how long it took until each had its binding.
func (r *rig) labelEach(from int) []time.Duration {
	r.Helper()
	times, err := untilEach(r.ctx, r.bindingsOf("edited"), probes, func(i int) error { return r.labelMember(from+i, editedLabel) },
		func(i int, binding *v1beta1.ClusterResourceBinding) bool {
			return binding.Spec.TargetCluster == memberName(from+i)
		})
	r.must(err)
	return times
}

// versionEach makes a new version of placements that roll by themselves, one after the other, and returns how long it took until the binding of
// each asked for it.
func (r *rig) versionEach(placements []string) []time.Duration {
	r.Helper()
	times, err := untilEach(r.ctx, r.bindingsOf(placements...), len(placements), func(i int) error {
		if err := r.createVersion(placements[i], 2, true); err != nil {
			return err
		}
		_, err := r.api.ClusterResourceSnapshots().Patch(r.ctx, wellknown.ResourceSnapshotName(placements[i], 1), types.MergePatchType,
			fmt.Appendf(nil, `{"metadata":{"labels":{%q:"false"}}}`, wellknown.LatestSnapshotLabel), metav1.PatchOptions{})
		return err
	}, func(i int, binding *v1beta1.ClusterResourceBinding) bool {
		return binding.Spec.ResourceSnapshotName == wellknown.ResourceSnapshotName(placements[i], 2)
	})
	r.must(err)
	return times
}

// untilDelivered waits until the status of a placement has all clusters at a version.
func (r *rig) untilDelivered(placement string, version int) {
	r.Helper()
	placements := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (apimachineryruntime.Object, error) {
			return r.api.ClusterResourcePlacements().List(ctx, named(placement, o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return r.api.ClusterResourcePlacements().Watch(ctx, named(placement, o))
		},
	}
	until(r, placements, nothing, func(p *v1beta1.ClusterResourcePlacement) bool {
		return p.Status.ObservedResourceIndex == strconv.Itoa(version) &&
			meta.IsStatusConditionTrue(p.Status.Conditions, v1beta1.PlacementConditionType("", v1beta1.PlacementAvailable))
	})
}

// liveHeap is how many MiB of the heap are in use, by all that is in this process.
func liveHeap() float64 {
	// What finalizers release is garbage for the second one.
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc) / (1 << 20)
}

// boundMemory ends the benchmark before its process takes the memory of a machine that others use too. Only Linux tells how much it has.
func (r *rig) boundMemory(limit int) {
	ctx, cancel := context.WithCancelCause(r.ctx)
	r.ctx = ctx
	var watching sync.WaitGroup
	watching.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if held := resident(); held > limit {
				fmt.Fprintf(os.Stderr, "BenchmarkFleet gives up: it holds %d MiB, and may hold %d\n", held, limit)
				cancel(fmt.Errorf("the process holds %d MiB, and may hold %d: see -fleet.memory", held, limit))
			}
		}
	})
	r.Cleanup(func() {
		cancel(nil)
		watching.Wait()
	})
}

// resident is how many MiB the process has in memory, or 0 where that is not told.
func resident() int {
	kilobytes, err := strconv.Atoi(strings.TrimSuffix(field("/proc/self/status", "VmRSS:"), " kB"))
	if err != nil {
		return 0
	}
	return kilobytes / 1024
}
