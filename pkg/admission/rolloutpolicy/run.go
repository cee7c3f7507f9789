// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rolloutpolicy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/admission"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/client/scoped"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

var overriddenPath = field.NewPath("spec", "policyOverride", "policies")

// cacheLag is how long a run that overrides policies waits for what it refers to.
const cacheLag = time.Second

// validateRun looks at runs that are created or started.
func (p *Plugin) validateRun(ctx context.Context, a admission.Attributes, run v1beta1.UpdateRunObject) error {
	switch a.GetOperation() {
	case admission.Create:
		return p.validateNew(ctx, a, run)
	case admission.Update:
		// What is to be done is in the status, which this request does not write.
		if old, ok := a.GetOldObject().(v1beta1.UpdateRunObject); ok && old.RunSpec().State != v1beta1.StateRun && run.RunSpec().State == v1beta1.StateRun {
			return p.validateStart(ctx, a, old)
		}
	}
	return nil
}

// validateNew lets a run through that has no plan yet: what it lacks may turn up, and its initialization judges it then. One that overrides
// policies is not tried again, and must have everything.
func (p *Plugin) validateNew(ctx context.Context, a admission.Attributes, run v1beta1.UpdateRunObject) error {
	s, err := p.scopeOf(ctx, a)
	if err != nil {
		return err
	}
	overrides := run.RunSpec().PolicyOverride != nil
	if len(s.mayBind) == 0 && !overrides {
		return nil
	}
	verdict, known, err := p.ask(ctx, run)
	if overrides && !known && err == nil {
		// The strategy may have been written a moment ago, by the same kubectl apply, and be on its way to the cache.
		_ = wait.PollUntilContextTimeout(ctx, cacheLag/20, cacheLag, false, func(ctx context.Context) (bool, error) {
			verdict, known, err = p.ask(ctx, run)
			return known || err != nil, nil
		})
	}
	switch {
	case err != nil:
		return err
	case !known && overrides:
		return apierrors.NewForbidden(a.GetResource().GroupResource(), run.GetName(),
			errors.New("nobody can tell what the run overrides before it can be planned: create its placement and strategy first"))
	case !known:
		return nil
	}
	idle := p.idleOverrides(s, verdict)
	var first []string
	for _, err := range idle {
		first = append(first, err.Detail)
	}
	if err := answer(ctx, a, run.GetName(), verdict, first...); err != nil {
		return err
	}
	if len(idle) > 0 {
		return apierrors.NewInvalid(a.GetKind().GroupKind(), run.GetName(), idle)
	}
	return nil
}

// validateStart refuses to start a run, as it is stored, that has moved nothing yet. The controller would end it; so it keeps its plan.
func (p *Plugin) validateStart(ctx context.Context, a admission.Attributes, run v1beta1.UpdateRunObject) error {
	if !runrules.AwaitsStart(run) {
		return nil
	}
	s, err := p.scopeOf(ctx, a)
	if err != nil || len(s.mayBind) == 0 {
		return err
	}
	verdict, known, err := p.ask(ctx, run)
	if err != nil || !known {
		return err
	}
	return answer(ctx, a, run.GetName(), verdict)
}

// ask asks the judge. An error is one of the API.
func (p *Plugin) ask(ctx context.Context, run v1beta1.UpdateRunObject) (verdict policy.Verdict, known bool, err error) {
	verdict, known, err = p.judge.Judge(ctx, run)
	if err != nil && apierrors.ReasonForError(err) == metav1.StatusReasonUnknown {
		err = unavailable(err)
	}
	return verdict, known, err
}

// validateResume refuses to start a run that was stopped before it had moved anything.
func (p *Plugin) validateResume(ctx context.Context, a admission.Attributes) error {
	run, err := scoped.RunClient(p.client.PlacementV1beta1(), a.GetNamespace()).Get(ctx, a.GetName(), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return unavailable(err)
	}
	return p.validateStart(ctx, a, run)
}

// validateRollback refuses the request for a rollback that policies would refuse: it can be made once only.
func (p *Plugin) validateRollback(ctx context.Context, a admission.Attributes) error {
	s, err := p.scopeOf(ctx, a)
	if err != nil || len(s.mayBind) == 0 {
		return err
	}
	api := p.client.PlacementV1beta1()
	run, err := scoped.RunClient(api, s.namespace).Get(ctx, a.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return unavailable(err)
	}
	placement, err := scoped.PlacementClient(api, s.namespace).Get(ctx, run.RunSpec().PlacementName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return unavailable(err)
	}
	members, err := p.listMembers()
	if err != nil {
		return err
	}
	sets := make(map[string]labels.Set, len(members))
	for name, member := range members {
		sets[name] = member.Labels
	}
	return answer(ctx, a, run.GetName(), policy.Judge(s.binding(placement.GetLabels()), policy.OfRollback(run, sets)))
}

// idleOverrides are the names in an override that override nothing: misspelled, or meant for another.
func (p *Plugin) idleOverrides(s *scope, verdict policy.Verdict) field.ErrorList {
	var idle field.ErrorList
	for _, name := range verdict.Idle {
		why := fmt.Sprintf("there is no %s %s: correct the name, or remove it from %s", policy.KindCluster, name, overriddenPath)
		if slices.ContainsFunc(s.mayBind, func(of *policy.Policy) bool { return of.Kind == policy.KindNamespace && of.Name == name }) {
			why = fmt.Sprintf("%s %s cannot be overridden: a user who may write it in namespace %s can change it", policy.KindNamespace, name, s.namespace)
		} else if _, err := p.policies.Get(types.NamespacedName{Name: name}); err == nil {
			why = fmt.Sprintf("%s %s does not bind this run: remove it from %s", policy.KindCluster, name, overriddenPath)
		}
		idle = append(idle, field.Invalid(overriddenPath, name, why))
	}
	return idle
}
