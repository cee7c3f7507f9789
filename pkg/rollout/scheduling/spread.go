// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"fmt"
	"math"
	"slices"

	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

const (
	// noDomain is the domain of a cluster without the label.
	noDomain = -1
	// unsatisfied is what a cluster loses that violates a constraint which only ranks.
	unsatisfied = 1000
)

// spread is how a set of picked clusters is spread over the domains of each constraint.
type spread struct{ constraints []*constraint }

// constraint counts the picked clusters of each domain. Domains are those of clusters that are picked or can be: nothing could fill another.
type constraint struct {
	key     string
	maxSkew int
	hard    bool
	domains map[string]int
	counts  []int
	// effects are by domain; nil where a count has changed since.
	effects []effects
}

// effects of a cluster of a domain on the skew, the difference between the fullest and the emptiest domain.
type effects struct {
	// one is what one cluster more would do, last what one that is counted does, as if it were the last.
	one, last effect
}

type effect struct {
	change int
	// violates reports whether the skew grows beyond what is allowed. One that is too large already may stay so.
	violates bool
}

// newSpread finds the domains, with no cluster counted yet.
func newSpread(policy *v1beta1.PlacementPolicy, held, candidates []*candidate) *spread {
	s := &spread{}
	for _, c := range policy.TopologySpreadConstraints {
		s.constraints = append(s.constraints, &constraint{
			key: c.TopologyKey, maxSkew: int(ptr.Deref(c.MaxSkew, 1)), hard: c.WhenUnsatisfiable != v1beta1.ScheduleAnywayUnsatisfiableConstraint,
			domains: map[string]int{},
		})
	}
	for _, c := range held {
		s.locate(c)
	}
	for _, c := range candidates {
		if c.lacks = s.unlabeled(c); c.lacks == nil {
			s.locate(c)
		}
	}
	return s
}

// locate finds the domains of a cluster, and counts none.
func (s *spread) locate(c *candidate) {
	c.domains = make([]int, len(s.constraints))
	for i, constraint := range s.constraints {
		c.domains[i] = noDomain
		value, labeled := c.cluster.Labels[constraint.key]
		if !labeled {
			continue
		}
		domain, known := constraint.domains[value]
		if !known {
			domain = len(constraint.counts)
			constraint.domains[value] = domain
			constraint.counts = append(constraint.counts, 0)
		}
		c.domains[i] = domain
	}
}

// unlabeled returns a hard constraint that knows no domain of the cluster, nil where there is none.
func (s *spread) unlabeled(c *candidate) *constraint {
	for _, constraint := range s.constraints {
		if _, labeled := c.cluster.Labels[constraint.key]; constraint.hard && !labeled {
			return constraint
		}
	}
	return nil
}

func (s *spread) add(c *candidate)    { s.count(c, 1) }
func (s *spread) remove(c *candidate) { s.count(c, -1) }

func (s *spread) count(c *candidate, n int) {
	for i, constraint := range s.constraints {
		if domain := c.domains[i]; domain != noDomain {
			constraint.counts[domain] += n
			constraint.effects = nil
		}
	}
}

// score returns how much more evenly the placement is spread with one cluster more, and the hard constraint that this would violate, nil for none.
func (s *spread) score(c *candidate) (score int32, violates *constraint) {
	if c.lacks != nil {
		return 0, c.lacks
	}
	for i, constraint := range s.constraints {
		domain := c.domains[i]
		if domain == noDomain {
			continue
		}
		switch e := constraint.of(domain).one; {
		case e.violates && constraint.hard:
			return 0, constraint
		case e.violates:
			score -= unsatisfied
		default:
			score -= int32(e.change)
		}
	}
	return score, nil
}

// violation is the reason of a cluster that a constraint keeps out.
func (c *candidate) violation() string {
	why := fmt.Sprintf("violated doNotSchedule topology spread constraint %q (max skew %d)", c.violates.key, c.violates.maxSkew)
	if c.lacks != nil {
		why += ": cluster has no such label"
	}
	return why
}

// rate gives each picked cluster the score that it would have if it were the last to be picked.
func (s *spread) rate(held []*candidate) {
	for _, c := range held {
		c.spread = 0
		for i, constraint := range s.constraints {
			if domain := c.domains[i]; domain == noDomain {
				continue
			} else if e := constraint.of(domain).last; e.violates {
				c.spread -= unsatisfied
			} else {
				c.spread -= int32(e.change)
			}
		}
	}
}

// of returns the effects of a cluster of a domain.
func (c *constraint) of(domain int) effects {
	if c.effects == nil {
		c.rate()
	}
	return c.effects[domain]
}

func (c *constraint) rate() {
	lowest, highest := slices.Min(c.counts), slices.Max(c.counts)
	// What is beside the emptiest and the fullest domain, where there is one of each.
	nextLowest, nextHighest, lowestDomains, highestDomains := math.MaxInt, 0, 0, 0
	for _, n := range c.counts {
		if n == lowest {
			lowestDomains++
		} else {
			nextLowest = min(nextLowest, n)
		}
		if n == highest {
			highestDomains++
		} else {
			nextHighest = max(nextHighest, n)
		}
	}
	to := func(before, after int) effect {
		return effect{change: after - before, violates: after > before && after > c.maxSkew}
	}
	skew := highest - lowest
	c.effects = make([]effects, len(c.counts))
	for domain, n := range c.counts {
		oneLowest, lastHighest := lowest, highest
		if n == lowest && lowestDomains == 1 {
			oneLowest = min(n+1, nextLowest)
		}
		if n == highest && highestDomains == 1 {
			lastHighest = max(n-1, nextHighest)
		}
		c.effects[domain] = effects{
			one:  to(skew, max(highest, n+1)-oneLowest),
			last: to(lastHighest-min(lowest, n-1), skew),
		}
	}
}
