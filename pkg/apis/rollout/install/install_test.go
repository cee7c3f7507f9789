// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	Install(scheme)
	return scheme
}

func TestThereIsOneVersion(t *testing.T) {
	want := []schema.GroupVersion{v1alpha1.SchemeGroupVersion}
	if diff := cmp.Diff(want, newScheme().PrioritizedVersionsForGroup(v1alpha1.GroupName)); diff != "" {
		t.Errorf("versions, -want +got:\n%s", diff)
	}
}

// objects are a policy of each kind with a spec.
func objects(spec v1alpha1.RolloutPolicySpec) []v1alpha1.RolloutPolicyObject {
	return []v1alpha1.RolloutPolicyObject{&v1alpha1.ClusterRolloutPolicy{Spec: *spec.DeepCopy()}, &v1alpha1.RolloutPolicy{Spec: *spec.DeepCopy()}}
}

func TestDefaults(t *testing.T) {
	approval := func(rule v1alpha1.ApprovalRule) v1alpha1.PolicyRules { return v1alpha1.PolicyRules{Approval: &rule} }
	for _, tc := range []struct {
		name      string
		got, want v1alpha1.RolloutPolicySpec
	}{
		{
			name: "a policy is enforced",
			want: v1alpha1.RolloutPolicySpec{Enforcement: v1alpha1.PolicyEnforcementEnforce},
		},
		{
			name: "one user approves before the stage",
			got:  v1alpha1.RolloutPolicySpec{Rules: approval(v1alpha1.ApprovalRule{})},
			want: v1alpha1.RolloutPolicySpec{
				Enforcement: v1alpha1.PolicyEnforcementEnforce,
				Rules:       approval(v1alpha1.ApprovalRule{Position: v1alpha1.ApprovalBefore, Required: 1}),
			},
		},
		{
			name: "what is set stays",
			got: v1alpha1.RolloutPolicySpec{
				Enforcement: v1alpha1.PolicyEnforcementWarn,
				Rules:       approval(v1alpha1.ApprovalRule{Position: v1alpha1.ApprovalAny, Required: 2}),
			},
			want: v1alpha1.RolloutPolicySpec{
				Enforcement: v1alpha1.PolicyEnforcementWarn,
				Rules:       approval(v1alpha1.ApprovalRule{Position: v1alpha1.ApprovalAny, Required: 2}),
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, object := range objects(tc.got) {
				newScheme().Default(object)
				if diff := cmp.Diff(&tc.want, object.PolicySpec()); diff != "" {
					t.Errorf("spec of a %T, -want +got:\n%s", object, diff)
				}
			}
		})
	}
}

func TestValidation(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(spec *v1alpha1.RolloutPolicySpec)
		want []string
	}{
		{"a complete policy is accepted", func(*v1alpha1.RolloutPolicySpec) {}, nil},
		{"a description is a sentence", func(s *v1alpha1.RolloutPolicySpec) { s.Description = strings.Repeat("x", 257) }, []string{
			"spec.description: Too long: may not be more than 256",
		}},
		{"a description is counted in characters", func(s *v1alpha1.RolloutPolicySpec) { s.Description = strings.Repeat("ø", 256) }, nil},
		{"a policy is enforced or warns", func(s *v1alpha1.RolloutPolicySpec) { s.Enforcement = "Log" }, []string{
			`spec.enforcement: Unsupported value: "Log": supported values: "Enforce", "Warn"`,
		}},
		{"an approval is before or after", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.Approval.Position = "During" }, []string{
			`spec.rules.approval.position: Unsupported value: "During": supported values: "After", "Any", "Before"`,
		}},
		{"one user approves at least", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.Approval.Required = -1 }, []string{
			"spec.rules.approval.required: Invalid value: -1: must be greater than or equal to 1",
		}},
		{"ten users approve at most", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.Approval.Required = 11 }, []string{
			"spec.rules.approval.required: Invalid value: 11: must be less than or equal to 10",
		}},
		{"ten groups at most", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.Approval.Groups = strings.Split("abcdefghijk", "") }, []string{
			"spec.rules.approval.groups: Too many: 11: must have at most 10 items",
		}},
		{"a group once", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.Approval.Groups = []string{"sre", "sre"} }, []string{
			`spec.rules.approval.groups[1]: Duplicate value: "sre"`,
		}},
		{"a soak is on clusters", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.Soak = &v1alpha1.SoakRule{} }, []string{
			"spec.rules.soak.clusters: Required value",
		}},
		{"a stage has a cluster", func(s *v1alpha1.RolloutPolicySpec) { s.Rules.MaxStageClusters = ptr.To[int32](0) }, []string{
			"spec.rules.maxStageClusters: Invalid value: 0: must be greater than or equal to 1",
		}},
		{"what a stage does on failure is known", func(s *v1alpha1.RolloutPolicySpec) {
			s.Rules.FailurePolicy = &v1alpha1.FailurePolicyRule{OnFailure: []v1beta1.FailureAction{"Pause", "Retry"}}
		}, []string{
			`spec.rules.failurePolicy.onFailure[1]: Unsupported value: "Retry": supported values: "Fail", "Pause", "Rollback"`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec := v1alpha1.RolloutPolicySpec{
				Enforcement: v1alpha1.PolicyEnforcementEnforce,
				Rules:       v1alpha1.PolicyRules{Approval: &v1alpha1.ApprovalRule{Position: v1alpha1.ApprovalBefore, Required: 1, Groups: []string{"sre"}}},
			}
			tc.edit(&spec)
			for _, object := range objects(spec) {
				object.SetName("prod-guard")
				expectErrors(t, object, tc.want)
			}
		})
	}
	for _, object := range objects(v1alpha1.RolloutPolicySpec{Enforcement: v1alpha1.PolicyEnforcementEnforce}) {
		object.PolicyStatus().Conditions = []metav1.Condition{{Type: v1alpha1.PolicyEffective}, {Type: v1alpha1.PolicyEffective}}
		expectErrors(t, object, []string{"status.conditions[1]: Duplicate value"})
	}
}

// expectErrors wants exactly one enforced error for each prefix, in the order of the prefixes, and none besides, on the
// object's own path and on its status alike. Alpha rules are those of object metadata, which nothing enforces.
func expectErrors(t *testing.T, object runtime.Object, prefixes []string) {
	t.Helper()
	scheme := newScheme()
	for _, subresources := range [][]string{nil, {"status"}} {
		var got []string
		for _, err := range scheme.Validate(t.Context(), nil, object, subresources...) {
			if !err.IsAlpha() {
				got = append(got, err.Error())
			}
		}
		ok := len(got) == len(prefixes)
		for i := 0; ok && i < len(got); i++ {
			ok = strings.HasPrefix(got[i], prefixes[i])
		}
		if !ok {
			t.Errorf("errors of %T on %q: got\n%s\nwant\n%s", object, subresources, strings.Join(got, "\n"), strings.Join(prefixes, "\n"))
		}
	}
}
