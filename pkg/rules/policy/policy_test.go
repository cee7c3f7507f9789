// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

func TestWhomAPolicyBinds(t *testing.T) {
	fleet := Subject{PlacementLabels: labels.Set{"app": "shop"}}
	team := Subject{Namespace: "shop", NamespaceLabels: labels.Set{"tier": "gold"}, PlacementLabels: labels.Set{"app": "shop"}}
	const rules = "rules: {deny: true}"
	for name, tt := range map[string]struct {
		policy      *Policy
		fleet, team bool
	}{
		"without match, cluster-scoped placements": {clusterPolicy(t, "p", rules), true, false},
		"an empty match, the same":                 {clusterPolicy(t, "p", "{match: {}, "+rules+"}"), true, false},
		"all namespaces too":                       {clusterPolicy(t, "p", "{match: {namespaceSelector: {}}, "+rules+"}"), true, true},
		"namespaces only":                          {clusterPolicy(t, "p", "{match: {clusterScoped: false, namespaceSelector: {}}, "+rules+"}"), false, true},
		"these namespaces":                         {clusterPolicy(t, "p", "{match: {clusterScoped: false, namespaceSelector: {matchLabels: {tier: gold}}}, "+rules+"}"), false, true},
		"other namespaces":                         {clusterPolicy(t, "p", "{match: {clusterScoped: false, namespaceSelector: {matchLabels: {tier: lead}}}, "+rules+"}"), false, false},
		"these placements":                         {clusterPolicy(t, "p", "{match: {placementSelector: {matchLabels: {app: shop}}}, "+rules+"}"), true, false},
		"other placements":                         {clusterPolicy(t, "p", "{match: {placementSelector: {matchLabels: {app: bank}}}, "+rules+"}"), false, false},
		"a team cannot get out by a label":         {clusterPolicy(t, "p", "{match: {namespaceSelector: {}, placementSelector: {matchLabels: {app: bank}}}, "+rules+"}"), false, true},
		"nobody":                                   {clusterPolicy(t, "p", "{match: {clusterScoped: false}, "+rules+"}"), false, false},
		"one of the namespace":                     {namespacePolicy(t, "shop", "p", rules), false, true},
		"one of another namespace":                 {namespacePolicy(t, "bank", "p", rules), false, false},
		"namespaces by a selector that is none":    {clusterPolicy(t, "p", "{match: {namespaceSelector: {matchExpressions: [{key: tier, operator: Like}]}}, "+rules+"}"), true, true},
		"placements by a selector that is none":    {clusterPolicy(t, "p", "{match: {placementSelector: {matchExpressions: [{key: app, operator: Like}]}}, "+rules+"}"), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := len(Binding([]*Policy{tt.policy}, fleet)) == 1; got != tt.fleet {
				t.Errorf("a cluster-scoped placement is bound: %v, want %v", got, tt.fleet)
			}
			if got := len(Binding([]*Policy{tt.policy}, team)) == 1; got != tt.team {
				t.Errorf("a placement of the team is bound: %v, want %v", got, tt.team)
			}
		})
	}
}

