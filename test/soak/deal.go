// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"math/rand/v2"
	"slices"
)

// hand is what a run is dealt.
type hand struct {
	plan plan
	// next says that the run after it does not wait for its end.
	next bool
	// shares says that it overlaps with the run before it or after it. It goes straight, is left, or is rejected: the other one may move its
	// clusters meanwhile.
	shares bool
	// mends says that it follows one that leaves broken versions behind: nobody can go back to those.
	mends bool
}

// round has every plan, as often as it occurs among the runs of a round. Those that mend, or have nobody to share with, come on top.
var round = slices.Concat(
	slices.Repeat([]plan{straight}, 5), slices.Repeat([]plan{resumed}, 3), slices.Repeat([]plan{abandoned, rolledBack}, 2),
	[]plan{rejected, passing, failing, pausing, returning},
)

// deal gives each run of each placement its hand. The placements draw in turn from one deck, which is a round in the order of the seed, and
// the next round follows when it is empty: so every plan occurs, however few runs a placement has.
func deal(s settings) [][]hand {
	random := rand.New(rand.NewPCG(s.seed, math.MaxUint64))
	var deck []plan
	draw := func(fits func(plan) bool) plan {
		if len(deck) == 0 {
			deck = slices.Clone(round)
			random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		i := slices.IndexFunc(deck, fits)
		if i < 0 {
			return straight
		}
		drawn := deck[i]
		deck = slices.Delete(deck, i, i+1)
		return drawn
	}
	hands := make([][]hand, s.placements)
	for n := range s.runs {
		p, i := n%s.placements, n/s.placements
		h := hand{next: n+s.placements < s.runs && random.IntN(4) == 0}
		h.shares = h.next
		if i > 0 {
			before := hands[p][i-1]
			h.shares, h.mends = h.shares || before.next, before.plan.breaks()
		}
		switch {
		case h.mends || i == 0:
			// The first one has no version before it.
			h.plan = straight
		case h.shares:
			h.plan = draw(plan.leavesOthersAlone)
		default:
			h.plan = draw(func(plan) bool { return true })
		}
		hands[p] = append(hands[p], h)
	}
	return hands
}

// breaks reports whether a run of this plan rolls out what is broken on some members.
func (p plan) breaks() bool { return slices.Contains([]plan{passing, failing, pausing, returning}, p) }

// leavesOthersAlone reports whether a run of this plan ends as intended while another one moves the same placement.
func (p plan) leavesOthersAlone() bool {
	return slices.Contains([]plan{straight, abandoned, rejected}, p)
}
