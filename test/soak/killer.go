// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stagegate/stagegate/test/realhub"
)

// settled is how long a new server is left alone before its memory is measured: it has filled its caches by then.
const settled = 10 * time.Second

// killer kills the server and starts it again on its data, and keeps the figures.
type killer struct {
	hub     *realhub.Hub
	book    *book
	fleet   *fleet
	watcher *watcher
	every   time.Duration

	mu       sync.Mutex
	kills    int
	restarts []time.Duration
	// young and old are the memory of each server soon after its start and before its end.
	young, old []int64
	databases  []int64
	done       chan struct{}
	once       sync.Once
}

func (k *killer) finished() chan struct{} {
	k.once.Do(func() { k.done = make(chan struct{}) })
	return k.done
}

// run kills until the end.
func (k *killer) run(ctx context.Context, end time.Time) {
	defer close(k.finished())
	for ctx.Err() == nil {
		pause(ctx, settled)
		k.sample(&k.young, k.memory)
		k.fleet.verify(ctx)
		k.watcher.verify(ctx)
		pause(ctx, k.every-settled)
		k.sample(&k.old, k.memory)
		k.sample(&k.databases, k.hub.Database)
		if ctx.Err() != nil || !time.Now().Before(end) {
			return
		}
		start := time.Now()
		if err := k.hub.Kill(); err != nil {
			k.book.violated("killing the server: %v", err)
			return
		}
		if err := k.hub.Up(ctx); err != nil {
			if ctx.Err() == nil {
				k.book.violated("the server does not come back: %v", err)
			}
			return
		}
		k.mu.Lock()
		k.kills++
		k.restarts = append(k.restarts, time.Since(start))
		k.mu.Unlock()
	}
}

// memory is the resident memory of the server, in bytes.
func (k *killer) memory() (int64, error) { return k.hub.Memory(realhub.Server) }

// wait returns when the last server has been measured.
func (k *killer) wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-k.finished():
	}
}

func (k *killer) sample(into *[]int64, measure func() (int64, error)) {
	value, err := measure()
	if err != nil {
		k.book.violated("measuring the server: %v", err)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	*into = append(*into, value)
}

// report prints a line a minute.
func (k *killer) report(ctx context.Context, start time.Time, runs int) {
	for pause(ctx, time.Minute); ctx.Err() == nil; pause(ctx, time.Minute) {
		fmt.Printf("%6s  %s\n", time.Since(start).Round(time.Second), k.line(runs))
	}
}

func (k *killer) line(runs int) string {
	entries, decisions := k.book.acknowledged()
	k.book.mu.Lock()
	ended := 0
	var how []string
	for _, reason := range slices.Sorted(maps.Keys(k.book.ended)) {
		ended += k.book.ended[reason]
		how = append(how, fmt.Sprintf("%d %s", k.book.ended[reason], reason))
	}
	violations := len(k.book.violations)
	k.book.mu.Unlock()
	k.watcher.mu.Lock()
	events := k.watcher.events
	k.watcher.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	return fmt.Sprintf("kills %d (back after %s)  runs %d of %d, %d ended: %s  decisions %d  asked %d  states seen %d  memory %s young, %s old  database %s  violations %d",
		k.kills, last(k.restarts).Round(100*time.Millisecond), len(entries), runs, ended, strings.Join(how, ", "), len(decisions), len(k.book.operations()), events,
		mebibytes(last(k.young)), mebibytes(last(k.old)), mebibytes(last(k.databases)), violations)
}

// verdict prints the figures and reports whether anything was violated.
func (k *killer) verdict(start time.Time, s settings) error {
	k.mu.Lock()
	k.grows("memory after a start", k.young)
	k.grows("memory before a kill", k.old)
	fmt.Printf("memory after a start:  %s\n", figures(k.young))
	fmt.Printf("memory before a kill:  %s\n", figures(k.old))
	fmt.Printf("etcd database:         %s\n", figures(k.databases))
	if len(k.restarts) > 0 {
		fmt.Printf("back after a kill:     first %s, last %s, at most %s\n",
			k.restarts[0].Round(100*time.Millisecond), last(k.restarts).Round(100*time.Millisecond), slices.Max(k.restarts).Round(100*time.Millisecond))
	}
	kills := k.kills
	k.mu.Unlock()
	line := k.line(s.runs)
	k.book.mu.Lock()
	violations := k.book.violations
	k.book.mu.Unlock()
	if entries, _ := k.book.acknowledged(); len(entries) < s.runs {
		violations = append(violations, fmt.Sprintf("only %d of %d runs were created", len(entries), s.runs))
	}
	if kills < s.kills {
		violations = append(violations, fmt.Sprintf("the server was killed %d times, want %d: give it more time, or kill more often", kills, s.kills))
	}
	for _, p := range plans {
		dealt := slices.ContainsFunc(k.fleet.hands, func(hands []hand) bool {
			return slices.ContainsFunc(hands, func(h hand) bool { return h.plan == p })
		})
		if dealt && !strings.Contains(line, fmt.Sprintf("(%s)", p)) {
			violations = append(violations, fmt.Sprintf("no run was %s", p))
		}
	}
	if len(violations) > 0 {
		fmt.Printf("FAIL  seed %d, %s: %s\n", s.seed, time.Since(start).Round(time.Second), line)
		return fmt.Errorf("%d violations:\n%s", len(violations), strings.Join(violations, "\n"))
	}
	fmt.Printf("PASS  seed %d, %s: %s\n", s.seed, time.Since(start).Round(time.Second), line)
	return nil
}

// grows takes memory for leaking that doubles from the first third of the samples to the last: what is stored grows with every run,
// but by little.
func (k *killer) grows(what string, samples []int64) {
	third := len(samples) / 3
	if third < 3 {
		return
	}
	if early, late := slices.Max(samples[:third]), slices.Min(samples[len(samples)-third:]); late > 2*early {
		k.book.violated("%s grows from %s to %s", what, mebibytes(early), mebibytes(late))
	}
}

func figures(samples []int64) string {
	if len(samples) == 0 {
		return "not measured"
	}
	return fmt.Sprintf("first %s, last %s, peak %s", mebibytes(samples[0]), mebibytes(last(samples)), mebibytes(slices.Max(samples)))
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

func last[T any](list []T) T {
	if len(list) == 0 {
		var zero T
		return zero
	}
	return list[len(list)-1]
}
