// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// argocdManifests are what a team makes in its namespace of the hub that is called like one which members have for themselves.
const argocdManifests = `apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: argocd}
data: {key: the-team}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: look, namespace: argocd}
spec:
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: settings}]
  policy: {placementType: PickAll}
  strategy:
    rollingUpdate: {maxUnavailable: 100%}
    applyStrategy: {type: ReportDiff}
    reportBackStrategy: {type: Mirror, destination: WorkAPI}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: take, namespace: argocd}
spec:
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: settings}]
  policy: {placementType: PickAll}
  strategy:
    rollingUpdate: {maxUnavailable: 100%}
`

// testForeignNamespace has a team place into a namespace that members have for themselves: nothing is written there and nothing shown of
// it, until the Namespace on the member, its MemberCluster or a cluster-scoped placement lets it in. No other write is needed then.
func testForeignNamespace(t *testing.T, s *suite) {
	members := s.environment.Members()
	if _, err := s.environment.User("theo", "tenant"); err != nil {
		t.Fatal(err)
	}
	onMember := func(ctx context.Context, t *testing.T, member, script string) {
		t.Helper()
		if _, err := s.run(ctx, member, script); err != nil {
			t.Errorf("on %s: %s: %v", member, script, err)
		}
	}
	t.Cleanup(func() {
		s.mustRunInCleanup(t, `kubectl delete rp look take -n argocd --ignore-not-found; kubectl delete crp argocd --ignore-not-found
kubectl label membercluster member2 kubernetes-fleet.io/accept-placements-; kubectl delete ns argocd --ignore-not-found --wait=false`)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		for _, member := range members {
			onMember(ctx, t, member, "kubectl delete ns argocd --ignore-not-found --wait=false")
		}
	})
	s.explain(t, "rp,rb -n argocd", "works -A -l kubernetes-fleet.io/parent-placement-namespace=argocd")
	for _, member := range members {
		onMember(t.Context(), t, member, "kubectl create ns argocd && kubectl create cm settings -n argocd --from-literal=key=the-cluster")
	}
	s.mustRun(t, `
kubectl create ns argocd
kubectl create rolebinding edit -n argocd --clusterrole=edit --group=tenant
`)
	s.awaitPermission(t, "theo", "argocd", "create", "resourceplacements")
	if err := s.as(t, "theo").create(t.Context(), argocdManifests); err != nil {
		t.Fatal(err)
	}

	theo := func(script string) string {
		t.Helper()
		out, err := s.run(t.Context(), "theo", script)
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		return out
	}
	message := func(member string) string {
		return fmt.Sprintf(`Namespace "argocd" of cluster %[1]q does not take what is placed from namespace "argocd" of the hub: place the Namespace `+
			`with a ClusterResourcePlacement, or label the Namespace on the cluster or MemberCluster %[1]q on the hub with kubernetes-fleet.io/accept-placements=true`, member)
	}
	refused := func(members ...string) {
		t.Helper()
		s.eventually(t, func() error {
			taken := theo(`kubectl get rp take -n argocd -o jsonpath='{range .status.placementStatuses[*]}{.clusterName}: {range .failedPlacements[*]}{.condition.reason}: {.condition.message}{end}{"\n"}{end}'`)
			shown := theo(`kubectl get rp look -n argocd -o jsonpath='{range .status.placementStatuses[*]}{.clusterName}: {.conditions[?(@.type=="DiffReported")].message}{"\n"}{end}'`)
			for _, member := range members {
				if want := member + ": NamespaceNotAccepted: " + message(member); !strings.Contains(taken, want) {
					return fmt.Errorf("the status says\n%s\nwant\n%s", taken, want)
				}
				if want := ": ConfigMap argocd/settings: " + message(member); !strings.Contains(shown, want) {
					return fmt.Errorf("the status says\n%s\nwant\n%s", shown, want)
				}
			}
			return nil
		})
	}
	refused(members...)
	if err := s.values(t.Context(), "argocd", "settings", onAll("the-cluster")); err != nil {
		t.Error(err)
	}
	leaks := func(cluster string) bool {
		t.Helper()
		return strings.Contains(theo("kubectl get rp,rb -n argocd -o yaml")+
			s.mustRun(t, "kubectl get works -n fleet-member-"+cluster+" -l kubernetes-fleet.io/parent-placement-namespace=argocd -o yaml"), "the-cluster")
	}
	for _, member := range members {
		if leaks(member) {
			t.Errorf("what namespace argocd of %s has is shown on the hub", member)
		}
	}

	values := map[string]string{"member1": "the-cluster", "member2": "the-cluster", "member3": "the-cluster"}
	for _, step := range []struct{ what, member, on, script string }{
		{"the Namespace is labeled", "member1", "member1", "kubectl label ns argocd kubernetes-fleet.io/accept-placements=true"},
		{"the MemberCluster is labeled", "member2", "hub", "kubectl label membercluster member2 kubernetes-fleet.io/accept-placements=true"},
		{"a placement brings the Namespace", "member3", "hub", `kubectl create -f - << 'EOF'
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: argocd}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: argocd, selectionScope: NamespaceOnly}]
  policy: {placementType: PickFixed, clusterNames: [member3]}
EOF
`},
	} {
		if step.on == "hub" {
			s.mustRun(t, step.script)
		} else {
			onMember(t.Context(), t, step.on, step.script)
		}
		values[step.member] = "the-team"
		t.Log(step.what)
		s.eventually(t, func() error { return s.values(t.Context(), "argocd", "settings", values) })
	}

	// Consent that ends takes nothing away, and what is there is kept up to date.
	onMember(t.Context(), t, "member1", "kubectl label ns argocd kubernetes-fleet.io/accept-placements-")
	s.mustRun(t, "kubectl label membercluster member2 kubernetes-fleet.io/accept-placements-")
	theo(`kubectl patch cm settings -n argocd --type=merge -p '{"data":{"key":"newer"}}'`)
	s.eventually(t, func() error { return s.values(t.Context(), "argocd", "settings", onAll("newer")) })
}

