// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

func expect(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	var got []string
	for _, err := range errs {
		got = append(got, err.Error())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors, -want +got:\n%s", diff)
	}
}

func selector(key string, operator metav1.LabelSelectorOperator, values ...string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: operator, Values: values}}}
}

// full is a spec that has every rule.
func full() v1alpha1.RolloutPolicySpec {
	return v1alpha1.RolloutPolicySpec{
		Clusters: &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "prod"}},
		Rules: v1alpha1.PolicyRules{
			Deny:   true,
			Staged: true,
			Approval: &v1alpha1.ApprovalRule{
				Position: v1alpha1.ApprovalBefore, Required: 1, Groups: []string{"sre"}, MaxExpiresAfter: &metav1.Duration{Duration: time.Hour},
			},
			Soak: &v1alpha1.SoakRule{
				Clusters: &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "canary"}}, Duration: metav1.Duration{Duration: time.Hour},
			},
			MaxConcurrency:   ptr.To(intstr.FromString("20%")),
			MaxStageClusters: ptr.To[int32](50),
			FailurePolicy:    &v1alpha1.FailurePolicyRule{MaxClusterTimeout: &metav1.Duration{Duration: time.Hour}, MaxFailures: ptr.To(intstr.FromString("0%"))},
		},
	}
}

