// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"testing"

	"github.com/stagegate/stagegate/pkg/apis/placement"
)

func TestUpdateRunOperation(t *testing.T) {
	const (
		noClusters = "spec.clusters: Forbidden: only skip and retry take clusters"
		noStage    = "spec.stage: Forbidden: only skip takes a stage"
		noTask     = "spec.task: Forbidden: only skip takes a task"
	)
	clusters, wait := []string{"a", "b"}, placement.StageTaskTypeTimedWait
	type spec = placement.UpdateRunOperationSpec
	type want = map[placement.OperationType][]string
	others := func(errs ...string) want {
		return want{placement.OperationStop: errs, placement.OperationResume: errs, placement.OperationRetry: errs, placement.OperationRollback: errs}
	}
	with := func(w want, operation placement.OperationType, errs ...string) want {
		w[operation] = errs
		return w
	}
	for _, tc := range []struct {
		name string
		spec spec
		want want
	}{
		{"nothing", spec{}, want{placement.OperationSkip: {"spec.clusters: Required value: clusters or a stage to skip"}}},
		{"clusters", spec{Clusters: clusters}, with(others(noClusters), placement.OperationRetry)},
		{"a cluster twice", spec{Clusters: []string{"a", "b", "a"}}, want{
			placement.OperationStop: {`spec.clusters[2]: Duplicate value: "a"`, noClusters}, placement.OperationResume: {`spec.clusters[2]: Duplicate value: "a"`, noClusters},
			placement.OperationRollback: {`spec.clusters[2]: Duplicate value: "a"`, noClusters},
			placement.OperationRetry:    {`spec.clusters[2]: Duplicate value: "a"`}, placement.OperationSkip: {`spec.clusters[2]: Duplicate value: "a"`},
		}},
		{"a stage", spec{Stage: "canary"}, others(noStage)},
		{"a task after a stage", spec{Stage: "canary", Task: wait}, others(noStage, noTask)},
		{"a task", spec{Task: wait}, with(others(noTask), placement.OperationSkip, "spec.stage: Required value: the stage that the task is after")},
		{"clusters and a task", spec{Clusters: clusters, Task: wait}, want{
			placement.OperationStop: {noClusters, noTask}, placement.OperationResume: {noClusters, noTask}, placement.OperationRollback: {noClusters, noTask},
			placement.OperationRetry: {noTask}, placement.OperationSkip: {"spec.stage: Required value: the stage that the task is after"},
		}},
		{"clusters and a stage", spec{Clusters: clusters, Stage: "canary"}, want{
			placement.OperationStop: {noClusters, noStage}, placement.OperationResume: {noClusters, noStage}, placement.OperationRollback: {noClusters, noStage},
			placement.OperationRetry: {noStage}, placement.OperationSkip: {"spec.stage: Forbidden: may not be set together with clusters"},
		}},
		{"an approval", spec{Stage: "canary", Task: placement.StageTaskTypeApproval},
			with(others(noStage, noTask), placement.OperationSkip, `spec.task: Invalid value: "Approval": an approval cannot be skipped, only a TimedWait`)},
	} {
		for _, operation := range []placement.OperationType{
			placement.OperationStop, placement.OperationResume, placement.OperationSkip, placement.OperationRetry, placement.OperationRollback,
		} {
			t.Run(tc.name+"/"+string(operation), func(t *testing.T) {
				expect(t, ValidateUpdateRunOperation(&placement.UpdateRunOperation{Spec: tc.spec}, operation), tc.want[operation]...)
			})
		}
	}
}
