// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"

	"github.com/stagegate/stagegate/test/hub"
)

// teamManifests are a team's workload in its namespace with all that rolls it out.
const teamManifests = `apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: team}
data: {key: value1}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: settings, namespace: team}
spec:
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: settings}]
  policy: {placementType: PickAll}
  strategy: {type: External}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: StagedUpdateStrategy
metadata: {name: settings, namespace: team}
spec:
  stages:
  - name: everywhere
    labelSelector: {}
    beforeStageTasks: [{type: Approval}]
    maxConcurrency: 100%
`

// testNamespaceTeam gives a team the edit role and the approver role in its namespace and nothing else: it can do all of its
// rollouts there, and nothing outside, neither on the hub nor on a member.
func testNamespaceTeam(t *testing.T, s *suite) {
	if _, err := s.environment.User("dana", "team"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete ns team neighbor --ignore-not-found --wait=false; kubectl delete crp team neighbor --ignore-not-found")
	})
	s.explain(t, "sur,areq,rp,resourcesnapshots,rb,sus -n team", "crp/team")
	s.mustRun(t, `
kubectl create ns team
kubectl create ns neighbor
kubectl create cm settings -n neighbor --from-literal=key=theirs
kubectl create rolebinding edit -n team --clusterrole=edit --group=team
kubectl create rolebinding approve -n team --clusterrole=stagegate-approver --group=team
`)
	for _, namespace := range []string{"team", "neighbor"} {
		s.hub().mustCreate(t, fmt.Sprintf(`apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: %[1]s}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: %[1]s, selectionScope: NamespaceOnly}]
`, namespace))
	}
	s.mustRun(t, fmt.Sprintf("kubectl wait crp/team crp/neighbor --for=condition=ClusterResourcePlacementAvailable --timeout=%s", patience))
	s.awaitPermission(t, "dana", "team", "update", "stagedupdateruns")
	s.awaitPermission(t, "dana", "team", "update", "approvalrequests/approve")

	t.Run("InsideItRollsOut", func(t *testing.T) { testTeamRollsOut(t, s) })
	t.Run("OutsideItIsRefused", func(t *testing.T) { testTeamIsRefused(t, s) })
	t.Run("PlacementsStayInside", func(t *testing.T) { testTeamPlacementsStayInside(t, s) })
}

func testTeamRollsOut(t *testing.T, s *suite) {
	do := func(script string) {
		t.Helper()
		if _, err := s.run(t.Context(), "dana", script); err != nil {
			t.Fatalf("%s: %v", script, err)
		}
	}
	timeout := fmt.Sprintf(" --timeout=%s", patience)
	do("kubectl apply -f - << 'EOF'\n" + teamManifests + "EOF\n")
	do("kubectl wait -n team resourcesnapshot/settings-0-snapshot --for=create" + timeout)
	do(`kubectl create -f - << 'EOF'
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: StagedUpdateRun
metadata: {name: first, namespace: team}
spec: {placementName: settings, resourceSnapshotIndex: "0", stagedRolloutStrategyName: settings, state: Initialize}
EOF
`)
	do("kubectl wait -n team sur/first --for=condition=Initialized" + timeout)
	do(`kubectl patch -n team sur first --type=merge -p '{"spec":{"state":"Run"}}'`)
	do("kubectl wait -n team areq/first-before-everywhere --for=create" + timeout)
	do(`kubectl patch -n team sur first --type=merge -p '{"spec":{"state":"Stop"}}'`)
	do(`kubectl wait -n team sur/first --for=jsonpath='{.status.conditions[?(@.type=="Progressing")].reason}'=UpdateRunStopped` + timeout)
	do(`kubectl patch -n team sur first --type=merge -p '{"spec":{"state":"Run"}}'`)
	do(`kubectl patch -n team areq first-before-everywhere --subresource=approve --type=merge -p '{"spec":{"comment":"ours"}}'`)
	do("kubectl wait -n team sur/first --for=condition=Succeeded" + timeout)
	if err := s.values(t.Context(), "team", "settings", onAll("value1")); err != nil {
		t.Error(err)
	}
}

