// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// planHandovers refuses a plan that hands objects on protected clusters over to versions of other placements which no policy was asked about.
// A rollback is asked about nothing but where it goes.
func (p *planner) planHandovers() error {
	governance := p.world.For(p.run, p.world.RolledBack)
	binding, rollout, err := governance.questions(p.run, p.world.Placement, &p.status)
	if err != nil {
		return err
	}
	changes := p.changes(policy.Protected(binding, rollout))
	if len(changes) == 0 {
		return nil
	}
	handovers, err := p.inputs.Handovers(changes)
	if err != nil {
		return inputError(err)
	}
	verdict := policy.JudgeHandovers(binding, rollout, handovers)
	if refusal := verdict.Refusal(); refusal != "" {
		return final(runrules.Invalid, runrules.ClientError, refusal)
	}
	if warning := verdict.Warning(); warning != "" {
		p.warnings = append(p.warnings, warning)
	}
	for i := range p.status.Policies {
		governing := &p.status.Policies[i]
		if slices.ContainsFunc(verdict.Warnings, func(v policy.Violation) bool { return v.Policy.UID == governing.UID }) {
			governing.Violated = true
			governing.Overridden = governing.Overridden || governing.Kind == policy.KindCluster && slices.Contains(verdict.Overridden, governing.Name)
		}
	}
	return nil
}

// changes are what the run does to some clusters, without those to which nothing was ever applied. A run that compares takes nothing off the clusters that
// it updates.
func (p *planner) changes(clusters []string) (changes []policy.Change) {
	members := make(map[string]Member, len(p.world.Members))
	for _, m := range p.world.Members {
		members[m.Name] = m
	}
	compares := p.run.RunSpec().RollbackOf == "" && bindingrules.Compares(p.status.ApplyStrategy)
	for _, b := range p.world.Bindings {
		cluster := b.BindingSpec().TargetCluster
		had := bindingrules.AppliedSnapshots(b)
		removes := slices.Contains(p.unpicked, cluster)
		if _, protected := slices.BinarySearch(clusters, cluster); !protected || len(had) == 0 || !removes && (compares || b.GetDeletionTimestamp() != nil) {
			continue
		}
		changes = append(changes, policy.Change{Cluster: cluster, Labels: members[cluster].Labels, Had: had, PlacedByOthers: bindingrules.PlacedByOthers(b), Removes: removes, InForce: p.inForce[cluster]})
	}
	return changes
}
