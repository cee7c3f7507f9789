// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package strategy

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// Concurrency returns how many of n clusters a maxConcurrency updates at once, at least one. Not set is one.
func Concurrency(maxConcurrency *intstr.IntOrString, n int) int {
	return max(share(maxConcurrency, n, 1), 1)
}

// MaxFailures returns how many of n clusters may fail by a maxFailures. Not set is none.
func MaxFailures(maxFailures *intstr.IntOrString, n int) int {
	return max(share(maxFailures, n, 0), 0)
}

// share rounds a percentage of n down. What is neither a number nor a percentage, which validation refuses, counts as not set.
func share(value *intstr.IntOrString, n, notSet int) int {
	if value == nil {
		return notSet
	}
	scaled, err := intstr.GetScaledValueFromIntOrPercent(value, n, false)
	if err != nil {
		return notSet
	}
	return scaled
}

// FailurePolicy returns the policy of a stage, nil where no cluster is given up.
func FailurePolicy(spec *v1beta1.UpdateStrategySpec, stage *v1beta1.StageConfig) *v1beta1.FailurePolicy {
	if stage.FailurePolicy != nil {
		return stage.FailurePolicy
	}
	return spec.FailurePolicy
}

// DeleteStage returns the delete stage as a strategy would have it: as fast as the last stage, with its failure policy, and after an
// approval if any stage has one. Otherwise a user who changes what the placement picks would be past all gates.
//
// Of several approvals it takes the policy of the last one in the order of the run, and in a stage that of the one before it: that is
// the one without which the last clusters are not changed. An approval after a stage is about what has been done already.
func DeleteStage(spec *v1beta1.UpdateStrategySpec) *v1beta1.StageConfig {
	config := &v1beta1.StageConfig{Name: wellknown.DeleteStageName}
	if n := len(spec.Stages); n > 0 {
		last := &spec.Stages[n-1]
		config.MaxConcurrency, config.FailurePolicy = last.MaxConcurrency, last.FailurePolicy
	}
	for _, stage := range slices.Backward(spec.Stages) {
		for _, task := range slices.Concat(stage.BeforeStageTasks, stage.AfterStageTasks) {
			if task.Type == v1beta1.StageTaskTypeApproval {
				config.BeforeStageTasks = []v1beta1.StageTask{{Type: task.Type, Approval: task.Approval}}
				return config
			}
		}
	}
	return config
}