func TestWhatAPolicySaysOfAPlacement(t *testing.T) {
	external, rolling := v1beta1.ExternalRolloutStrategyType, v1beta1.RollingUpdateRolloutStrategyType
	for name, tt := range map[string]struct {
		spec     string
		strategy v1beta1.RolloutStrategyType
		clusters []string
		// placement and removal are what is said of it, and of its deletion.
		placement, removal string
	}{
		"staged, and it is": {
			"rules: {staged: true}", external, []string{"prod1", "canary1"}, "",
			"the placement (protected: prod1): a run must remove its resources from prod1 first: change spec.policy so that it does not pick them, and create a run (ClusterRolloutPolicy p)",
		},
		"staged, and it is not": {
			"{description: Only runs, rules: {staged: true}}", rolling, []string{"prod1", "canary1"},
			"the placement (protected: prod1): spec.strategy.type must be External (ClusterRolloutPolicy p: Only runs)",
			"the placement (protected: prod1): a run must remove its resources from prod1 first: set spec.strategy.type to External, change spec.policy so that it does not pick them, and create a run (ClusterRolloutPolicy p: Only runs)",
		},
		"the strategy that is none set": {"rules: {staged: true}", "", []string{"prod1"}, "the placement (protected: prod1): spec.strategy.type must be External (ClusterRolloutPolicy p)", "the placement (protected: prod1): a run must remove its resources from prod1 first: set spec.strategy.type to External, change spec.policy so that it does not pick them, and create a run (ClusterRolloutPolicy p)"},
		"nothing protected":             {"rules: {staged: true, deny: true}", rolling, []string{"canary1", "bare1"}, "", ""},
		"nothing at all":                {"rules: {staged: true, deny: true}", rolling, nil, "", ""},
		"denied":                        {"rules: {deny: true, staged: false}", external, []string{"prod1", "canary1", "prod2"}, "the placement (protected: prod1, prod2): spec.policy of the placement must not pick prod1, prod2 (ClusterRolloutPolicy p)", ""},
		"rules about stages need stages": {"rules: {maxConcurrency: 1}", rolling, []string{"prod1"}, "the placement (protected: prod1): spec.strategy.type must be External (ClusterRolloutPolicy p)",
			"the placement (protected: prod1): a run must remove its resources from prod1 first: set spec.strategy.type to External, change spec.policy so that it does not pick them, and create a run (ClusterRolloutPolicy p)"},
		"one that nobody can read": {"{clusters: {matchExpressions: [{key: a, operator: Like}]}, rules: {maxConcurrency: 1}}", external, []string{"bare1"}, `nobody can tell what the policy demands: its owner must correct spec.clusters: "Like" is not a valid label selector operator (ClusterRolloutPolicy p)`, `nobody can tell what the policy demands: its owner must correct spec.clusters: "Like" is not a valid label selector operator (ClusterRolloutPolicy p)`},
	} {
		t.Run(name, func(t *testing.T) {
			policies := []*Policy{clusterPolicy(t, "p", tt.spec)}
			placement := &v1beta1.ResourcePlacement{}
			placement.Spec.Strategy.Type = tt.strategy
			judged, removed := JudgePlacement(policies, placement, clustersOf(tt.clusters...)), JudgeRemoval(policies, placement, clustersOf(tt.clusters...))
			if diff := cmp.Diff([]string{tt.placement, tt.removal}, []string{judged.Refusal(), removed.Refusal()}); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAPolicyOnlyWarnsOfAPlacement(t *testing.T) {
	policies := []*Policy{clusterPolicy(t, "p", "{enforcement: Warn, rules: {staged: true}}")}
	placed, removed := JudgePlacement(policies, &v1beta1.ResourcePlacement{}, clustersOf("prod1")), JudgeRemoval(policies, &v1beta1.ResourcePlacement{}, clustersOf("prod1"))
	for what, verdict := range map[string]Verdict{"placement": placed, "removal": removed} {
		if verdict.Refusal() != "" || verdict.Warning() == "" {
			t.Errorf("%s: refusal %q, warning %q", what, verdict.Refusal(), verdict.Warning())
		}
	}
}

func TestWhatAPolicySaysOfAPlacementThatIsWritten(t *testing.T) {
	const staged, deny = "rules: {staged: true}", "rules: {deny: true}"
	for name, tt := range map[string]struct {
		spec                 string
		rolling              bool
		named, matched, held []string
		refusal, warning     string
	}{
		"nothing protected":                         {spec: staged, rolling: true, named: []string{"canary1"}, matched: []string{"bare1"}, held: []string{"canary2"}},
		"staged":                                    {spec: staged, named: []string{"prod1"}, held: []string{"prod2"}},
		"not staged, by any way to a cluster":       {spec: staged, rolling: true, named: []string{"prod1", "canary1"}, matched: []string{"prod2"}, held: []string{"prod3", "prod1"}, refusal: "the placement (protected: prod1, prod2, prod3): spec.strategy.type must be External (ClusterRolloutPolicy p)"},
		"not staged, and to be left":                {spec: staged, rolling: true, named: []string{"canary1"}, held: []string{"prod1"}, refusal: "the placement (protected: prod1): spec.strategy.type must be External (ClusterRolloutPolicy p)"},
		"denied by name":                            {spec: deny, named: []string{"prod1", "canary1"}, held: []string{"prod2"}, refusal: "the placement (protected: prod1, prod2): spec.policy of the placement must not pick prod1 (ClusterRolloutPolicy p)"},
		"denied, and matched":                       {spec: deny, matched: []string{"prod1", "canary1"}, warning: "the placement (protected: prod1): no version may reach prod1: spec.policy of the placement should leave them out (ClusterRolloutPolicy p)"},
		"denied, and to be left":                    {spec: deny, named: []string{"canary1"}, held: []string{"prod1"}},
		"both":                                      {spec: "rules: {deny: true, staged: true}", rolling: true, named: []string{"prod1"}, refusal: "the placement (protected: prod1): spec.policy of the placement must not pick prod1; spec.strategy.type must be External (ClusterRolloutPolicy p)"},
		"only warned of":                            {spec: "{enforcement: Warn, rules: {staged: true}}", rolling: true, matched: []string{"prod1"}, warning: "the placement (protected: prod1): spec.strategy.type must be External (ClusterRolloutPolicy p)"},
		"one that nobody can read":                  {spec: "{clusters: {matchExpressions: [{key: a, operator: Like}]}, rules: {maxConcurrency: 1}}", matched: []string{"bare1"}, refusal: `nobody can tell what the policy demands: its owner must correct spec.clusters: "Like" is not a valid label selector operator (ClusterRolloutPolicy p)`},
		"one that nobody can read, and no clusters": {spec: "{clusters: {matchExpressions: [{key: a, operator: Like}]}, rules: {maxConcurrency: 1}}"},
	} {
		t.Run(name, func(t *testing.T) {
			placement := &v1beta1.ResourcePlacement{}
			if placement.Spec.Strategy.Type = v1beta1.ExternalRolloutStrategyType; tt.rolling {
				placement.Spec.Strategy.Type = v1beta1.RollingUpdateRolloutStrategyType
			}
			got := JudgeWrite([]*Policy{clusterPolicy(t, "p", tt.spec)}, placement,
				Reach{Named: clustersOf(tt.named...), Matched: clustersOf(tt.matched...), Held: clustersOf(tt.held...)})
			if diff := cmp.Diff([]string{tt.refusal, tt.warning}, []string{got.Refusal(), got.Warning()}); diff != "" {
				t.Errorf("refusal and warning, -want +got:\n%s", diff)
			}
		})
	}
}

func TestAStrategyIsJudgedAsARunOfAllClusters(t *testing.T) {
	spec := parse[v1beta1.UpdateStrategySpec](t, `stages:
- {name: first, labelSelector: {matchLabels: {environment: canary}}}
- {name: prod, labelSelector: {matchLabels: {environment: prod}}, maxConcurrency: 2}
`)
	policies := []*Policy{
		clusterPolicy(t, "slow", "rules: {maxConcurrency: 1}"),
		// Which clusters are moved is not the strategy's to say.
		clusterPolicy(t, "closed", "rules: {deny: true}"),
	}
	got, err := JudgeStrategy(policies, &spec, clustersOf("prod1", "canary1", "prod2", "bare1"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `stage "prod" (2 clusters, 2 protected): maxConcurrency must be at most 1, not 2 (ClusterRolloutPolicy slow)`; got.Refusal() != want {
		t.Errorf("got\n%s\nwant\n%s", got.Refusal(), want)
	}
	spec.Stages[0].LabelSelector = parse[*metav1.LabelSelector](t, "matchExpressions: [{key: a, operator: Like}]")
	if _, err := JudgeStrategy(policies, &spec, nil); err == nil {
		t.Error("a selector that cannot be read is judged")
	}
}

// What policies select by must be known before anybody asks whom they bind.
func TestUnknownLabelsOfANamespaceAreAnError(t *testing.T) {
	guard, own := clusterPolicy(t, "p", "rules: {deny: true}"), namespacePolicy(t, "shop", "p", "rules: {deny: true}")
	for name, tt := range map[string]struct {
		subject  Subject
		policies []*Policy
		want     bool
	}{
		"cluster-scoped":                {Subject{}, []*Policy{guard}, false},
		"known labels":                  {Subject{Namespace: "shop", NamespaceLabels: labels.Set{}}, []*Policy{guard}, false},
		"unknown labels":                {Subject{Namespace: "shop"}, []*Policy{own, guard}, true},
		"unknown labels that none asks": {Subject{Namespace: "shop"}, []*Policy{own}, false},
	} {
		if err := tt.subject.Check(tt.policies); (err != nil) != tt.want {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestADescriptionIsOneLineInMessages(t *testing.T) {
	p := New(&v1alpha1.ClusterRolloutPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: v1alpha1.RolloutPolicySpec{Description: "Production\nneeds \x1b[31mSRE\n"}})
	if got, want := p.String(), "ClusterRolloutPolicy p: Production needs [31mSRE"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	empty := New(&v1alpha1.ClusterRolloutPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: v1alpha1.RolloutPolicySpec{Description: "\n"}})
	if got, want := empty.String(), "ClusterRolloutPolicy p"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
