// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"reflect"
	"testing"
)

// TestEveryPlanIsDealt deals as `make soak`, and as the step of the nightly run with many kills, which has the fewest runs.
func TestEveryPlanIsDealt(t *testing.T) {
	for _, runs := range []int{70, 200} {
		for seed := range uint64(500) {
			counts := map[plan]int{}
			for _, hands := range deal(settings{runs: runs, placements: 8, seed: seed}) {
				for _, h := range hands {
					counts[h.plan]++
				}
			}
			for _, p := range plans {
				// A round is of 17 plans. Runs that mend or share are on top of it, and the last round is dealt in part.
				if want := runs / 40; counts[p] < want {
					t.Errorf("seed %d: %d of %d runs are %s, want %d or more", seed, counts[p], runs, p, want)
				}
			}
		}
	}
}

func TestHandsFitTheirNeighbors(t *testing.T) {
	for seed := range uint64(500) {
		for p, hands := range deal(settings{runs: 70, placements: 8, seed: seed}) {
			if want := 70/8 + map[bool]int{true: 1}[p < 70%8]; len(hands) != want {
				t.Fatalf("seed %d: placement %d has %d runs, want %d", seed, p, len(hands), want)
			}
			for i, h := range hands {
				var before hand
				if i > 0 {
					before = hands[i-1]
				}
				switch {
				case h.shares != (h.next || before.next):
					t.Errorf("seed %d: run %d of placement %d shares its time: %t", seed, i, p, h.shares)
				case h.shares && !h.plan.leavesOthersAlone():
					t.Errorf("seed %d: run %d of placement %d shares its time, and is %s", seed, i, p, h.plan)
				case h.mends != before.plan.breaks():
					t.Errorf("seed %d: run %d of placement %d mends: %t, after one that is %s", seed, i, p, h.mends, before.plan)
				case (h.mends || i == 0) && h.plan != straight:
					t.Errorf("seed %d: run %d of placement %d is %s", seed, i, p, h.plan)
				case h.next && i == len(hands)-1:
					t.Errorf("seed %d: placement %d has no run after the last one", seed, p)
				}
			}
		}
	}
}

func TestASeedIsDealtTheSameAgain(t *testing.T) {
	s := settings{runs: 200, placements: 8, seed: 20261130}
	if !reflect.DeepEqual(deal(s), deal(s)) {
		t.Error("the same seed is dealt otherwise")
	}
	again := s
	again.seed++
	if reflect.DeepEqual(deal(s), deal(again)) {
		t.Error("another seed is dealt the same")
	}
}
