// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// simPolicies are the policies of a simulation and what they select by. They have a source of chance of their own, so that a fleet without
// policies is what it would be if there were none.
type simPolicies struct {
	random *rand.Rand
	// some reports whether the simulation has policies at all.
	some    bool
	objects []*v1alpha1.ClusterRolloutPolicy
	asked   []*policy.Policy
	// tier is the label of the namespace, "" while the leader does not know it.
	tier string
	// started has, by uid, the runs that have started, and by what they were judged then.
	started map[types.UID]governed
	// approvers are the users who have approved a request, by the uid of the run and the name of the request.
	approvers map[string][]v1beta1.DecisionUser
}

// governed is what a run is judged by.
type governed struct {
	objects    []*v1alpha1.ClusterRolloutPolicy
	governance plan.Governance
	labels     map[string]map[string]string
	placement  v1beta1.PlacementObject
	// earlier is the run that is rolled back, nil for none.
	earlier v1beta1.UpdateRunObject
}

func newSimPolicies(seed uint64) simPolicies {
	return simPolicies{
		random: rand.New(rand.NewPCG(seed, 1)), some: seed%2 == 0, tier: "1",
		started: map[types.UID]governed{}, approvers: map[string][]v1beta1.DecisionUser{},
	}
}

// move has somebody, now and then, make, change or delete a policy, or label the namespace.
func (p *simPolicies) move(strategy *v1beta1.UpdateStrategySpec) {
	if !p.some || p.random.IntN(40) > 0 {
		return
	}
	switch n := p.random.IntN(10); {
	case n < 3:
		p.add(strategy)
	case n < 5 && len(p.objects) > 0:
		i := p.random.IntN(len(p.objects))
		p.objects, p.asked = slices.Delete(slices.Clone(p.objects), i, i+1), slices.Delete(slices.Clone(p.asked), i, i+1)
	default:
		p.tier = []string{"", "1", "2"}[p.random.IntN(3)]
	}
}

// add makes a policy, often one that the strategy meets. Its objects are never changed.
func (p *simPolicies) add(strategy *v1beta1.UpdateStrategySpec) {
	object := &v1alpha1.ClusterRolloutPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("policy%d", p.random.IntN(3)), UID: types.UID(fmt.Sprint("policy-", p.random.Int()))},
		Spec: v1alpha1.RolloutPolicySpec{
			Match: &v1alpha1.PolicyMatch{
				ClusterScoped:     ptr.To(p.random.IntN(4) > 0),
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": fmt.Sprint(1 + p.random.IntN(2))}},
			},
			Clusters: &metav1.LabelSelector{MatchLabels: map[string]string{[]string{"stage", "order"}[p.random.IntN(2)]: fmt.Sprint(p.random.IntN(5))}},
			Rules:    p.rules(),
		},
	}
	if p.random.IntN(5) == 0 {
		object.Spec.Enforcement = v1alpha1.PolicyEnforcementWarn
	}
	if i := p.random.IntN(len(strategy.Stages)); p.random.IntN(2) == 0 && len(strategy.Stages[i].BeforeStageTasks) > 0 {
		has := ptr.Deref(strategy.Stages[i].BeforeStageTasks[0].Approval, v1beta1.ApprovalPolicy{})
		object.Spec.Clusters.MatchLabels = map[string]string{"stage": fmt.Sprint(i)}
		object.Spec.Rules = v1alpha1.PolicyRules{Approval: &v1alpha1.ApprovalRule{Required: has.Required, Groups: has.Groups}}
	}
	p.put(object)
}

func (p *simPolicies) put(object *v1alpha1.ClusterRolloutPolicy) {
	p.objects, p.asked = append(slices.Clip(p.objects), object), append(slices.Clip(p.asked), policy.New(object))
}

// addSoak has the first stage wait, and makes a policy that asks for it before the second one.
func (p *simPolicies) addSoak(strategy *v1beta1.UpdateStrategySpec) {
	if len(strategy.Stages) == 1 {
		return
	}
	first, duration := &strategy.Stages[0], metav1.Duration{Duration: time.Duration(1+p.random.IntN(600)) * time.Second}
	first.FailurePolicy, first.AfterStageTasks = nil, []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeTimedWait, WaitTime: &duration}}
	p.put(&v1alpha1.ClusterRolloutPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "soak", UID: types.UID(fmt.Sprint("policy-", p.random.Int()))},
		Spec: v1alpha1.RolloutPolicySpec{
			Match:    &v1alpha1.PolicyMatch{ClusterScoped: ptr.To(true), NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "1"}}},
			Clusters: &metav1.LabelSelector{MatchLabels: map[string]string{"stage": "1"}},
			Rules: v1alpha1.PolicyRules{Soak: &v1alpha1.SoakRule{
				Clusters: &metav1.LabelSelector{MatchLabels: map[string]string{"stage": "0"}}, Duration: duration,
			}},
		},
	})
}

