// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func approvedBy(policy v1beta1.ApprovalPolicy) func(*v1beta1.StageConfig) {
	return func(c *v1beta1.StageConfig) {
		c.BeforeStageTasks = []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval, Approval: &policy}}
	}
}

// approve records approvals on the gate of stage a as the server does.
func (f *fixture) approve(users ...v1beta1.DecisionUser) {
	request := f.world.Approvals["run-before-a"]
	for _, u := range users {
		request.RequestStatus().Decisions = append(request.RequestStatus().Decisions, v1beta1.ApprovalDecision{
			Decision: v1beta1.DecisionApproved, User: u, RequestUID: request.GetUID(),
		})
	}
}

func person(name string, groups ...string) v1beta1.DecisionUser {
	return v1beta1.DecisionUser{Username: name, Groups: groups}
}

// asked is what an approver is told by a request that the run makes now.
func (f *fixture) asked(name string) v1beta1.StageRollout {
	f.Helper()
	for range 10 {
		for _, r := range f.step().Requests {
			if r.Name == name {
				return r.Rollout
			}
		}
	}
	f.Fatalf("%s is not asked for: %s", name, f.condition(v1beta1.RunProgressing))
	return v1beta1.StageRollout{}
}

func TestARequestTellsWhatTheStageDoes(t *testing.T) {
	gate := []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval}}
	w := initWorld(2, stage("a", func(s *v1beta1.StageConfig) { s.AfterStageTasks = gate }, concurrency("2")), stage("b", func(s *v1beta1.StageConfig) { s.BeforeStageTasks = gate }, concurrency("2")))
	w.Bindings = append(w.Bindings, &v1beta1.ClusterResourceBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "b-z1", Generation: 1},
		Spec:       v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateUnscheduled, TargetCluster: "z1"},
	})
	f := newFixtureIn(t, w)
	expect := func(name string, want v1beta1.StageRollout) {
		t.Helper()
		if diff := cmp.Diff(want, f.asked(name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		f.decide(name, v1beta1.DecisionApproved)
	}
	f.steps()
	f.available("a1", "a2")
	expect("run-after-a", v1beta1.StageRollout{
		PlacementName: "p", ResourceSnapshotIndex: "1", Clusters: []string{"a1", "a2"}, ClusterCount: 2, RunClustersDone: 2, RunClusterCount: 5,
	})
	expect("run-before-b", v1beta1.StageRollout{
		PlacementName: "p", ResourceSnapshotIndex: "1", Clusters: []string{"b1", "b2"}, ClusterCount: 2, RunClustersDone: 2, RunClusterCount: 5,
	})
	f.steps()
	f.available("b1", "b2")
	// No version is brought by the stage that removes.
	expect("run-before-delete-stage", v1beta1.StageRollout{
		PlacementName: "p", Clusters: []string{"z1"}, ClusterCount: 1, RunClustersDone: 4, RunClusterCount: 5,
	})
}

func TestARequestNamesTheFirstHundredClusters(t *testing.T) {
	f := newFixture(t, 101, stage("a", func(s *v1beta1.StageConfig) {
		s.BeforeStageTasks = []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval}}
	}))
	told := f.asked("run-before-a")
	if len(told.Clusters) != 100 || told.ClusterCount != 101 || told.RunClusterCount != 101 || told.Clusters[0] != f.run.Status.StagesStatus[0].Clusters[0].ClusterName {
		t.Errorf("the request names %d clusters from %s on and counts %d", len(told.Clusters), told.Clusters[0], told.ClusterCount)
	}
}

func TestAGateWithAPolicyOpensOnceItIsMet(t *testing.T) {
	const waiting = "False UpdateRunWaiting: The updateRun is waiting for before-stage tasks in stage a to complete"
	two := v1beta1.ApprovalPolicy{Required: 2, Groups: []string{"sre"}, AllowRequester: ptr.To(false)}
	tests := map[string]struct {
		users []v1beta1.DecisionUser
		// message is empty where the gate opens.
		message string
	}{
		"nobody":                 {nil, waiting + ": run-before-a has 0 of 2 approvals, one of them must be by a member of group sre"},
		"one":                    {[]v1beta1.DecisionUser{person("sue", "sre")}, waiting + ": run-before-a has 1 of 2 approvals"},
		"the requester and one":  {[]v1beta1.DecisionUser{person("req"), person("sue", "sre")}, waiting + ": run-before-a has 1 of 2 approvals"},
		"the same twice":         {[]v1beta1.DecisionUser{person("sue", "sre"), person("sue", "sre")}, waiting + ": run-before-a has 1 of 2 approvals"},
		"two":                    {[]v1beta1.DecisionUser{person("ann"), person("sue", "sre")}, ""},
		"two, none of the group": {[]v1beta1.DecisionUser{person("ann"), person("bob")}, waiting + ": run-before-a has 2 of 2 approvals, one of them must be by a member of group sre"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a", approvedBy(two)))
			creator := person("req")
			f.run.Status.CreatedBy = &creator
			f.steps()
			f.approve(tt.users...)
			f.steps()
			if tt.message != "" {
				f.wantClusters("a1")
				f.wantCondition(v1beta1.RunProgressing, tt.message)
				return
			}
			f.wantClusters("a1 Started")
		})
	}
}

