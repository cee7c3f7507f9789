// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rolloutpolicy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/registry/store/storetest"
)

const (
	headers = "NAME | ENFORCEMENT | EFFECTIVE | CLUSTERS | PLACEMENTS | RUNS | AGE"
	wide    = headers + " | VIOLATIONS | RULES | DESCRIPTION"
)

func TestTable(t *testing.T) {
	created := metav1.NewTime(time.Now().Add(-90*time.Minute - 5*time.Second))
	for _, test := range []struct {
		name    string
		spec    v1alpha1.RolloutPolicySpec
		status  v1alpha1.RolloutPolicyStatus
		row     string
		wideRow string
	}{
		{
			name:    "not counted yet",
			spec:    v1alpha1.RolloutPolicySpec{Enforcement: "Enforce", Rules: v1alpha1.PolicyRules{Deny: true}},
			row:     "prod-guard | Enforce |  |  |  |  | 90m",
			wideRow: "prod-guard | Enforce |  |  |  |  | 90m |  | deny | ",
		},
		{
			name: "in effect",
			spec: v1alpha1.RolloutPolicySpec{
				Enforcement: "Warn", Description: "Production needs SRE",
				Rules: v1alpha1.PolicyRules{
					Staged: true, Approval: &v1alpha1.ApprovalRule{}, Soak: &v1alpha1.SoakRule{}, MaxConcurrency: ptr.To(intstr.FromInt32(1)),
					MaxStageClusters: ptr.To[int32](1), FailurePolicy: &v1alpha1.FailurePolicyRule{},
				},
			},
			status: v1alpha1.RolloutPolicyStatus{
				ObservedGeneration: 1, Governs: v1alpha1.PolicyGoverns{Clusters: 120, Placements: 14, ViolatingPlacements: 3, ViolatingRuns: 2},
				Conditions: []metav1.Condition{{Type: "Effective", Status: metav1.ConditionTrue}},
			},
			row:     "prod-guard | Warn | True | 120 | 14 | 0 | 90m",
			wideRow: "prod-guard | Warn | True | 120 | 14 | 0 | 90m | 5 | staged,approval,soak,maxConcurrency,maxStageClusters,failurePolicy | Production needs SRE",
		},
	} {
		for _, r := range Resources() {
			t.Run(r.Plural+"/"+test.name, func(t *testing.T) {
				o := r.New().(v1alpha1.RolloutPolicyObject)
				o.SetName("prod-guard")
				o.SetCreationTimestamp(created)
				*o.PolicySpec(), *o.PolicyStatus() = test.spec, test.status
				if h, row := storetest.Print(t, r, o, false); h != headers || row != test.row {
					t.Errorf("prints\n%s\n%s\nwant\n%s\n%s", h, row, headers, test.row)
				}
				if h, row := storetest.Print(t, r, o, true); h != wide || row != test.wideRow {
					t.Errorf("-o wide prints\n%s\n%s\nwant\n%s\n%s", h, row, wide, test.wideRow)
				}
			})
		}
	}
}

func TestAPolicyThatBindsNothingIsWarnedOf(t *testing.T) {
	binds := "spec.match: the policy binds no rollout: set clusterScoped to true, or write a namespaceSelector"
	for _, test := range []struct {
		name  string
		match *v1alpha1.PolicyMatch
		want  []string
	}{
		{"no match binds what is cluster-scoped", nil, nil},
		{"an empty one too", &v1alpha1.PolicyMatch{}, nil},
		{"namespaces only", &v1alpha1.PolicyMatch{ClusterScoped: ptr.To(false), NamespaceSelector: &metav1.LabelSelector{}}, nil},
		{"neither", &v1alpha1.PolicyMatch{ClusterScoped: ptr.To(false)}, []string{binds}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := &v1alpha1.ClusterRolloutPolicy{Spec: v1alpha1.RolloutPolicySpec{Match: test.match}}
			if diff := cmp.Diff(test.want, Resources()[0].Strategy.WarningsOnCreate(t.Context(), o)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