func testTeamIsRefused(t *testing.T, s *suite) {
	for what, script := range map[string]string{
		"a placement of the fleet": `kubectl create -f - << 'EOF'
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: theirs}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: neighbor}]
EOF
`,
		"a placement in another namespace": `kubectl create -f - << 'EOF'
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: theirs, namespace: neighbor}
spec:
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: settings}]
EOF
`,
		"a snapshot that says what is placed": `kubectl create -f - << 'EOF'
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourceSnapshot
metadata: {name: settings-7-snapshot, namespace: team}
spec: {selectedResources: []}
EOF
`,
		"a Work":                         "kubectl get works -n fleet-member-member1",
		"reading another namespace":      "kubectl get rp -n neighbor",
		"reading the whole fleet's runs": "kubectl get csur",
		"a binding":                      "kubectl delete rb -n team --all",
		"a changed snapshot":             `kubectl label resourcesnapshots -n team settings-0-snapshot x=y`,
		"a run's status":                 `kubectl patch sur -n team x --subresource=status --type=merge -p '{"status":{}}'`,
		"a placement's status":           `kubectl patch rp -n team settings --subresource=status --type=merge -p '{"status":{}}'`,
		"asking again":                   "kubectl delete areq -n team first-before-everywhere",
		"a fleet's approval":             `kubectl patch careq x --subresource=approve --type=merge -p '{"spec":{}}'`,
		"the members":                    "kubectl get memberclusters",
		"the members' credentials":       "kubectl get secrets -n fleet-system",
	} {
		t.Run(what, func(t *testing.T) { s.refused(t, "dana", script, "(Forbidden)") })
	}
}

// testTeamPlacementsStayInside tries to place with a ResourcePlacement what is not in its namespace: what no namespace has is refused to
// everybody, and what another namespace has is not found.
func testTeamPlacementsStayInside(t *testing.T, s *suite) {
	const placement = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: outside, namespace: team}
spec:
  resourceSelectors: [%s]
`
	for _, tc := range []struct{ what, resource, selector string }{
		{"Namespace neighbor", "namespaces", `{group: "", version: v1, kind: Namespace, name: neighbor}`},
		{"ClusterRole cluster-admin", "clusterroles.rbac.authorization.k8s.io", `{group: rbac.authorization.k8s.io, version: v1, kind: ClusterRole, name: cluster-admin}`},
	} {
		create := "kubectl create -f - << 'EOF'\n" + fmt.Sprintf(placement, tc.selector) + "EOF\n"
		t.Run(tc.resource, func(t *testing.T) {
			s.refused(t, "dana", create, `user "dana" cannot place `+tc.what)
			// Who may read it is refused too.
			s.refused(t, hub.HubName, create, "cannot select cluster-scoped resource "+tc.resource+" in a resourcePlacement")
		})
	}
	t.Run("ConfigMapOfTheNeighbor", func(t *testing.T) {
		t.Cleanup(func() { s.mustRunInCleanup(t, "kubectl delete rp outside -n team --ignore-not-found") })
		s.mustRun(t, "kubectl create cm theirs -n neighbor --from-literal=key=theirs")
		if err := s.as(t, "dana").create(t.Context(), fmt.Sprintf(placement, `{group: "", version: v1, kind: ConfigMap, name: theirs}`)); err != nil {
			t.Fatal(err)
		}
		s.eventually(t, func() error {
			obj, err := s.hub().get(t.Context(), placementV1beta1.WithKind("ResourcePlacement"), "team", "outside")
			if err != nil {
				return err
			}
			return condition(obj, "ResourcePlacementResourcesSelected", "False", "NothingSelected")
		})
		for _, namespace := range []string{"neighbor", "team"} {
			if err := s.values(t.Context(), namespace, "theirs", onAll("")); err != nil {
				t.Error(err)
			}
		}
		// With one of its own of that name, it is this one that is placed.
		s.mustRun(t, "kubectl create cm theirs -n team --from-literal=key=ours")
		s.eventually(t, func() error { return s.values(t.Context(), "team", "theirs", onAll("ours")) })
		if err := s.values(t.Context(), "neighbor", "theirs", onAll("")); err != nil {
			t.Error(err)
		}
	})
}