func TestOneRejectionEndsARunWhateverThePolicy(t *testing.T) {
	f := newFixture(t, 1, stage("a", approvedBy(v1beta1.ApprovalPolicy{Required: 2})))
	f.steps()
	f.approve(person("ann"))
	request := f.world.Approvals["run-before-a"]
	request.RequestStatus().Decisions = append(request.RequestStatus().Decisions, v1beta1.ApprovalDecision{
		Decision: v1beta1.DecisionRejected, User: person("bob"), RequestUID: request.GetUID(), Comment: "not today",
	})
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, `False UpdateRunRejected: The updateRun was rejected by bob before stage a: "not today"`)
}

func TestARequestWithAnotherPolicyOrRequesterOpensNothing(t *testing.T) {
	for name, change := range map[string]func(*v1beta1.ApprovalRequestSpec){
		"policy":    func(spec *v1beta1.ApprovalRequestSpec) { spec.Policy = nil },
		"requester": func(spec *v1beta1.ApprovalRequestSpec) { spec.Requester = nil },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a", approvedBy(v1beta1.ApprovalPolicy{Required: 2})))
			creator := person("req")
			f.run.Status.CreatedBy = &creator
			f.steps()
			change(f.world.Approvals["run-before-a"].RequestSpec())
			f.approve(person("ann"), person("bob"))
			f.steps()
			f.wantClusters("a1")
			if got := f.condition(v1beta1.RunProgressing); !strings.HasSuffix(got, "ClusterApprovalRequest run-before-a has another policy or requester than this run; delete it") {
				t.Errorf("Progressing is %q", got)
			}
		})
	}
}

func TestARunThatIsNotApprovedInTimeEnds(t *testing.T) {
	policy := v1beta1.ApprovalPolicy{Required: 2, ExpiresAfter: &metav1.Duration{Duration: time.Hour}}
	t.Run("too late", func(t *testing.T) {
		f := newFixture(t, 1, stage("a", approvedBy(policy)))
		f.steps()
		f.world.Approvals["run-before-a"].SetCreationTimestamp(metav1.NewTime(f.now))
		f.approve(person("ann"))
		expiry := f.now.Add(time.Hour)
		// An approval that came in the last moment may still be on its way.
		f.pass(time.Hour)
		f.steps()
		f.wantClusters("a1")
		if got, want := f.step().WakeAt, f.now.Add(5*time.Second); !got.Equal(want) {
			t.Errorf("looks again at %s, want %s", got, want)
		}
		f.pass(5 * time.Second)
		f.steps()
		f.wantCondition(v1beta1.RunSucceeded, "False UpdateRunApprovalExpired: The updateRun was not approved before stage a until "+
			expiry.Format(time.RFC3339)+": ClusterApprovalRequest run-before-a has 1 of 2 approvals; create a new run")
		f.wantClusters("a1")
	})
	t.Run("approved in time and seen late", func(t *testing.T) {
		f := newFixture(t, 1, stage("a", approvedBy(policy)))
		f.steps()
		f.world.Approvals["run-before-a"].SetCreationTimestamp(metav1.NewTime(f.now))
		f.approve(person("ann"), person("bob"))
		f.pass(2 * time.Hour)
		f.steps()
		f.wantClusters("a1 Started")
	})
}

