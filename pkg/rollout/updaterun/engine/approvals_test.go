// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"strings"
	"testing"
	"time"

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

func TestAGateWithAPolicyOpensOnceItIsMet(t *testing.T) {
	const waiting = "False UpdateRunWaiting: The updateRun is waiting for before-stage tasks in stage a to complete"
	two := v1beta1.ApprovalPolicy{Required: 2, Groups: []string{"sre"}, AllowRequester: ptr.To(false)}
	tests := map[string]struct {
		users []v1beta1.DecisionUser
		// message is empty where the gate opens.
		message string
	}{
		"nobody":                 {nil, waiting + ": run-before-a has 0 of 2 approvals, one of them has to be by a member of group sre"},
		"one":                    {[]v1beta1.DecisionUser{person("sue", "sre")}, waiting + ": run-before-a has 1 of 2 approvals"},
		"the requester and one":  {[]v1beta1.DecisionUser{person("req"), person("sue", "sre")}, waiting + ": run-before-a has 1 of 2 approvals"},
		"the same twice":         {[]v1beta1.DecisionUser{person("sue", "sre"), person("sue", "sre")}, waiting + ": run-before-a has 1 of 2 approvals"},
		"two":                    {[]v1beta1.DecisionUser{person("ann"), person("sue", "sre")}, ""},
		"two, none of the group": {[]v1beta1.DecisionUser{person("ann"), person("bob")}, waiting + ": run-before-a has 2 of 2 approvals, one of them has to be by a member of group sre"},
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
