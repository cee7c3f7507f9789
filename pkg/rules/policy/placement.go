// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

// JudgePlacement returns what policies that bind a placement say of it as a whole: rollouts are staged, and reach no denied cluster. It
// is asked with the clusters that the placement picks. An override is for runs only.
func JudgePlacement(binding []*Policy, placement v1beta1.PlacementObject, clusters []strategy.Cluster) Verdict {
	isExternal := placement.PlacementSpec().Strategy.Type == v1beta1.ExternalRolloutStrategyType
	var verdict Verdict
	for _, p := range sorted(binding) {
		v := Violation{Policy: p, Where: fmt.Sprintf("%s protected", wording.Count(count(clusters, p.Protects), "cluster"))}
		switch {
		case count(clusters, p.Protects) == 0:
			continue
		case p.Err() != nil:
			v.Demands = []string{fmt.Sprintf("whoever may write the policy must mend it: %v", p.Err())}
		case p.spec.Rules.Deny:
			v.Demands = []string{"the clusters must be left out: " + names(clusters, p.Protects)}
		case p.spec.Rules.Staged && !isExternal:
			v.Demands = []string{"spec.strategy.type must be External"}
		default:
			continue
		}
		verdict.add(v, nil)
	}
	return verdict
}

// JudgeRemoval returns what policies that bind a placement say of its deletion, which takes its resources off these clusters at once:
// where rollouts must be staged, so must their end.
func JudgeRemoval(binding []*Policy, clusters []strategy.Cluster) Verdict {
	var verdict Verdict
	for _, p := range sorted(binding) {
		if n := count(clusters, p.Protects); n > 0 && (p.Err() != nil || p.spec.Rules.Staged) {
			verdict.add(Violation{Policy: p, Where: fmt.Sprintf("%s protected", wording.Count(n, "cluster")),
				Demands: []string{"a run must take the resources off first: change the policy of the placement so that it does not pick " + names(clusters, p.Protects)}}, nil)
		}
	}
	return verdict
}

func count(clusters []strategy.Cluster, picked func(labels.Labels) bool) int {
	n := 0
	for _, cluster := range clusters {
		if picked(cluster.Labels) {
			n++
		}
	}
	return n
}
