// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

func newRun() *v1beta1.ClusterStagedUpdateRun {
	return &v1beta1.ClusterStagedUpdateRun{
		ObjectMeta: metav1.ObjectMeta{Name: "run", UID: "run-uid", Generation: 1},
		Spec: v1beta1.UpdateRunSpec{
			PlacementName: "p", StagedUpdateStrategyName: "s", ResourceSnapshotIndex: "1", State: v1beta1.StateInitialize,
		},
	}
}

// pickN has a world's placement pick a number of clusters, by a policy snapshot that holds a number as well.
func pickN(w *known, held string, wanted int32) {
	snapshot := w.PolicySnapshots[0]
	snapshot.PolicySnapshotSpec().Policy = &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickNPlacementType}
	annotations := snapshot.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[wellknown.NumberOfClustersAnnotation] = held
	snapshot.SetAnnotations(annotations)
	w.Placement.PlacementSpec().Policy = &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickNPlacementType, NumberOfClusters: ptr.To(wanted)}
}

// TestARunOverPickN moves the clusters that are picked, and takes the placement off those that are too many in its last stage.
func TestARunOverPickN(t *testing.T) {
	w := initWorld(3, stage("a"))
	pickN(&w, "2", 2)
	w.Bindings[0].BindingSpec().State = v1beta1.BindingStateUnscheduled
	status := initialize(newRun(), w, simStart).Decision.Status
	var updated, removed []string
	for _, s := range status.StagesStatus {
		for _, c := range s.Clusters {
			updated = append(updated, c.ClusterName)
		}
	}
	if status.DeletionStageStatus != nil {
		for _, c := range status.DeletionStageStatus.Clusters {
			removed = append(removed, c.ClusterName)
		}
	}
	if diff := cmp.Diff([][]string{{"a2", "a3"}, {"a1"}}, [][]string{updated, removed}); diff != "" || status.PolicyObservedClusterCount != 2 {
		t.Errorf("the policy picks %d clusters, want 2; updated and removed (-want +got):\n%s", status.PolicyObservedClusterCount, diff)
	}
}

