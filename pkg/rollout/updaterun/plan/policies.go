// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// Governance is by what a plan is judged, when it is made and once more when its run starts.
type Governance struct {
	// Members of the fleet, without those that are leaving.
	Members []Member
	// Policies that there are, whether or not they bind the run.
	Policies []*policy.Policy
	// NamespaceLabels are those of the run's Namespace on the hub, nil where they are not known.
	NamespaceLabels labels.Set

	// forward reports whether the run rolls a rollback back.
	forward bool
}

// For returns by what a run is judged, where earlier is the run that it rolls back, nil for none. A run that failed while it was under way
// brings its clusters back by what governs itself: a policy that was made or changed since cannot strand them halfway. What was violated or
// overridden then, and whatever somebody asks for, is judged by the policies of now.
func (g Governance) For(run, earlier v1beta1.UpdateRunObject) Governance {
	g.forward = earlier != nil && earlier.RunSpec().RollbackOf != ""
	if earlier == nil || !runrules.IsAutomaticRollback(run, earlier) {
		return g
	}
	var held []*policy.Policy
	for _, p := range g.Policies {
		if slices.ContainsFunc(earlier.RunStatus().Policies, func(k v1beta1.GoverningPolicy) bool {
			return k.UID == p.UID && (k.Generation == p.Generation || k.Violated)
		}) {
			held = append(held, p)
		}
	}
	g.Policies = held
	return g
}

// Judge returns what the policies say of a plan. A Pending error says that something is missing by which they judge: then nobody may go on
// by the plan.
func (g *Governance) Judge(run v1beta1.UpdateRunObject, placement v1beta1.PlacementObject, planned *v1beta1.UpdateRunStatus) (policy.Verdict, error) {
	binding, rollout, err := g.questions(run, placement, planned)
	if err != nil {
		return policy.Verdict{}, err
	}
	return policy.Judge(binding, rollout), nil
}

// questions returns which policies are asked about a plan, and the plan as they look at it.
func (g *Governance) questions(run v1beta1.UpdateRunObject, placement v1beta1.PlacementObject, planned *v1beta1.UpdateRunStatus) ([]*policy.Policy, policy.Rollout, error) {
	subject := policy.Subject{Namespace: run.GetNamespace(), NamespaceLabels: g.NamespaceLabels, PlacementLabels: placement.GetLabels()}
	if err := subject.Check(g.Policies); err != nil {
		return nil, policy.Rollout{}, pending(runrules.Invalid, err.Error())
	}
	members := make(map[string]labels.Set, len(g.Members))
	for _, m := range g.Members {
		members[m.Name] = m.Labels
	}
	rollout := policy.Of(run, planned, members)
	rollout.Forward = g.forward
	return policy.Binding(g.Policies, subject), rollout, nil
}

// Judge returns what the policies say of the plan that a run has, or would have now. It needs no inputs, and leaves no trace. known is
// false where there is no plan. An error says that a plan cannot be judged.
func Judge(run v1beta1.UpdateRunObject, world World) (verdict policy.Verdict, known bool, err error) {
	if world.Placement != nil && runrules.IsPlanned(run.RunStatus()) {
		governance := world.For(run, world.RolledBack)
		verdict, err = governance.Judge(run, world.Placement, run.RunStatus())
		return verdict, err == nil, err
	}
	p := planner{run: run, world: world}
	if p.outline() != nil {
		// What is missing, or wrong, is for initialization to say.
		return policy.Verdict{}, false, nil
	}
	governance := world.For(run, world.RolledBack)
	verdict, err = governance.Judge(run, world.Placement, &p.status)
	return verdict, err == nil, err
}

// planPolicies refuses a plan that violates policies, and records which ones govern it.
func (p *planner) planPolicies() error {
	governance := p.world.For(p.run, p.world.RolledBack)
	verdict, err := governance.Judge(p.run, p.world.Placement, &p.status)
	if err != nil {
		return err
	}
	if refusal := verdict.Refusal(); refusal != "" {
		return final(runrules.Invalid, runrules.ClientError, refusal)
	}
	if warning := verdict.Warning(); warning != "" {
		p.warnings = append(p.warnings, warning)
	}
	p.status.Policies = verdict.Governing
	return nil
}
