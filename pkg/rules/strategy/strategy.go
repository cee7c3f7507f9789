// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package strategy tells what a strategy of staged updates means: whether a run can follow it, and which stage has which clusters, in
// which order. Admission asks it to warn, and planning to decide.
package strategy

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
)

// Copy returns what a run keeps of a strategy, with every default filled in. An Approval that comes after a stage and has a wait time, which KubeFleet once stored,
// loses the time.
func Copy(strategy v1beta1.UpdateStrategyObject) *v1beta1.UpdateStrategySpec {
	spec := strategy.StrategySpec().WithDefaults()
	for i := range spec.Stages {
		tasks := spec.Stages[i].AfterStageTasks
		for j := range tasks {
			if tasks[j].Type == v1beta1.StageTaskTypeApproval {
				tasks[j].WaitTime = nil
			}
		}
	}
	return spec
}

// Validate returns what the API refuses in a new strategy: by the markers of its types, and by the rules beside them.
func Validate(spec *v1beta1.UpdateStrategySpec) field.ErrorList {
	path := field.NewPath("spec")
	// The generated validation takes a context, but waits for nothing.
	errs := v1beta1.Validate_UpdateStrategySpec(context.Background(), operation.Operation{Type: operation.Create}, path, spec, nil)
	return append(errs, validation.ValidateUpdateStrategySpec(spec, path)...)
}

// StageOf returns the stage that an error of Validate is about, and which field of it, empty for the stage as a whole. It returns nil for
// an error about no stage in particular.
func StageOf(spec *v1beta1.UpdateStrategySpec, err *field.Error) (stage *v1beta1.StageConfig, name string) {
	for i := range spec.Stages {
		rest, ok := strings.CutPrefix(err.Field, field.NewPath("spec", "stages").Index(i).String())
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(strings.TrimPrefix(rest, "."), ".")
		name, _, _ = strings.Cut(name, "[")
		return &spec.Stages[i], name
	}
	return nil, ""
}
