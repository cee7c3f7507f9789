// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// outline is what a person reads in a run's status, without times.
type outline struct {
	Conditions []string
	Stages     []stageOutline
}

type stageOutline struct {
	Name       string
	Conditions []string
	Clusters   map[string][]string
	Tasks      []string
}

func outlineOf(status *v1beta1.UpdateRunStatus) outline {
	o := outline{Conditions: conditionsOf(status.Conditions)}
	for _, stage := range append(status.StagesStatus, *status.DeletionStageStatus) {
		so := stageOutline{Name: stage.StageName, Conditions: conditionsOf(stage.Conditions), Clusters: map[string][]string{}}
		for _, c := range stage.Clusters {
			so.Clusters[c.ClusterName] = conditionsOf(c.Conditions)
		}
		for _, task := range append(stage.BeforeStageTaskStatus, stage.AfterStageTaskStatus...) {
			so.Tasks = append(so.Tasks, conditionsOf(task.Conditions)...)
		}
		o.Stages = append(o.Stages, so)
	}
	return o
}

func conditionsOf(list []metav1.Condition) []string {
	var found []string
	for _, c := range list {
		found = append(found, c.Type+"="+string(c.Status)+" "+c.Reason+": "+c.Message)
	}
	return found
}

func TestTutorial(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.membersApply()
		defer f.start()()

		f.newRun("example-run", v1beta1.StateInitialize)
		f.untilCondition("example-run", v1beta1.RunInitialized, "True UpdateRunInitializedSuccessfully")
		if got := f.binding("member2").BindingSpec().State; got != v1beta1.BindingStateScheduled {
			f.Errorf("an initialized run has moved a cluster: %s", got)
		}

		f.setState("example-run", v1beta1.StateRun)
		f.decide("example-run-before-canary", v1beta1.DecisionApproved)
		f.untilCondition("example-run", v1beta1.RunSucceeded, "True UpdateRunSucceeded")

		prefix := "Cluster"
		if f.namespace != "" {
			prefix = ""
		}
		started := "Started=True ClusterUpdatingStarted: Cluster update started"
		done := "Succeeded=True ClusterUpdatingSucceeded: Cluster update completed successfully"
		over := []string{
			"Progressing=False StageUpdatingSucceeded: All clusters in the stage are updated and after-stage tasks are completed",
			"Succeeded=True StageUpdatingSucceeded: Stage update completed successfully",
		}
		want := outline{
			Conditions: []string{
				"Initialized=True UpdateRunInitializedSuccessfully: " + prefix + "StagedUpdateRun initialized successfully",
				"Progressing=False UpdateRunSucceeded: All stages are completed",
				"Succeeded=True UpdateRunSucceeded: All stages are completed successfully",
			},
			Stages: []stageOutline{
				{
					Name: "staging", Conditions: over, Clusters: map[string][]string{"member2": {started, done}},
					Tasks: []string{"WaitTimeElapsed=True StageTaskWaitTimeElapsed: Wait time elapsed"},
				},
				{
					Name: "canary", Conditions: over, Clusters: map[string][]string{"member3": {started, done}, "member1": {started, done}},
					Tasks: []string{
						"ApprovalRequestCreated=True StageTaskApprovalRequestCreated: " + prefix + "ApprovalRequest is created",
						"ApprovalRequestApproved=True StageTaskApprovalRequestApproved: " + prefix + "ApprovalRequest is approved",
					},
				},
				{Name: wellknown.DeleteStageName, Conditions: over, Clusters: map[string][]string{}},
			},
		}
		if diff := cmp.Diff(want, outlineOf(f.run("example-run").RunStatus())); diff != "" {
			f.Errorf("status (-want +got):\n%s", diff)
		}
		f.checkRequest()
		f.checkBinding("member3")
		wantEvents := []string{
			"Initialized", "Started", "StageStarted", "WaitTimeElapsed", "StageSucceeded", "WaitingForApproval", "Approved", "StageStarted",
			"StageSucceeded", "Succeeded",
		}
		f.eventually("all Events are recorded", func() bool { return len(f.events.reasons()) >= len(wantEvents) })
		if diff := cmp.Diff(wantEvents, f.events.reasons()); diff != "" {
			f.Errorf("Events (-want +got):\n%s", diff)
		}
	})
}

