// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestARequestCarriesThePolicyOfItsStageAndWhoCreatedTheRun(t *testing.T) {
	policy := &v1beta1.ApprovalPolicy{
		Required: 2, Groups: []string{"sre"}, AllowRequester: ptr.To(false), ExpiresAfter: &metav1.Duration{Duration: time.Hour},
	}
	requester := &v1beta1.DecisionUser{Username: "ann", UID: "1", Groups: []string{"dev"}}
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		update(f, f.fleet.Strategies, "example-strategy", false, func(s v1beta1.UpdateStrategyObject) {
			s.StrategySpec().Stages[1].BeforeStageTasks[0].Approval = policy
		})
		f.eventually("the policy is in the cache", func() bool {
			s, err := f.fleet.Strategies.Get(f.key("example-strategy"))
			return err == nil && s.StrategySpec().Stages[1].BeforeStageTasks[0].Approval != nil
		})
		f.membersApply()
		create(f, f.fleet.Runs, "example-run", func(r v1beta1.UpdateRunObject) {
			*r.RunSpec() = v1beta1.UpdateRunSpec{
				PlacementName: "example-placement", StagedUpdateStrategyName: "example-strategy", ResourceSnapshotIndex: "1", State: v1beta1.StateRun,
			}
			r.RunStatus().CreatedBy = requester
		})
		defer f.start()()
		f.eventually("the approval is asked for", func() bool {
			_, err := f.fleet.Approvals.Get(f.key("example-run-before-canary"))
			return err == nil
		})
		request, err := f.fleet.Approvals.Get(f.key("example-run-before-canary"))
		f.must(err)
		want := v1beta1.ApprovalRequestSpec{TargetUpdateRun: "example-run", TargetStage: "canary", Policy: policy, Requester: requester}
		if diff := cmp.Diff(want, *request.RequestSpec()); diff != "" {
			t.Errorf("spec (-want +got):\n%s", diff)
		}
	})
}

func TestARequestTellsWhoWaitsAndWhenThatIsOver(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.membersApply()
		defer f.start()()
		f.newRun("example-run", v1beta1.StateRun)
		f.decide("example-run-before-canary", v1beta1.DecisionApproved)
		f.untilCondition("example-run", v1beta1.RunSucceeded, "True UpdateRunSucceeded")
		run := f.fleet.Runs.GroupVersionKind(f.namespace).Kind + " example-run"
		want := []string{"Requested: Stage canary of " + run + " waits for this approval before it begins", "Accepted: " + run + " has acted on the approval"}
		var got []string
		f.eventually("all Events are recorded", func() bool {
			f.events.mu.Lock()
			defer f.events.mu.Unlock()
			got = slices.Clone(f.events.ofRequests)
			return len(got) >= len(want)
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Events (-want +got):\n%s", diff)
		}
	})
}