// TestAStopAndADecisionDoNotLoseEachOther: a run that is stopped does nothing with a decision and forgets none.
func TestAStopAndADecisionDoNotLoseEachOther(t *testing.T) {
	const (
		stopped  = "False UpdateRunStopped: The update run has been stopped"
		rejected = `False UpdateRunRejected: The updateRun was rejected by ann before stage a: "CHG-1"`
	)
	stop := func(f *fixture) { f.setState(v1beta1.StateStop) }
	for decision, resumed := range map[v1beta1.DecisionType]struct{ progressing, clusters string }{
		v1beta1.DecisionApproved: {"True UpdateRunProgressing: The update run is making progress", "a1 Started"},
		v1beta1.DecisionRejected: {rejected, "a1"},
	} {
		decide := func(f *fixture) { f.decide("run-before-a", decision) }
		for name, order := range map[string][]func(*fixture){
			"decided and stopped at once":  {func(f *fixture) { decide(f); stop(f) }},
			"stopped, then decided":        {stop, decide},
			"stopped, decided and deleted": {stop, decide, func(f *fixture) { delete(f.world.Approvals, "run-before-a") }},
		} {
			t.Run(string(decision)+"/"+name, func(t *testing.T) {
				f := newFixture(t, 1, stage("a", approvedBefore))
				f.steps()
				for _, happens := range order {
					happens(f)
					f.steps()
				}
				f.wantCondition(v1beta1.RunProgressing, stopped)
				f.wantClusters("a1")
				f.setState(v1beta1.StateRun)
				f.steps()
				if len(order) == 3 {
					// What nobody has acted on is gone with the request, and is asked again.
					f.wantClusters("a1")
					if request := f.world.Approvals["run-before-a"]; request == nil || len(request.RequestStatus().Decisions) > 0 {
						t.Errorf("the request is not recreated: %+v", request)
					}
					return
				}
				f.wantCondition(v1beta1.RunProgressing, resumed.progressing)
				f.wantClusters(resumed.clusters)
			})
		}
	}
}

// TestAnApprovalOpensItsOwnGateOnly: a decision is for one stage, one side of it, and one run.
func TestAnApprovalOpensItsOwnGateOnly(t *testing.T) {
	t.Run("not that after the stage", func(t *testing.T) {
		f := newFixture(t, 1, stage("a", approvedBefore, approvedAfter), stage("b", approvedBefore))
		f.steps()
		f.decide("run-before-a", v1beta1.DecisionApproved)
		f.steps()
		f.available("a1")
		f.steps()
		f.wantClusters("a1 Succeeded", "b1")
		f.wantCondition(v1beta1.RunProgressing, "False UpdateRunWaiting: The updateRun is waiting for after-stage tasks in stage a to complete")
	})
	t.Run("not that of the next stage", func(t *testing.T) {
		f := newFixture(t, 1, stage("a", approvedAfter), stage("b", approvedBefore))
		f.steps()
		f.available("a1")
		f.steps()
		f.decide("run-after-a", v1beta1.DecisionApproved)
		f.steps()
		f.wantClusters("a1 Succeeded", "b1")
		f.wantCondition(v1beta1.RunProgressing, "False UpdateRunWaiting: The updateRun is waiting for before-stage tasks in stage b to complete")
	})
	t.Run("not that of a run of the same name", func(t *testing.T) {
		f := newFixture(t, 1, stage("a", approvedBefore))
		f.steps()
		f.decide("run-before-a", v1beta1.DecisionApproved)
		approved := f.world.Approvals
		next := newFixture(t, 1, stage("a", approvedBefore))
		next.run.UID = "next"
		next.world.Approvals = approved
		next.steps()
		next.wantClusters("a1")
		next.wantCondition(v1beta1.RunProgressing, "False UpdateRunWaiting: The updateRun is waiting for before-stage tasks in stage a to complete: "+
			"ClusterApprovalRequest run-before-a belongs to ClusterStagedUpdateRun run (uid run-uid) and not to this run; delete it")
	})
}

// TestARequestThatWasThereBeforeTheRunOpensNothing: whoever may make requests cannot ask in the run's place. It is named until it is
// deleted, and then the run asks itself.
func TestARequestThatWasThereBeforeTheRunOpensNothing(t *testing.T) {
	for name, owners := range map[string][]metav1.OwnerReference{
		"of nobody":                   nil,
		"of a run of another uid":     {{Kind: "ClusterStagedUpdateRun", Name: "run", UID: "guessed"}},
		"of something else by chance": {{Kind: "ClusterStagedUpdateRun", Name: "other", UID: "other"}, {Kind: "ConfigMap", Name: "run", UID: "run"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a", approvedBefore))
			f.world.Approvals["run-before-a"] = &v1beta1.ClusterApprovalRequest{
				ObjectMeta: metav1.ObjectMeta{Name: "run-before-a", UID: "early", OwnerReferences: owners},
				Spec:       v1beta1.ApprovalRequestSpec{TargetUpdateRun: "run", TargetStage: "a"},
			}
			f.decide("run-before-a", v1beta1.DecisionApproved)
			f.steps()
			f.wantClusters("a1")
			if got := f.condition(v1beta1.RunProgressing); !strings.Contains(got, "ClusterApprovalRequest run-before-a belongs to ") || !strings.HasSuffix(got, "and not to this run; delete it") {
				t.Errorf("Progressing is %q", got)
			}
			if len(f.last.Accepts) > 0 {
				t.Error("the request is accepted")
			}

			delete(f.world.Approvals, "run-before-a")
			f.steps()
			f.wantClusters("a1")
			f.decide("run-before-a", v1beta1.DecisionApproved)
			f.steps()
			f.wantClusters("a1 Started")
		})
	}
}
