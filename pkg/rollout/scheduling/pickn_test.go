// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

const nodes = "kubernetes-fleet.io/node-count"

// pickN makes a policy of its parts.
func pickN(parts ...any) *v1beta1.PlacementPolicy {
	policy := &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickNPlacementType}
	affinity := &v1beta1.ClusterAffinity{}
	for _, part := range parts {
		policy.Affinity = &v1beta1.Affinity{ClusterAffinity: affinity}
		switch p := part.(type) {
		case v1beta1.PreferredClusterSelector:
			affinity.PreferredDuringSchedulingIgnoredDuringExecution = append(affinity.PreferredDuringSchedulingIgnoredDuringExecution, p)
		case v1beta1.ClusterSelectorTerm:
			if affinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
				affinity.RequiredDuringSchedulingIgnoredDuringExecution = &v1beta1.ClusterSelector{}
			}
			required := affinity.RequiredDuringSchedulingIgnoredDuringExecution
			required.ClusterSelectorTerms = append(required.ClusterSelectorTerms, p)
		case v1beta1.TopologySpreadConstraint:
			policy.TopologySpreadConstraints = append(policy.TopologySpreadConstraints, p)
		}
	}
	return policy
}

func matching(pairs ...string) *metav1.LabelSelector {
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		selector.MatchLabels[pairs[i]] = pairs[i+1]
	}
	return selector
}

func prefer(weight int32, selector *metav1.LabelSelector) v1beta1.PreferredClusterSelector {
	return v1beta1.PreferredClusterSelector{Weight: weight, Preference: v1beta1.ClusterSelectorTerm{LabelSelector: selector}}
}

func sorted(weight int32, selector *metav1.LabelSelector, property string, order v1beta1.PropertySortOrder) v1beta1.PreferredClusterSelector {
	p := prefer(weight, selector)
	p.Preference.PropertySorter = &v1beta1.PropertySorter{Name: property, SortOrder: order}
	return p
}

func spreadOver(key string, maxSkew int32, when v1beta1.UnsatisfiableConstraintAction) v1beta1.TopologySpreadConstraint {
	return v1beta1.TopologySpreadConstraint{TopologyKey: key, MaxSkew: new(maxSkew), WhenUnsatisfiable: when}
}

const (
	hard       = v1beta1.DoNotScheduleUnsatisfiableConstraint
	soft       = v1beta1.ScheduleAnywayUnsatisfiableConstraint
	descending = v1beta1.DescendingPropertySortOrder
	ascending  = v1beta1.AscendingPropertySortOrder
)

// zones are clusters named after their zones: a1 and a2 are in a.
func zones(names ...string) []*clusterv1beta1.MemberCluster {
	var clusters []*clusterv1beta1.MemberCluster
	for _, name := range names {
		clusters = append(clusters, member(name, labeled("zone", name[:1])))
	}
	return clusters
}

func withMemory(quantity string) func(*clusterv1beta1.MemberCluster) {
	return func(m *clusterv1beta1.MemberCluster) {
		m.Status.ResourceUsage.Capacity = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(quantity)}
	}
}

func withAvailable(name, quantity string) func(*clusterv1beta1.MemberCluster) {
	return func(m *clusterv1beta1.MemberCluster) {
		m.Status.ResourceUsage.Available = corev1.ResourceList{corev1.ResourceName(name): resource.MustParse(quantity)}
	}
}

func all(placed ...map[string]place) map[string]place {
	together := map[string]place{}
	for _, p := range placed {
		maps.Copy(together, p)
	}
	return together
}

// scores tells of decisions: name and scores, affinity before spread, or the reason of what has none.
func scores(decisions []v1beta1.ClusterDecision) string {
	var told []string
	for _, d := range decisions {
		if d.ClusterScore != nil {
			told = append(told, fmt.Sprintf("%s %d/%d", d.ClusterName, *d.ClusterScore.AffinityScore, *d.ClusterScore.TopologySpreadScore))
		} else {
			told = append(told, d.ClusterName+": "+strings.TrimPrefix(d.Reason, unschedulable))
		}
	}
	return strings.Join(told, ", ")
}

