// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// fleets is how many fleets the seeds of this test make.
const fleets = 1000

// TestWhatHoldsForEveryFleet has random fleets, policies and placements against what must hold whatever they are.
func TestWhatHoldsForEveryFleet(t *testing.T) {
	for seed := range uint64(fleets) {
		if checkSeed(t, seed); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// FuzzDecide has the same for seeds that nobody thought of.
func FuzzDecide(f *testing.F) {
	f.Add(uint64(fleets))
	f.Fuzz(func(t *testing.T, seed uint64) { checkSeed(t, seed) })
}

func checkSeed(t *testing.T, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	r := randomRequest(random)
	before := describe(r)
	first := decide(r)
	if diff := cmp.Diff(before, describe(r)); diff != "" {
		t.Errorf("the request is changed:\n%s", diff)
	}
	checkOutcome(t, r, first)

	shuffled := r
	shuffled.clusters = slices.Clone(r.clusters)
	random.Shuffle(len(shuffled.clusters), func(i, j int) {
		shuffled.clusters[i], shuffled.clusters[j] = shuffled.clusters[j], shuffled.clusters[i]
	})
	if diff := cmp.Diff(scores(first.selected)+"; "+scores(first.unselected), scores(decide(shuffled).selected)+"; "+scores(decide(shuffled).unselected)); diff != "" {
		t.Errorf("the order of clusters matters:\n%s", diff)
	}

	settled := settle(r, first)
	again := decide(settled)
	if diff := cmp.Diff(names(first), names(again)); diff != "" {
		t.Errorf("a second look moves something:\n%s", diff)
	}
	if third := decide(settle(settled, again)); scores(third.selected) != scores(again.selected) {
		t.Errorf("the scores do not come to rest: %s, then %s", scores(again.selected), scores(third.selected))
	}

	grown := settled
	grown.clusters = append(slices.Clone(r.clusters), randomCluster(random, "new"))
	if gone := missing(names(first), names(decide(grown))); len(gone) > 0 {
		t.Errorf("a cluster that joins takes the placement off %v", gone)
	}
	if placementType(r.policy) == v1beta1.PickNPlacementType {
		more := settled
		more.number += 1 + random.IntN(3)
		if gone := missing(names(first), names(decide(more))); len(gone) > 0 {
			t.Errorf("%d clusters instead of %d take the placement off %v", more.number, r.number, gone)
		}
		fewer := settled
		fewer.number = random.IntN(r.number + 1)
		kept := names(decide(fewer))
		if news := missing(kept, names(first)); len(news) > 0 || len(kept) != min(fewer.number, len(first.selected)) {
			t.Errorf("%d clusters instead of the %v are %v", fewer.number, names(first), kept)
		}
	}
	sick := settled
	sick.clusters = nil
	for _, cluster := range r.clusters {
		ill := cluster.DeepCopy()
		ill.Status, ill.Labels = clusterv1beta1.MemberClusterStatus{}, nil
		ill.Spec.Taints = []clusterv1beta1.Taint{{Key: "ill", Effect: clusterv1beta1.TaintEffectNoSchedule}}
		sick.clusters = append(sick.clusters, ill)
	}
	if diff := cmp.Diff(names(first), names(decide(sick))); diff != "" {
		t.Errorf("what clusters report moves something:\n%s", diff)
	}
}

// checkOutcome holds what a decision must be by itself.
func checkOutcome(t *testing.T, r request, o outcome) {
	t.Helper()
	decided := map[string]bool{}
	for _, d := range slices.Concat(o.selected, o.unselected) {
		if decided[d.ClusterName] {
			t.Errorf("cluster %s is decided on twice", d.ClusterName)
		}
		decided[d.ClusterName] = true
	}
	known := map[string]*clusterv1beta1.MemberCluster{}
	for _, cluster := range r.clusters {
		known[cluster.Name] = cluster
	}
	for _, name := range names(o) {
		if cluster := known[name]; cluster == nil || cluster.DeletionTimestamp != nil {
			t.Errorf("cluster %s is picked, and no member", name)
		}
	}
	stay, free := 0, 0
	for name, cluster := range known {
		p := r.placed[name]
		if p.current && cluster.DeletionTimestamp == nil {
			stay++
			if placementType(r.policy) != v1beta1.PickNPlacementType && !slices.Contains(names(o), name) && placementType(r.policy) != v1beta1.PickFixedPlacementType {
				t.Errorf("cluster %s loses the placement", name)
			}
		}
	}
	if placementType(r.policy) != v1beta1.PickNPlacementType {
		return
	}
	for _, d := range o.unselected {
		if d.ClusterScore != nil {
			free++
		}
	}
	if len(o.selected) > r.number {
		t.Errorf("%d clusters are picked, %d are asked for", len(o.selected), r.number)
	}
	if len(o.selected) < r.number && (free > 0 || o.fulfilled) {
		t.Errorf("%d clusters are picked of the %d that are asked for, and %d more could be; fulfilled %t", len(o.selected), r.number, free, o.fulfilled)
	}
	if lost := stay - len(o.selected); lost > 0 && len(o.selected) != r.number {
		t.Errorf("%d clusters lose the placement, and %d of %d have it", lost, len(o.selected), r.number)
	}
}

// settle is the world once a decision is carried out.
func settle(r request, o outcome) request {
	placed := map[string]place{}
	for name, p := range r.placed {
		placed[name] = place{rolledOut: p.rolledOut}
	}
	for _, d := range o.selected {
		p := place{current: true, picked: true, rolledOut: true}
		if d.ClusterScore != nil {
			p.spread = d.ClusterScore.TopologySpreadScore
		}
		placed[d.ClusterName] = p
	}
	r.placed = placed
	return r
}

func names(o outcome) []string {
	found := []string{}
	for _, d := range o.selected {
		found = append(found, d.ClusterName)
	}
	return found
}

// missing returns what of a is not in b.
func missing(a, b []string) (gone []string) {
	for _, name := range a {
		if !slices.Contains(b, name) {
			gone = append(gone, name)
		}
	}
	return gone
}

func describe(r request) string {
	text := ""
	for _, cluster := range r.clusters {
		text += fmt.Sprint(cluster.Name, cluster.Labels, cluster.Status, cluster.DeletionTimestamp, r.placed[cluster.Name]) + "\n"
	}
	return text
}

func randomRequest(random *rand.Rand) request {
	r := request{now: now, number: random.IntN(8), placed: map[string]place{}, policy: randomPolicy(random)}
	if random.IntN(3) == 0 {
		r.namespace = "team"
	}
	for i := range random.IntN(10) {
		cluster := randomCluster(random, fmt.Sprintf("m%d", i))
		r.clusters = append(r.clusters, cluster)
		switch random.IntN(6) {
		case 0:
			r.placed[cluster.Name] = place{current: true, picked: true, rolledOut: random.IntN(2) == 0, spread: new(int32(random.IntN(5) - 2))}
		case 1:
			r.placed[cluster.Name] = place{picked: true, rolledOut: random.IntN(2) == 0}
		case 2:
			r.placed[cluster.Name] = place{rolledOut: true}
		}
	}
	return r
}

func randomCluster(random *rand.Rand, name string) *clusterv1beta1.MemberCluster {
	cluster := member(name, labeled())
	for _, key := range []string{"zone", "region", "env"} {
		if n := random.IntN(4); n > 0 {
			cluster.Labels[key] = fmt.Sprint(n)
		}
	}
	reporting(nodes, []string{"1", "2", "5", "many", "1e99999999"}[random.IntN(5)])(cluster)
	if random.IntN(4) == 0 {
		reporting()(cluster)
	}
	for _, change := range []func(*clusterv1beta1.MemberCluster){
		leaving, tainted, notJoined, notOnline, noHealth, unhealthyFor(time.Hour),
		namespaces(metav1.ConditionTrue, "team"), namespaces(metav1.ConditionTrue, "other"), namespaces(metav1.ConditionFalse),
	} {
		if random.IntN(12) == 0 {
			change(cluster)
		}
	}
	return cluster
}

func randomPolicy(random *rand.Rand) *v1beta1.PlacementPolicy {
	switch random.IntN(8) {
	case 0:
		return nil
	case 1:
		return &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickFixedPlacementType, ClusterNames: []string{"m3", "m1", "nobody"}}
	}
	some := func(part any) any {
		if random.IntN(2) == 0 {
			return part
		}
		return nil
	}
	when := []v1beta1.UnsatisfiableConstraintAction{hard, soft, ""}
	policy := pickN(
		some(prefer(int32(random.IntN(201)-100), matching("env", "1"))),
		some(sorted(int32(random.IntN(201)-100), nil, nodes, []v1beta1.PropertySortOrder{ascending, descending}[random.IntN(2)])),
		some(spreadOver("zone", int32(1+random.IntN(2)), when[random.IntN(3)])),
		some(spreadOver("region", int32(1+random.IntN(2)), when[random.IntN(3)])),
	)
	if random.IntN(4) == 0 {
		policy.Affinity = affinity(v1beta1.ClusterSelectorTerm{PropertySelector: &v1beta1.PropertySelector{MatchExpressions: []v1beta1.PropertySelectorRequirement{
			{Name: nodes, Operator: v1beta1.PropertySelectorLessThan, Values: []string{"5"}},
		}}}).Affinity
	}
	if random.IntN(4) == 0 {
		policy.Tolerations = []v1beta1.Toleration{{Operator: v1beta1.TolerationOpExists}}
	}
	if len(policy.TopologySpreadConstraints) == 0 && random.IntN(4) == 0 {
		policy.PlacementType = v1beta1.PickAllPlacementType
	}
	return policy
}
