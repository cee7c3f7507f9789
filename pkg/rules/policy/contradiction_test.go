// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestTwoPoliciesThatNoStageCanMeetContradictEachOther(t *testing.T) {
	const sre, security = "one Approval with groups: [sre] and with groups: [security]", "{rules: {approval: {groups: [security]}}}"
	for name, tt := range map[string]struct {
		a, b string
		// stage and removal are what they demand of a stage, and of the removal of resources.
		stage, removal string
	}{
		"groups of their own":           {"{rules: {approval: {groups: [sre]}}}", security, sre, sre},
		"on the other side":             {"{rules: {approval: {groups: [sre], position: After}}}", security, "", sre},
		"on some side":                  {"{rules: {approval: {groups: [sre], position: Any}}}", security, "", sre},
		"both on some side":             {"{rules: {approval: {groups: [sre], position: Any}}}", "{rules: {approval: {groups: [security], position: Any}}}", "", sre},
		"both after":                    {"{rules: {approval: {groups: [sre], position: After}}}", "{rules: {approval: {groups: [security], position: After}}}", sre, sre},
		"a group in common":             {"{rules: {approval: {groups: [sre, security]}}}", security, "", ""},
		"any group":                     {"{rules: {approval: {required: 2}}}", security, "", ""},
		"no approval":                   {"{rules: {staged: true}}", security, "", ""},
		"what is denied has no stage":   {"{rules: {deny: true, approval: {groups: [sre]}}}", security, "", ""},
		"a selector that nobody reads":  {"{clusters: {matchExpressions: [{key: a, operator: Is}]}, rules: {approval: {groups: [sre]}}}", security, "", ""},
		"actions on failure":            {"{rules: {failurePolicy: {onFailure: [Pause]}}}", "{rules: {failurePolicy: {onFailure: [Fail, Rollback]}}}", "a failurePolicy with onFailure: Pause and with onFailure: Fail or Rollback", "a failurePolicy with onFailure: Pause and with onFailure: Fail or Rollback"},
		"an action in common":           {"{rules: {failurePolicy: {onFailure: [Pause, Fail]}}}", "{rules: {failurePolicy: {onFailure: [Fail, Rollback]}}}", "", ""},
		"limits are met by the smaller": {"{rules: {maxConcurrency: 1, failurePolicy: {maxFailures: 0}}}", "{rules: {maxConcurrency: 20%, failurePolicy: {maxFailures: 2}}}", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := clusterPolicy(t, "a", tt.a), clusterPolicy(t, "b", tt.b)
			if got := Contradiction(a, b, false); got != tt.stage {
				t.Errorf("of a stage: %q, want %q", got, tt.stage)
			}
			if got := Contradiction(a, b, true); got != tt.removal {
				t.Errorf("of the removal: %q, want %q", got, tt.removal)
			}
			if (Contradiction(b, a, false) == "") != (tt.stage == "") {
				t.Error("it depends on their order")
			}
		})
	}
}

func TestARefusalNamesThePoliciesThatContradictEachOther(t *testing.T) {
	const sre, security = "{rules: {approval: {groups: [sre]}}}", "{rules: {approval: {groups: [security]}}}"
	const both = "ClusterRolloutPolicy sre and ClusterRolloutPolicy z contradict each other: no strategy can have " +
		"one Approval with groups: [sre] and with groups: [security], the owner of one of them must change it; "
	const staged = "stages: [{name: a, clusters: [prod1], beforeStageTasks: [{type: Approval, approval: {groups: [sre]}}]}]"
	for name, tt := range map[string]struct {
		a, b, plan string
		override   *v1beta1.PolicyOverride
		// first is how the refusal begins.
		first string
	}{
		"for the same cluster": {sre, security, staged, nil, `stage "a" (1 cluster, 1 protected): ` + both + `stage "a"`},
		"for different ones": {sre, "{clusters: {matchLabels: {environment: canary}}, rules: {approval: {groups: [security]}}}", "stages: [{name: a, clusters: [prod1, canary1]}]", nil,
			`stage "a" (2 clusters, 1 protected): ClusterRolloutPolicy sre and ClusterRolloutPolicy z cannot be met in one stage, which cannot have one Approval ` +
				`with groups: [sre] and with groups: [security]: put the clusters that they protect into different stages; stage "a"`},
		"in different stages": {sre, "{clusters: {matchLabels: {environment: canary}}, rules: {approval: {groups: [security]}}}", "stages: [{name: a, clusters: [prod1]}, {name: b, clusters: [canary1]}]", nil,
			`stage "a" (1 cluster, 1 protected): beforeStageTasks`},
		"for the removal of different ones": {sre, "{clusters: {matchLabels: {environment: canary}}, rules: {approval: {groups: [security]}}}", "{stages: [{name: a}], removal: [prod1, canary1]}", nil,
			"the removal of resources (2 clusters, 1 protected): ClusterRolloutPolicy sre and ClusterRolloutPolicy z cannot be met at once, since it cannot have one Approval " +
				"with groups: [sre] and with groups: [security]: let the placement pick the clusters of one of them until a later run; the removal"},
		"one only warns":    {sre, "{enforcement: Warn, rules: {approval: {groups: [security]}}}", staged, nil, ""},
		"one is overridden": {sre, security, staged, &v1beta1.PolicyOverride{Policies: []string{"z"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			policies := []*Policy{clusterPolicy(t, "z", tt.b), clusterPolicy(t, "sre", tt.a)}
			verdict := Judge(policies, rolloutOf(t, tt.plan, v1beta1.UpdateRunSpec{PolicyOverride: tt.override}))
			if got := verdict.Refusal(); !strings.HasPrefix(got, tt.first) || (got == "") != (tt.first == "") {
				t.Errorf("the refusal is\n%s\nwant it to begin with\n%s", got, tt.first)
			}
		})
	}
}

// However many contradict each other, a stage is told of two.
func TestAStageHearsOfOneContradiction(t *testing.T) {
	var policies []*Policy
	for i := range 20 {
		policies = append(policies, clusterPolicy(t, "p"+string(rune('a'+i)), "{rules: {approval: {groups: [g"+string(rune('a'+i))+"]}}}"))
	}
	verdict := Judge(policies, rolloutOf(t, "stages: [{name: a, clusters: [prod1]}, {name: b, clusters: [prod2]}]", v1beta1.UpdateRunSpec{}))
	if n := len(verdict.Contradictions); n != 2 {
		t.Errorf("%d contradictions, want one for each stage", n)
	}
}
