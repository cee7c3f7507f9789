// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/test/realhub"
)

// serverFlags leave out the controllers that need real members, and let one user make what is measured.
const serverFlags = "--controllers=*,-membership,-apply --max-objects-per-namespace=0"

// listed is how many strategies a list has.
const listed = 500

// settings of a measurement.
type settings struct {
	members  int
	requests int
	runs     int
	keep     bool
}

func main() {
	var s settings
	flag.IntVar(&s.members, "members", 100, "how many clusters a run moves")
	flag.IntVar(&s.requests, "requests", 300, "how many requests of each kind are made each way")
	flag.IntVar(&s.runs, "runs", 5, "how many runs there are each way")
	flag.BoolVar(&s.keep, "keep", false, "leave the hub running")
	flag.Parse()
	klog.SetSlogLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1)
	}
}

// way is one of the two ways to the server.
type way struct {
	name string
	api  versioned.Interface
}

// run measures all of it.
func run(ctx context.Context, s settings) (err error) {
	hub, err := realhub.New(ctx, "aggregation", serverFlags)
	if err != nil {
		return err
	}
	if err := hub.Down(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if !s.keep {
		defer func() { err = errors.Join(err, hub.Down(context.WithoutCancel(ctx))) }()
	}
	if err := hub.Up(ctx); err != nil {
		return err
	}
	f, ways, err := newFleet(ctx, hub, s)
	if err != nil {
		return err
	}
	if err := f.prepare(ctx); err != nil {
		return err
	}

	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "REQUEST\t%s\t%s\n", ways[0].name, ways[1].name)
	for _, request := range f.requests() {
		times, err := s.inTurns(s.requests, ways, func(api versioned.Interface, i int) error { return request.do(ctx, api, i) })
		if err != nil {
			return fmt.Errorf("%s: %w", request.name, err)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", request.name, distribution(times[0]), distribution(times[1]))
	}
	for i, way := range ways {
		before, err := f.use()
		if err != nil {
			return err
		}
		var took []time.Duration
		for n := range s.runs {
			t, err := f.move(ctx, way.api, i*s.runs+n)
			if err != nil {
				return err
			}
			took = append(took, t)
		}
		after, err := f.use()
		if err != nil {
			return err
		}
		clusters := time.Duration(s.members * s.runs)
		slices.Sort(took)
		fmt.Fprintf(w, "a run over %d clusters, and their answers, %s\tmedian %s; CPU time per cluster: %s of %s and %s of %s\n", s.members, way.name, short(took[len(took)/2]),
			short((after[0]-before[0])/clusters), realhub.Server, short((after[1]-before[1])/clusters), realhub.APIServer)
	}
	return w.Flush()
}

// inTurns does something n times each way, one after the other, and returns how long each took by the way.
func (s settings) inTurns(n int, ways [2]way, do func(api versioned.Interface, i int) error) ([2][]time.Duration, error) {
	var times [2][]time.Duration
	for i := range 2 * n {
		start := time.Now()
		if err := do(ways[i%2].api, i); err != nil {
			return times, fmt.Errorf("%s: %w", ways[i%2].name, err)
		}
		times[i%2] = append(times[i%2], time.Since(start))
	}
	return times, nil
}

// request is something that users ask for.
type request struct {
	name string
	do   func(ctx context.Context, api versioned.Interface, i int) error
}

// requests are what is measured; each is made with numbers that no other had.
func (f *fleet) requests() []request {
	return []request{
		{"get a strategy", func(ctx context.Context, api versioned.Interface, _ int) error {
			_, err := api.PlacementV1beta1().ClusterStagedUpdateStrategies().Get(ctx, all, metav1.GetOptions{})
			return err
		}},
		{fmt.Sprintf("list %d strategies", listed), func(ctx context.Context, api versioned.Interface, _ int) error {
			list, err := api.PlacementV1beta1().ClusterStagedUpdateStrategies().List(ctx, metav1.ListOptions{Limit: listed})
			if err == nil && len(list.Items) != listed {
				err = fmt.Errorf("%d strategies are listed", len(list.Items))
			}
			return err
		}},
		{"create a strategy", func(ctx context.Context, api versioned.Interface, i int) error {
			_, err := api.PlacementV1beta1().ClusterStagedUpdateStrategies().Create(ctx, strategy(fmt.Sprintf("created-%d", i)), metav1.CreateOptions{})
			return err
		}},
		{"approve", func(ctx context.Context, api versioned.Interface, i int) error {
			_, err := api.PlacementV1beta1().ClusterApprovalRequests().Approve(ctx, requestName(i), &v1beta1.Approval{}, metav1.CreateOptions{})
			return err
		}},
	}
}

// distribution of times, as the median, the 99th percentile and the longest.
func distribution(times []time.Duration) string {
	slices.Sort(times)
	at := func(share float64) time.Duration { return times[int(share*float64(len(times)-1))] }
	return fmt.Sprintf("median %s, 99th percentile %s, at most %s", short(at(0.5)), short(at(0.99)), short(at(1)))
}

func short(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