// TestPickN has upstream's worked examples, by their numbers, and says where the answer differs on purpose.
func TestPickN(t *testing.T) {
	const (
		mismatch = "cluster does not match with any of the required cluster affinity terms"
		violated = `violated doNotSchedule topology spread constraint "zone" (max skew 1)`
	)
	abc := []*clusterv1beta1.MemberCluster{member("alpha"), member("bravo"), member("charlie")}
	example2 := []*clusterv1beta1.MemberCluster{
		member("a", labeled("env", "prod", "region", "east")), member("b", labeled("env", "prod", "region", "west")),
		member("c", labeled("env", "dev", "region", "west")), member("d", labeled("env", "dev", "region", "east")),
	}
	weights := pickN(prefer(60, matching("env", "prod")), prefer(-20, matching("region", "east")))
	memory := []*clusterv1beta1.MemberCluster{member("a", withMemory("8Gi")), member("b", withMemory("12Gi")), member("c", withMemory("16Gi"))}
	nodeCounts := func(counts ...string) (clusters []*clusterv1beta1.MemberCluster) {
		for i, count := range counts {
			change := reporting(nodes, count)
			if count == "" {
				change = reporting()
			}
			clusters = append(clusters, member(string(rune('a'+i)), change))
		}
		return clusters
	}
	zoneOf := func(name, zone, env string) *clusterv1beta1.MemberCluster {
		return member(name, labeled("zone", zone, "env", env))
	}
	example11 := []*clusterv1beta1.MemberCluster{
		member("a", labeled("env", "prod")), member("b", labeled("env", "prod")), member("c", labeled("env", "prod")), member("d", labeled("env", "dev")),
	}
	example12 := []*clusterv1beta1.MemberCluster{
		member("b1", labeled("rank", "low", "zone", "x")), member("b2", labeled("rank", "low", "zone", "y")),
		member("b3", labeled("rank", "high", "zone", "y")), member("s1", labeled("rank", "middle", "zone", "y")),
	}
	ranked := pickN(prefer(50, matching("rank", "high")), prefer(30, matching("rank", "middle")), prefer(10, matching("rank", "low")))
	fresh := map[string]place{"s1": {current: true, picked: true}}
	for name, test := range map[string]struct {
		policy               *v1beta1.PlacementPolicy
		number               int
		clusters             []*clusterv1beta1.MemberCluster
		placed               map[string]place
		namespace            string
		selected, unselected string
		unmet                bool
	}{
		"1: of equal ones the greater names are picked": {
			pickN(), 2, abc, nil, "", "bravo 0/0, charlie 0/0", "alpha 0/0", false,
		},
		"1: one more leaves those that are there": {
			pickN(), 3, abc, held("bravo", "charlie"), "", "alpha 0/0, bravo 0/0, charlie 0/0", "", false,
		},
		"1: of equal ones the lesser names go": {
			pickN(), 1, abc, held("alpha", "bravo", "charlie"), "", "charlie 0/0", "bravo 0/0, alpha 0/0", false,
		},
		"2: weights of labels": {weights, 2, example2, nil, "", "a 40/0, b 60/0", "c 0/0, d -20/0", false},
		"2: one more":          {weights, 3, example2, held("a", "b"), "", "a 40/0, b 60/0, c 0/0", "d -20/0", false},
		// Upstream gives a cluster without a reading what it gives the worst one.
		"3: a cluster without a reading comes below the worst": {
			pickN(sorted(50, nil, nodes, descending)), 3, nodeCounts("2", "5", "10", ""), nil, "", "a 0/0, b 19/0, c 50/0", "d -1/0", false,
		},
		"3: also where the weight is negative": {
			pickN(sorted(-50, nil, nodes, descending)), 3, nodeCounts("2", "5", "10", ""), nil, "", "a 0/0, b -19/0, c -50/0", "d -51/0", false,
		},
		"3: what is no quantity is no reading": {
			pickN(sorted(50, nil, nodes, descending)), 1, nodeCounts("v1.31.2", "5", "10", "1e999999999"), nil, "", "c 50/0", "b 0/0, d -1/0, a -1/0", false,
		},
		"4: ascending": {
			pickN(sorted(40, nil, nodes, ascending)), 1, nodeCounts("0.166", "0.322", "0.416"), nil, "", "a 40/0", "b 15/0, c 0/0", false,
		},
		"4: half a point is rounded away from zero": {
			pickN(sorted(25, nil, "resources.kubernetes-fleet.io/total-memory", descending)), 1, memory, nil, "", "c 25/0", "b 13/0, a 0/0", false,
		},
		"4: below zero as well": {
			pickN(sorted(-25, nil, "resources.kubernetes-fleet.io/total-memory", descending)), 2, memory, nil, "", "a 0/0, b -13/0", "c -25/0", false,
		},
		"5: equal readings score nothing": {
			pickN(sorted(80, matching("env", "prod"), nodes, descending), prefer(10, matching("env", "prod"))), 1,
			[]*clusterv1beta1.MemberCluster{
				member("a", labeled("env", "prod"), reporting(nodes, "4")), member("b", labeled("env", "dev"), reporting(nodes, "4")),
				member("c", labeled("env", "dev"), reporting()),
			}, nil, "", "a 10/0", "c 0/0, b 0/0", false,
		},
		"6: the scale is that of the whole fleet": {
			pickN(sorted(100, nil, nodes, descending)), 1,
			[]*clusterv1beta1.MemberCluster{member("a", reporting(nodes, "1"), notJoined), member("b", reporting(nodes, "11")), member("c", reporting(nodes, "21"))},
			nil, "", "c 100/0", "b 50/0, a: cluster is not connected to the fleet: member agent not joined yet", false,
		},
		"6: labels and a property in one term": {
			pickN(sorted(60, matching("env", "prod"), nodes, descending), prefer(20, matching("env", "dev"))), 1,
			[]*clusterv1beta1.MemberCluster{
				member("a", labeled("env", "prod"), reporting(nodes, "3")), member("b", labeled("env", "prod"), reporting(nodes, "6")),
				member("c", labeled("env", "dev"), reporting(nodes, "9")),
			}, nil, "", "b 30/0", "c 20/0, a 0/0", false,
		},
		"7: three zones": {
			pickN(spreadOver("zone", 1, hard)), 4, zones("a1", "a2", "b1", "b2", "c1"), nil, "", "a2 0/1, b1 0/-1, b2 0/0, c1 0/-1", "a1 0/0", false,
		},
		"7: three zones, one more": {
			pickN(spreadOver("zone", 1, hard)), 5, zones("a1", "a2", "b1", "b2", "c1"), nil, "", "a1 0/0, a2 0/1, b1 0/-1, b2 0/0, c1 0/-1", "", false,
		},
		"7: a zone that is full enough": {
			pickN(spreadOver("zone", 1, hard)), 3, append(zones("a1", "b1", "b2", "b3"), member("c1", labeled("zone", "c"), tainted)), nil, "",
			"a1 0/1, b2 0/-1, b3 0/-1", "b1: " + violated + ", c1: taint {Key:k Value:v Effect:NoSchedule} cannot be tolerated", false,
		},
		// Upstream has the zone of a dead cluster wait for it.
		"8: a zone without a living cluster is none": {
			pickN(spreadOver("zone", 1, hard)), 3, append(zones("a1", "a2", "a3"), member("b1", labeled("zone", "b"), notJoined)), nil, "",
			"a1 0/0, a2 0/0, a3 0/0", "b1: cluster is not connected to the fleet: member agent not joined yet", false,
		},
		"9: neither is it where the constraint only ranks": {
			pickN(spreadOver("zone", 1, soft)), 2, append(zones("a1", "a2", "a3"), member("b1", labeled("zone", "b"), notJoined)), nil, "",
			"a2 0/0, a3 0/0", "a1 0/0, b1: cluster is not connected to the fleet: member agent not joined yet", false,
		},
		"9: spread is compared before affinity": {
			pickN(prefer(100, matching("env", "prod")), spreadOver("zone", 1, soft)), 3,
			[]*clusterv1beta1.MemberCluster{zoneOf("a1", "a", "prod"), zoneOf("a2", "a", "prod"), zoneOf("b1", "b", "dev"), member("n1", labeled("env", "prod"))},
			nil, "", "a2 100/-1, b1 0/1, n1 100/0", "a1 100/-1", false,
		},
		"9: what a constraint cannot forbid it ranks last": {
			pickN(spreadOver("zone", 1, soft)), 3, zones("a1", "a2", "a3", "b1"), nil, "", "a2 0/-1, a3 0/1, b1 0/-1", "a1 0/-1000", false,
		},
		// Upstream picks nobody any more where the skew is too large already.
		"10: a skew that is too large may shrink": {
			pickN(spreadOver("zone", 1, hard)), 4, zones("a1", "a2", "a3", "a4", "b1", "b2"), held("a1", "a2", "a3"), "",
			"a1 0/-1000, a2 0/-1000, a3 0/-1000, b2 0/1", "b1 0/1, a4: " + violated, false,
		},
		"10: and stay as it is": {
			pickN(spreadOver("zone", 1, hard)), 4, zones("a1", "a2", "a3", "b1", "c1"), held("a1", "a2", "a3"), "",
			"a1 0/-1000, a2 0/-1000, a3 0/-1000, c1 0/0", "b1 0/1", false,
		},
		"11: another policy moves what suits it less": {
			pickN(prefer(10, matching("env", "prod"))), 2, example11, obsolete("a", "d"), "", "a 10/0, c 10/0", "b 10/0, d 0/0", false,
		},
		// Upstream moves a1 to a2.
		"11: what is there stays where the zones are the same": {
			pickN(spreadOver("zone", 1, hard)), 2, zones("a1", "a2", "b1", "b2"), obsolete("a1", "b1"), "", "a1 0/1, b1 0/-1", "b2 0/-1, a2 0/-1", false,
		},
		"12: what nothing was rolled out to goes first": {
			ranked, 3, example12, all(held("b1", "b2", "b3"), fresh), "", "b1 10/0, b2 10/0, b3 50/0", "s1 30/0", false,
		},
		"12: then what suits least, the lesser name first": {
			ranked, 2, example12, all(held("b1", "b2", "b3"), fresh), "", "b2 10/0, b3 50/0", "s1 30/0, b1 10/0", false,
		},
		"12: what spreads least goes before what suits less": {
			pickN(prefer(50, matching("rank", "high")), prefer(60, matching("rank", "low")), spreadOver("zone", 1, soft)), 2, example12, held("b1", "b2", "b3"), "",
			"b1 60/1, b2 60/1", "b3 50/-1, s1 0/-1", false,
		},
		"13: required properties": {
			pickN(v1beta1.ClusterSelectorTerm{PropertySelector: &v1beta1.PropertySelector{MatchExpressions: []v1beta1.PropertySelectorRequirement{
				{Name: nodes, Operator: v1beta1.PropertySelectorGreaterThanOrEqualTo, Values: []string{"5"}},
				{Name: "resources.kubernetes-fleet.io/available-cpu", Operator: v1beta1.PropertySelectorGreaterThan, Values: []string{"1500m"}},
			}}}, v1beta1.ClusterSelectorTerm{LabelSelector: matching("region", "south")}), 5,
			[]*clusterv1beta1.MemberCluster{
				member("a", reporting(nodes, "5"), withAvailable("cpu", "2")), member("b", reporting(nodes, "6")),
				member("c", reporting(nodes, "5"), withAvailable("cpu", "1500m")), member("d", labeled("region", "south"), reporting(nodes, "1")),
			}, nil, "", "a 0/0, d 0/0", "b: " + mismatch + ", c: " + mismatch, true,
		},
		"14: two constraints": {
			pickN(spreadOver("region", 1, hard), spreadOver("zone", 1, soft)), 3,
			[]*clusterv1beta1.MemberCluster{
				member("w1", labeled("region", "east", "zone", "e1")), member("w2", labeled("region", "east", "zone", "e2")),
				member("w3", labeled("region", "west", "zone", "x1")), member("w4", labeled("region", "west", "zone", "x1")),
			}, nil, "", "w1 0/0, w2 0/1, w4 0/-2", "w3 0/0", false,
		},
		"a cluster without the label of a hard constraint is in no zone": {
			pickN(spreadOver("zone", 1, hard)), 2, append(zones("a1"), member("n1", labeled())), nil, "",
			"a1 0/0", "n1: " + violated + ": cluster has no such label", true,
		},
		"a constraint without a skew has one of 1": {
			pickN(v1beta1.TopologySpreadConstraint{TopologyKey: "zone"}), 3, zones("a1", "b1", "b2", "b3"), nil, "", "a1 0/1, b2 0/-1, b3 0/-1", "b1: " + violated, false,
		},
		"none at all": {pickN(), 0, abc, nil, "", "", "charlie 0/0, bravo 0/0, alpha 0/0", false},
		"fewer than asked are told": {
			pickN(), 4, abc, nil, "", "alpha 0/0, bravo 0/0, charlie 0/0", "", true,
		},
		"a cluster that leaves is replaced": {
			pickN(), 1, []*clusterv1beta1.MemberCluster{member("a"), member("b", leaving)}, held("b"), "", "a 0/0", "b: cluster has left the fleet", false,
		},
		"an ill one is not": {
			pickN(), 1, []*clusterv1beta1.MemberCluster{member("a"), member("b", unhealthyFor(time.Hour), silentFor(time.Hour), notJoined)}, held("b"), "", "b 0/0", "a 0/0", false,
		},
		"nor one that the policy no longer lets in": {
			pickN(v1beta1.ClusterSelectorTerm{LabelSelector: matching("env", "prod")}), 1,
			[]*clusterv1beta1.MemberCluster{member("a", labeled("env", "prod")), member("b", labeled("env", "dev"), tainted)}, held("b"), "", "b 0/0", "a 0/0", false,
		},
		"an ill one is not let go of by another policy either": {
			pickN(), 1, []*clusterv1beta1.MemberCluster{member("a"), member("b", unhealthyFor(time.Hour), silentFor(time.Hour))}, obsolete("b"), "", "b 0/0", "a 0/0", false,
		},
		"one that it does not let in is": {
			pickN(), 1, []*clusterv1beta1.MemberCluster{member("a"), member("b", tainted)}, obsolete("b"), "", "a 0/0",
			"b: taint {Key:k Value:v Effect:NoSchedule} cannot be tolerated", false,
		},
		"of equal ones that which has something still is picked": {
			pickN(), 1, abc, map[string]place{"alpha": {rolledOut: true}}, "", "alpha 0/0", "charlie 0/0, bravo 0/0", false,
		},
		"one that has something still, and is ill, is not picked anew": {
			pickN(), 1, []*clusterv1beta1.MemberCluster{member("a"), member("b", silentFor(time.Hour))}, map[string]place{"b": {rolledOut: true}}, "", "a 0/0",
			"b: cluster is not connected to the fleet: no recent heartbeat signals (last received 60.00 minutes ago)", false,
		},
		"the score of spread is that of the day when the cluster was picked": {
			pickN(spreadOver("zone", 1, hard)), 2, zones("a1", "b1"),
			map[string]place{"a1": {current: true, picked: true, spread: new(int32(1))}, "b1": {current: true, picked: true, spread: new(int32(-1))}}, "",
			"a1 0/1, b1 0/-1", "", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := request{policy: test.policy, number: test.number, namespace: test.namespace, clusters: test.clusters, placed: test.placed, now: now}
			got := decide(r)
			if s := scores(got.selected); s != test.selected {
				t.Errorf("selected   %q\nwant       %q", s, test.selected)
			}
			if s := scores(got.unselected); s != test.unselected {
				t.Errorf("unselected %q\nwant       %q", s, test.unselected)
			}
			if got.fulfilled == test.unmet {
				t.Errorf("fulfilled %t, want %t", got.fulfilled, !test.unmet)
			}
			slices.Reverse(r.clusters)
			if again := decide(r); scores(again.selected)+scores(again.unselected) != scores(got.selected)+scores(got.unselected) {
				t.Errorf("in another order: %s; %s", scores(again.selected), scores(again.unselected))
			}
		})
	}
}