func TestRulesOfPolicies(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(*v1alpha1.RolloutPolicySpec)
		want []string
	}{
		{"every rule at once, deny among them", func(*v1alpha1.RolloutPolicySpec) {}, nil},
		{"all clusters", func(s *v1alpha1.RolloutPolicySpec) { s.Clusters = nil }, nil},
		{"an empty failurePolicy demands that there is one", func(s *v1alpha1.RolloutPolicySpec) {
			s.Rules = v1alpha1.PolicyRules{FailurePolicy: &v1alpha1.FailurePolicyRule{}}
		}, nil},
		{"no rule", func(s *v1alpha1.RolloutPolicySpec) { s.Rules = v1alpha1.PolicyRules{} }, []string{
			"spec.rules: Required value: write what the policy demands: deny, staged, approval, soak, maxConcurrency, maxStageClusters, failurePolicy, or several of them",
		}},
		{"as many clusters as can be named", func(s *v1alpha1.RolloutPolicySpec) { s.Clusters = selector("name", "In", make([]string, 1000)...) }, nil},
		{"more clusters than can be named", func(s *v1alpha1.RolloutPolicySpec) { s.Clusters = selector("name", "In", make([]string, 1001)...) }, []string{
			"spec.clusters: Too many: 1001: must have at most 1000 items",
		}},
		{"clusters that cannot be selected", func(s *v1alpha1.RolloutPolicySpec) { s.Clusters = selector("environment", "Is") }, []string{
			`spec.clusters.matchExpressions[0].operator: Invalid value: "Is": the selector of protected clusters is invalid: not a valid selector operator`,
		}},
		{"a group without a name", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.Approval.Groups = []string{"sre", ""} }, []string{
			"spec.rules.approval.groups[1]: Required value: a group needs a name",
		}},
		{"an approval that expires at once", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.Approval.MaxExpiresAfter.Duration = 0 }, []string{
			`spec.rules.approval.maxExpiresAfter: Invalid value: "0s": maxExpiresAfter must be longer than zero`,
		}},
		{"a soak on clusters that cannot be selected", func(s *v1alpha1.RolloutPolicySpec) {
			s.Rules.Soak.Clusters = selector("", metav1.LabelSelectorOpExists)
		}, []string{
			`spec.rules.soak.clusters.matchExpressions[0].key: Invalid value: "": the selector of clusters that have the version first is invalid: name part must be non-empty`,
			`spec.rules.soak.clusters.matchExpressions[0].key: Invalid value: "": the selector of clusters that have the version first is invalid: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
		}},
		{"a soak on all clusters", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.Soak.Clusters = &metav1.LabelSelector{} }, []string{
			"spec.rules.soak.clusters: Required value: say by their labels which clusters must have the version first, such as matchLabels: {environment: canary}",
		}},
		{"a soak on no clusters is for the type to refuse", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.Soak.Clusters = nil }, nil},
		{"a soak without a duration", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.Soak.Duration.Duration = 0 }, []string{
			"spec.rules.soak.duration: Required value: say how long these clusters must have the version first, such as 30m",
		}},
		{"a soak of less than nothing", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.Soak.Duration.Duration = -time.Hour }, []string{
			`spec.rules.soak.duration: Invalid value: "-1h0m0s": duration must be longer than zero`,
		}},
		{"maxConcurrency of none", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.MaxConcurrency = ptr.To(intstr.FromInt32(0)) }, []string{
			"spec.rules.maxConcurrency: Invalid value: 0: maxConcurrency must be at least 1",
		}},
		{"maxFailures below none", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.FailurePolicy.MaxFailures = ptr.To(intstr.FromInt32(-1)) }, []string{
			"spec.rules.failurePolicy.maxFailures: Invalid value: \"-1\": maxFailures must be greater than or equal to 0, got `-1`",
		}},
		{"a timeout of none", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.FailurePolicy.MaxClusterTimeout.Duration = 0 }, []string{
			`spec.rules.failurePolicy.maxClusterTimeout: Invalid value: "0s": maxClusterTimeout must be longer than zero`,
		}},
	} {
		for _, object := range []v1alpha1.RolloutPolicyObject{&v1alpha1.ClusterRolloutPolicy{Spec: full()}, &v1alpha1.RolloutPolicy{Spec: full()}} {
			t.Run(tc.name, func(t *testing.T) {
				old := object.DeepCopyObject().(v1alpha1.RolloutPolicyObject)
				old.PolicySpec().Description = "other"
				tc.edit(object.PolicySpec())
				expect(t, ValidateRolloutPolicy(object), tc.want...)
				expect(t, ValidateRolloutPolicyUpdate(object, old), tc.want...)
				expect(t, ValidateRolloutPolicyUpdate(object, object))
			})
		}
	}
}

func TestOnlyAClusterRolloutPolicyMatches(t *testing.T) {
	spec := full()
	spec.Match = &v1alpha1.PolicyMatch{
		NamespaceSelector: selector("a", "Is"), PlacementSelector: selector("b", "Is"),
	}
	expect(t, ValidateRolloutPolicy(&v1alpha1.ClusterRolloutPolicy{Spec: spec}),
		`spec.match.namespaceSelector.matchExpressions[0].operator: Invalid value: "Is": the selector of namespaces is invalid: not a valid selector operator`,
		`spec.match.placementSelector.matchExpressions[0].operator: Invalid value: "Is": the selector of placements is invalid: not a valid selector operator`)

	spec.Match = &v1alpha1.PolicyMatch{ClusterScoped: ptr.To(false), NamespaceSelector: &metav1.LabelSelector{}}
	expect(t, ValidateRolloutPolicy(&v1alpha1.ClusterRolloutPolicy{Spec: spec}))
	expect(t, ValidateRolloutPolicy(&v1alpha1.RolloutPolicy{Spec: spec}),
		"spec.match: Forbidden: a RolloutPolicy binds the rollouts of its namespace: leave match out, or write a ClusterRolloutPolicy")
}

func TestReportedConditionsAreComplete(t *testing.T) {
	object := &v1alpha1.RolloutPolicy{Status: v1alpha1.RolloutPolicyStatus{Conditions: []metav1.Condition{
		{Type: v1alpha1.PolicyEffective, Status: metav1.ConditionTrue, LastTransitionTime: metav1.Unix(1, 0)},
	}}}
	expect(t, ValidateRolloutPolicyStatusUpdate(object, &v1alpha1.RolloutPolicy{}), "status.conditions[0].reason: Required value")
}