// checkRequest holds the approval request to what upstream makes, and to its owner.
func (f *fixture) checkRequest() {
	f.Helper()
	f.eventually("the approval is accepted", func() bool {
		request, err := f.fleet.Approvals.Get(f.key("example-run-before-canary"))
		return err == nil && meta.IsStatusConditionTrue(request.RequestStatus().Conditions, v1beta1.RequestApprovalAccepted)
	})
	request, err := f.fleet.Approvals.Get(f.key("example-run-before-canary"))
	f.must(err)
	want := map[string]string{
		wellknown.TargetUpdateRunLabel: "example-run", wellknown.TargetUpdatingStageLabel: "canary",
		wellknown.TaskTypeLabel: "beforeStage", wellknown.LatestApprovalLabel: "true",
	}
	if diff := cmp.Diff(want, request.GetLabels()); diff != "" {
		f.Errorf("labels (-want +got):\n%s", diff)
	}
	wantSpec := v1beta1.ApprovalRequestSpec{TargetUpdateRun: "example-run", TargetStage: "canary", Rollout: &v1beta1.StageRollout{
		PlacementName: "example-placement", ResourceSnapshotIndex: "1", Clusters: []string{"member3", "member1"}, ClusterCount: 2, RunClustersDone: 1, RunClusterCount: 3,
	}}
	if diff := cmp.Diff(wantSpec, *request.RequestSpec()); diff != "" {
		f.Errorf("spec (-want +got):\n%s", diff)
	}
	owner := metav1.GetControllerOf(request)
	if owner == nil || owner.UID != f.run("example-run").GetUID() || owner.APIVersion != "placement.kubernetes-fleet.io/v1beta1" {
		f.Errorf("owner is %v", owner)
	}
}

func (f *fixture) checkBinding(cluster string) {
	f.Helper()
	b := f.binding(cluster)
	if spec := b.BindingSpec(); spec.State != v1beta1.BindingStateBound || spec.ResourceSnapshotName != "example-placement-1-snapshot" || spec.ApplyStrategy == nil {
		f.Errorf("binding is %+v", spec)
	}
	started := b.BindingStatus().Conditions[0]
	want := "Detected the new changes on the resources and started the rollout process, resourceSnapshotIndex: 1, updateRun: example-run"
	if started.Type != v1beta1.BindingRolloutStarted || started.Message != want || started.ObservedGeneration != b.GetGeneration() {
		f.Errorf("RolloutStarted is %+v", started)
	}
	run, err := f.fleet.Runs.Get(f.key("example-run"))
	f.must(err)
	if diff := cmp.Diff(bindingrules.Mover{Name: "example-run", UID: run.GetUID(), Turn: 1}, bindingrules.LastMove(b)); diff != "" {
		f.Errorf("the last move (-want +got):\n%s", diff)
	}
}

func TestStopAndResume(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		defer f.start()()
		f.newRun("example-run", v1beta1.StateRun)
		f.eventually("member2 is being updated", func() bool { return bindingrules.IsRolloutStarted(f.binding("member2")) })

		f.setState("example-run", v1beta1.StateStop)
		f.untilCondition("example-run", v1beta1.RunProgressing, "Unknown UpdateRunStopping")
		f.available(fleet.Copy(f.binding("member2")))
		f.untilCondition("example-run", v1beta1.RunProgressing, "False UpdateRunStopped")

		f.membersApply()
		f.setState("example-run", v1beta1.StateRun)
		f.decide("example-run-before-canary", v1beta1.DecisionApproved)
		f.untilCondition("example-run", v1beta1.RunSucceeded, "True UpdateRunSucceeded")
	})
}

