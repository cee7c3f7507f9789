// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestAPolicyThatPicksNobodySaysWhy(t *testing.T) {
	staging := affinity(v1beta1.ClusterSelectorTerm{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"enviroment": "staging"}}})
	fixed := func(names ...string) *v1beta1.PlacementPolicy {
		return &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickFixedPlacementType, ClusterNames: names}
	}
	const mismatch = "cluster does not match with any of the required cluster affinity terms"
	for name, tc := range map[string]struct {
		policy   *v1beta1.PlacementPolicy
		clusters []*clusterv1beta1.MemberCluster
		want     string
	}{
		"a cluster is picked":   {nil, []*clusterv1beta1.MemberCluster{member("a")}, ""},
		"an empty fleet":        {nil, nil, "no cluster is picked: the fleet has no member cluster"},
		"an affinity of nobody": {staging, []*clusterv1beta1.MemberCluster{member("b"), member("a")}, "no cluster is picked: a: " + mismatch + "; b: " + mismatch},
		"of many": {
			staging, []*clusterv1beta1.MemberCluster{member("a"), member("b"), member("c"), member("d"), member("e")},
			"no cluster is picked: a: " + mismatch + "; b: " + mismatch + "; c: " + mismatch + "; and 2 more",
		},
		"a fleet that is ill": {
			nil, []*clusterv1beta1.MemberCluster{member("a", unhealthyFor(time.Hour))},
			"no cluster is picked: a: cluster is not connected to the fleet: unhealthy for a prolonged period of time",
		},
		"no name":        {fixed(), []*clusterv1beta1.MemberCluster{member("a")}, "no cluster is picked: spec.policy.clusterNames names none"},
		"unknown names":  {fixed("z"), []*clusterv1beta1.MemberCluster{member("a")}, `no cluster is picked: Specified cluster "z" is not found`},
		"none is wanted": {&v1beta1.PlacementPolicy{PlacementType: v1beta1.PickNPlacementType}, []*clusterv1beta1.MemberCluster{member("a")}, "no cluster is picked: spec.policy.numberOfClusters is 0"},
		"a fleet that is silent": {
			nil, []*clusterv1beta1.MemberCluster{member("a", silentFor(time.Hour))},
			"no cluster is picked: a: cluster is not connected to the fleet: no recent heartbeat signals",
		},
		"one that is not": {fixed("a", "z"), []*clusterv1beta1.MemberCluster{member("a")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := decide(request{policy: tc.policy, clusters: tc.clusters, now: now})
			if got := o.nobody(tc.policy); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
