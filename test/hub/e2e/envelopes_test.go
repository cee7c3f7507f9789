// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

var kindClusterRole = schema.GroupVersionKind{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"}

// What is wrapped is not on the hub. The override is for one of the two members.
const enveloped = `apiVersion: v1
kind: Namespace
metadata: {name: envelopes}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: edit, namespace: envelopes}
subjects: [{kind: Group, name: envelopes-team, apiGroup: rbac.authorization.k8s.io}]
roleRef: {kind: ClusterRole, name: edit, apiGroup: rbac.authorization.k8s.io}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: plain, namespace: envelopes}
data: {key: value1}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: moved, namespace: envelopes}
data: {key: value1}
---
apiVersion: placement.kubernetes-fleet.io/v1
kind: ClusterResourceEnvelope
metadata: {name: envelopes}
data:
  role: {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: e2e-envelopes}, rules: []}
---
apiVersion: placement.kubernetes-fleet.io/v1
kind: ResourceEnvelope
metadata: {name: app, namespace: envelopes}
data:
  wrapped: {apiVersion: v1, kind: ConfigMap, metadata: {name: wrapped, namespace: envelopes}, data: {key: value1}}
---
apiVersion: placement.kubernetes-fleet.io/v1
kind: ResourceOverride
metadata: {name: first, namespace: envelopes}
spec:
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: wrapped}]
  policy:
    overrideRules:
    - clusterSelector: {clusterSelectorTerms: [{labelSelector: {matchLabels: {kubernetes-fleet.io/member-name: member1}}}]}
      jsonPatchOverrides: [{op: replace, path: /data/key, value: "of ${MEMBER-CLUSTER-NAME}"}]
---
apiVersion: placement.kubernetes-fleet.io/v1
kind: ClusterResourcePlacement
metadata: {name: envelopes}
spec:
  policy: {placementType: PickFixed, clusterNames: [member1, member2]}
  resourceSelectors:
  - {group: "", version: v1, kind: Namespace, name: envelopes, selectionScope: NamespaceOnly}
  - {group: placement.kubernetes-fleet.io, version: v1, kind: ClusterResourceEnvelope, name: envelopes}
---
apiVersion: placement.kubernetes-fleet.io/v1
kind: ResourcePlacement
metadata: {name: app, namespace: envelopes}
spec:
  policy: {placementType: PickFixed, clusterNames: [member1, member2]}
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 100%}}
  resourceSelectors:
  - {group: "", version: v1, kind: ConfigMap, name: plain}
  - {group: "", version: v1, kind: ConfigMap, name: moved}
  - {group: placement.kubernetes-fleet.io, version: v1, kind: ResourceEnvelope, name: app}
`

// testEnvelopes places what envelopes of both scopes carry on two members, overridden on one of them; moves an object into an envelope; has
// an envelope that cannot be used beside objects that change; and removes an envelope.
func testEnvelopes(t *testing.T, s *suite) {
	const name = "envelopes"
	if _, err := s.environment.User("heidi", "envelopes-team"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete rp app -n envelopes --ignore-not-found; kubectl delete crp envelopes --ignore-not-found;"+
			"kubectl delete ns envelopes --ignore-not-found --wait=false; kubectl delete clusterresourceenvelope envelopes --ignore-not-found")
	})
	s.explain(t, "crp,crs,crb", "rp,resourcesnapshots,rb,events,resourceenvelope -n envelopes", "works -A")
	s.hub().mustCreate(t, enveloped)
	members := []string{"member1", "member2"}
	on := func(object, first, second string) {
		t.Helper()
		s.eventually(t, func() error {
			return s.values(t.Context(), name, object, map[string]string{"member1": first, "member2": second})
		})
	}
	on("plain", "value1", "value1")
	on("wrapped", "of member1", "value1")
	s.awaitUIDs(t, members, []object{{kindClusterRole, "", "e2e-envelopes"}})
	if _, err := s.hub().get(t.Context(), kindConfigMap, name, "wrapped"); !isGone(err) {
		t.Errorf("what is wrapped is on the hub: %v", err)
	}

	objects := []object{{kindConfigMap, name, "moved"}, {kindConfigMap, name, "wrapped"}, {kindConfigMap, name, "plain"}}
	before := s.awaitUIDs(t, members, objects)
	s.mustRun(t, `kubectl patch resourceenvelope app -n envelopes --type=merge -p '{"data":{"moved":{"apiVersion":"v1","kind":"ConfigMap",`+
		`"metadata":{"name":"moved","namespace":"envelopes"},"data":{"key":"value2"}}}}'`)
	s.mustRun(t, `kubectl patch rp app -n envelopes --type=json -p '[{"op":"remove","path":"/spec/resourceSelectors/1"}]'`)
	on("moved", "value2", "value2")
	const work = "envelopes.app-work-envelope-7b1dc55d36f9df50"
	s.eventually(t, func() error {
		var errs []error
		for _, member := range members {
			live, err := s.clusters[member].get(t.Context(), kindConfigMap, name, "moved")
			if err == nil && (len(live.GetOwnerReferences()) != 1 || live.GetOwnerReferences()[0].Name != work) {
				err = fmt.Errorf("on %s it is owned by %v, not by %s", member, live.GetOwnerReferences(), work)
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	s.sameUIDs(t, before, members, objects)

	t.Run("OneThatCannotBeUsed", func(t *testing.T) {
		s.mustRun(t, `kubectl patch resourceoverride first -n envelopes --type=json -p '[{"op":"add","path":"/spec/policy/overrideRules/-",`+
			`"value":{"clusterSelector":{},"jsonPatchOverrides":[{"op":"remove","path":"/data/none"}]}}]'`)
		s.eventually(t, func() error {
			out, err := s.run(t.Context(), "hub", `kubectl get rp app -n envelopes -o jsonpath='{range .status.placementStatuses[*].failedPlacements[*]}`+
				`{.kind} {.name} {.envelope.type} {.envelope.namespace} {.envelope.name};{end}'`)
			if want := "ConfigMap wrapped ResourceEnvelope envelopes app;"; err == nil && out != want+want {
				err = fmt.Errorf("failed are %q, want %q on both members", out, want)
			}
			return err
		})
		s.mustRun(t, `kubectl patch cm plain -n envelopes --type=merge -p '{"data":{"key":"value2"}}'`)
		on("plain", "value2", "value2")
		s.sameUIDs(t, before, members, objects)
		s.mustRun(t, `kubectl patch resourceoverride first -n envelopes --type=json -p '[{"op":"remove","path":"/spec/policy/overrideRules/1"}]'`)
		s.mustRun(t, fmt.Sprintf("kubectl wait rp/app -n envelopes --for=condition=ResourcePlacementAvailable --timeout=%s", patience))
		on("wrapped", "of member1", "value1")
		s.sameUIDs(t, before, members, objects)
	})

	t.Run("WhatMustNotBeWrapped", func(t *testing.T) {
		s.awaitPermission(t, "heidi", name, "update", "resourceenvelopes")
		wrap := func(manifest string) string {
			return "kubectl create -n envelopes -f - << 'EOF'\n{apiVersion: placement.kubernetes-fleet.io/v1, kind: ResourceEnvelope, metadata: {name: bad}, data: {k: {" +
				manifest + "}}}\nEOF\n"
		}
		s.refused(t, "heidi", wrap(`apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: own, namespace: envelopes}, `+
			`subjects: [{kind: User, name: heidi, apiGroup: rbac.authorization.k8s.io}], roleRef: {kind: ClusterRole, name: cluster-admin, apiGroup: rbac.authorization.k8s.io}`),
			`user "heidi" cannot wrap RoleBinding envelopes/own: needs create and update on rolebindings.rbac.authorization.k8s.io in namespace envelopes, `+
				`and bind on clusterroles.rbac.authorization.k8s.io cluster-admin`)
		s.refused(t, "hub", wrap(`apiVersion: v1, kind: Pod, metadata: {name: p, namespace: envelopes}`), "Pod envelopes/p is of a kind that is never placed: leave it out")
		s.refused(t, "hub", wrap(`apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: kube-system}`), "has been wrapped in a resource envelope from another namespace (envelopes/bad)")
		s.refused(t, "hub", wrap(`apiVersion: v1, kind: ConfigMap, metadata: {name: c}`), "set metadata.namespace to envelopes")
		s.refused(t, "hub", wrap(`apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: envelopes}}, k2: {apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: envelopes}`),
			"k and k2 in envelope envelopes/bad are both ConfigMap envelopes/c: take one of them out")
		s.refused(t, "hub", wrap(`apiVersion: v1, kind: ConfigMap, metadata: {name: ../secrets/x, namespace: envelopes}`), `metadata.name "../secrets/x" of ConfigMap may not contain '/'`)
		if out := s.mustRun(t, "kubectl get resourceenvelopes -n envelopes -o name"); strings.Contains(out, "bad") {
			t.Errorf("there are %s", out)
		}
	})

	s.mustRun(t, "kubectl delete resourceenvelope app -n envelopes; kubectl delete clusterresourceenvelope envelopes")
	on("wrapped", "", "")
	on("moved", "", "")
	on("plain", "value2", "value2")
	s.eventually(t, func() error {
		var errs []error
		for _, member := range members {
			if _, err := s.clusters[member].get(t.Context(), kindClusterRole, "", "e2e-envelopes"); !isGone(err) {
				errs = append(errs, fmt.Errorf("the ClusterRole is on %s still: %w", member, err))
			}
		}
		return errors.Join(errs...)
	})
}