func TestAStoppedRunGivesWayToARollback(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.membersApply()
		defer f.start()()
		f.newRun("first", v1beta1.StateRun)
		f.untilCondition("first", v1beta1.RunProgressing, "False UpdateRunWaiting")

		f.newRunAt("rollback", "0", v1beta1.StateRun)
		f.eventually("the second run waits", func() bool { return f.message("rollback", v1beta1.RunProgressing) != "" })
		kind := f.fleet.Runs.GroupVersionKind(f.namespace).Kind
		want := "The updateRun is waiting for its turn: " + kind + " first is moving placement example-placement; stop or delete it to take over"
		if got := f.message("rollback", v1beta1.RunProgressing); got != want {
			f.Errorf("message is %q, want %q", got, want)
		}
		f.setState("first", v1beta1.StateStop)
		f.decide("rollback-before-canary", v1beta1.DecisionApproved)
		f.untilCondition("rollback", v1beta1.RunSucceeded, "True UpdateRunSucceeded")

		f.setState("first", v1beta1.StateRun)
		f.untilCondition("first", v1beta1.RunSucceeded, "False UpdateRunFailed")
		want = "cannot continue the updateRun: failed to process the request due to a client error: " + kind +
			" rollback has moved cluster member2 since this run was stopped; create a new run instead of resuming this one"
		if got := f.message("first", v1beta1.RunSucceeded); got != want {
			f.Errorf("message is %q, want %q", got, want)
		}
	})
}

func TestRejectionEndsTheRun(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.membersApply()
		defer f.start()()
		f.newRun("example-run", v1beta1.StateRun)
		f.decide("example-run-before-canary", v1beta1.DecisionRejected)
		f.untilCondition("example-run", v1beta1.RunSucceeded, "False UpdateRunRejected")
		if got, want := f.message("example-run", v1beta1.RunSucceeded), `The updateRun was rejected by ann before stage canary: "CHG-1"`; got != want {
			f.Errorf("message is %q, want %q", got, want)
		}
	})
}

func TestALeaderThatDiesAfterTheStatusIsContinued(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		var dead atomic.Bool
		dead.Store(true)
		f.client.PrependReactor("update", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
			_, binding := a.(clienttesting.UpdateAction).GetObject().(v1beta1.BindingObject)
			if dead.Load() && binding {
				return true, nil, errors.New("the leader is dead")
			}
			return false, nil, nil
		})
		stop := f.start()
		f.newRun("example-run", v1beta1.StateRun)
		f.eventually("the start of member2 is recorded", func() bool {
			stages := f.run("example-run").RunStatus().StagesStatus
			return len(stages) > 0 && meta.IsStatusConditionTrue(stages[0].Clusters[0].Conditions, v1beta1.ClusterStarted)
		})
		stop()
		if bindingrules.IsRolloutStarted(f.binding("member2")) {
			f.Fatal("the binding was written")
		}

		dead.Store(false)
		f.membersApply()
		defer f.start()()
		f.decide("example-run-before-canary", v1beta1.DecisionApproved)
		f.untilCondition("example-run", v1beta1.RunSucceeded, "True UpdateRunSucceeded")
	})
}

func TestAConflictDropsTheRest(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.newRun("example-run", v1beta1.StateRun)
		old := fleet.Copy(f.run("example-run"))
		update(f, f.fleet.Runs, "example-run", false, func(r v1beta1.UpdateRunObject) { r.SetLabels(map[string]string{"edited": "yes"}) })
		f.client.ClearActions()

		b := f.binding("member2")
		err := f.controller().perform(f.ctx, old, engine.Decision{
			Status:   &v1beta1.UpdateRunStatus{},
			Requests: []engine.Request{{Name: "request", Stage: "staging"}},
			Bindings: []engine.BindingWrite{{Binding: b, Spec: b.BindingSpec(), Turn: 1}},
			Events:   []engine.Event{{Reason: "Started"}},
		}, time.Now())
		if !apierrors.IsConflict(err) {
			f.Errorf("error is %v, want a conflict", err)
		}
		if n := f.writesTo("requests") + f.writesTo("bindings") + len(f.events.reasons()); n > 0 {
			f.Errorf("%d things were done after a conflict", n)
		}
	})
}

// TestAClaimIsNotHeldUpByAnApproval has a run claim its turn and take it, with an approval that nobody was told of yet.
func TestAClaimIsNotHeldUpByAnApproval(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.newRun("example-run", v1beta1.StateRun)
		create(f, f.fleet.Approvals, "example-run-before-staging", func(v1beta1.ApprovalRequestObject) {})
		request, err := f.fleet.Approvals.Client(f.key("").Namespace).Get(f.ctx, "example-run-before-staging", metav1.GetOptions{})
		f.must(err)
		c := f.controller()
		for _, test := range []struct {
			turn v1beta1.TurnState
			want int
		}{{v1beta1.TurnClaimed, 0}, {v1beta1.TurnHeld, 1}} {
			run, err := f.fleet.Runs.Client(f.key("").Namespace).Get(f.ctx, "example-run", metav1.GetOptions{})
			f.must(err)
			f.client.ClearActions()
			f.must(c.perform(f.ctx, run, engine.Decision{
				Status:  &v1beta1.UpdateRunStatus{Turn: &v1beta1.UpdateRunTurn{State: test.turn}},
				Accepts: []v1beta1.ApprovalRequestObject{request},
			}, time.Now()))
			if got := f.writesTo("requests"); got != test.want {
				f.Errorf("%s: %d requests are written, want %d", test.turn, got, test.want)
			}
		}
	})
}

