// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// guard is a ClusterRolloutPolicy for the clusters of a stage.
func guard(stage string, rules v1alpha1.PolicyRules, change ...func(*v1alpha1.ClusterRolloutPolicy)) *policy.Policy {
	p := &v1alpha1.ClusterRolloutPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: stage + "-guard", UID: "guard-uid", Generation: 3},
		Spec: v1alpha1.RolloutPolicySpec{
			Description: "Ask the SREs", Clusters: &metav1.LabelSelector{MatchLabels: map[string]string{"stage": stage}}, Rules: rules,
		},
	}
	for _, f := range change {
		f(p)
	}
	return policy.New(p)
}

func warnOnly(p *v1alpha1.ClusterRolloutPolicy) {
	p.Spec.Enforcement = v1alpha1.PolicyEnforcementWarn
}

func forAllNamespaces(p *v1alpha1.ClusterRolloutPolicy) {
	p.Spec.Match = &v1alpha1.PolicyMatch{NamespaceSelector: &metav1.LabelSelector{}}
}

var (
	approvalRule = v1alpha1.PolicyRules{Approval: &v1alpha1.ApprovalRule{}}
	denyRule     = v1alpha1.PolicyRules{Deny: true}
)

const lacksApproval = `stage "prod" (2 clusters, 2 protected): beforeStageTasks must have an Approval (ClusterRolloutPolicy prod-guard: Ask the SREs)`

func TestAPlanMeetsThePoliciesThatBindIt(t *testing.T) {
	governed := v1beta1.GoverningPolicy{Kind: policy.KindCluster, Name: "prod-guard", UID: "guard-uid", Generation: 3, Stages: []string{"prod"}}
	overridden := governed
	overridden.Overridden, overridden.Violated = true, true
	violated := governed
	violated.Violated, violated.Warns = true, true
	const refused = "False UpdateRunInitializedFailed: cannot continue the updateRun: failed to validate the updateRun: failed to process the request due to a client error: "
	const planned = "True UpdateRunInitializedSuccessfully: ClusterStagedUpdateRun initialized successfully"
	tests := map[string]struct {
		policy   *policy.Policy
		gate     bool
		override *v1beta1.PolicyOverride
		want     string
		governs  []v1beta1.GoverningPolicy
		warnings []string
		events   []string
	}{
		"no policy":            {want: planned},
		"one that is met":      {policy: guard("prod", approvalRule), gate: true, want: planned, governs: []v1beta1.GoverningPolicy{governed}},
		"one of other cluster": {policy: guard("other", approvalRule), want: planned},
		"one that is not met":  {policy: guard("prod", approvalRule), want: refused + lacksApproval},
		"one that only warns": {
			policy: guard("prod", approvalRule, warnOnly), want: planned, governs: []v1beta1.GoverningPolicy{violated}, warnings: []string{lacksApproval},
		},
		"one that is overridden": {
			policy: guard("prod", approvalRule), override: &v1beta1.PolicyOverride{Policies: []string{"prod-guard"}, Reason: "INC-7"},
			want: planned, governs: []v1beta1.GoverningPolicy{overridden}, warnings: []string{lacksApproval},
			events: []string{`PolicyOverridden: ann overrides ClusterRolloutPolicy prod-guard, which the run violates: "INC-7"`},
		},
		"one that is overridden in vain": {
			policy: guard("prod", approvalRule), gate: true, override: &v1beta1.PolicyOverride{Policies: []string{"prod-guard"}, Reason: "INC-7"},
			want: planned, governs: []v1beta1.GoverningPolicy{governed},
		},
		"another one is overridden": {
			policy: guard("prod", approvalRule), override: &v1beta1.PolicyOverride{Policies: []string{"other"}, Reason: "INC-7"}, want: refused + lacksApproval,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			prod := stage("prod")
			if tt.gate {
				approvedBefore(&prod)
			}
			w := initWorld(2, stage("canary"), prod)
			if tt.policy != nil {
				w.Policies = []*policy.Policy{tt.policy}
			}
			run := newRun()
			run.Spec.PolicyOverride, run.Status.CreatedBy = tt.override, &v1beta1.DecisionUser{Username: "ann"}
			o := initialize(run, w, simStart)
			status := o.Decision.Status
			if got := conditionText(status.Conditions, v1beta1.RunInitialized); got != tt.want {
				t.Errorf("Initialized is %q, want %q", got, tt.want)
			}
			if diff := cmp.Diff(tt.governs, status.Policies); diff != "" {
				t.Errorf("status.policies (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.warnings, o.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			var events []string
			for _, e := range o.Decision.Events {
				if e.Warning && o.Result == engine.ResultInitialized {
					events = append(events, e.Reason+": "+e.Message)
				}
			}
			if diff := cmp.Diff(tt.events, events); diff != "" {
				t.Errorf("warnings as Events (-want +got):\n%s", diff)
			}
			if n := len(status.History); len(tt.events) > 0 && (status.History[n-1].Reason != "PolicyOverridden" || status.History[n-1].User != "ann") {
				t.Errorf("the history ends with %v", status.History[n-1])
			}
		})
	}
}

func TestNoPolicyIsJudgedBeforeItIsKnownWhomItBinds(t *testing.T) {
	run := &v1beta1.StagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: "run", Namespace: "team"}, Spec: newRun().Spec}
	teams := policy.New(&v1alpha1.RolloutPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "own", Namespace: "team"}, Spec: v1alpha1.RolloutPolicySpec{Rules: v1alpha1.PolicyRules{Staged: true}},
	})
	for name, tt := range map[string]struct {
		policies []*policy.Policy
		labels   labels.Set
		want     engine.Result
	}{
		"no policy":            {want: engine.ResultInitialized},
		"one of the namespace": {policies: []*policy.Policy{teams}, want: engine.ResultInitialized},
		"one that selects by labels nobody knows": {policies: []*policy.Policy{guard("prod", approvalRule, forAllNamespaces)}, want: engine.ResultWaiting},
		"one that selects by labels":              {policies: []*policy.Policy{guard("prod", approvalRule, forAllNamespaces)}, labels: labels.Set{}, want: engine.ResultFailed},
	} {
		t.Run(name, func(t *testing.T) {
			w := initWorld(2, stage("prod"))
			w.Policies, w.NamespaceLabels = tt.policies, tt.labels
			o := initialize(run, w, simStart)
			if o.Result != tt.want {
				t.Errorf("result %v, want %v: %s", o.Result, tt.want, o.Message)
			}
			_, known, err := plan.Judge(run, w.World)
			if unknown := tt.want == engine.ResultWaiting; known == unknown || (err != nil) != unknown {
				t.Errorf("judged: %v, error %v", known, err)
			}
		})
	}
}

