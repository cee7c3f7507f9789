// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/stagegate/stagegate/pkg/rollout/metrics"
)

var errNotFilled = errors.New("the caches are not filled")

// health is how the controllers of this replica are.
type health struct {
	// chosen are the controllers that run while this replica leads.
	chosen []string

	mu sync.Mutex
	// obstacle is why this replica neither leads nor waits for its turn to.
	obstacle error
	leads    bool
	running  map[string]bool
}

func newHealth(chosen []string) *health {
	for _, name := range chosen {
		metrics.Running(name, false)
	}
	return &health{chosen: chosen, obstacle: errNotFilled, running: map[string]bool{}}
}

// told notes what keeps this replica from leading, nil where that is at most another leader.
func (h *health) told(obstacle error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.obstacle = obstacle
}

// lead notes that this replica leads until the returned function is called.
func (h *health) lead() (end func()) {
	set := func(leads bool) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.leads = leads
	}
	set(true)
	return func() { set(false) }
}

// begin notes that a controller runs until the returned function is called.
func (h *health) begin(controller string) (end func()) {
	set := func(runs bool) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.running[controller] = runs
		metrics.Running(controller, runs)
	}
	set(true)
	return func() { set(false) }
}

// problem returns what is wrong, nil for nothing.
func (h *health) problem() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.obstacle != nil || !h.leads {
		return h.obstacle
	}
	waiting := slices.DeleteFunc(slices.Clone(h.chosen), func(name string) bool { return h.running[name] })
	if len(waiting) > 0 {
		return fmt.Errorf("controllers that wait to be started again: %s", strings.Join(waiting, ", "))
	}
	return nil
}
