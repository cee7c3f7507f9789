// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// planStrategy copies the strategy. It is validated again: it may have been stored before a rule was there.
func (p *planner) planStrategy() error {
	if p.world.Strategy == nil || p.world.Strategy.GetDeletionTimestamp() != nil {
		return pending(runrules.Invalid, runrules.ClientError, fmt.Sprintf("referenced updateStrategy not found: `%s`", p.strategyKey()))
	}
	spec := strategy.Copy(p.world.Strategy)
	if errs := strategy.Validate(spec); len(errs) > 0 {
		return final(runrules.Invalid, runrules.ClientError, p.messageInvalid(spec, errs))
	}
	p.status.UpdateStrategySnapshot = spec
	return nil
}

func (p *planner) strategyKey() string {
	return wording.Key(p.run.GetNamespace(), p.run.RunSpec().StagedUpdateStrategyName)
}

// messageInvalid shows the first error, with the stage that it is about: all of them could be more than a condition holds.
func (p *planner) messageInvalid(spec *v1beta1.UpdateStrategySpec, errs field.ErrorList) string {
	var message string
	switch stage, name := strategy.StageOf(spec, errs[0]); {
	case stage == nil:
		message = fmt.Sprintf("the updateStrategy `%s` is invalid, err: %v", p.strategyKey(), errs[0])
	case name == "":
		// The error would show the whole stage.
		message = fmt.Sprintf("the stage name is used more than once, updateStrategy: `%s`, stage: %s", p.strategyKey(), stage.Name)
	default:
		message = fmt.Sprintf("%s, updateStrategy: `%s`, stage: %s, err: %v", invalidPart(name), p.strategyKey(), stage.Name, errs[0])
	}
	if more := len(errs) - 1; more > 0 {
		message += fmt.Sprintf(" (and %d more)", more)
	}
	return message
}

// invalidPart names the part of a stage that is invalid, in the words of upstream where it has some.
func invalidPart(name string) string {
	switch name {
	case "beforeStageTasks":
		return "the before stage tasks are invalid"
	case "afterStageTasks":
		return "the after stage tasks are invalid"
	case "labelSelector":
		return "the stage label selector is invalid"
	}
	return fmt.Sprintf("the stage %s is invalid", name)
}
