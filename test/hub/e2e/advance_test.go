// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// behindOneGate is a stage of all clusters that is entered once it is approved.
const behindOneGate = `
  - name: all
    labelSelector: {}
    maxConcurrency: 100%
    beforeStageTasks: [{type: Approval}]
`

// testRequestMadeInAdvance makes and approves a request under the name that a run is going to ask by: what somebody else asked opens
// nothing, not even handed to the run, and once it is deleted the run asks itself.
func testRequestMadeInAdvance(t *testing.T, s *suite) {
	const gate = "early-before-all"
	r := s.newRollout(t, "early", behindOneGate)
	t.Cleanup(func() { s.mustRunInCleanup(t, "kubectl delete careq "+gate+" --ignore-not-found") })
	s.grant(t, "alice", "stagegate-approver")
	approve := func() {
		t.Helper()
		s.as(t, "alice").mustPatch(t, kindApproval, "", gate, `{"spec":{"comment":"lgtm"}}`, "approve")
	}
	s.hub().mustCreate(t, fmt.Sprintf(`apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterApprovalRequest
metadata: {name: %s}
spec: {parentStageRollout: early, targetStage: all}
status:
  decisions: [{decision: Approved, user: {username: alice}, time: "2025-07-22T21:31:13Z", requestUID: x}]
  conditions: [{type: Approved, status: "True", reason: Forged, message: "", lastTransitionTime: "2025-07-22T21:31:13Z"}]
`, gate))
	s.undecided(t, gate)
	approve()
	s.decided(t, gate, decision{"Approved", "alice", "lgtm"})

	r.start(t, "early", 0, "Run")
	run := r.awaitRun(t, "early", all(has("Progressing", "False", "UpdateRunWaiting"), func(run runStatus) error {
		waiting, err := findCondition(run.object, "Progressing")
		if want := gate + " belongs to nobody and not to this run; delete it"; err == nil && !strings.HasSuffix(waiting.Message, want) {
			err = fmt.Errorf("the run does not say %q: %s", want, waiting.Message)
		}
		return err
	}))
	s.refused(t, "hub", fmt.Sprintf(`kubectl patch careq %s --type=merge -p '{"metadata":{"ownerReferences":[
		{"apiVersion":"placement.kubernetes-fleet.io/v1beta1","kind":"ClusterStagedUpdateRun","name":"early","uid":"%s"}]}}'`, gate, run.object.GetUID()),
		"an approval request belongs to the run that made it, and no other owner can be added")

	s.mustRun(t, "kubectl delete careq "+gate)
	r.eventually(t, func() error {
		obj, err := s.hub().get(t.Context(), kindApproval, "", gate)
		if err == nil && len(obj.GetOwnerReferences()) == 0 {
			err = fmt.Errorf("%s is still the one that was made in advance", gate)
		}
		return err
	})
	s.undecided(t, gate)
	if err := s.values(t.Context(), r.name, "settings", onAll("")); err != nil {
		t.Errorf("before anybody has approved: %v", err)
	}
	approve()
	r.succeeds(t, "early", "value1")
}