func (p *simPolicies) rules() (rules v1alpha1.PolicyRules) {
	switch p.random.IntN(8) {
	case 0:
		rules.Deny = true
	case 1:
		rules.MaxConcurrency = ptr.To(intstr.FromInt(1 + p.random.IntN(3)))
	case 2:
		rules.MaxStageClusters = ptr.To(int32(1 + p.random.IntN(5)))
	case 3:
		rules.FailurePolicy = &v1alpha1.FailurePolicyRule{}
	default:
		rules.Approval = &v1alpha1.ApprovalRule{Required: int32(p.random.IntN(2))}
		if p.random.IntN(2) == 0 {
			rules.Approval.Groups = []string{"sre"}
		}
	}
	return rules
}

// override is that of a new run, nil for most.
func (p *simPolicies) override() *v1beta1.PolicyOverride {
	if !p.some || p.random.IntN(4) > 0 {
		return nil
	}
	return &v1beta1.PolicyOverride{Policies: []string{fmt.Sprintf("policy%d", p.random.IntN(3))}, Reason: "INC-7"}
}

// governance is by what the leader judges runs now.
func (s *simulation) governance() plan.Governance {
	g := plan.Governance{Policies: s.policies.asked}
	if s.policies.tier != "" {
		g.NamespaceLabels = labels.Set{"tier": s.policies.tier}
	}
	if !s.policies.some {
		return g
	}
	for _, name := range sortedKeys(s.labels) {
		if s.store.members[name] {
			g.Members = append(g.Members, plan.Member{Name: name, Labels: s.labels[name]})
		}
	}
	return g
}

// governed is by what a look at a run judges it, for when its decision is written.
func (s *simulation) governed() governed {
	g := governed{objects: s.policies.objects, governance: s.governance(), labels: map[string]map[string]string{}, placement: s.store.placement}
	for _, m := range g.governance.Members {
		g.labels[m.Name] = m.Labels
	}
	return g
}

// checkPolicies holds that a run starts only where no policy refuses it, is left alone from then on, and moves no cluster that a
// policy protected at that time before somebody of its groups has approved that.
func (s *simulation) checkPolicies(old, next v1beta1.UpdateRunObject, g governed) {
	was, is := old.RunStatus(), next.RunStatus()
	if !s.policies.some || !runrules.IsPlanned(was) {
		return
	}
	if starts := !runrules.HasStarted(was) && runrules.HasStarted(is); !starts && !equal(was.Policies, is.Policies) {
		s.violated("run %s: the policies that govern it are not frozen", next.GetName())
	}
	if ended := meta.FindStatusCondition(is.Conditions, v1beta1.RunSucceeded); ended != nil && ended.Reason == "UpdateRunPolicyChanged" && runrules.HasStarted(was) {
		s.violated("run %s: a policy ends it though it has started", next.GetName())
	}
	if !runrules.HasStarted(was) && runrules.HasStarted(is) {
		s.policies.started[next.GetUID()] = g
		governance := g.governance.For(next, g.earlier)
		verdict, err := governance.Judge(next, g.placement, was)
		if err != nil {
			s.violated("run %s: starts though nobody can judge it: %v", next.GetName(), err)
		}
		if refusal := verdict.Refusal(); refusal != "" {
			s.violated("run %s: starts though policies refuse it: %s", next.GetName(), refusal)
		}
	}
	after := allStages(is)
	for i, stage := range allStages(was) {
		for j := range stage.Clusters {
			if c := &after[i].Clusters[j]; !startedOf(&stage.Clusters[j]) && startedOf(c) && reasonOfDone(c) == "" {
				s.checkProtected(next, stage.StageName, c.ClusterName)
			}
		}
	}
}

