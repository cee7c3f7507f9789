// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

func TestAHandoverNamesWhatGoesWhereAndIsBounded(t *testing.T) {
	prod := New(&v1alpha1.ClusterRolloutPolicy{ObjectMeta: metav1.ObjectMeta{Name: "prod-guard"}, Spec: v1alpha1.RolloutPolicySpec{
		Clusters: &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "prod"}}, Rules: v1alpha1.PolicyRules{Deny: true},
	}})
	var clusters []strategy.Cluster
	for i := range 30 {
		clusters = append(clusters, strategy.Cluster{Name: fmt.Sprintf("prod-%02d", i), Labels: labels.Set{"environment": "prod"}})
	}
	rollout := Rollout{Stages: []Stage{{Config: &v1beta1.StageConfig{Name: "prod"}, Clusters: clusters[:2]},
		{Config: &v1beta1.StageConfig{Name: "delete"}, Clusters: append(clusters[2:], strategy.Cluster{Name: "staging"}), Removes: true}}}
	config := func(name string) v1beta1.ResourceIdentifier {
		return v1beta1.ResourceIdentifier{Kind: "ConfigMap", Namespace: "shop", Name: name}
	}
	handover := func(cluster, placement string, objects ...v1beta1.ResourceIdentifier) Handover {
		return Handover{Cluster: cluster, Placement: "ResourcePlacement shop/" + placement, Objects: objects}
	}
	const fix = ", which waits for it there: remove it from that placement first, by a run of that placement, or delete that placement"
	many := make([]v1beta1.ResourceIdentifier, 1000)
	for i := range many {
		many[i] = config(fmt.Sprintf("c%d", i))
	}
	var all []Handover
	for i := range 30 {
		for j := range 100 {
			all = append(all, handover(clusters[i].Name, fmt.Sprint("p", j), many...))
		}
	}
	for name, tt := range map[string]struct {
		handovers []Handover
		want      string
	}{
		"nothing":                      {nil, ""},
		"on a cluster that is not one": {[]Handover{handover("staging", "p", config("a"))}, ""},
		"two objects of two clusters": {[]Handover{handover("prod-00", "p", config("a")), handover("prod-01", "p", config("a"), config("b"))},
			`stage "prod" (2 clusters, 2 protected): must not hand ConfigMap shop/a, ConfigMap shop/b on prod-00, prod-01 over to the version of ResourcePlacement shop/p` + fix +
				" (ClusterRolloutPolicy prod-guard)"},
		"what is removed": {[]Handover{handover("prod-02", "p", config("a"))},
			"the removal of resources (29 clusters, 28 protected): must not hand ConfigMap shop/a on prod-02 over to the version of ResourcePlacement shop/p" + fix + " (ClusterRolloutPolicy prod-guard)"},
	} {
		t.Run(name, func(t *testing.T) {
			verdict := JudgeHandovers([]*Policy{prod}, rollout, tt.handovers)
			if got := verdict.Refusal(); got != tt.want {
				t.Errorf("refusal\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
	verdict := JudgeHandovers([]*Policy{prod}, rollout, all)
	if got := verdict.Refusal(); len(got) > 4000 || !strings.Contains(got, "; and nothing to 97 more placements") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
	if got := Protected([]*Policy{prod, prod}, rollout); len(got) != 30 {
		t.Errorf("protected are %q", got)
	}
}
