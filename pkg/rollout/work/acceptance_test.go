// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

func TestWorksSayWhetherTheMemberClusterAcceptsPlacements(t *testing.T) {
	for _, scope := range bothScopes {
		t.Run(scope.name, func(t *testing.T) {
			b := newBench(t, scope.namespace)
			b.snapshot("web-1-snapshot", nil, configMapJSON)
			b.binding(nil)
			b.settle()
			member := func() *clusterv1beta1.MemberCluster {
				found, err := b.fleet.MemberClusters.Lister().Get("member1")
				if err != nil {
					t.Fatal(err)
				}
				return found
			}
			for _, step := range []struct {
				labels map[string]string
				// accepted and wakes are of a placement in a namespace. A cluster-scoped one does not ask.
				accepted, wakes bool
			}{
				{labels: map[string]string{wellknown.AcceptPlacementsLabel: "true"}, accepted: true, wakes: true},
				{labels: map[string]string{wellknown.AcceptPlacementsLabel: "true", "region": "eu"}, accepted: true},
				{labels: map[string]string{wellknown.AcceptPlacementsLabel: "yes"}, wakes: true},
				{wakes: true},
			} {
				before := member()
				b.label(step.labels)
				b.cacheUp()
				var want []reconcile.Key
				if step.wakes && scope.namespace != "" {
					want = []reconcile.Key{b.key("web-member1")}
				}
				if diff := cmp.Diff(want, b.bindingsOfMember(before, member())); diff != "" {
					t.Errorf("labels %v wake (-want +got):\n%s", step.labels, diff)
				}
				b.settle()
				said, isSaid := b.works()[0].Annotations[wellknown.AcceptPlacementsAnnotation]
				if accepted := step.accepted && scope.namespace != ""; isSaid != accepted || accepted && said != "true" {
					t.Errorf("labels %v: the Work says %q (at all: %t)", step.labels, said, isSaid)
				}
			}
			if generation := b.works()[0].Generation; generation > 1 {
				t.Errorf("generation %d: what the Work holds has not changed", generation)
			}
		})
	}
}
