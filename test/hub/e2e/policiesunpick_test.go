// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// policiesPaced goes to production one member at a time, after staging, and asks before it.
const policiesPaced = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: StagedUpdateStrategy
metadata: {name: mend-paced, namespace: policies}
spec:
  stages:
  - name: first
    labelSelector: {matchExpressions: [{key: policies, operator: NotIn, values: [prod]}]}
  - name: prod
    labelSelector: {matchLabels: {policies: prod}}
    beforeStageTasks: [{type: Approval, approval: {groups: [policies-sre], allowRequester: false}}]
`

// picks has the team's placement pick some members.
func (p policies) picks(t *testing.T, placement string, members ...string) {
	t.Helper()
	p.do(t, policiesTeam, "kubectl patch -n policies rp "+placement+` --type=merge -p '{"spec":{"policy":{"clusterNames":["`+strings.Join(members, `","`)+`"]}}}'`)
}

// testUnpickedMeanwhile is a team that has its placement not pick the clusters that should have a version first.
func (p policies) testUnpickedMeanwhile(t *testing.T) {
	p.apply(t, policiesTeam, policiesPaced)
	p.place(t, "mend-unpick", "member2", "member3")
	p.plan(t, "mend-unpick", "mend-unpick", "mend-paced")
	p.picks(t, "mend-unpick", "member3")
	p.eventually(t, func() error { return p.isNotPicked(t, "mend-unpick", "member2") })
	p.startPlanned(t, "mend-unpick")
	p.ends(t, "mend-unpick", "Progressing", "UpdateRunWaiting", "waiting for cluster(s) member2 in stage first, which the placement does not pick any more")
	p.hasNothing(t, "mend-unpick", "member3")
	// Within the second in which the run was planned nobody can tell the new binding from the one before.
	p.eventually(t, func() error {
		text := p.mustRun(t, `kubectl get -n policies sur mend-unpick -o jsonpath='{.status.conditions[?(@.type=="Initialized")].lastTransitionTime}'`)
		if at, err := time.Parse(time.RFC3339, text); err != nil || time.Since(at) < time.Second {
			return fmt.Errorf("the run was planned at %q: %w", text, err)
		}
		return nil
	})
	p.picks(t, "mend-unpick", "member2", "member3")
	// The binding of a cluster that nothing was put on is a new one.
	p.ends(t, "mend-unpick", "Succeeded", "UpdateRunFailed", "cluster member2 was removed from the placement and picked again since this run was planned; create a new run")
	p.hasNothing(t, "mend-unpick", "member3")
}

// isNotPicked returns an error as long as a placement has a binding of a member that is to get a version.
func (p policies) isNotPicked(t *testing.T, placement, member string) error {
	out := p.mustRun(t, `kubectl get -n policies rb -l kubernetes-fleet.io/parent-CRP=`+placement+` -o jsonpath='{range .items[*]}{.spec.targetCluster}={.spec.state} {end}'`)
	if strings.Contains(out, member+"=") && !strings.Contains(out, member+"=Unscheduled") {
		return fmt.Errorf("the bindings are %s", out)
	}
	return nil
}

// testRollbackOfWhatAnotherReplaced is a team that resumes a run while production is not picked, and then rolls it back.
func (p policies) testRollbackOfWhatAnotherReplaced(t *testing.T) {
	p.apply(t, policiesTeam, policiesPaced)
	p.place(t, "mend-back", "member3")
	for _, version := range []string{"value1", "value2", "value3"} {
		p.do(t, policiesTeam, `kubectl patch -n policies cm mend-back --type=merge -p '{"data":{"key":"`+version+`"}}'`)
		p.start(t, policiesTeam, "mend-"+version, "mend-back", "mend-paced")
		p.approve(t, "mend-"+version+"-before-prod")
		p.succeeds(t, "mend-"+version)
		p.has(t, "mend-back", "member3", version)
	}
	const moved = "mend-value3 has moved cluster member3 since mend-value2 did"
	rollback := `kubectl patch -n policies sur mend-value2 --subresource=rollback --type=merge -p '{"spec":{"reason":"INC-7"}}'`
	p.refused(t, policiesTeam, rollback, moved)
	p.picks(t, "mend-back", "member2")
	p.eventually(t, func() error { return p.isNotPicked(t, "mend-back", "member3") })
	p.refused(t, policiesTeam, rollback, moved)
	p.has(t, "mend-back", "member3", "value3")
}