func TestObjectsMayBeCreatedInAnyOrder(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.membersApply()
		defer f.start()()
		f.newRun("example-run", v1beta1.StateInitialize)
		f.untilCondition("example-run", v1beta1.RunInitialized, "False UpdateRunInitializedFailed")
		f.strategy()
		f.members()
		f.placement()
		f.untilCondition("example-run", v1beta1.RunInitialized, "True UpdateRunInitializedSuccessfully")
		if f.run("example-run").RunStatus().InitializationStartTime != nil {
			f.Error("the time of the first attempt is still there")
		}
	})
}

func TestARunWithoutIndexUsesALiveSnapshot(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.snapshots.err = errors.New("the hub does not answer")
		defer f.start()()
		f.newRunAt("example-run", "", v1beta1.StateInitialize)
		f.untilCondition("example-run", v1beta1.RunInitialized, "False UpdateRunInitializedFailed")

		f.snapshots.mu.Lock()
		f.snapshots.err = nil
		f.snapshots.mu.Unlock()
		f.untilCondition("example-run", v1beta1.RunInitialized, "True UpdateRunInitializedSuccessfully")
		if got := f.run("example-run").RunStatus().ResourceSnapshotIndexUsed; got != "7" {
			f.Errorf("index used is %q, want 7", got)
		}
	})
}

func TestASelectionOnlyTheUserCanMendIsFinal(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.snapshots.err = reconcile.Terminalf("found duplicate resource")
		defer f.start()()
		f.newRunAt("example-run", "", v1beta1.StateRun)
		f.untilCondition("example-run", v1beta1.RunInitialized, "False UpdateRunInitializedFailed")
		want := "cannot continue the updateRun: failed to validate the updateRun: failed to process the request due to a client error: found duplicate resource"
		if got := f.message("example-run", v1beta1.RunInitialized); got != want {
			f.Errorf("message is %q, want %q", got, want)
		}
		if !runrules.IsOver(f.run("example-run").RunStatus()) {
			f.Error("the run is not over")
		}
	})
}

func TestDeletingTheRunDeletesItsRequestsOnly(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.membersApply()
		defer f.start()()
		f.newRun("example-run", v1beta1.StateRun)
		f.eventually("approval is asked for", func() bool { _, err := f.fleet.Approvals.Get(f.key("example-run-before-canary")); return err == nil })
		create(f, f.fleet.Approvals, "foreign", func(a v1beta1.ApprovalRequestObject) {
			a.RequestSpec().TargetUpdateRun = "example-run"
			a.SetOwnerReferences([]metav1.OwnerReference{{Kind: "Run", Name: "other", UID: "other"}})
		})
		moved := f.binding("member2").GetResourceVersion()

		update(f, f.fleet.Runs, "example-run", false, func(r v1beta1.UpdateRunObject) {
			now := metav1.Now()
			r.SetDeletionTimestamp(&now)
		})
		f.eventually("the finalizer goes", func() bool { return !reconcile.HasFinalizer(f.run("example-run"), wellknown.UpdateRunFinalizer) })
		f.eventually("the request goes", func() bool {
			_, err := f.fleet.Approvals.Get(f.key("example-run-before-canary"))
			return apierrors.IsNotFound(err)
		})
		if _, err := f.fleet.Approvals.Get(f.key("foreign")); err != nil {
			f.Errorf("the request of another run: %v", err)
		}
		if got := f.binding("member2").GetResourceVersion(); got != moved {
			f.Error("the binding was written")
		}
	})
}

