// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rolloutpolicy

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

var overriddenPath = field.NewPath("spec", "policyOverride", "policies")

// validateRun looks at new runs only: what a run is to do cannot change, and when it starts the controller looks once more. A run without
// a plan yet is let through: what it lacks may turn up, and its initialization judges it then.
func (p *Plugin) validateRun(ctx context.Context, a admission.Attributes, run v1beta1.UpdateRunObject) error {
	if a.GetOperation() != admission.Create {
		return nil
	}
	s, err := p.scopeOf(ctx, a)
	if err != nil {
		return err
	}
	if len(s.mayBind) == 0 && run.RunSpec().PolicyOverride == nil {
		return nil
	}
	verdict, known, err := p.judge.Judge(ctx, run)
	switch {
	case apierrors.ReasonForError(err) != "":
		return err
	case err != nil:
		return unavailable(err)
	case !known:
		return nil
	}
	idle := idleOverrides(verdict)
	var more []string
	for _, err := range idle {
		more = append(more, err.Detail)
	}
	if err := answer(ctx, a, run.GetName(), verdict, more...); err != nil {
		return err
	}
	if len(idle) > 0 {
		return apierrors.NewInvalid(a.GetKind().GroupKind(), run.GetName(), idle)
	}
	return nil
}

// idleOverrides are the names in an override of policies that do not bind the run: misspelled, or meant for another.
func idleOverrides(verdict policy.Verdict) field.ErrorList {
	var idle field.ErrorList
	for _, name := range verdict.Idle {
		idle = append(idle, field.Invalid(overriddenPath, name, fmt.Sprintf("%s %s does not bind this run: remove it from %s", policy.KindCluster, name, overriddenPath)))
	}
	return idle
}