// checkProtected holds what the policies say that were in force when the run started, without asking the rule that the engine asks.
func (s *simulation) checkProtected(run v1beta1.UpdateRunObject, stage, cluster string) {
	g, started := s.policies.started[run.GetUID()]
	if !started {
		s.violated("run %s: cluster %s is started by a run that has not", run.GetName(), cluster)
		return
	}
	override, request := run.RunSpec().PolicyOverride, wellknown.BeforeStageApprovalName(run.GetName(), stage)
	if stage == wellknown.DeleteStageName {
		request = run.GetName() + "-before-delete-stage"
	}
	for _, p := range g.objects {
		binds := *p.Spec.Match.ClusterScoped
		if run.GetNamespace() != "" {
			binds = p.Spec.Match.NamespaceSelector.MatchLabels["tier"] == g.governance.NamespaceLabels["tier"]
		}
		for key, value := range p.Spec.Clusters.MatchLabels {
			binds = binds && g.labels[cluster][key] == value
		}
		if !binds || p.Spec.Enforcement == v1alpha1.PolicyEnforcementWarn || override != nil && slices.Contains(override.Policies, p.Name) {
			continue
		}
		if p.Spec.Rules.Deny && stage == wellknown.DeleteStageName {
			// A placement may always leave a denied cluster. These policies have one rule each.
			continue
		}
		if by := run.RunStatus().CreatedBy; by.Username == "system:apiserver" && g.earlier != nil &&
			!slices.ContainsFunc(g.earlier.RunStatus().Policies, func(k v1beta1.GoverningPolicy) bool { return k.UID == p.UID }) {
			// It rolls back by itself a run that was under way before the policy.
			continue
		}
		if p.Spec.Rules.Deny {
			s.violated("run %s: cluster %s is moved, which %s denies", run.GetName(), cluster, p.Name)
		}
		if p.Spec.Rules.Soak != nil && run.RunSpec().RollbackOf == "" && stage != wellknown.DeleteStageName {
			s.checkSoaked(run, cluster, p.Spec.Rules.Soak, g.labels)
		}
		rule := p.Spec.Rules.Approval
		if rule == nil || run.RunSpec().RollbackOf != "" {
			continue
		}
		isListed := func(user v1beta1.DecisionUser) bool {
			return len(rule.Groups) == 0 || slices.ContainsFunc(user.Groups, func(group string) bool { return slices.Contains(rule.Groups, group) })
		}
		if !slices.ContainsFunc(s.policies.approvers[string(run.GetUID())+"/"+request], isListed) {
			s.violated("run %s: protected cluster %s is moved, which nobody of %q has approved by %s", run.GetName(), cluster, rule.Groups, request)
		}
	}
}

// checkSoaked holds that the clusters which go first have had the version for as long as a policy asks, unless somebody has skipped them or
// the wait. Times of conditions are whole seconds.
func (s *simulation) checkSoaked(run v1beta1.UpdateRunObject, cluster string, soak *v1alpha1.SoakRule, labels map[string]map[string]string) {
	for i := range run.RunStatus().StagesStatus {
		stage := &run.RunStatus().StagesStatus[i]
		if slices.ContainsFunc(stage.AfterStageTaskStatus, func(task v1beta1.StageTaskStatus) bool {
			c := meta.FindStatusCondition(task.Conditions, v1beta1.TaskWaitTimeElapsed)
			return c != nil && c.Reason == "StageTaskWaitSkipped"
		}) {
			return
		}
		for j := range stage.Clusters {
			c := &stage.Clusters[j]
			for key, value := range soak.Clusters.MatchLabels {
				if labels[c.ClusterName][key] != value || runrules.IsSkipped(c) {
					continue
				}
				if reasonOfDone(c) != "ClusterUpdatingSucceeded" {
					s.violated("run %s: cluster %s is moved, and %s, which goes first, has not the version", run.GetName(), cluster, c.ClusterName)
					return
				}
				since := meta.FindStatusCondition(c.Conditions, v1beta1.ClusterSucceeded).LastTransitionTime.Time
				// What is written now may have been decided before the clock was set back.
				had := max(s.store.now.Sub(since), s.latest.Sub(since))
				if had < soak.Duration.Duration {
					s.violated("run %s: cluster %s is moved, and %s, which goes first, has had the version for %s and not for %s",
						run.GetName(), cluster, c.ClusterName, had, soak.Duration.Duration)
				}
				b, want := boundTo(s.store.objects[simBindings], c.ClusterName), "p-"+run.RunStatus().ResourceSnapshotIndexUsed+"-snapshot"
				if b != nil && b.BindingSpec().ResourceSnapshotName != want && !s.tampered[c.ClusterName] && !s.twoLeaders {
					s.violated("run %s: cluster %s is moved, and %s, which goes first, has %s by now", run.GetName(), cluster, c.ClusterName, b.BindingSpec().ResourceSnapshotName)
				}
			}
		}
	}
}