func TestAPlanHasTheShapeOfUpstreams(t *testing.T) {
	w := initWorld(0)
	w.Strategy.StrategySpec().Stages = []v1beta1.StageConfig{
		stage("staging", waitAfter(time.Minute)),
		stage("canary", approvedBefore, concurrency("50%"), func(c *v1beta1.StageConfig) { c.SortingLabelKey = ptr.To("order") }),
	}
	for name, labels := range map[string]map[string]string{
		"member1": {"stage": "canary", "order": "2"}, "member2": {"stage": "staging"}, "member3": {"stage": "canary", "order": "1"},
		"elsewhere": {"stage": "canary"},
	} {
		w.Members = append(w.Members, plan.Member{Name: name, Labels: labels})
		if name != "elsewhere" {
			w.Bindings = append(w.Bindings, &v1beta1.ClusterResourceBinding{Spec: v1beta1.ResourceBindingSpec{
				State: v1beta1.BindingStateScheduled, TargetCluster: name, SchedulingPolicySnapshotName: "p-0",
			}})
		}
	}
	o := initialize(newRun(), w, simStart)
	got, err := yaml.Marshal(o.Decision.Status)
	if err != nil {
		t.Fatal(err)
	}
	want := `appliedStrategy:
  comparisonOption: PartialComparison
  type: ClientSideApply
  whenToApply: Always
  whenToTakeOver: Always
conditions:
- lastTransitionTime: "2026-01-01T12:00:00Z"
  message: ClusterStagedUpdateRun initialized successfully
  observedGeneration: 1
  reason: UpdateRunInitializedSuccessfully
  status: "True"
  type: Initialized
deletionStageStatus:
  clusters: []
  stageName: kubernetes-fleet.io/deleteStage
history:
- message: Planned to roll out resource snapshot 1 to 3 clusters in 2 stages
  number: 1
  reason: Initialized
  time: "2026-01-01T12:00:00Z"
placementUID: placement
policyObservedClusterCount: 3
policySnapshotIndexUsed: "0"
resourceSnapshotIndexUsed: "1"
stagedUpdateStrategySnapshot:
  stages:
  - afterStageTasks:
    - type: TimedWait
      waitTime: 1m0s
    labelSelector:
      matchLabels:
        stage: staging
    maxConcurrency: 1
    name: staging
  - beforeStageTasks:
    - type: Approval
    labelSelector:
      matchLabels:
        stage: canary
    maxConcurrency: 50%
    name: canary
    sortingLabelKey: order
stagesStatus:
- afterStageTaskStatus:
  - type: TimedWait
  clusters:
  - clusterName: member2
  stageName: staging
- beforeStageTaskStatus:
  - approvalRequestName: run-before-canary
    type: Approval
  clusters:
  - clusterName: member3
  - clusterName: member1
  stageName: canary
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestWhatKeepsARunFromBeingPlanned(t *testing.T) {
	const (
		invalid = "cannot continue the updateRun: failed to validate the updateRun: "
		user    = invalid + "failed to process the request due to a client error: "
		unusual = invalid + "unexpected behavior which cannot be handled by the controller: "
	)
	stageOf := func(change func(*v1beta1.StageConfig)) func(*v1beta1.ClusterStagedUpdateRun, *known) {
		return func(_ *v1beta1.ClusterStagedUpdateRun, w *known) {
			change(&w.Strategy.StrategySpec().Stages[0])
		}
	}
	world := func(change func(*known)) func(*v1beta1.ClusterStagedUpdateRun, *known) {
		return func(_ *v1beta1.ClusterStagedUpdateRun, w *known) { change(w) }
	}
	task := func(kind v1beta1.StageTaskType, wait *metav1.Duration) v1beta1.StageTask {
		return v1beta1.StageTask{Type: kind, WaitTime: wait}
	}
	tests := map[string]struct {
		change func(*v1beta1.ClusterStagedUpdateRun, *known)
		result engine.Result
		want   string
	}{
		"no placement": {
			world(func(w *known) { w.Placement = nil }), engine.ResultWaiting, user + "parent placement not found",
		},
		"a placement that is deleted": {
			world(func(w *known) { w.Placement.SetDeletionTimestamp(&metav1.Time{Time: simStart}) }), engine.ResultWaiting,
			user + "parent placement not found",
		},
		"a placement that rolls out by itself": {
			world(func(w *known) { w.Placement.PlacementSpec().Strategy.Type = "" }), engine.ResultFailed,
			user + "parent placement does not have an external rollout strategy, current strategy: RollingUpdate; set its spec.strategy.type to External",
		},
		"no policy snapshot": {
			world(func(w *known) { w.PolicySnapshots = nil }), engine.ResultWaiting,
			invalid + "no latest policy snapshot found for placement p",
		},
		"two policy snapshots": {
			world(func(w *known) { w.PolicySnapshots = append(w.PolicySnapshots, w.PolicySnapshots[0]) }), engine.ResultWaiting,
			unusual + "multiple active policy snapshots found for placement p: got 2, want 1",
		},
		"a policy snapshot without index": {
			world(func(w *known) { delete(w.PolicySnapshots[0].GetLabels(), wellknown.PolicyIndexLabel) }), engine.ResultFailed,
			unusual + "policy snapshot `p-0` does not have a policy index label",
		},
		"unfinished scheduling": {
			world(func(w *known) {
				w.PolicySnapshots[0].PolicySnapshotStatus().Conditions[0].Status = metav1.ConditionFalse
			}),
			engine.ResultWaiting, invalid + "policy snapshot `p-0` not fully scheduled yet",
		},
		"scheduling of an older generation": {
			world(func(w *known) { w.PolicySnapshots[0].SetGeneration(2) }), engine.ResultWaiting,
			invalid + "policy snapshot `p-0` not fully scheduled yet",
		},
		"scheduling by an older policy": {
			world(func(w *known) {
				w.Placement.SetGeneration(2)
				w.Placement.PlacementSpec().Policy = &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickFixedPlacementType}
			}), engine.ResultWaiting, invalid + "policy snapshot `p-0` not fully scheduled yet",
		},
		"no bindings": {
			world(func(w *known) { w.Bindings = nil }), engine.ResultWaiting,
			invalid + "no scheduled or to-be-deleted bindings found for the latest policy snapshot p-0",
		},
		"a policy that picks nobody": {
			world(func(w *known) {
				w.Bindings = nil
				w.PolicySnapshots[0].PolicySnapshotStatus().Conditions[0].Message = "found 0 cluster(s); no cluster is picked: the fleet has no member cluster"
			}), engine.ResultWaiting,
			invalid + "no scheduled or to-be-deleted bindings found for the latest policy snapshot p-0: no cluster is picked: the fleet has no member cluster",
		},
		"a policy that names a cluster which is not there": {
			world(func(w *known) {
				c := &w.PolicySnapshots[0].PolicySnapshotStatus().Conditions[0]
				c.Status, c.Message = metav1.ConditionFalse, "could not find all clusters"
			}), engine.ResultWaiting, invalid + "policy snapshot `p-0` not fully scheduled yet: could not find all clusters",
		},
		"a binding of an older policy": {
			world(func(w *known) { w.Bindings[0].BindingSpec().SchedulingPolicySnapshotName = "p-9" }), engine.ResultWaiting,
			"binding `b-a1` with old policy snapshot `p-9` has state Scheduled, we might observe a transient state, need retry",
		},
		"a binding that is not seen yet": {
			world(func(w *known) {
				w.PolicySnapshots[0].PolicySnapshotStatus().SelectedClusters = 3
			}), engine.ResultWaiting, unusual + "the number of selected bindings 2 is not equal to the observed cluster count 3",
		},
		"a cluster that scheduling has picked and not told of yet": {
			world(func(w *known) {
				w.PolicySnapshots[0].PolicySnapshotStatus().SelectedClusters = 1
			}), engine.ResultWaiting, unusual + "the number of selected bindings 2 is not equal to the observed cluster count 1",
		},
		"the first clusters that scheduling has picked, after it told of none": {
			world(func(w *known) {
				w.PolicySnapshots[0].PolicySnapshotStatus().Conditions[0].Message = "found 0 cluster(s); no cluster is picked: the fleet has no member cluster"
			}), engine.ResultWaiting, unusual + "the number of selected bindings 2 is not equal to the observed cluster count 0",
		},
		"another number than named": {
			world(func(w *known) {
				w.PolicySnapshots[0].PolicySnapshotSpec().Policy = &v1beta1.PlacementPolicy{
					PlacementType: v1beta1.PickFixedPlacementType, ClusterNames: []string{"a1", "a2", "a3"},
				}
			}), engine.ResultWaiting, unusual + "the number of selected bindings 2 is not equal to the observed cluster count 3",
		},
		"a number that is not scheduled yet": {
			world(func(w *known) {
				pickN(w, "2", 3)
				w.Placement.SetGeneration(2)
			}), engine.ResultWaiting, invalid + "policy snapshot `p-0` not fully scheduled yet",
		},
		"a larger number that is scheduled, with bindings that are not seen yet": {
			world(func(w *known) { pickN(w, "3", 3) }), engine.ResultWaiting, unusual + "the number of selected bindings 2 is not equal to the observed cluster count 3",
		},
		"a smaller number, with a binding that is not seen to be let go of": {
			world(func(w *known) { pickN(w, "1", 1) }), engine.ResultWaiting, unusual + "the number of selected bindings 2 is not equal to the observed cluster count 1",
		},
		"no number to pick": {
			world(func(w *known) {
				w.PolicySnapshots[0].PolicySnapshotSpec().Policy = &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickNPlacementType}
			}), engine.ResultFailed, unusual + "the policy snapshot `p-0` doesn't have valid cluster count annotation",
		},
		"no strategy": {
			world(func(w *known) { w.Strategy = nil }), engine.ResultWaiting, user + "referenced updateStrategy not found: `s`",
		},
		"too many stages": {
			world(func(w *known) { w.Strategy.StrategySpec().Stages = make([]v1beta1.StageConfig, 32) }), engine.ResultFailed,
			user + "the updateStrategy `s` is invalid, err: spec.stages: Too many: 32: must have at most 31 items",
		},
		"a stage twice": {
			world(func(w *known) {
				spec := w.Strategy.StrategySpec()
				spec.Stages = append(spec.Stages, spec.Stages[0])
			}), engine.ResultFailed, user + "the stage name is used more than once, updateStrategy: `s`, stage: a",
		},
		"no concurrency": {
			stageOf(func(c *v1beta1.StageConfig) { c.MaxConcurrency = ptr.To(intstr.FromInt32(0)) }), engine.ResultFailed,
			user + "the stage maxConcurrency is invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].maxConcurrency: Invalid value: 0: maxConcurrency must be at least 1",
		},
		"a concurrency of 101%": {
			stageOf(func(c *v1beta1.StageConfig) { c.MaxConcurrency = ptr.To(intstr.FromString("101%")) }), engine.ResultFailed,
			user + "the stage maxConcurrency is invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].maxConcurrency: Invalid value: \"101%\": spec.stages[0].maxConcurrency in body should match '^(100|[1-9][0-9]?)%$': write a number such as 2, or a percentage from \"1%\" to \"100%\"",
		},
		"several things": {
			stageOf(func(c *v1beta1.StageConfig) {
				c.MaxConcurrency, c.SortingLabelKey = ptr.To(intstr.FromInt32(0)), ptr.To("/")
			}), engine.ResultFailed,
			user + "the stage sortingLabelKey is invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].sortingLabelKey: Invalid value: \"/\": prefix part must be non-empty (and 3 more)",
		},
		"a cluster that has no time": {
			stageOf(func(c *v1beta1.StageConfig) { c.FailurePolicy = &v1beta1.FailurePolicy{} }), engine.ResultFailed,
			user + "the stage failurePolicy is invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].failurePolicy.clusterTimeout: Required value: say how long the update of a cluster may take, such as 15m",
		},
		"failures that are no number": {
			stageOf(func(c *v1beta1.StageConfig) {
				c.FailurePolicy = &v1beta1.FailurePolicy{ClusterTimeout: metav1.Duration{Duration: 1}, MaxFailures: ptr.To(intstr.FromString("few"))}
			}), engine.ResultFailed,
			user + "the stage failurePolicy is invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].failurePolicy.maxFailures: Invalid value: \"few\": maxFailures `few` is invalid: invalid value for IntOrString: invalid type: string is not a percentage",
		},
		"a cluster that has no time in any stage": {
			world(func(w *known) { w.Strategy.StrategySpec().FailurePolicy = &v1beta1.FailurePolicy{} }), engine.ResultFailed,
			user + "the updateStrategy `s` is invalid, err: spec.failurePolicy.clusterTimeout: Required value: say how long the update of a cluster may take, such as 15m",
		},
		"too many approvals": {
			stageOf(func(c *v1beta1.StageConfig) {
				c.BeforeStageTasks = []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval, Approval: &v1beta1.ApprovalPolicy{Required: 11}}}
			}), engine.ResultFailed,
			user + "the before stage tasks are invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].beforeStageTasks[0].approval.required: Invalid value: 11: required must be from 1 to 10",
		},
		"an approval that expires at once": {
			stageOf(func(c *v1beta1.StageConfig) {
				c.AfterStageTasks = []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval, Approval: &v1beta1.ApprovalPolicy{ExpiresAfter: &metav1.Duration{}}}}
			}), engine.ResultFailed,
			user + "the after stage tasks are invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].afterStageTasks[0].approval.expiresAfter: Invalid value: \"0s\": expiresAfter must be longer than zero",
		},
		"a wait with an approval policy": {
			stageOf(func(c *v1beta1.StageConfig) {
				c.AfterStageTasks = []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeTimedWait, WaitTime: &metav1.Duration{Duration: 1}, Approval: &v1beta1.ApprovalPolicy{}}}
			}), engine.ResultFailed,
			user + "the after stage tasks are invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].afterStageTasks[0].approval: Forbidden: the task is of type TimedWait, approval is only allowed for Approval",
		},
		"two tasks before": {
			stageOf(func(c *v1beta1.StageConfig) { c.BeforeStageTasks = make([]v1beta1.StageTask, 2) }), engine.ResultFailed,
			user + "the before stage tasks are invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].beforeStageTasks: Too many: 2: must have at most 1 item",
		},
		"a wait before": {
			stageOf(func(c *v1beta1.StageConfig) {
				c.BeforeStageTasks = []v1beta1.StageTask{task(v1beta1.StageTaskTypeTimedWait, nil)}
			}), engine.ResultFailed,
			user + "the before stage tasks are invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].beforeStageTasks[0].type: Invalid value: \"TimedWait\": BeforeStageTaskType cannot be TimedWait",
		},
		"an approval that takes time": {
			stageOf(func(c *v1beta1.StageConfig) {
				c.BeforeStageTasks = []v1beta1.StageTask{task(v1beta1.StageTaskTypeApproval, &metav1.Duration{})}
			}), engine.ResultFailed,
			user + "the before stage tasks are invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].beforeStageTasks[0].waitTime: Forbidden: AfterStageTaskType is Approval, waitTime is not allowed",
		},
		"the same task twice": {
			stageOf(func(c *v1beta1.StageConfig) {
				c.AfterStageTasks = []v1beta1.StageTask{task(v1beta1.StageTaskTypeApproval, nil), task(v1beta1.StageTaskTypeApproval, nil)}
			}), engine.ResultFailed,
			user + "the after stage tasks are invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].afterStageTasks[1].type: Invalid value: \"Approval\": afterStageTasks cannot have two tasks of the same type: Approval",
		},
		"a wait without time": {
			stageOf(func(c *v1beta1.StageConfig) {
				c.AfterStageTasks = []v1beta1.StageTask{task(v1beta1.StageTaskTypeTimedWait, nil)}
			}), engine.ResultFailed,
			user + "the after stage tasks are invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].afterStageTasks[0].waitTime: Required value: AfterStageTaskType is TimedWait, waitTime is required",
		},
		"a wait of no time": {
			stageOf(func(c *v1beta1.StageConfig) {
				c.AfterStageTasks = []v1beta1.StageTask{task(v1beta1.StageTaskTypeTimedWait, &metav1.Duration{})}
			}), engine.ResultFailed,
			user + "the after stage tasks are invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].afterStageTasks[0].waitTime: Invalid value: \"0s\": waitTime must be longer than zero",
		},
		"an unknown task": {
			stageOf(func(c *v1beta1.StageConfig) { c.AfterStageTasks = []v1beta1.StageTask{task("Prayer", nil)} }), engine.ResultFailed,
			user + "the after stage tasks are invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].afterStageTasks[0].type: Unsupported value: \"Prayer\": supported values: \"Approval\", \"TimedWait\"",
		},
		"a selector that is none": {
			stageOf(func(c *v1beta1.StageConfig) {
				c.LabelSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "k", Operator: "Like"}}}
			}), engine.ResultFailed,
			user + "the stage label selector is invalid, updateStrategy: `s`, stage: a, err: spec.stages[0].labelSelector.matchExpressions[0].operator: Invalid value: \"Like\": the stage label selector is invalid: not a valid selector operator",
		},
		"a cluster in two stages": {
			world(func(w *known) {
				spec := w.Strategy.StrategySpec()
				spec.Stages = append(spec.Stages, v1beta1.StageConfig{Name: "all", LabelSelector: &metav1.LabelSelector{}})
			}), engine.ResultFailed, user + "cluster `a1` appears in more than one stages",
		},
		"clusters in no stage": {
			stageOf(func(c *v1beta1.StageConfig) { c.LabelSelector = nil }), engine.ResultFailed,
			user + "some clusters are not placed in any stage, total 2, showing up to 10: a1, a2",
		},
		"a cluster that is leaving": {
			world(func(w *known) { w.Members = w.Members[1:] }), engine.ResultWaiting,
			user + "some clusters are not placed in any stage, total 1, showing up to 10: a1",
		},
		"a label that is no number": {
			world(func(w *known) {
				w.Strategy.StrategySpec().Stages[0].SortingLabelKey = ptr.To("order")
				w.Members[0].Labels["order"] = "first"
			}), engine.ResultFailed,
			user + "the sorting label `order:first` on cluster `a1` is not valid: strconv.Atoi: parsing \"first\": invalid syntax",
		},
		"an index that is no number": {
			func(r *v1beta1.ClusterStagedUpdateRun, _ *known) { r.Spec.ResourceSnapshotIndex = "-1" }, engine.ResultFailed,
			user + "invalid resource snapshot index `-1` provided, expected an integer >= 0",
		},
		"no such snapshot": {
			func(r *v1beta1.ClusterStagedUpdateRun, _ *known) { r.Spec.ResourceSnapshotIndex = "01" }, engine.ResultWaiting,
			user + "no resourceSnapshots with index `01` found for placement `p`",
		},
		"a policy that is on its way out": {
			world(func(w *known) { w.PolicySnapshots[0].SetDeletionTimestamp(&metav1.Time{Time: simStart}) }), engine.ResultWaiting,
			"cannot continue the updateRun: failed to validate the updateRun: no latest policy snapshot found for placement p",
		},
		"parts that nobody has selected": {
			world(func(w *known) {
				w.Snapshots[0].SetName("p-1-snapshot")
				w.Snapshots[0].GetAnnotations()[wellknown.NumberOfSnapshotsAnnotation] = "2"
				for _, subindex := range []string{"0", "1"} {
					w.Snapshots = append(w.Snapshots, &v1beta1.ClusterResourceSnapshot{ObjectMeta: metav1.ObjectMeta{
						Labels: map[string]string{wellknown.ResourceIndexLabel: "1"}, Annotations: map[string]string{wellknown.SubindexAnnotation: subindex},
					}})
				}
			}), engine.ResultWaiting,
			"cannot continue the updateRun: failed to validate the updateRun: resource snapshot p-1-snapshot has 3 of its 2 parts",
		},
		"no master snapshot": {
			world(func(w *known) { w.Snapshots[0].SetAnnotations(nil) }), engine.ResultWaiting,
			unusual + "no master resourceSnapshot found for placement p",
		},
		"nothing that was ever selected": {
			func(r *v1beta1.ClusterStagedUpdateRun, w *known) {
				r.Spec.ResourceSnapshotIndex = "0"
				w.Snapshots[0].GetLabels()[wellknown.ResourceIndexLabel] = "0"
				w.Placement.PlacementStatus().Conditions = []metav1.Condition{{
					Type: "ClusterResourcePlacementResourcesSelected", Status: metav1.ConditionFalse, Reason: "NothingSelected", Message: "the hub has no Namespace \"shpo\"",
				}}
			}, engine.ResultWaiting,
			user + "there is nothing to roll out: placement `p` selects nothing: the hub has no Namespace \"shpo\"",
		},
		"nothing that is selected now or ever was": {
			func(r *v1beta1.ClusterStagedUpdateRun, w *known) {
				r.Spec.ResourceSnapshotIndex, w.Snapshots = "", nil
				w.Live = plan.LiveSnapshot{Nothing: "the hub has no Namespace \"shpo\""}
			}, engine.ResultWaiting,
			user + "there is nothing to roll out: placement `p` selects nothing: the hub has no Namespace \"shpo\"",
		},
		"an envelope that cannot be used": {
			world(func(w *known) {
				content := v1beta1.ResourceContent{}
				content.Raw = []byte(`{"apiVersion":"placement.kubernetes-fleet.io/v1","kind":"ResourceEnvelope","metadata":{"namespace":"shop","name":"e"},
					"data":{"k":{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"shop","name":"p"}}}}`)
				w.Snapshots[0].SnapshotSpec().SelectedResources = append(w.Snapshots[0].SnapshotSpec().SelectedResources, content, content)
			}), engine.ResultFailed,
			user + "resource snapshot 1 cannot be rolled out: ResourceEnvelope shop/e cannot be used: k in envelope shop/e: " +
				"Pod shop/p is of a kind that is never placed: leave it out (and 1 more envelope); mend it and create another run",
		},
		"an envelope that is selected now and cannot be used": {
			func(r *v1beta1.ClusterStagedUpdateRun, w *known) {
				r.Spec.ResourceSnapshotIndex, w.Live = "", plan.LiveSnapshot{Index: 4, Unusable: errors.New("ResourceEnvelope shop/e cannot be used: no")}
			}, engine.ResultFailed,
			user + "resource snapshot 4 cannot be rolled out: ResourceEnvelope shop/e cannot be used: no; mend it and create another run",
		},
		"a hub that cannot be read": {
			func(r *v1beta1.ClusterStagedUpdateRun, w *known) {
				r.Spec.ResourceSnapshotIndex, w.Err = "", &plan.Pending{Message: "no answer"}
			}, engine.ResultWaiting, invalid + "no answer",
		},
		"a selection that is wrong": {
			func(r *v1beta1.ClusterStagedUpdateRun, w *known) {
				r.Spec.ResourceSnapshotIndex, w.Err = "", &plan.Final{Message: "found duplicate resource"}
			}, engine.ResultFailed, user + "found duplicate resource",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			run, w := newRun(), initWorld(2, stage("a"))
			tt.change(run, &w)
			o := initialize(run, w, simStart)
			if o.Result != tt.result || o.Message != tt.want {
				t.Fatalf("result is %d %q, want %d %q", o.Result, o.Message, tt.result, tt.want)
			}
			want := "False UpdateRunInitializedFailed: " + tt.want
			if tt.result == engine.ResultWaiting {
				want += "; trying again until 12:01:00Z"
			}
			if got := conditionText(o.Decision.Status.Conditions, v1beta1.RunInitialized); got != want {
				t.Errorf("Initialized is %q, want %q", got, want)
			}
			if over := runrules.IsOver(o.Decision.Status); over != (tt.result == engine.ResultFailed) {
				t.Errorf("over is %v", over)
			}
		})
	}
}

// reached is how far an attempt to plan a run got, as its status shows it.
type reached struct {
	Strategy v1beta1.ApplyStrategyType
	Policy   string
	Count    int
	Snapshot string
	Stages   int
}

func reachedBy(status *v1beta1.UpdateRunStatus) reached {
	r := reached{
		Policy: status.PolicySnapshotIndexUsed, Count: status.PolicyObservedClusterCount,
		Snapshot: status.ResourceSnapshotIndexUsed, Stages: len(status.StagesStatus),
	}
	if status.ApplyStrategy != nil {
		r.Strategy = status.ApplyStrategy.Type
	}
	return r
}

func TestARunThatCannotBePlannedShowsHowFarItGot(t *testing.T) {
	const applied = v1beta1.ApplyStrategyTypeClientSideApply
	for _, tt := range []struct {
		obstacle string
		change   func(*known)
		want     reached
	}{
		{"no placement", func(w *known) { w.Placement = nil }, reached{}},
		{"a placement that rolls out by itself", func(w *known) { w.Placement.PlacementSpec().Strategy.Type = "" }, reached{}},
		{"no policy snapshot", func(w *known) { w.PolicySnapshots = nil }, reached{Strategy: applied}},
		{"unfinished scheduling", func(w *known) { w.PolicySnapshots[0].SetGeneration(2) }, reached{Strategy: applied, Policy: "0"}},
		{"no bindings", func(w *known) { w.Bindings = nil }, reached{Strategy: applied, Policy: "0"}},
		{"no strategy", func(w *known) { w.Strategy = nil }, reached{Strategy: applied, Policy: "0", Count: 2}},
		{"clusters in no stage", func(w *known) { w.Strategy.StrategySpec().Stages[0].LabelSelector = nil },
			reached{Strategy: applied, Policy: "0", Count: 2}},
		{"no snapshot", func(w *known) { w.Snapshots = nil }, reached{Strategy: applied, Policy: "0", Count: 2}},
		{"an override without a version", func(w *known) {
			w.Overrides = plan.Overrides{Objects: []v1beta1.OverrideObject{&v1beta1.ClusterResourceOverride{ObjectMeta: metav1.ObjectMeta{Name: "o"}}}}
		}, reached{Strategy: applied, Policy: "0", Count: 2, Snapshot: "1"}},
	} {
		t.Run(tt.obstacle, func(t *testing.T) {
			run, w := newRun(), initWorld(2, stage("a"))
			tt.change(&w)
			o := initialize(run, w, simStart)
			if o.Result != engine.ResultFailed && o.Result != engine.ResultWaiting {
				t.Fatalf("the run is planned: %+v", o)
			}
			if diff := cmp.Diff(tt.want, reachedBy(o.Decision.Status)); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}

// TestARunShowsHowFarTheLastAttemptGot has attempts that get farther, less far, and are given up.
func TestARunShowsHowFarTheLastAttemptGot(t *testing.T) {
	run, w := newRun(), initWorld(2, stage("a"))
	snapshots, strategy := w.Snapshots, w.Strategy
	w.Snapshots, w.Strategy = nil, nil
	try := func(after time.Duration, want reached) {
		t.Helper()
		o := initialize(run, w, simStart.Add(after))
		if o.Decision.Status != nil {
			run.Status = *roundTrip(o.Decision.Status)
		}
		if diff := cmp.Diff(want, reachedBy(&run.Status)); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", after, diff)
		}
	}
	const applied = v1beta1.ApplyStrategyTypeClientSideApply
	w.PolicySnapshots[0].SetGeneration(2)
	try(0, reached{Strategy: applied, Policy: "0"})
	w.PolicySnapshots[0].SetGeneration(1)
	try(time.Second, reached{Strategy: applied, Policy: "0", Count: 2})
	bindings := w.Bindings
	w.Bindings = bindings[:1]
	try(time.Second, reached{Strategy: applied, Policy: "0", Count: 1})
	w.Bindings = bindings
	w.PolicySnapshots[0].GetLabels()[wellknown.LatestSnapshotLabel] = "false"
	try(2*time.Second, reached{Strategy: applied})
	w.PolicySnapshots[0].GetLabels()[wellknown.LatestSnapshotLabel] = "true"
	w.Strategy = strategy
	try(3*time.Second, reached{Strategy: applied, Policy: "0", Count: 2})
	w.Snapshots = snapshots
	try(time.Minute, reached{Strategy: applied, Policy: "0", Count: 2})
	if !runrules.IsOver(&run.Status) {
		t.Error("the run is still tried")
	}
}

func TestARunThatOverridesPoliciesIsTriedOnce(t *testing.T) {
	run, w := newRun(), initWorld(1, stage("a"))
	run.Spec.PolicyOverride = &v1beta1.PolicyOverride{Policies: []string{"guard"}, Reason: "INC-7"}
	strategy := w.Strategy
	w.Strategy = nil
	o := initialize(run, w, simStart)
	if o.Result != engine.ResultFailed || !strings.HasSuffix(o.Message, "; a run that overrides policies is not tried again") {
		t.Fatalf("got %+v", o)
	}
	run.Status = *roundTrip(o.Decision.Status)
	w.Strategy = strategy
	if o := initialize(run, w, simStart.Add(time.Second)); o.Decision.Status != nil {
		t.Errorf("it takes a strategy that came later: %+v", o)
	}
}

func TestARunIsTriedForAMinuteFromTheFirstAttempt(t *testing.T) {
	run, w := newRun(), initWorld(1, stage("a"))
	strategy := w.Strategy
	w.Strategy = nil

	o := initialize(run, w, simStart)
	run.Status = *roundTrip(o.Decision.Status)
	if want := simStart.Add(time.Minute); !o.Decision.WakeAt.Equal(want) {
		t.Errorf("wakes at %s, want %s", o.Decision.WakeAt, want)
	}
	if o := initialize(run, w, simStart.Add(30*time.Second)); o.Decision.Status != nil {
		t.Errorf("the second attempt writes %+v", o.Decision.Status)
	}
	w.Strategy = strategy
	if o := initialize(run, w, simStart.Add(59*time.Second)); o.Result != engine.ResultInitialized || o.Decision.Status.InitializationStartTime != nil {
		t.Errorf("what turns up in time is not used: %+v", o)
	}

	o = initialize(run, w, simStart.Add(time.Minute))
	if o.Result != engine.ResultFailed {
		t.Fatalf("an old run comes to life: %+v", o)
	}
	want := "False UpdateRunInitializedFailed: cannot continue the updateRun: failed to validate the updateRun: " +
		"failed to process the request due to a client error: referenced updateStrategy not found: `s`"
	if got := conditionText(o.Decision.Status.Conditions, v1beta1.RunInitialized); got != want {
		t.Errorf("Initialized is %q, want %q", got, want)
	}
	if len(o.Decision.Events) != 1 || !strings.Contains(o.Decision.Events[0].Message, "create a new run") {
		t.Errorf("Events: %+v", o.Decision.Events)
	}
	run.Status = *roundTrip(o.Decision.Status)
	if o := initialize(run, w, simStart.Add(2*time.Minute)); o.Decision.Status != nil {
		t.Errorf("a run that is given up is planned: %+v", o)
	}
}

func TestABindingWithoutAClusterIsNoTarget(t *testing.T) {
	for _, state := range []v1beta1.BindingState{"", v1beta1.BindingStateScheduled, v1beta1.BindingStateBound, v1beta1.BindingStateUnscheduled} {
		w := initWorld(1, stage("a"))
		w.Bindings = append(w.Bindings, &v1beta1.ClusterResourceBinding{Spec: v1beta1.ResourceBindingSpec{State: state, SchedulingPolicySnapshotName: "p-0"}})
		o := initialize(newRun(), w, simStart)
		if o.Result != engine.ResultInitialized {
			t.Errorf("state %q: the run is not planned: %s", state, o.Message)
			continue
		}
		if status := o.Decision.Status; status.PolicyObservedClusterCount != 1 || len(status.DeletionStageStatus.Clusters) != 0 {
			t.Errorf("state %q: %d clusters to update, %d to clean up", state, status.PolicyObservedClusterCount, len(status.DeletionStageStatus.Clusters))
		}
	}
}

func TestAPlanWarns(t *testing.T) {
	w := initWorld(1, stage("a"))
	spec := w.Strategy.StrategySpec()
	spec.Stages = append(spec.Stages, v1beta1.StageConfig{Name: "empty"}, v1beta1.StageConfig{
		Name: "gated", BeforeStageTasks: []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval}},
	})
	w.Bindings = append(w.Bindings, &v1beta1.ClusterResourceBinding{Spec: v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateUnscheduled, TargetCluster: "z"}})
	want := []string{
		"stage empty matches no cluster of the placement and is skipped",
		"stage gated matches no cluster of the placement, its tasks are done because the run removes resources from other clusters",
		"the run removes all resources of the placement from 1 cluster that the placement does not pick any more: z",
	}
	if diff := cmp.Diff(want, initialize(newRun(), w, simStart).Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// TestAPlanAsksLastForWhatLeavesATrace holds that what is asked of the hub is asked once, in its order, and not before everything else is in
// place.
func TestAPlanAsksLastForWhatLeavesATrace(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*v1beta1.ClusterStagedUpdateRun, *answers)
		want   []string
	}{
		"a version that is named": {func(*v1beta1.ClusterStagedUpdateRun, *answers) {}, []string{"overrides"}},
		"the version of now":      {func(r *v1beta1.ClusterStagedUpdateRun, _ *answers) { r.Spec.ResourceSnapshotIndex = "" }, []string{"snapshot", "overrides"}},
		"a snapshot that fails": {func(r *v1beta1.ClusterStagedUpdateRun, a *answers) {
			r.Spec.ResourceSnapshotIndex, a.Err = "", &plan.Pending{}
		}, []string{"snapshot"}},
		"something that is not there": {func(r *v1beta1.ClusterStagedUpdateRun, a *answers) {
			r.Spec.ResourceSnapshotIndex, a.Strategy = "", nil
		}, nil},
		"a rollback that has no run": {func(r *v1beta1.ClusterStagedUpdateRun, _ *answers) { r.Spec.RollbackOf = "gone" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			run, a := newRun(), &answers{known: initWorld(1, stage("a"))}
			tt.change(run, a)
			if _, err := engine.Initialize(run, a.World, a, simStart); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, a.asked); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnInputThatCannotBeReadDecidesNothing holds that such an attempt counts as none: the run's minute does not begin.
func TestAnInputThatCannotBeReadDecidesNothing(t *testing.T) {
	run, a := newRun(), &answers{known: initWorld(1, stage("a"))}
	run.Spec.ResourceSnapshotIndex, a.Err = "", context.Canceled
	o, err := engine.Initialize(run, a.World, a, simStart)
	if !errors.Is(err, context.Canceled) || o.Decision.Status != nil {
		t.Errorf("error %v, decided %+v", err, o.Decision)
	}
}

func TestALiveSnapshotIsPinned(t *testing.T) {
	run, w := newRun(), initWorld(1, stage("a"))
	run.Spec.ResourceSnapshotIndex = ""
	w.Live = plan.LiveSnapshot{Index: 4}
	if got := initialize(run, w, simStart).Decision.Status.ResourceSnapshotIndexUsed; got != "4" {
		t.Errorf("index used is %q, want 4", got)
	}
}

// TestARemovalIsNeverRefused holds of versions that have nothing.
func TestARemovalIsNeverRefused(t *testing.T) {
	const nothing = "the hub has no Namespace \"shop\""
	for name, change := range map[string]func(*v1beta1.ClusterStagedUpdateRun, *known){
		"of what an earlier version had": func(r *v1beta1.ClusterStagedUpdateRun, w *known) {
			r.Spec.ResourceSnapshotIndex, w.Live = "", plan.LiveSnapshot{Index: 1, Nothing: nothing}
		},
		"of what a later version has": func(r *v1beta1.ClusterStagedUpdateRun, w *known) {
			r.Spec.ResourceSnapshotIndex = "0"
			w.Snapshots[0].GetLabels()[wellknown.ResourceIndexLabel] = "0"
			w.Snapshots = append(w.Snapshots, &v1beta1.ClusterResourceSnapshot{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{wellknown.ResourceIndexLabel: "1"}},
				Spec:       v1beta1.ResourceSnapshotSpec{SelectedResources: make([]v1beta1.ResourceContent, 1)},
			})
		},
		"of what a cluster has of a version that is lost": func(r *v1beta1.ClusterStagedUpdateRun, w *known) {
			r.Spec.ResourceSnapshotIndex, w.Snapshots, w.Live = "", nil, plan.LiveSnapshot{Nothing: nothing}
			w.Bindings[0].BindingSpec().ResourceSnapshotName = "p-3-snapshot"
		},
		"from a cluster that is not picked any more": func(r *v1beta1.ClusterStagedUpdateRun, w *known) {
			r.Spec.ResourceSnapshotIndex, w.Snapshots, w.Live = "", nil, plan.LiveSnapshot{Nothing: nothing}
			w.Bindings[0].BindingSpec().State = v1beta1.BindingStateUnscheduled
		},
	} {
		t.Run(name, func(t *testing.T) {
			run, w := newRun(), initWorld(2, stage("a"))
			change(run, &w)
			if o := initialize(run, w, simStart); o.Result != engine.ResultInitialized {
				t.Errorf("result is %d %q", o.Result, o.Message)
			}
		})
	}
}

func TestARunThatWouldGrowTooLargeIsNotPlanned(t *testing.T) {
	for n, want := range map[int]engine.Result{10_000: engine.ResultInitialized, 40_000: engine.ResultFailed} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			o := initialize(newRun(), initWorld(n, stage("a")), simStart)
			if o.Result != want {
				t.Errorf("result is %d, want %d: %s", o.Result, want, o.Message)
			}
		})
	}
}

func TestThePlacementsApplyStrategyIsCopied(t *testing.T) {
	w := initWorld(1, stage("a"))
	w.Placement.PlacementSpec().Strategy.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff, WhenToApply: v1beta1.WhenToApplyTypeIfNotDrifted}
	want := &v1beta1.ApplyStrategy{
		Type: v1beta1.ApplyStrategyTypeReportDiff, WhenToApply: v1beta1.WhenToApplyTypeIfNotDrifted,
		ComparisonOption: v1beta1.ComparisonOptionTypePartialComparison, WhenToTakeOver: v1beta1.WhenToTakeOverTypeAlways,
	}
	if diff := cmp.Diff(want, initialize(newRun(), w, simStart).Decision.Status.ApplyStrategy, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("strategy (-want +got):\n%s", diff)
	}
}

func TestARunThatCouldNotBeStoredInTheEndIsNotPlanned(t *testing.T) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("override-with-a-long-name-%05d", i))
	}
	for clusters, want := range map[int]engine.Result{300: engine.ResultInitialized, 500: engine.ResultFailed} {
		w := initWorld(clusters, stage("a"))
		for _, b := range w.Bindings {
			// They are the versions to go back to, and written down for each cluster when it is started.
			b.BindingSpec().ClusterResourceOverrideSnapshots = names
		}
		run := newFixture(t, 1, stage("a")).run
		run.Status = v1beta1.UpdateRunStatus{}
		o := initialize(run, w, simStart)
		if o.Result != want || want == engine.ResultFailed && !strings.HasSuffix(o.Message, "divide the clusters among several placements") {
			t.Errorf("%d clusters: %v %s", clusters, o.Result, o.Message)
		}
	}
}
