// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func runs() []v1beta1.UpdateRunObject {
	spec := v1beta1.UpdateRunSpec{
		PlacementName: "example-placement", ResourceSnapshotIndex: "1", StagedUpdateStrategyName: "example-strategy", State: v1beta1.StateInitialize,
	}
	return []v1beta1.UpdateRunObject{
		&v1beta1.ClusterStagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: "example-run"}, Spec: spec},
		&v1beta1.StagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: "example-run", Namespace: "test-namespace"}, Spec: spec},
	}
}

func TestUpdateRun(t *testing.T) {
	var rules []rule[v1beta1.UpdateRunObject]
	for _, index := range []string{"", "0", "10"} {
		rules = append(rules, rule[v1beta1.UpdateRunObject]{"index " + index, func(run v1beta1.UpdateRunObject) { run.RunSpec().ResourceSnapshotIndex = index }, nil})
	}
	for _, index := range []string{"01", "-1", "+1", "1.0", "latest", " 1", "99999999999999999999"} {
		rules = append(rules, rule[v1beta1.UpdateRunObject]{"index " + index, func(run v1beta1.UpdateRunObject) { run.RunSpec().ResourceSnapshotIndex = index }, []string{
			fmt.Sprintf("spec.resourceSnapshotIndex: Invalid value: %q: invalid resource snapshot index `%s` provided, expected an integer >= 0", index, index),
		}})
	}
	check(t, runs(), ValidateUpdateRun, rules)
}

func TestRollbackOf(t *testing.T) {
	rollbackOf := func(name, index string) func(v1beta1.UpdateRunObject) {
		return func(run v1beta1.UpdateRunObject) {
			run.RunSpec().RollbackOf, run.RunSpec().ResourceSnapshotIndex = name, index
		}
	}
	const notAName = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an " +
		"alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
	check(t, runs(), ValidateUpdateRun, []rule[v1beta1.UpdateRunObject]{
		{"of another run", rollbackOf("other-run", ""), nil},
		{"of itself", rollbackOf("example-run", ""), []string{`spec.rollbackOf: Invalid value: "example-run": a run cannot roll back itself`}},
		{"of no run", rollbackOf("Run_1", ""), []string{`spec.rollbackOf: Invalid value: "Run_1": ` + notAName}},
		{"to a version", rollbackOf("other-run", "1"), []string{
			"spec.resourceSnapshotIndex: Forbidden: must be empty with rollbackOf: each cluster goes back to what it had",
		}},
	})
}