// byHand is a namespace that members have, and of which a team on the hub places all ConfigMaps.
const byHand = "by-hand"

// placeIntoNamespacesMadeByHand has a version that did not ask members' namespaces place into ones that no placement has brought.
func (s *suite) placeIntoNamespacesMadeByHand(t *testing.T, members []string) {
	t.Helper()
	for _, member := range members {
		if _, err := s.run(t.Context(), member, "kubectl create ns "+byHand); err != nil {
			t.Fatal(err)
		}
	}
	s.mustRun(t, fmt.Sprintf(`kubectl create ns %[1]s
kubectl create cm first -n %[1]s --from-literal=key=value1
kubectl create -f - << 'EOF'
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: settings, namespace: %[1]s}
spec:
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap}]
  policy: {placementType: PickAll}
  strategy:
    rollingUpdate: {maxUnavailable: 100%%}
EOF
`, byHand))
	s.eventually(t, func() error { return s.values(t.Context(), byHand, "first", valueOn(members, "value1")) })
}

// namespacesMadeByHandGoOn holds that a version which asks takes such a placement on: what it has is updated, and what is new arrives.
func (s *suite) namespacesMadeByHandGoOn(t *testing.T, members []string) {
	t.Helper()
	s.mustRun(t, fmt.Sprintf(`kubectl patch cm first -n %[1]s --type=merge -p '{"data":{"key":"value2"}}'
kubectl create cm second -n %[1]s --from-literal=key=new`, byHand))
	s.eventually(t, func() error {
		return errors.Join(s.values(t.Context(), byHand, "first", valueOn(members, "value2")), s.values(t.Context(), byHand, "second", valueOn(members, "new")))
	})
}

func valueOn(members []string, value string) map[string]string {
	values := map[string]string{}
	for _, member := range members {
		values[member] = value
	}
	return values
}
