// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

// BenchmarkJudge is the largest that there can be of everything: 100 policies, each of which demands a soak, 31 stages, 10,000 clusters.
func BenchmarkJudge(b *testing.B) {
	const policies, stages, clusters = 100, 31, 10_000
	var binding []*Policy
	for i := range policies {
		binding = append(binding, clusterPolicy(b, fmt.Sprintf("p%d", i), fmt.Sprintf(
			"{clusters: {matchLabels: {environment: prod, tenant: t%d}}, rules: {approval: {}, maxConcurrency: 1, soak: {clusters: {matchLabels: {environment: canary}}, duration: 1h}}}", i)))
	}
	rollout := Rollout{Stages: make([]Stage, stages)}
	for i := range rollout.Stages {
		rollout.Stages[i].Config = &v1beta1.StageConfig{Name: fmt.Sprintf("s%d", i)}
	}
	for i := range clusters {
		environment := "prod"
		if i%stages == 0 {
			environment = "canary"
		}
		stage := &rollout.Stages[i%stages]
		stage.Clusters = append(stage.Clusters, strategy.Cluster{Name: fmt.Sprintf("c%d", i), Labels: labels.Set{
			"environment": environment, "tenant": fmt.Sprintf("t%d", i%policies), "region": "eu", "kubernetes-fleet.io/provider": "metal", "size": "small",
		}})
	}
	for b.Loop() {
		if verdict := Judge(binding, rollout); len(verdict.Violations) == 0 {
			b.Fatal("nothing is violated")
		}
	}
}
