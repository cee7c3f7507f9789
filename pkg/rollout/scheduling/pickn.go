// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/clusterfilter"
)

// candidate is a cluster that PickN may pick, or has picked.
type candidate struct {
	cluster *clusterv1beta1.MemberCluster
	place   place
	// domains are those of the cluster, by constraint, or noDomain.
	domains []int
	// affinity is the score by the preferred terms, spread that of how evenly the cluster spreads the placement. Both are compared, spread first.
	affinity, spread int32
	// violates is the hard constraint that picking the cluster would violate, and lacks one whose label it does not have; nil for none.
	violates, lacks *constraint
}

// attachment is how much of the placement a cluster has, which decides between equal scores: what is there is not moved needlessly.
func (c *candidate) attachment() int {
	switch {
	case c.place.picked:
		return 2
	case c.place.rolledOut:
		return 1
	}
	return 0
}

// better orders candidates by what speaks for picking them, the best first. Of two that are equal in all, the greater name comes first.
func better(a, b *candidate) int {
	if n := cmp.Compare(b.spread, a.spread); n != 0 {
		return n
	}
	if n := cmp.Compare(b.affinity, a.affinity); n != 0 {
		return n
	}
	if n := cmp.Compare(b.attachment(), a.attachment()); n != 0 {
		return n
	}
	return strings.Compare(b.cluster.Name, a.cluster.Name)
}

// pickN picks the whole set at once: the clusters that are picked already stay, the best of the others are added, or what is too many goes.
func (r request) pickN() outcome {
	var (
		o                outcome
		held, candidates []*candidate
	)
	filter, preferences := clusterfilter.New(r.policy), newPreferences(r.policy, r.clusters)
	for _, cluster := range r.clusters {
		c := &candidate{cluster: cluster, place: r.placed[cluster.Name]}
		if c.place.current && cluster.DeletionTimestamp.IsZero() {
			held = append(held, c)
		} else if why := r.rejected(filter, cluster, c.place.picked); why != "" {
			o.unselected = append(o.unselected, left(cluster.Name, unschedulable+why))
			continue
		} else {
			candidates = append(candidates, c)
		}
		c.affinity = preferences.score(cluster)
	}
	spread := newSpread(r.policy, held, candidates)
	for _, c := range held {
		spread.add(c)
	}
	held, dropped := shrink(held, r.number, spread)
	grown, rest := grow(candidates, r.number-len(held), spread)
	for _, c := range slices.Concat(held, grown) {
		o.selected = append(o.selected, c.pickedByScore())
	}
	scored, violating := unpicked(slices.Concat(rest, dropped), spread)
	o.unselected = append(o.unselected, violating...)
	slices.SortFunc(o.unselected, func(a, b v1beta1.ClusterDecision) int { return cmp.Compare(a.ClusterName, b.ClusterName) })
	o.unselected = append(scored, o.unselected...)
	o.fulfilled = len(o.selected) == r.number
	return o
}

// shrink drops the clusters that are too many: first what nothing was rolled out to, then what spreads the placement least, or suits it least; of
// equal ones the lesser name. Health has no say in it.
func shrink(held []*candidate, number int, spread *spread) (kept, dropped []*candidate) {
	for len(held) > number {
		spread.rate(held)
		last := slices.MaxFunc(held, func(a, b *candidate) int {
			switch {
			case a.place.rolledOut == b.place.rolledOut:
				return better(a, b)
			case a.place.rolledOut:
				return -1
			}
			return 1
		})
		spread.remove(last)
		dropped = append(dropped, last)
		held = slices.DeleteFunc(held, func(c *candidate) bool { return c == last })
	}
	spread.rate(held)
	for _, c := range held {
		if c.place.spread != nil {
			c.spread = *c.place.spread
		}
	}
	return held, dropped
}

// grow picks the best candidates, one after the other: each changes how well the others spread the placement.
func grow(candidates []*candidate, number int, spread *spread) (grown, rest []*candidate) {
	if len(spread.constraints) == 0 {
		slices.SortFunc(candidates, better)
		number = min(max(number, 0), len(candidates))
		return candidates[:number], candidates[number:]
	}
	for len(grown) < number {
		var best *candidate
		for _, c := range candidates {
			if c.spread, c.violates = spread.score(c); c.violates == nil && (best == nil || better(c, best) < 0) {
				best = c
			}
		}
		if best == nil {
			break
		}
		spread.add(best)
		grown = append(grown, best)
		candidates = slices.DeleteFunc(candidates, func(c *candidate) bool { return c == best })
	}
	return grown, candidates
}

// unpicked returns the decisions on candidates that are not picked: those that could be, the best first, and those that a constraint keeps out.
func unpicked(candidates []*candidate, spread *spread) (scored, violating []v1beta1.ClusterDecision) {
	for _, c := range candidates {
		c.spread, c.violates = spread.score(c)
	}
	slices.SortFunc(candidates, better)
	for _, c := range candidates {
		if c.violates != nil {
			violating = append(violating, left(c.cluster.Name, unschedulable+c.violation()))
			continue
		}
		d := left(c.cluster.Name, fmt.Sprintf("Cluster %q does not score high enough (affinity score: %d, topology spread score: %d)", c.cluster.Name, c.affinity, c.spread))
		d.ClusterScore = c.score()
		scored = append(scored, d)
	}
	return scored, violating
}

func (c *candidate) score() *v1beta1.ClusterScore {
	return &v1beta1.ClusterScore{AffinityScore: new(c.affinity), TopologySpreadScore: new(c.spread)}
}

// pickedByScore is the decision on a cluster that PickN picks.
func (c *candidate) pickedByScore() v1beta1.ClusterDecision {
	return v1beta1.ClusterDecision{
		ClusterName:  c.cluster.Name,
		Selected:     true,
		ClusterScore: c.score(),
		Reason: fmt.Sprintf("Successfully scheduled resources for placement in %q (affinity score: %d, topology spread score: %d): picked by scheduling policy",
			c.cluster.Name, c.affinity, c.spread),
	}
}
