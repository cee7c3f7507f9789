// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"k8s.io/apimachinery/pkg/types"

	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
	"github.com/stagegate/stagegate/pkg/view"
)

// hints are the commands that let a run go on which waits for a person.
func hints(v *view.Run) []string {
	if v.Over {
		return nil
	}
	run := runs.Name(types.NamespacedName{Namespace: v.Object.Namespace, Name: v.Object.Name})
	command := func(verb, rest string) string { return "kubectl stagegate " + verb + " " + run + rest }
	switch v.Phase() {
	case runrules.PhasePlanned:
		return []string{command("start", "")}
	case runrules.PhaseStopped:
		return []string{command("resume", "")}
	case runrules.PhasePaused:
		return []string{command("retry", ""), command("skip", " --clusters="+failed(v))}
	case runrules.PhaseStuck:
		return []string{command("why", "")}
	case runrules.PhaseWaitingForApproval:
		var lines []string
		for _, a := range v.OpenApprovals() {
			lines = append(lines, "kubectl stagegate approve "+requests.Name(types.NamespacedName{Namespace: v.Object.Namespace, Name: a.Object.Name}))
		}
		return lines
	}
	return nil
}

// failed names one cluster that has failed.
func failed(v *view.Run) string {
	for i := range v.Stages {
		for _, c := range v.Stages[i].Listed {
			if c.State == view.ClusterFailed {
				return c.Name
			}
		}
	}
	return "NAME"
}
