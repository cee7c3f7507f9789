// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stagegate/stagegate/test/hub"
)

const (
	policiesScoped = `apiVersion: rollout.stagegate.dev/v1alpha1
kind: ClusterRolloutPolicy
metadata: {name: e2e-scoped}
spec:
  description: Production needs SRE
  match: {placementSelector: {matchLabels: {policies: scoped}}}
  clusters: {matchLabels: {policies: prod}}
  rules:
    staged: true
    approval: {groups: [policies-sre]}
`
	policiesScopedStrategies = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateStrategy
metadata: {name: policies-ungated}
spec: {stages: [{name: all, labelSelector: {}}]}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateStrategy
metadata: {name: policies-gated}
spec:
  stages:
  - name: all
    labelSelector: {}
    beforeStageTasks: [{type: Approval, approval: {groups: [policies-sre]}}]
`
	policiesScopedPlacement = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: policies-scoped, labels: {policies: scoped}}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: policies-scoped}]
  policy: {placementType: PickFixed, clusterNames: [%s]}
  strategy: {type: %s}
`
	policiesScopedRun = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateRun
metadata: {name: policies-%s}
spec: {placementName: policies-scoped, stagedRolloutStrategyName: policies-%s, state: Run}
`
)

// testClusterScoped tries the ways to production with cluster-scoped kinds, as an administrator whom no permission holds back.
func (p policies) testClusterScoped(t *testing.T) {
	admin := hub.HubName
	t.Cleanup(func() {
		p.mustRunInCleanup(t, `kubectl delete crpol e2e-scoped --ignore-not-found
kubectl delete csur policies-ungated policies-gated policies-removal --ignore-not-found
kubectl delete crp policies-scoped --ignore-not-found
kubectl delete csus policies-ungated policies-gated --ignore-not-found
kubectl delete ns policies-scoped --ignore-not-found --wait=false`)
	})
	p.mustRun(t, "kubectl create ns policies-scoped")
	p.apply(t, admin, policiesScoped)
	p.protects(t, "e2e-scoped", 1)
	if out := p.apply(t, admin, policiesScopedStrategies); !strings.Contains(out, "Warning: ") {
		t.Errorf("whoever writes a strategy without the gate is not warned: %s", out)
	}
	const of = "(ClusterRolloutPolicy e2e-scoped: Production needs SRE)"
	p.refuses(t, admin, fmt.Sprintf(policiesScopedPlacement, "member3", "RollingUpdate"), "spec.strategy.type must be External "+of)
	p.apply(t, admin, fmt.Sprintf(policiesScopedPlacement, "member1, member3", "External"))
	p.do(t, admin, "kubectl wait crp/policies-scoped --for=condition=ClusterResourcePlacementScheduled")
	p.do(t, admin, "kubectl wait clusterresourcesnapshot/policies-scoped-0-snapshot --for=create")
	p.refuses(t, admin, fmt.Sprintf(policiesScopedRun, "ungated", "ungated"), "beforeStageTasks must have an Approval with groups: [policies-sre] "+of)

	p.apply(t, admin, fmt.Sprintf(policiesScopedRun, "gated", "gated"))
	p.approveScoped(t, "policies-gated-before-all")
	p.do(t, admin, "kubectl wait csur/policies-gated --for=condition=Succeeded")
	p.do(t, "member3", "kubectl get ns policies-scoped")

	p.refused(t, admin, "kubectl delete crp policies-scoped", "a run must remove its resources from member3 first")
	p.do(t, admin, `kubectl patch crp policies-scoped --type=merge -p '{"spec":{"policy":{"clusterNames":["member1"]}}}'`)
	p.do(t, admin, "kubectl wait crpol/e2e-scoped --for=jsonpath='{.status.governs.placements}'=1")
	p.eventually(t, func() error {
		_, err := p.run(t.Context(), admin, "kubectl create --dry-run=server -f -", stdin(fmt.Sprintf(policiesScopedRun, "removal", "ungated")))
		if err == nil || !strings.Contains(err.Error(), "the removal of resources (1 cluster, 1 protected)") {
			return fmt.Errorf("a removal without approval is answered %w", err)
		}
		return nil
	})
	p.apply(t, admin, fmt.Sprintf(policiesScopedRun, "removal", "gated"))
	p.approveScoped(t, "policies-removal-before-all")
	p.approveScoped(t, "policies-removal-before-delete-stage")
	p.do(t, admin, "kubectl wait csur/policies-removal --for=condition=Succeeded")
	p.do(t, admin, "kubectl delete crp policies-scoped")
}

func (p policies) approveScoped(t *testing.T, request string) {
	t.Helper()
	p.do(t, hub.HubName, "kubectl wait careq/"+request+" --for=create")
	p.do(t, hub.HubName, "kubectl patch careq "+request+` --subresource=approve --type=merge -p '{"spec":{}}' --as=policies-admin --as-group=policies-sre --as-group=system:masters`)
}