func TestJudgingAsksForNothing(t *testing.T) {
	w := initWorld(2, stage("prod"))
	w.Policies = []*policy.Policy{guard("prod", approvalRule)}
	verdict, known, err := plan.Judge(newRun(), w.World)
	if !known || err != nil || verdict.Refusal() != lacksApproval {
		t.Errorf("known %v, error %v, refusal %q", known, err, verdict.Refusal())
	}
	w.Strategy = nil
	if _, known, err = plan.Judge(newRun(), w.World); known || err != nil {
		t.Errorf("without a strategy: known %v, error %v", known, err)
	}
}

// What is refused is refused before anything is asked of the hub.
func TestARefusedPlanTakesNoSnapshot(t *testing.T) {
	w := initWorld(2, stage("prod"))
	w.Policies = []*policy.Policy{guard("prod", approvalRule)}
	run, in := newRun(), &answers{known: w}
	run.Spec.ResourceSnapshotIndex = ""
	if o, err := engine.Initialize(run, w.World, in, simStart); err != nil || o.Result != engine.ResultFailed || len(in.asked) > 0 {
		t.Errorf("result %v, error %v, asked for %q", o.Result, err, in.asked)
	}
}

func TestOnlyDenyKeepsARunFromBeingRolledBack(t *testing.T) {
	for name, tt := range map[string]struct {
		rules v1alpha1.PolicyRules
		// override is that of the rollback. It inherits none.
		override *v1beta1.PolicyOverride
		// of is what the run that is rolled back rolls back itself, if anything.
		of   string
		want engine.Result
	}{
		"an approval":              {approvalRule, nil, "", engine.ResultInitialized},
		"an approval, and forward": {approvalRule, nil, "first", engine.ResultFailed},
		"no gate, and forward":     {stagedRule, nil, "first", engine.ResultInitialized},
		"deny":                     {denyRule, nil, "", engine.ResultFailed},
		"deny overridden":          {denyRule, &v1beta1.PolicyOverride{Policies: []string{"prod-guard"}, Reason: "INC-7"}, "", engine.ResultInitialized},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("prod"))
			f.run.Spec.PolicyOverride = &v1beta1.PolicyOverride{Policies: []string{"prod-guard"}, Reason: "INC-6"}
			f.had("0", "prod1")
			f.steps()
			f.available("prod1")
			f.steps()
			f.run.Spec.RollbackOf = tt.of
			run, w := f.rollback()
			run.Spec.PolicyOverride = tt.override
			w.Members = initWorld(1, stage("prod")).Members
			w.Policies = []*policy.Policy{guard("prod", tt.rules)}
			o := initialize(run, w, f.now)
			if o.Result != tt.want {
				t.Fatalf("result %v, want %v: %s", o.Result, tt.want, o.Message)
			}
			if tt.want == engine.ResultFailed {
				// It ends visibly, and keeps nobody's place.
				if e := o.Decision.Events[0]; !e.Warning || e.Reason != "InitializationFailed" || o.Decision.Status.Outcome != v1beta1.OutcomeNotInitialized {
					t.Errorf("outcome %q, Event %v", o.Decision.Status.Outcome, e)
				}
			}
		})
	}
}