func TestPolicyOverride(t *testing.T) {
	override := func(reason string, policies ...string) func(v1beta1.UpdateRunObject) {
		return func(run v1beta1.UpdateRunObject) {
			run.RunSpec().PolicyOverride = &v1beta1.PolicyOverride{Policies: policies, Reason: reason}
		}
	}
	check(t, runs(), ValidateUpdateRun, []rule[v1beta1.UpdateRunObject]{
		{"with policies and a reason", override("INC-7 hotfix", "prod-guard", "eu.guard"), nil},
		{"of no policy", override("INC-7 hotfix", "prod-guard", "Prod_Guard"), []string{
			`spec.policyOverride.policies[1]: Invalid value: "Prod_Guard": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', ` +
				"and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
				`'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
		}},
		{"for no reason", override(" \t", "prod-guard"), []string{
			`spec.policyOverride.reason: Invalid value: " \t": must say why the policies may be violated`,
		}},
	})
}

func TestUpdateRunUpdate(t *testing.T) {
	checkUpdate(t, runs(), ValidateUpdateRunUpdate, []rule[v1beta1.UpdateRunObject]{
		{"the placement stays", func(run v1beta1.UpdateRunObject) { run.RunSpec().PlacementName = "other" }, []string{
			`spec.placementName: Invalid value: "other": placementName is immutable`,
		}},
		{"the index stays", func(run v1beta1.UpdateRunObject) { run.RunSpec().ResourceSnapshotIndex = "2" }, []string{
			`spec.resourceSnapshotIndex: Invalid value: "2": resourceSnapshotIndex is immutable`,
		}},
		{"the index is not taken away", func(run v1beta1.UpdateRunObject) { run.RunSpec().ResourceSnapshotIndex = "" }, []string{
			`spec.resourceSnapshotIndex: Invalid value: "": resourceSnapshotIndex is immutable`,
		}},
		{"what is rolled back stays", func(run v1beta1.UpdateRunObject) { run.RunSpec().RollbackOf = "other-run" }, []string{
			`spec.rollbackOf: Invalid value: "other-run": rollbackOf is immutable`,
		}},
		{"no override comes later", func(run v1beta1.UpdateRunObject) {
			run.RunSpec().PolicyOverride = &v1beta1.PolicyOverride{Policies: []string{"prod-guard"}, Reason: "INC-7"}
		}, []string{
			"spec.policyOverride: Forbidden: policyOverride is immutable: create a new run",
		}},
		{"the strategy stays", func(run v1beta1.UpdateRunObject) { run.RunSpec().StagedUpdateStrategyName = "other" }, []string{
			`spec.stagedRolloutStrategyName: Invalid value: "other": stagedRolloutStrategyName is immutable`,
		}},
	})
	for _, run := range runs() {
		empty := run.DeepCopyObject().(v1beta1.UpdateRunObject)
		empty.RunSpec().ResourceSnapshotIndex = ""
		expect(t, ValidateUpdateRunUpdate(run, empty), `spec.resourceSnapshotIndex: Invalid value: "1": resourceSnapshotIndex is immutable`)
	}
}

func TestStateOfARun(t *testing.T) {
	refused := map[[2]v1beta1.State]bool{
		{v1beta1.StateInitialize, v1beta1.StateStop}: true,
		{v1beta1.StateRun, v1beta1.StateInitialize}:  true,
		{v1beta1.StateStop, v1beta1.StateInitialize}: true,
	}
	states := []v1beta1.State{v1beta1.StateInitialize, v1beta1.StateRun, v1beta1.StateStop}
	for _, from := range states {
		for _, to := range states {
			for _, old := range runs() {
				old.RunSpec().State = from
				run := old.DeepCopyObject().(v1beta1.UpdateRunObject)
				run.RunSpec().State = to
				var want []string
				if refused[[2]v1beta1.State{from, to}] {
					want = []string{fmt.Sprintf("spec.state: Invalid value: %q: invalid state transition: cannot transition from %s to %s", to, from, to)}
				}
				t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) { expect(t, ValidateUpdateRunUpdate(run, old), want...) })
			}
		}
	}
}

func TestUpdateRunStatus(t *testing.T) {
	checkUpdate(t, runs(), ValidateUpdateRunStatusUpdate, []rule[v1beta1.UpdateRunObject]{
		{"conditions are complete", func(run v1beta1.UpdateRunObject) {
			broken := []metav1.Condition{incomplete("Succeeded")}
			stage := v1beta1.StageUpdatingStatus{
				Conditions:            broken,
				Clusters:              []v1beta1.ClusterUpdatingStatus{{Conditions: broken}},
				BeforeStageTaskStatus: []v1beta1.StageTaskStatus{{Conditions: broken}},
				AfterStageTaskStatus:  []v1beta1.StageTaskStatus{{Conditions: broken}},
			}
			*run.RunStatus() = v1beta1.UpdateRunStatus{Conditions: broken, StagesStatus: []v1beta1.StageUpdatingStatus{stage}, DeletionStageStatus: &stage}
		}, []string{
			"status.conditions[0].reason: Required value",
			"status.stagesStatus[0].conditions[0].reason: Required value",
			"status.stagesStatus[0].clusters[0].conditions[0].reason: Required value",
			"status.stagesStatus[0].beforeStageTaskStatus[0].conditions[0].reason: Required value",
			"status.stagesStatus[0].afterStageTaskStatus[0].conditions[0].reason: Required value",
			"status.deletionStageStatus.conditions[0].reason: Required value",
			"status.deletionStageStatus.clusters[0].conditions[0].reason: Required value",
			"status.deletionStageStatus.beforeStageTaskStatus[0].conditions[0].reason: Required value",
			"status.deletionStageStatus.afterStageTaskStatus[0].conditions[0].reason: Required value",
		}},
		{"complete conditions are stored", func(run v1beta1.UpdateRunObject) {
			run.RunStatus().Conditions = []metav1.Condition{complete("Initialized")}
		}, nil},
	})
}

// plannedRuns are runs that are initialized, with one stage and one cluster to take the resources off.
func plannedRuns() []v1beta1.UpdateRunObject {
	planned := runs()
	for _, run := range planned {
		*run.RunStatus() = v1beta1.UpdateRunStatus{
			Conditions:                 []metav1.Condition{complete(v1beta1.RunInitialized)},
			PlacementUID:               "uid",
			PolicySnapshotIndexUsed:    "0",
			PolicyObservedClusterCount: 2,
			ResourceSnapshotIndexUsed:  "1",
			ApplyStrategy:              &v1beta1.ApplyStrategy{},
			UpdateStrategySnapshot:     &v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{{Name: "canary"}}},
			StagesStatus: []v1beta1.StageUpdatingStatus{{
				StageName:             "canary",
				Clusters:              []v1beta1.ClusterUpdatingStatus{{ClusterName: "a"}, {ClusterName: "b"}},
				BeforeStageTaskStatus: []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeApproval, ApprovalRequestName: "example-run-before-canary"}},
				AfterStageTaskStatus:  []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeTimedWait}},
			}},
			Policies: []v1beta1.GoverningPolicy{{Kind: "ClusterRolloutPolicy", Name: "guard", UID: "guard", Generation: 1, Stages: []string{"canary"}}},
			DeletionStageStatus: &v1beta1.StageUpdatingStatus{
				StageName: "kubernetes-fleet.io/deleteStage", Clusters: []v1beta1.ClusterUpdatingStatus{{ClusterName: "c"}},
			},
		}
	}
	return planned
}

func TestThePlanOfAnInitializedRunStays(t *testing.T) {
	const stays = "is part of the plan of an initialized run, which cannot be changed; create a new run instead"
	type change = rule[v1beta1.UpdateRunObject]
	status := func(f func(s *v1beta1.UpdateRunStatus)) func(v1beta1.UpdateRunObject) {
		return func(run v1beta1.UpdateRunObject) { f(run.RunStatus()) }
	}
	stage := func(f func(s *v1beta1.StageUpdatingStatus)) func(v1beta1.UpdateRunObject) {
		return status(func(s *v1beta1.UpdateRunStatus) { f(&s.StagesStatus[0]) })
	}
	deletion := func(f func(s *v1beta1.StageUpdatingStatus)) func(v1beta1.UpdateRunObject) {
		return status(func(s *v1beta1.UpdateRunStatus) { f(s.DeletionStageStatus) })
	}
	checkUpdate(t, plannedRuns(), ValidateUpdateRunStatusUpdate, []change{
		{"a stage is renamed", stage(func(s *v1beta1.StageUpdatingStatus) { s.StageName = "prod" }), []string{
			"status.stagesStatus[0].stageName: Forbidden: " + stays,
		}},
		{"a stage goes", status(func(s *v1beta1.UpdateRunStatus) { s.StagesStatus = nil }), []string{"status.stagesStatus: Forbidden: " + stays}},
		{"a cluster goes", stage(func(s *v1beta1.StageUpdatingStatus) { s.Clusters = s.Clusters[:1] }), []string{
			"status.stagesStatus[0].clusters: Forbidden: " + stays,
		}},
		{"clusters change places", stage(func(s *v1beta1.StageUpdatingStatus) { slices.Reverse(s.Clusters) }), []string{
			"status.stagesStatus[0].clusters: Forbidden: " + stays,
		}},
		{"a cluster gets another version", stage(func(s *v1beta1.StageUpdatingStatus) { s.Clusters[0].ResourceSnapshotIndex = "0" }), []string{
			"status.stagesStatus[0].clusters: Forbidden: " + stays,
		}},
		{"a cluster gets another override", stage(func(s *v1beta1.StageUpdatingStatus) {
			s.Clusters[0].ClusterResourceOverrideSnapshots = []string{"o-0"}
		}), []string{"status.stagesStatus[0].clusters: Forbidden: " + stays}},
		{"the approval before a stage goes", stage(func(s *v1beta1.StageUpdatingStatus) { s.BeforeStageTaskStatus = nil }), []string{
			"status.stagesStatus[0].beforeStageTaskStatus: Forbidden: " + stays,
		}},
		{"another request approves", stage(func(s *v1beta1.StageUpdatingStatus) { s.BeforeStageTaskStatus[0].ApprovalRequestName = "mine" }), []string{
			"status.stagesStatus[0].beforeStageTaskStatus: Forbidden: " + stays,
		}},
		{"a wait becomes an approval", stage(func(s *v1beta1.StageUpdatingStatus) {
			s.AfterStageTaskStatus[0].Type = v1beta1.StageTaskTypeApproval
		}), []string{"status.stagesStatus[0].afterStageTaskStatus: Forbidden: " + stays}},
		{"a cluster is to be removed", deletion(func(s *v1beta1.StageUpdatingStatus) {
			s.Clusters = append(s.Clusters, v1beta1.ClusterUpdatingStatus{ClusterName: "d"})
		}), []string{"status.deletionStageStatus.clusters: Forbidden: " + stays}},
		{"the last stage goes", status(func(s *v1beta1.UpdateRunStatus) { s.DeletionStageStatus = nil }), []string{
			"status.deletionStageStatus: Forbidden: " + stays,
		}},
		{"a cluster that is to be removed goes", deletion(func(s *v1beta1.StageUpdatingStatus) { s.Clusters = nil }), []string{
			"status.deletionStageStatus.clusters: Forbidden: " + stays,
		}},
		{"the strategy changes", status(func(s *v1beta1.UpdateRunStatus) { s.UpdateStrategySnapshot.Stages[0].Name = "prod" }), []string{
			"status.stagedUpdateStrategySnapshot: Forbidden: " + stays,
		}},
		{"another version is rolled out", status(func(s *v1beta1.UpdateRunStatus) { s.ResourceSnapshotIndexUsed = "0" }), []string{
			"status.resourceSnapshotIndexUsed: Forbidden: " + stays,
		}},
		{"another policy picked", status(func(s *v1beta1.UpdateRunStatus) { s.PolicySnapshotIndexUsed = "1" }), []string{
			"status.policySnapshotIndexUsed: Forbidden: " + stays,
		}},
		{"another number was picked", status(func(s *v1beta1.UpdateRunStatus) { s.PolicyObservedClusterCount = 3 }), []string{
			"status.policyObservedClusterCount: Forbidden: " + stays,
		}},
		{"manifests are written in another way", status(func(s *v1beta1.UpdateRunStatus) { s.ApplyStrategy = nil }), []string{
			"status.appliedStrategy: Forbidden: " + stays,
		}},
		{"another placement is moved", status(func(s *v1beta1.UpdateRunStatus) { s.PlacementUID = "other" }), []string{
			"status.placementUID: Forbidden: " + stays,
		}},
		{"another run is rolled back", status(func(s *v1beta1.UpdateRunStatus) { s.RollbackOfUID = "other" }), []string{
			"status.rollbackOfUID: Forbidden: " + stays,
		}},
		{"a policy governs it no more", status(func(s *v1beta1.UpdateRunStatus) { s.Policies = nil }), []string{
			"status.policies: Forbidden: " + stays,
		}},
		{"another policy governs it", status(func(s *v1beta1.UpdateRunStatus) {
			s.Policies = []v1beta1.GoverningPolicy{{Kind: "ClusterRolloutPolicy", Name: "other"}}
		}), []string{"status.policies: Forbidden: " + stays}},
		{"another policy governs a run that claims its turn", status(func(s *v1beta1.UpdateRunStatus) {
			s.Policies, s.Turn = nil, &v1beta1.UpdateRunTurn{State: v1beta1.TurnClaimed, Claim: 1}
		}), []string{"status.policies: Forbidden: " + stays}},
		{"a cluster is written to in another way", stage(func(s *v1beta1.StageUpdatingStatus) {
			s.Clusters[0].ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
		}), []string{"status.stagesStatus[0].clusters: Forbidden: " + stays}},
		{"all is wiped, so that the run would be planned again", status(func(s *v1beta1.UpdateRunStatus) { *s = v1beta1.UpdateRunStatus{} }), []string{
			"status.conditions: Forbidden: an initialized run stays initialized; create a new run instead",
		}},

		{"another policy governs it as it starts", status(func(s *v1beta1.UpdateRunStatus) {
			s.Policies, s.Turn = nil, &v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 1}
		}), nil},
		{"it goes on", stage(func(s *v1beta1.StageUpdatingStatus) {
			s.Conditions = []metav1.Condition{complete(v1beta1.StageProgressing)}
			s.Clusters[0].Conditions = []metav1.Condition{complete(v1beta1.ClusterStarted)}
			s.Clusters[0].Message = "not available yet"
			before := ""
			s.Clusters[0].PreviousResourceSnapshotIndex = &before
			s.BeforeStageTaskStatus[0].Conditions = []metav1.Condition{complete(v1beta1.TaskApprovalRequestCreated)}
		}), nil},
		{"a gate comes to the last stage", deletion(func(s *v1beta1.StageUpdatingStatus) {
			s.BeforeStageTaskStatus = []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeApproval, ApprovalRequestName: "example-run-before-delete"}}
		}), nil},
	})
}

func TestThePlanOfARunThatIsNotInitializedIsMade(t *testing.T) {
	for i, run := range plannedRuns() {
		unplanned := runs()[i]
		expect(t, ValidateUpdateRunStatusUpdate(run, unplanned))
	}
}
