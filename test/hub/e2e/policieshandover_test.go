// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

const policiesHeir = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: heir, namespace: policies}
spec:
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: frozen}]
  policy: {placementType: PickFixed, clusterNames: [member2]}
  strategy: {type: External}
`

// testHandoverOfADeletion has another placement wait for an object on a cluster that is closed to new versions. To delete the placement that has
// it would bring the other one's version there.
func (p policies) testHandoverOfADeletion(t *testing.T) {
	p.place(t, "frozen", "member2")
	p.start(t, policiesTeam, "frozen", "frozen", "ungated")
	p.succeeds(t, "frozen")
	p.has(t, "frozen", "member2", "value1")
	p.apply(t, policiesTeam, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: frozen, namespace: policies}\ndata: {key: value2}\n")
	p.apply(t, policiesTeam, policiesHeir)
	p.start(t, policiesTeam, "heir", "heir", "ungated")
	p.eventually(t, func() error {
		out, err := p.run(t.Context(), policiesTeam, "kubectl get -n policies sur heir -o wide")
		if err == nil && !strings.Contains(out, "placed by") {
			err = fmt.Errorf("the run does not say that it waits for the object:\n%s", out)
		}
		return err
	})

	p.more(t, "e2e-freeze", "Enforce", "{environment: staging}", "deny: true")
	p.eventually(t, func() error {
		_, err := p.run(t.Context(), policiesTeam, "kubectl delete -n policies rp frozen --dry-run=server")
		const refusal = "the removal of resources (1 cluster, 1 protected): must not hand ConfigMap policies/frozen on member2 over to the version of ResourcePlacement policies/heir"
		if err == nil || !strings.Contains(err.Error(), refusal) {
			return fmt.Errorf("the deletion is not refused: %w", err)
		}
		return nil
	})
	p.refused(t, policiesTeam, "kubectl delete -n policies rp frozen", "must not hand ConfigMap policies/frozen on member2 over")
	p.has(t, "frozen", "member2", "value1")

	// As the refusal says. What nobody waits for may be removed from a cluster that is denied.
	p.do(t, policiesTeam, "kubectl delete -n policies rp heir")
	p.do(t, policiesTeam, "kubectl delete -n policies rp frozen")
	p.has(t, "frozen", "member2", "")
}