// governedBy has policies be there, and the members that they select.
func (f *fixture) governedBy(policies ...*policy.Policy) {
	f.world.Policies, f.world.Members = policies, nil
	for _, cluster := range f.clusters() {
		name, _, _ := strings.Cut(cluster, " ")
		f.world.Members = append(f.world.Members, plan.Member{Name: name, Labels: map[string]string{"stage": strings.TrimRight(name, "0123456789")}})
	}
}

const changed = "False UpdateRunPolicyChanged: "

func TestARunIsJudgedOnceMoreUntilItStarts(t *testing.T) {
	refused := changed + "cannot continue the updateRun: failed to process the request due to a client error: the rollout policies of now refuse the plan: " +
		lacksApproval + "; create a new run that meets them"
	tests := map[string]struct {
		// before is what happens until the policy is made, and after what happens then.
		before, after func(f *fixture)
		want          string
	}{
		"it was never to run": {
			before: func(f *fixture) { f.setState(v1beta1.StateInitialize); f.steps(); f.pass(24 * time.Hour) },
			after:  func(f *fixture) { f.setState(v1beta1.StateRun) },
			want:   refused,
		},
		"it waits for its first approval": {before: (*fixture).steps, want: refused},
		"its first approval comes at that time": {
			before: func(f *fixture) { f.steps(); f.decide("run-before-canary", v1beta1.DecisionApproved) }, want: refused,
		},
		"it has claimed its turn": {
			before: func(f *fixture) {
				f.steps()
				f.decide("run-before-canary", v1beta1.DecisionApproved)
				if f.step(); f.run.Status.Turn == nil || f.run.Status.Turn.State != v1beta1.TurnClaimed {
					f.Fatalf("the turn is %v", f.run.Status.Turn)
				}
			},
			want: refused,
		},
		"it was stopped before its first cluster": {
			before: func(f *fixture) { f.steps(); f.setState(v1beta1.StateStop); f.steps() },
			after:  func(f *fixture) { f.setState(v1beta1.StateRun) },
			want:   refused,
		},
		"it waits for another run": {
			before: func(f *fixture) {
				f.other("other", -time.Hour, v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 1})
				f.steps()
				f.decide("run-before-canary", v1beta1.DecisionApproved)
				f.steps()
			},
			want: refused,
		},
		"it is not to run": {before: func(f *fixture) { f.setState(v1beta1.StateInitialize) }},
		"it has started": {
			before: func(f *fixture) { f.steps(); f.decide("run-before-canary", v1beta1.DecisionApproved); f.steps() },
		},
		"it was stopped after its first cluster": {
			before: func(f *fixture) {
				f.steps()
				f.decide("run-before-canary", v1beta1.DecisionApproved)
				f.steps()
				f.setState(v1beta1.StateStop)
				f.available("canary1")
				f.steps()
			},
			after: func(f *fixture) { f.setState(v1beta1.StateRun) },
		},
		"its first cluster has failed, and is tried once more": {
			before: func(f *fixture) {
				f.steps()
				f.decide("run-before-canary", v1beta1.DecisionApproved)
				f.steps()
				f.pass(time.Hour)
				f.steps()
				f.ask(v1beta1.OperationRetry, nil)
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 2, stage("canary", approvedBefore, func(c *v1beta1.StageConfig) {
				c.FailurePolicy = &v1beta1.FailurePolicy{ClusterTimeout: metav1.Duration{Duration: time.Minute}, OnFailure: v1beta1.FailureActionPause}
			}), stage("prod"))
			tt.before(f)
			f.governedBy(guard("prod", approvalRule))
			if tt.after != nil {
				tt.after(f)
				// Whoever resumes the run is told what would come of it.
				if got := engine.CheckResume(f.run, f.world, f.now); got != strings.TrimPrefix(tt.want, changed) {
					t.Errorf("resuming is refused because %q, want %q", got, tt.want)
				}
			}
			f.steps()
			f.wantCondition(v1beta1.RunSucceeded, tt.want)
			if tt.want == "" {
				return
			}
			f.wantCondition(v1beta1.RunProgressing, changed+"The stages are aborted due to a non-recoverable error")
			if f.run.Status.Outcome != v1beta1.OutcomeFailed {
				t.Errorf("the outcome is %q", f.run.Status.Outcome)
			}
			if last := f.run.Status.History[len(f.run.Status.History)-1]; last.Reason != "PolicyChanged" {
				t.Errorf("the history ends with %v", last)
			}
			for _, cluster := range f.clusters() {
				if strings.Contains(cluster, " ") {
					t.Errorf("a cluster was moved: %s", cluster)
				}
			}
		})
	}
}

