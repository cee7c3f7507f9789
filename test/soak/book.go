// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// book is what the server has said yes to, what has become of it, and what should not have been.
type book struct {
	mu         sync.Mutex
	runs       map[string]*entry
	decisions  map[string]decision
	asked      []operation
	violations []string
	seen       map[string]bool
	ended      map[string]int
}

// entry is a run that the server has taken.
type entry struct {
	uid       types.UID
	placement string
	plan      plan
	// state is the last that the server has taken.
	state v1beta1.State
}

// decision is one that the server has acknowledged.
type decision struct {
	uid      types.UID
	decision v1beta1.DecisionType
	comment  string
}

// violated records a violation once.
func (b *book) violated(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen[message] {
		return
	}
	if b.seen == nil {
		b.seen = map[string]bool{}
	}
	b.seen[message] = true
	b.violations = append(b.violations, message)
	fmt.Println("VIOLATION:", message)
}

func (b *book) created(run *v1beta1.ClusterStagedUpdateRun, p plan) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.runs == nil {
		b.runs = map[string]*entry{}
	}
	b.runs[run.Name] = &entry{uid: run.UID, placement: run.Spec.PlacementName, plan: p, state: run.Spec.State}
}

func (b *book) stateSet(run string, state v1beta1.State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs[run].state = state
}

func (b *book) decided(name string, d decision) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.decisions == nil {
		b.decisions = map[string]decision{}
	}
	b.decisions[name] = d
}

func (b *book) operated(o operation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, o)
}

// operations is a copy of all that were acknowledged.
func (b *book) operations() []operation {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asked)
}

func (b *book) hasDecided(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, known := b.decisions[name]
	return known
}

// over counts a run that has ended as its plan wants it.
func (b *book) over(p plan, how string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended == nil {
		b.ended = map[string]int{}
	}
	b.ended[fmt.Sprintf("%s (%s)", strings.TrimPrefix(how, "UpdateRun"), p)]++
}

// run is a copy of what is known of a run, nil for nothing.
func (b *book) run(name string) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.runs[name]; e != nil {
		known := *e
		return &known
	}
	return nil
}

// acknowledged are copies of all runs and decisions.
func (b *book) acknowledged() (map[string]entry, map[string]decision) {
	b.mu.Lock()
	defer b.mu.Unlock()
	runs, decisions := map[string]entry{}, map[string]decision{}
	for name, e := range b.runs {
		runs[name] = *e
	}
	for name, d := range b.decisions {
		decisions[name] = d
	}
	return runs, decisions
}
