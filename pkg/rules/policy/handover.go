// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

// Handover is what another placement gets on a cluster once a rollout lets go of it there: the object becomes what that placement's version says,
// which nobody who judges the rollout has seen.
type Handover struct {
	Cluster string
	// Placement is the other one, with its kind.
	Placement string
	Objects   []v1beta1.ResourceIdentifier
}

// Change is what a rollout does to a cluster, for who looks what the cluster lets go of.
type Change struct {
	// Cluster is the name of the cluster, with its labels.
	Cluster string
	Labels  labels.Set
	// Had are the names of the resource snapshots of which the cluster may have objects that were applied.
	Had []string
	// PlacedByOthers are objects in it that are not this placement's on the cluster: there is nothing to let go of.
	PlacedByOthers []v1beta1.ResourceIdentifier
	// Removes reports whether all resources are removed. Else the cluster gets what is rolled out.
	Removes bool
	// InForce are the versions of overrides with which it gets that.
	InForce []v1beta1.OverrideSnapshotObject
}

// Protected returns the clusters of a rollout that any of the policies protects, by name.
func Protected(policies []*Policy, rollout Rollout) []string {
	var names []string
	for _, p := range policies {
		for _, stage := range rollout.Stages {
			names = append(names, pick(stage.Clusters, p.Protects)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// OfRemoval returns the rollout that takes a placement off clusters.
func OfRemoval(clusters []strategy.Cluster) Rollout {
	return Rollout{Stages: []Stage{{Config: &v1beta1.StageConfig{}, Clusters: clusters, Removes: true}}}
}

// JudgeHandovers returns what policies that bind a rollout say of what it hands over. Whatever a policy demands of a version, that of another
// placement must not come to protected clusters without it. It finds no governing policies: see Judge.
func JudgeHandovers(binding []*Policy, rollout Rollout, handovers []Handover) Verdict {
	var verdict Verdict
	for _, p := range sorted(binding) {
		j := &judge{policy: p, rollout: rollout}
		j.govern()
		for _, i := range j.governed {
			if demands := j.handovers(i, handovers); len(demands) > 0 {
				verdict.add(Violation{Policy: p, Where: j.where(i), Demands: demands}, rollout.Override)
			}
		}
	}
	return verdict
}

// shownHeirs is how many placements a violation names at most.
const shownHeirs = 3

// handovers returns what the rollout must do about what a governed stage hands over, one demand for each placement that gets something.
func (j *judge) handovers(i int, handovers []Handover) (demands []string) {
	protected := sets.New(pick(j.rollout.Stages[i].Clusters, j.policy.Protects)...)
	type handed struct {
		clusters []string
		objects  []v1beta1.ResourceIdentifier
	}
	to := map[string]*handed{}
	var heirs []string
	for _, h := range handovers {
		if !protected.Has(h.Cluster) {
			continue
		}
		if to[h.Placement] == nil {
			to[h.Placement] = &handed{}
			heirs = append(heirs, h.Placement)
		}
		all := to[h.Placement]
		all.clusters = append(all.clusters, h.Cluster)
		all.objects = append(all.objects, snapshotrules.Removed(h.Objects, all.objects)...)
	}
	for n, heir := range heirs {
		if n == shownHeirs {
			return append(demands, fmt.Sprintf("and nothing to %s", wording.Count(len(heirs)-n, "more placement")))
		}
		demands = append(demands, fmt.Sprintf("must not hand %s on %s over to the version of %s, which waits for it there: remove it from that placement first, by a run of that placement, or delete that placement",
			snapshotrules.Listed(to[heir].objects), wording.List(to[heir].clusters), heir))
	}
	return demands
}
