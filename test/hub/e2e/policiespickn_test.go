// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stagegate/stagegate/test/hub"
)

// testScaling has a placement that prefers other members scale to production and back.
func (p policies) testScaling(t *testing.T) {
	p.apply(t, policiesTeam, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: scaling, namespace: policies}\ndata: {key: value1}\n---\n"+
		strings.Replace(fmt.Sprintf(policiesPlacement, "scaling", "", "External"), "{placementType: PickFixed, clusterNames: []}",
			"{placementType: PickN, numberOfClusters: 2, affinity: {clusterAffinity: {preferredDuringSchedulingIgnoredDuringExecution: "+
				"[{weight: 10, preference: {labelSelector: {matchExpressions: [{key: policies, operator: NotIn, values: [prod]}]}}}]}}}", 1))
	p.do(t, hub.HubName, "kubectl wait -n policies rp/scaling --for=condition=ResourcePlacementScheduled")
	p.do(t, hub.HubName, "kubectl wait -n policies resourcesnapshot/scaling-0-snapshot --for=create")
	// scale waits until production is in a state.
	scale := func(number int, state string) {
		t.Helper()
		p.do(t, policiesTeam, fmt.Sprintf(`kubectl patch -n policies rp scaling --type=merge -p '{"spec":{"policy":{"numberOfClusters":%d}}}'`, number))
		p.eventually(t, func() error {
			out := p.mustRun(t, `kubectl get -n policies rb -l kubernetes-fleet.io/parent-CRP=scaling -o jsonpath='{range .items[*]}{.spec.targetCluster}={.spec.state} {end}'`)
			if !strings.Contains(out, "member3="+state+" ") {
				return fmt.Errorf("the bindings are %s, want %s of member3", out, state)
			}
			return nil
		})
	}
	p.start(t, policiesTeam, "scaling", "scaling", "ungated")
	p.succeeds(t, "scaling")
	p.has(t, "scaling", "member2", "value1")

	scale(3, "Scheduled")
	p.hasNothing(t, "scaling", "member3")
	p.refuses(t, policiesTeam, fmt.Sprintf(policiesRun, "scaling-up", "scaling", "ungated", "Run", ""), "(3 clusters, 1 protected)")
	p.start(t, policiesTeam, "scaling-up", "scaling", "gated")
	p.approve(t, "scaling-up-before-all")
	p.succeeds(t, "scaling-up")
	p.has(t, "scaling", "member3", "value1")

	scale(2, "Unscheduled")
	p.has(t, "scaling", "member3", "value1")
	p.start(t, policiesTeam, "scaling-down", "scaling", "gated")
	p.approve(t, "scaling-down-before-all")
	p.approve(t, "scaling-down-before-delete-stage")
	p.succeeds(t, "scaling-down")
	p.has(t, "scaling", "member3", "")
}