func TestReasonsOfPickN(t *testing.T) {
	got := decide(request{policy: pickN(prefer(7, nil)), number: 1, clusters: []*clusterv1beta1.MemberCluster{member("a"), member("b")}, now: now})
	want := `Successfully scheduled resources for placement in "b" (affinity score: 7, topology spread score: 0): picked by scheduling policy` +
		`; Cluster "a" does not score high enough (affinity score: 7, topology spread score: 0)`
	if reasons := got.selected[0].Reason + "; " + got.unselected[0].Reason; reasons != want {
		t.Errorf("got  %s\nwant %s", reasons, want)
	}
}

// TestDecisionsHaveLimits has more clusters than a status takes: all that are picked are counted, 1000 decisions are listed, 20 of them on clusters
// that are not picked, those first that were nearest to it.
func TestDecisionsHaveLimits(t *testing.T) {
	var clusters []*clusterv1beta1.MemberCluster
	for i := range 1100 {
		clusters = append(clusters, member(fmt.Sprintf("m%04d", i)))
	}
	for name, test := range map[string]struct {
		policy                       *v1beta1.PlacementPolicy
		number                       int
		picked, listed, listedPicked int
	}{
		"all are picked":  {nil, 0, 1100, 1000, 1000},
		"none is picked":  {affinity(v1beta1.ClusterSelectorTerm{LabelSelector: matching("a", "b")}), 0, 0, 20, 0},
		"990 are picked":  {pickN(), 990, 990, 1000, 990},
		"some are picked": {pickN(), 3, 3, 23, 3},
	} {
		t.Run(name, func(t *testing.T) {
			o := decide(request{policy: test.policy, number: test.number, clusters: clusters, now: now})
			decisions, listedPicked := o.decisions(), 0
			for i, d := range decisions {
				if d.Selected {
					listedPicked++
				}
				if d.Selected != (i < test.listedPicked) {
					t.Fatalf("decision %d is on a cluster that is picked: %t", i, d.Selected)
				}
			}
			if len(o.selected) != test.picked || len(decisions) != test.listed || listedPicked != test.listedPicked {
				t.Errorf("%d picked, %d listed, of which %d are picked; want %d, %d, %d", len(o.selected), len(decisions), listedPicked, test.picked, test.listed, test.listedPicked)
			}
		})
	}
}
