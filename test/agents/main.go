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
	"strings"
	"syscall"
	"time"

	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/test/realhub"
)

const (
	// serverFlags let one user join so many members.
	serverFlags = "--max-objects-per-namespace=0"
	// rare are the seconds between heartbeats where they shall not count: the longest that the API allows.
	rare = 600
)

// settings of a measurement.
type settings struct {
	agents    int
	heartbeat int
	settle    time.Duration
	measure   time.Duration
	works     int
	keep      bool
}

func main() {
	var s settings
	flag.IntVar(&s.agents, "agents", 1000, "how many agents there are")
	flag.IntVar(&s.heartbeat, "heartbeat", 60, "seconds between the heartbeats of an agent, at most 600")
	flag.DurationVar(&s.settle, "settle", time.Minute, "how long nothing is measured after something has changed")
	flag.DurationVar(&s.measure, "measure", 2*time.Minute, "how long is measured")
	flag.IntVar(&s.works, "works", 100, "how many Works are sent to one agent each")
	flag.BoolVar(&s.keep, "keep", false, "leave the hub running")
	flag.Parse()
	// What a thousand agents log is nothing that anybody reads.
	klog.SetSlogLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1)
	}
}

// run measures all of it.
func run(ctx context.Context, s settings) (err error) {
	hub, err := realhub.New(ctx, "agents", serverFlags)
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
	f, err := newFleet(hub, s)
	if err != nil {
		return err
	}
	// The agents end before the hub does.
	ctx, end := context.WithCancel(ctx)
	defer f.running.Wait()
	defer end()

	start := time.Now()
	if err := f.invite(ctx); err != nil {
		return err
	}
	say("%d MemberClusters are created, and their agents have rights, after %s", s.agents, since(start))
	start = time.Now()
	if err := f.start(ctx); err != nil {
		return err
	}
	say("%d agents have joined %s after the first one started", s.agents, since(start))
	for _, heartbeat := range []int{s.heartbeat, rare} {
		if err := f.beatEvery(ctx, heartbeat); err != nil {
			return err
		}
		// The longest pause that was agreed on before ends within this.
		pause(ctx, max(s.settle, time.Duration(s.heartbeat)*time.Second))
		if err := f.idle(ctx, heartbeat); err != nil {
			return err
		}
	}
	if err := f.sendWorks(ctx); err != nil {
		return err
	}
	return f.placeEverywhere(ctx)
}

// idle measures a fleet in which nothing happens.
func (f *fleet) idle(ctx context.Context, heartbeat int) error {
	before, err := f.use()
	if err != nil {
		return err
	}
	beats, start := f.heartbeats.Load(), time.Now()
	pause(ctx, f.measure)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	after, err := f.use()
	if err != nil {
		return err
	}
	took := time.Since(start)
	say("%d agents, a heartbeat every %d s, %s: %.2f heartbeats/s", f.agents, heartbeat, took.Round(time.Second), float64(f.heartbeats.Load()-beats)/took.Seconds())
	for i, process := range processes {
		say("  %-20s %6.1f CPU seconds per minute, %6.0f MiB resident", process, (after[i].cpu-before[i].cpu).Seconds()/took.Minutes(), mebibytes(after[i].memory))
	}
	return nil
}

var processes = []string{realhub.APIServer, realhub.Server, realhub.Etcd, "hub-controller-manager"}

// usage of a process of the hub.
type usage struct {
	cpu    time.Duration
	memory int64
}

func (f *fleet) use() ([]usage, error) {
	var all []usage
	for _, process := range processes {
		cpu, err := f.hub.CPU(process)
		if err != nil {
			return nil, err
		}
		memory, err := f.hub.Memory(process)
		if err != nil {
			return nil, err
		}
		all = append(all, usage{cpu, memory})
	}
	return all, nil
}

// distribution of times, as the median, the 99th percentile and the longest.
func distribution(times []time.Duration) string {
	slices.Sort(times)
	at := func(share float64) time.Duration { return times[int(share*float64(len(times)-1))] }
	return fmt.Sprintf("median %s, 99th percentile %s, at most %s", short(at(0.5)), short(at(0.99)), short(at(1)))
}

func short(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

func since(start time.Time) time.Duration { return time.Since(start).Round(100 * time.Millisecond) }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

func say(format string, args ...any) {
	fmt.Printf("%s %s\n", time.Now().Format(time.TimeOnly), strings.TrimRight(fmt.Sprintf(format, args...), "\n"))
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
