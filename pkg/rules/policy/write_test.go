// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

// What moves the clusters of a placement refuses by JudgePlacement, so that what is let in beside it must not be more.
func TestAPlacementThatMayBeWrittenMayMoveTheClustersThatItNames(t *testing.T) {
	clusters := []strategy.Cluster{{Name: "canary1", Labels: labels.Set{"env": "canary"}}, {Name: "prod1", Labels: labels.Set{"env": "prod"}}}
	prod := &metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}
	unreadable := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "env", Operator: "Like"}}}
	for _, selector := range []*metav1.LabelSelector{nil, prod, unreadable} {
		for _, rules := range []v1alpha1.PolicyRules{{}, {Staged: true}, {Deny: true}, {Staged: true, Deny: true}} {
			for _, enforcement := range []v1alpha1.PolicyEnforcement{"", v1alpha1.PolicyEnforcementWarn} {
				p := New(&v1alpha1.ClusterRolloutPolicy{Spec: v1alpha1.RolloutPolicySpec{Clusters: selector, Rules: rules, Enforcement: enforcement}})
				for _, of := range []v1beta1.RolloutStrategyType{"", v1beta1.ExternalRolloutStrategyType} {
					placement := &v1beta1.ClusterResourcePlacement{}
					placement.Spec.Strategy.Type = of
					for _, named := range [][]strategy.Cluster{nil, clusters[:1], clusters[1:], clusters} {
						written := JudgeWrite([]*Policy{p}, placement, Reach{Named: named})
						moved := JudgePlacement([]*Policy{p}, placement, named)
						if len(written.Violations) != len(moved.Violations) || len(written.Warnings) != len(moved.Warnings) {
							t.Errorf("%v of %v, %q, for %v: written %v %v, moved %v %v", rules, selector, of, named,
								written.Violations, written.Warnings, moved.Violations, moved.Warnings)
						}
					}
				}
			}
		}
	}
}

func TestAPolicyMayBindWhereItBindsSomePlacement(t *testing.T) {
	everywhere := &v1alpha1.PolicyMatch{NamespaceSelector: &metav1.LabelSelector{}}
	for name, tt := range map[string]struct {
		policy    v1alpha1.RolloutPolicyObject
		namespace string
		want      bool
	}{
		"cluster-scoped by default":           {&v1alpha1.ClusterRolloutPolicy{}, "", true},
		"some cluster-scoped ones":            {&v1alpha1.ClusterRolloutPolicy{Spec: v1alpha1.RolloutPolicySpec{Match: &v1alpha1.PolicyMatch{PlacementSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}}}, "", true},
		"no cluster-scoped one":               {&v1alpha1.ClusterRolloutPolicy{Spec: v1alpha1.RolloutPolicySpec{Match: &v1alpha1.PolicyMatch{ClusterScoped: ptr.To(false)}}}, "", false},
		"no namespace by default":             {&v1alpha1.ClusterRolloutPolicy{}, "team", false},
		"every namespace":                     {&v1alpha1.ClusterRolloutPolicy{Spec: v1alpha1.RolloutPolicySpec{Match: everywhere}}, "team", true},
		"its own namespace":                   {&v1alpha1.RolloutPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "team"}}, "team", true},
		"not another namespace":               {&v1alpha1.RolloutPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "team"}}, "other", false},
		"a namespace's no cluster-scoped one": {&v1alpha1.RolloutPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "team"}}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := New(tt.policy).MayBind(tt.namespace, labels.Set{"team": "a"}); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