func TestDeletingThePlacementEndsTheRun(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		defer f.start()()
		f.newRun("example-run", v1beta1.StateInitialize)
		f.untilCondition("example-run", v1beta1.RunInitialized, "True UpdateRunInitializedSuccessfully")
		f.must(f.fleet.Placements.Client(f.namespace).Delete(f.ctx, "example-placement", metav1.DeleteOptions{}))
		f.untilCondition("example-run", v1beta1.RunSucceeded, "False UpdateRunFailed")
	})
}

func TestAClusterThatLeavesIsSkipped(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		defer f.start()()
		f.newRun("example-run", v1beta1.StateRun)
		f.eventually("member2 is being updated", func() bool { return bindingrules.IsRolloutStarted(f.binding("member2")) })
		f.must(f.client.ClusterV1beta1().MemberClusters().Delete(f.ctx, "member2", metav1.DeleteOptions{}))
		f.untilCondition("example-run", v1beta1.RunProgressing, "False UpdateRunWaiting")
		want := []string{
			"Started=True ClusterUpdatingStarted: Cluster update started",
			"Succeeded=True ClusterUpdatingSkipped: Cluster update skipped: the cluster has left the fleet",
		}
		if diff := cmp.Diff(want, conditionsOf(f.run("example-run").RunStatus().StagesStatus[0].Clusters[0].Conditions)); diff != "" {
			f.Errorf("conditions (-want +got):\n%s", diff)
		}
	})
}

func TestAWorldOlderThanTheLastWriteIsNotLookedAt(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		request := create(f, f.fleet.Approvals, "request", func(v1beta1.ApprovalRequestObject) {})
		for name, write := range map[string]func(c *Controller, run v1beta1.UpdateRunObject, version string){
			"the-run": func(c *Controller, run v1beta1.UpdateRunObject, version string) {
				c.written.Wrote(keyOf(run), f.fleet.Runs.Cache(f.namespace), withVersion(run, version))
			},
			"a-binding": func(c *Controller, run v1beta1.UpdateRunObject, version string) {
				c.moved.Wrote(placementOf(run), f.fleet.Bindings.Cache(f.namespace), withVersion(f.binding("member1"), version))
			},
			"a-decision": func(c *Controller, run v1beta1.UpdateRunObject, version string) {
				c.written.Wrote(keyOf(run), f.fleet.Approvals.Cache(f.namespace), withVersion(request, version))
			},
		} {
			f.newRun(name, v1beta1.StateInitialize)
			// That a run is looked at shows in its finalizer.
			isLookedAt := func(version string) bool {
				c := f.controller()
				write(c, f.run(name), version)
				_, err := c.reconcile(f.ctx, f.key(name))
				f.must(err)
				run, err := f.fleet.Runs.Client(f.namespace).Get(f.ctx, name, metav1.GetOptions{})
				f.must(err)
				return reconcile.HasFinalizer(run, wellknown.UpdateRunFinalizer)
			}
			if isLookedAt("99999999") {
				f.Errorf("%s: the cache is older and not taken for stale", name)
			}
			if !isLookedAt("1") {
				f.Errorf("%s: the cache has it and is taken for stale", name)
			}
		}
	})
}

// Nothing wakes a run that is over when another run's write to a binding gets to the cache.
func TestARunThatIsOverIsReleasedWhateverIsWrittenToBindings(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		now := metav1.Now()
		create(f, f.fleet.Runs, "example-run", func(r v1beta1.UpdateRunObject) {
			r.RunSpec().PlacementName = "example-placement"
			r.SetFinalizers([]string{wellknown.UpdateRunFinalizer})
			r.SetDeletionTimestamp(&now)
			r.RunStatus().Conditions = []metav1.Condition{
				{Type: v1beta1.RunInitialized, Status: metav1.ConditionTrue},
				{Type: v1beta1.RunSucceeded, Status: metav1.ConditionTrue},
			}
		})
		c := f.controller()
		c.moved.Wrote(f.key("example-placement"), f.fleet.Bindings.Cache(f.namespace), withVersion(f.binding("member1"), "99999999"))
		_, err := c.reconcile(f.ctx, f.key("example-run"))
		f.must(err)
		f.eventually("the finalizer goes", func() bool { return !reconcile.HasFinalizer(f.run("example-run"), wellknown.UpdateRunFinalizer) })
	})
}

func withVersion[O fleet.Object](o O, version string) O {
	o = fleet.Copy(o)
	o.SetResourceVersion(version)
	return o
}
