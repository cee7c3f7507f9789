// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestUpdateRunOperation(t *testing.T) {
	const (
		noClusters = "spec.clusters: Forbidden: only skip and retry take clusters"
		noStage    = "spec.stage: Forbidden: only skip takes a stage"
		noTask     = "spec.task: Forbidden: only skip takes a task"
	)
	clusters, wait := []string{"a", "b"}, v1beta1.StageTaskTypeTimedWait
	type spec = v1beta1.UpdateRunOperationSpec
	type want = map[v1beta1.OperationType][]string
	others := func(errs ...string) want {
		return want{v1beta1.OperationStop: errs, v1beta1.OperationResume: errs, v1beta1.OperationRetry: errs, v1beta1.OperationRollback: errs}
	}
	with := func(w want, operation v1beta1.OperationType, errs ...string) want {
		w[operation] = errs
		return w
	}
	for _, tc := range []struct {
		name string
		spec spec
		want want
	}{
		{"nothing", spec{}, want{v1beta1.OperationSkip: {"spec.clusters: Required value: clusters or a stage to skip"}}},
		{"clusters", spec{Clusters: clusters}, with(others(noClusters), v1beta1.OperationRetry)},
		{"a cluster twice", spec{Clusters: []string{"a", "b", "a"}}, want{
			v1beta1.OperationStop: {`spec.clusters[2]: Duplicate value: "a"`, noClusters}, v1beta1.OperationResume: {`spec.clusters[2]: Duplicate value: "a"`, noClusters},
			v1beta1.OperationRollback: {`spec.clusters[2]: Duplicate value: "a"`, noClusters},
			v1beta1.OperationRetry:    {`spec.clusters[2]: Duplicate value: "a"`}, v1beta1.OperationSkip: {`spec.clusters[2]: Duplicate value: "a"`},
		}},
		{"a stage", spec{Stage: "canary"}, others(noStage)},
		{"a task after a stage", spec{Stage: "canary", Task: wait}, others(noStage, noTask)},
		{"a task", spec{Task: wait}, with(others(noTask), v1beta1.OperationSkip, "spec.stage: Required value: the stage that the task is after")},
		{"clusters and a task", spec{Clusters: clusters, Task: wait}, want{
			v1beta1.OperationStop: {noClusters, noTask}, v1beta1.OperationResume: {noClusters, noTask}, v1beta1.OperationRollback: {noClusters, noTask},
			v1beta1.OperationRetry: {noTask}, v1beta1.OperationSkip: {"spec.stage: Required value: the stage that the task is after"},
		}},
		{"clusters and a stage", spec{Clusters: clusters, Stage: "canary"}, want{
			v1beta1.OperationStop: {noClusters, noStage}, v1beta1.OperationResume: {noClusters, noStage}, v1beta1.OperationRollback: {noClusters, noStage},
			v1beta1.OperationRetry: {noStage}, v1beta1.OperationSkip: {"spec.stage: Forbidden: may not be set together with clusters"},
		}},
		{"an approval", spec{Stage: "canary", Task: v1beta1.StageTaskTypeApproval},
			with(others(noStage, noTask), v1beta1.OperationSkip, `spec.task: Invalid value: "Approval": an approval cannot be skipped, only a TimedWait`)},
	} {
		for _, operation := range []v1beta1.OperationType{
			v1beta1.OperationStop, v1beta1.OperationResume, v1beta1.OperationSkip, v1beta1.OperationRetry, v1beta1.OperationRollback,
		} {
			t.Run(tc.name+"/"+string(operation), func(t *testing.T) {
				expect(t, ValidateUpdateRunOperation(&v1beta1.UpdateRunOperation{Spec: tc.spec}, operation), tc.want[operation]...)
			})
		}
	}
}