func TestAtItsStartARunIsJudgedByWhatIsSoThen(t *testing.T) {
	f := newFixture(t, 2, stage("prod"))
	f.governedBy(guard("canary", approvalRule))
	f.world.Members[0].Labels = map[string]string{"stage": "canary"}
	f.steps()
	if got := f.condition(v1beta1.RunSucceeded); !strings.HasPrefix(got, changed) || !strings.Contains(got, `stage "prod" (2 clusters, 1 protected)`) {
		t.Errorf("a member was labeled, and the run says %q", got)
	}
}

func TestARunWaitsUntilItIsKnownWhichPoliciesBindIt(t *testing.T) {
	f := newFixture(t, 1, stage("prod"))
	run := &v1beta1.StagedUpdateRun{ObjectMeta: f.run.ObjectMeta, Spec: f.run.Spec, Status: f.run.Status}
	run.Namespace = "team"
	f.governedBy(guard("prod", approvalRule, forAllNamespaces))
	d := engine.Step(run, f.world, f.now)
	want := "False UpdateRunWaiting: The updateRun is waiting to be started: the labels of Namespace team are not known, by which ClusterRolloutPolicies select"
	if got := conditionText(d.Status.Conditions, v1beta1.RunProgressing); got != want {
		t.Errorf("Progressing is %q, want %q", got, want)
	}
	if d.Status.Turn != nil || len(d.Bindings) > 0 {
		t.Errorf("the run goes on: turn %v", d.Status.Turn)
	}
	f.world.NamespaceLabels = labels.Set{}
	d = engine.Step(run, f.world, f.now)
	if got := conditionText(d.Status.Conditions, v1beta1.RunSucceeded); !strings.HasPrefix(got, changed) {
		t.Errorf("Succeeded is %q", got)
	}
}

func TestAnOverrideIsToldOnce(t *testing.T) {
	guarded := []*policy.Policy{guard("prod", approvalRule)}
	for name, before := range map[string][]*policy.Policy{"of a policy that was there": guarded, "of a policy that came before the start": nil} {
		t.Run(name, func(t *testing.T) {
			w := initWorld(1, stage("prod"))
			w.Policies = before
			f := &fixture{T: t, now: simStart, run: newRun()}
			f.run.Spec.State = v1beta1.StateRun
			f.run.Spec.PolicyOverride = &v1beta1.PolicyOverride{Policies: []string{"prod-guard"}, Reason: "INC-7"}
			f.run.Status.CreatedBy = &v1beta1.DecisionUser{Username: "ann"}
			f.run.Status = *roundTrip(initialize(f.run, w, f.now).Decision.Status)
			f.world = engine.World{Placement: w.Placement, Bindings: w.Bindings}
			f.governedBy(guarded...)
			f.steps()
			told := 0
			for _, entry := range f.run.Status.History {
				if entry.Reason == "PolicyOverridden" && entry.User == "ann" {
					told++
				}
			}
			if told != 1 || f.clusters()[0] != "prod1 Started" {
				t.Errorf("told %d times, clusters %q", told, f.clusters())
			}
			if got := f.run.Status.Policies; len(got) != 1 || !got[0].Overridden {
				t.Errorf("the run has started under %v", got)
			}
		})
	}
}

// A policy that only warns may come, or a member be labeled, between the plan of a run and its start.
func TestWhatIsViolatedAtTheStartAloneIsToldOnce(t *testing.T) {
	warns := []*policy.Policy{guard("prod", approvalRule, warnOnly)}
	for name, tt := range map[string]struct {
		before []*policy.Policy
		want   []string
	}{
		"a policy that came before the start": {nil, []string{"The update run starts, and violates rollout policies of now that only warn: " +
			strings.Replace(lacksApproval, "2 clusters, 2 protected", "1 cluster, 1 protected", 1)}},
		"one that the plan has told of": {warns, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := initWorld(1, stage("prod"))
			w.Policies = tt.before
			f := &fixture{T: t, now: simStart, run: newRun()}
			f.run.Spec.State = v1beta1.StateRun
			f.run.Status = *roundTrip(initialize(f.run, w, f.now).Decision.Status)
			f.world = engine.World{Placement: w.Placement, Bindings: w.Bindings}
			f.governedBy(warns...)
			f.steps()
			var told []string
			for _, entry := range f.run.Status.History {
				if entry.Reason == "PolicyViolated" {
					told = append(told, entry.Message)
				}
			}
			if diff := cmp.Diff(tt.want, told); diff != "" || f.clusters()[0] != "prod1 Started" {
				t.Errorf("clusters %q, told (-want +got):\n%s", f.clusters(), diff)
			}
		})
	}
}
