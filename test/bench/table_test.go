// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/memory"
)

// row is one kind of work that is measured.
type row struct {
	work string
	// upstream is what KubeFleet takes, goal what this project allows itself.
	upstream, goal string
}

var (
	nothingToChange  = &row{"a run that has nothing to change", "15.1 s", "0.3 s"}
	oneByOne         = &row{"one cluster after the other, per cluster", "15.08 s", "0.2 s"}
	clusters100      = &row{"100 clusters at 100 %", "28.5 s", "2 s"}
	clusters500      = &row{"500 clusters at 100 %", "86 s", "8 s"}
	clusters2000     = &row{"2,000 clusters at 100 %", "320 s", "30 s"}
	stages           = &row{"100 clusters in stages 20/30/50 at 50 %", "96 s", "3 s"}
	hundredRuns      = &row{"100 such runs at once", "135 s", "30 s"}
	run1000          = &row{"one run over 1,000 clusters", "", ""}
	run5000          = &row{"one run over 5,000 clusters", "hangs", ""}
	run10000         = &row{"one run over 10,000 clusters", "hangs from 3,860 on", "ends"}
	fleetDelivery    = &row{"placements on each of 1,000 clusters, delivered ten at a time", "", ""}
	fleetRuns        = &row{"10 runs at once over all of these clusters each", "", ""}
	fleetApproval    = &row{"approval to binding written beside these runs, 99th percentile", "", "0.5 s"}
	fleetRestart     = &row{"its restart until every controller has done something", "", "60 s"}
	fleetIdle        = &row{"label of a cluster, approval and version to the binding, 99th percentile", "", "1 s each"}
	writesPerCluster = &row{"API writes per cluster update; conflicts among those to bindings", "6.6 to 8.5; a fifth", "5; 1 %"}
	approval         = &row{"approval to first binding written", "0.2 s", "0.1 s"}
	restart          = &row{"1,000 live runs after a restart", "11 min", "15 s"}
	createStrategies = &row{"create strategies, 16 clients", "350/s, 4.8 ms CPU each", "700/s"}
	noisyUser        = &row{"another user's kubectl get and approve, beside 16 clients of one user; 99th percentile", "", "3 times"}
	listStrategies   = &row{"list 5,000 strategies", "344 ms", "115 ms"}
	createProtobuf   = &row{"create strategies as protobuf, 16 clients", "", ""}
	listProtobuf     = &row{"list 5,000 strategies as protobuf", "", ""}
	watched          = &row{"a change until 50 clients that watch have seen it, 99th percentile", "", ""}
)

var table = []*row{
	nothingToChange, oneByOne, clusters100, clusters500, clusters2000, stages, hundredRuns, run1000, run5000, run10000,
	fleetDelivery, fleetRuns, fleetApproval, fleetRestart, fleetIdle,
	writesPerCluster, approval, restart, createStrategies, listStrategies, createProtobuf, listProtobuf, watched, noisyUser,
}

var results = struct {
	sync.Mutex
	of, costs map[*row]string
}{of: map[*row]string{}, costs: map[*row]string{}}

// result notes what a row came to, for the table at the end.
func result(r *row, format string, args ...any) {
	results.Lock()
	defer results.Unlock()
	results.of[r] = fmt.Sprintf(format, args...)
}

func TestMain(m *testing.M) {
	if kubeconfig := os.Getenv(noiseVariable); kubeconfig != "" {
		if err := noisyProcess(kubeconfig); err != nil {
			fmt.Fprintln(os.Stderr, "the noisy user:", err)
			os.Exit(1)
		}
		return
	}
	// What the server logs would drown the results.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	// As the program does.
	memory.Spend()
	memory.Bound()
	code := m.Run()
	if len(results.of) > 0 {
		fmt.Printf("\n%s\n\n%s", machine(), formatTable())
	}
	os.Exit(code)
}

func formatTable() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WORK\tUPSTREAM\tHERE, AT MOST\tMEASURED\tPROCESSOR, MEMORY AT MOST")
	for _, r := range table {
		if measured, ok := results.of[r]; ok {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.work, r.upstream, r.goal, measured, results.costs[r])
		}
	}
	// A tabwriter fails only where what is below it does.
	_ = w.Flush()
	return b.String()
}
