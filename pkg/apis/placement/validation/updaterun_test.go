// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement"
)

func runs() []placement.UpdateRunObject {
	spec := placement.UpdateRunSpec{
		PlacementName: "example-placement", ResourceSnapshotIndex: "1", StagedUpdateStrategyName: "example-strategy", State: placement.StateInitialize,
	}
	return []placement.UpdateRunObject{
		&placement.ClusterStagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: "example-run"}, Spec: spec},
		&placement.StagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: "example-run", Namespace: "test-namespace"}, Spec: spec},
	}
}

func TestUpdateRun(t *testing.T) {
	var rules []rule[placement.UpdateRunObject]
	for _, index := range []string{"", "0", "10"} {
		rules = append(rules, rule[placement.UpdateRunObject]{"index " + index, func(run placement.UpdateRunObject) { run.RunSpec().ResourceSnapshotIndex = index }, nil})
	}
	for _, index := range []string{"01", "-1", "+1", "1.0", "latest", " 1", "99999999999999999999"} {
		rules = append(rules, rule[placement.UpdateRunObject]{"index " + index, func(run placement.UpdateRunObject) { run.RunSpec().ResourceSnapshotIndex = index }, []string{
			fmt.Sprintf("spec.resourceSnapshotIndex: Invalid value: %q: invalid resource snapshot index `%s` provided, expected an integer >= 0", index, index),
		}})
	}
	check(t, runs(), ValidateUpdateRun, rules)
}

func TestRollbackOf(t *testing.T) {
	rollbackOf := func(name, index string) func(placement.UpdateRunObject) {
		return func(run placement.UpdateRunObject) {
			run.RunSpec().RollbackOf, run.RunSpec().ResourceSnapshotIndex = name, index
		}
	}
	const notAName = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an " +
		"alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
	check(t, runs(), ValidateUpdateRun, []rule[placement.UpdateRunObject]{
		{"of another run", rollbackOf("other-run", ""), nil},
		{"of itself", rollbackOf("example-run", ""), []string{`spec.rollbackOf: Invalid value: "example-run": a run cannot roll back itself`}},
		{"of no run", rollbackOf("Run_1", ""), []string{`spec.rollbackOf: Invalid value: "Run_1": ` + notAName}},
		{"to a version", rollbackOf("other-run", "1"), []string{
			"spec.resourceSnapshotIndex: Forbidden: has to be empty with rollbackOf: each cluster goes back to what it had",
		}},
	})
}

func TestUpdateRunUpdate(t *testing.T) {
	checkUpdate(t, runs(), ValidateUpdateRunUpdate, []rule[placement.UpdateRunObject]{
		{"the placement stays", func(run placement.UpdateRunObject) { run.RunSpec().PlacementName = "other" }, []string{
			`spec.placementName: Invalid value: "other": placementName is immutable`,
		}},
		{"the index stays", func(run placement.UpdateRunObject) { run.RunSpec().ResourceSnapshotIndex = "2" }, []string{
			`spec.resourceSnapshotIndex: Invalid value: "2": resourceSnapshotIndex is immutable`,
		}},
		{"the index is not taken away", func(run placement.UpdateRunObject) { run.RunSpec().ResourceSnapshotIndex = "" }, []string{
			`spec.resourceSnapshotIndex: Invalid value: "": resourceSnapshotIndex is immutable`,
		}},
		{"what is rolled back stays", func(run placement.UpdateRunObject) { run.RunSpec().RollbackOf = "other-run" }, []string{
			`spec.rollbackOf: Invalid value: "other-run": rollbackOf is immutable`,
		}},
		{"the strategy stays", func(run placement.UpdateRunObject) { run.RunSpec().StagedUpdateStrategyName = "other" }, []string{
			`spec.stagedRolloutStrategyName: Invalid value: "other": stagedRolloutStrategyName is immutable`,
		}},
	})
	for _, run := range runs() {
		empty := run.DeepCopyObject().(placement.UpdateRunObject)
		empty.RunSpec().ResourceSnapshotIndex = ""
		expect(t, ValidateUpdateRunUpdate(run, empty), `spec.resourceSnapshotIndex: Invalid value: "1": resourceSnapshotIndex is immutable`)
	}
}

func TestStateOfARun(t *testing.T) {
	refused := map[[2]placement.State]bool{
		{placement.StateInitialize, placement.StateStop}: true,
		{placement.StateRun, placement.StateInitialize}:  true,
		{placement.StateStop, placement.StateInitialize}: true,
	}
	states := []placement.State{placement.StateInitialize, placement.StateRun, placement.StateStop}
	for _, from := range states {
		for _, to := range states {
			for _, old := range runs() {
				old.RunSpec().State = from
				run := old.DeepCopyObject().(placement.UpdateRunObject)
				run.RunSpec().State = to
				var want []string
				if refused[[2]placement.State{from, to}] {
					want = []string{fmt.Sprintf("spec.state: Invalid value: %q: invalid state transition: cannot transition from %s to %s", to, from, to)}
				}
				t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) { expect(t, ValidateUpdateRunUpdate(run, old), want...) })
			}
		}
	}
}

func TestUpdateRunStatus(t *testing.T) {
	checkUpdate(t, runs(), ValidateUpdateRunStatusUpdate, []rule[placement.UpdateRunObject]{
		{"conditions are complete", func(run placement.UpdateRunObject) {
			broken := []metav1.Condition{incomplete("Succeeded")}
			stage := placement.StageUpdatingStatus{
				Conditions:            broken,
				Clusters:              []placement.ClusterUpdatingStatus{{Conditions: broken}},
				BeforeStageTaskStatus: []placement.StageTaskStatus{{Conditions: broken}},
				AfterStageTaskStatus:  []placement.StageTaskStatus{{Conditions: broken}},
			}
			*run.RunStatus() = placement.UpdateRunStatus{Conditions: broken, StagesStatus: []placement.StageUpdatingStatus{stage}, DeletionStageStatus: &stage}
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
		{"complete conditions are stored", func(run placement.UpdateRunObject) {
			run.RunStatus().Conditions = []metav1.Condition{complete("Initialized")}
		}, nil},
	})
}
