// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/test/realhub"
)

// serverFlags leave out the controllers that need real members.
const serverFlags = "--v=2 --controllers=*,-membership,-apply"

// settings of a soak.
type settings struct {
	duration   time.Duration
	killEvery  time.Duration
	kills      int
	runs       int
	members    int
	placements int
	seed       uint64
	keep       bool
	log        string
}

func main() {
	var s settings
	flag.DurationVar(&s.duration, "duration", 30*time.Minute, "how long runs are started and the server is killed")
	flag.DurationVar(&s.killEvery, "kill-every", time.Minute, "how long the server lives")
	flag.IntVar(&s.kills, "kills", 0, "how often the server is killed at least; with fewer kills the soak fails")
	flag.IntVar(&s.runs, "runs", 200, "how many update runs there are")
	flag.IntVar(&s.members, "members", 50, "how many member clusters there are")
	flag.IntVar(&s.placements, "placements", 8, "how many placements there are")
	flag.Uint64Var(&s.seed, "seed", 0, "of everything that is random; 0 chooses one")
	flag.BoolVar(&s.keep, "keep", false, "leave the hub running")
	flag.StringVar(&s.log, "log", "", "the file for the server's log if the soak fails; soak-SEED.log in _output unless set")
	flag.Parse()
	// What the client libraries log is that the server is gone, which is what this is about.
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	if s.seed == 0 {
		s.seed = rand.Uint64()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := soak(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1)
	}
}

// keepLog copies the log of all the servers that were started and killed, which goes with the hub, and prints where it is.
func (s settings) keepLog(h *realhub.Hub) error {
	path := s.log
	if path == "" {
		path = h.Output(fmt.Sprintf("soak-%d.log", s.seed))
	}
	switch err := h.KeepLog(path); {
	case errors.Is(err, fs.ErrNotExist):
		// No server was started.
		return nil
	case err != nil:
		return fmt.Errorf("keeping the log of the server: %w", err)
	}
	fmt.Printf("The log of the server is in %s.\n", path)
	return nil
}

// soak runs all of it and returns an error if anything was violated, or could not be done.
func soak(ctx context.Context, s settings) (err error) {
	fmt.Printf("soak: seed %d, %d runs of %d placements over %d members for %s, the server is killed every %s\n",
		s.seed, s.runs, s.placements, s.members, s.duration, s.killEvery)
	h, err := realhub.New(ctx, "soak", serverFlags)
	if err != nil {
		return err
	}
	if err := h.Down(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.keepLog(h))
		}
		if !s.keep {
			err = errors.Join(err, h.Down(context.WithoutCancel(ctx)))
		}
	}()
	if err := h.Up(ctx); err != nil {
		return err
	}
	api, err := h.Fleet()
	if err != nil {
		return err
	}
	book := &book{}
	fleet := &fleet{settings: s, api: api, book: book, hands: deal(s)}
	if err := fleet.prepare(ctx, h); err != nil {
		return err
	}

	ctx, end := context.WithCancel(ctx)
	var around sync.WaitGroup
	defer around.Wait()
	defer end()
	around.Go(func() { fleet.answer(ctx) })
	if err := fleet.awaitPlaced(ctx); err != nil {
		return err
	}
	watcher := newWatcher(api, book)
	watcher.start(ctx, &around)
	around.Go(func() { fleet.decide(ctx) })

	start := time.Now()
	killer := &killer{hub: h, book: book, fleet: fleet, watcher: watcher, every: s.killEvery}
	around.Go(func() { killer.run(ctx, start.Add(s.duration)) })
	around.Go(func() { killer.report(ctx, start, s.runs) })
	fleet.drive(ctx, start)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	killer.wait(ctx)
	fleet.verify(ctx)
	watcher.verify(ctx)
	fleet.verifyEnd(ctx)
	return killer.verdict(start, s)
}
