// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updatestrategy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestWarningsAboutStagesThatPickNoneOrAll(t *testing.T) {
	canary := &metav1.LabelSelector{MatchLabels: map[string]string{"env": "canary"}}
	prod := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "prod", Operator: metav1.LabelSelectorOpExists}}}
	tests := []struct {
		name   string
		stages []v1beta1.StageConfig
		want   []string
	}{
		{"selectors", []v1beta1.StageConfig{{Name: "canary", LabelSelector: canary}, {Name: "prod", LabelSelector: prod}}, nil},
		{"no selector", []v1beta1.StageConfig{{Name: "canary", LabelSelector: canary}, {Name: "prod"}},
			[]string{"spec.stages[1].labelSelector: not set, stage prod picks no cluster"}},
		{"empty beside others", []v1beta1.StageConfig{{Name: "canary", LabelSelector: &metav1.LabelSelector{}}, {Name: "prod", LabelSelector: prod}},
			[]string{"spec.stages[0].labelSelector: empty, stage canary picks all clusters and leaves none to other stages"}},
		{"empty alone", []v1beta1.StageConfig{{Name: "all", LabelSelector: &metav1.LabelSelector{}}},
			[]string{"spec.stages[0].labelSelector: empty, stage all picks all clusters"}},
	}
	for _, r := range Resources() {
		for _, test := range tests {
			t.Run(r.Plural+"/"+test.name, func(t *testing.T) {
				o := r.New().(v1beta1.UpdateStrategyObject)
				o.StrategySpec().Stages = test.stages
				if diff := cmp.Diff(test.want, r.Strategy.WarningsOnCreate(t.Context(), o)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}
