// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
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
		want := v1beta1.ApprovalRequestSpec{TargetUpdateRun: "example-run", TargetStage: "canary", Policy: policy, Requester: requester, Rollout: &v1beta1.StageRollout{
			PlacementName: "example-placement", ResourceSnapshotIndex: "1", Clusters: []string{"member3", "member1"}, ClusterCount: 2, RunClustersDone: 1, RunClusterCount: 3,
		}}
		if diff := cmp.Diff(want, *request.RequestSpec()); diff != "" {
			t.Errorf("spec (-want +got):\n%s", diff)
		}
	})
}

func TestResourcesAreRemovedOnceThatIsApproved(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		create(f, f.fleet.Bindings, "example-placement-gone", func(b v1beta1.BindingObject) {
			b.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "example-placement"})
			*b.BindingSpec() = v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateUnscheduled, TargetCluster: "gone"}
		})
		f.membersApply()
		defer f.start()()
		f.newRun("example-run", v1beta1.StateRun)
		f.decide("example-run-before-canary", v1beta1.DecisionApproved)
		f.eventually("the removal is asked for", func() bool {
			_, err := f.fleet.Approvals.Get(f.key("example-run-before-delete-stage"))
			return err == nil
		})
		request, err := f.fleet.Approvals.Get(f.key("example-run-before-delete-stage"))
		f.must(err)
		wantLabels := map[string]string{
			wellknown.TargetUpdateRunLabel: "example-run", wellknown.TargetUpdatingStageLabel: "delete-stage",
			wellknown.TaskTypeLabel: "beforeStage", wellknown.LatestApprovalLabel: "true",
		}
		if diff := cmp.Diff(wantLabels, request.GetLabels()); diff != "" {
			t.Errorf("labels (-want +got):\n%s", diff)
		}
		for label, value := range request.GetLabels() {
			for _, problem := range validation.IsValidLabelValue(value) {
				t.Errorf("label %s: %s", label, problem)
			}
		}
		if got := request.RequestSpec().TargetStage; got != wellknown.DeleteStageName {
			t.Errorf("the request is about stage %s", got)
		}
		run := f.fleet.Runs.GroupVersionKind(f.namespace).Kind + " example-run"
		told := "Requested: Stage kubernetes-fleet.io/deleteStage of " + run + " waits for this approval before it begins: " +
			"all resources of the placement are then removed from 1 cluster: gone"
		f.eventually("the request tells what is at stake", func() bool {
			f.events.mu.Lock()
			defer f.events.mu.Unlock()
			return slices.Contains(f.events.ofRequests, told)
		})
		if b := f.binding("gone"); b.GetDeletionTimestamp() != nil {
			t.Error("the binding is deleted before anybody has approved it")
		}

		f.decide("example-run-before-delete-stage", v1beta1.DecisionApproved)
		f.untilCondition("example-run", v1beta1.RunSucceeded, "True UpdateRunSucceeded")
		if _, err := f.fleet.Bindings.Get(f.key("example-placement-gone")); !apierrors.IsNotFound(err) {
			t.Errorf("the binding is there still: %v", err)
		}
		f.eventually("the approval is marked as acted on", func() bool {
			request, err := f.fleet.Approvals.Get(f.key("example-run-before-delete-stage"))
			return err == nil && meta.IsStatusConditionTrue(request.RequestStatus().Conditions, v1beta1.RequestApprovalAccepted)
		})
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
