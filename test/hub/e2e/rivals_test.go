// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stagegate/stagegate/test/hub"
)

// The cluster-scoped placement is called as the Works of the other one are, and the override of the namespace does not fit.
const rivals = `apiVersion: v1
kind: Namespace
metadata: {name: rivals}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: rivals}
data: {key: value1}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: rivals.settings}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: rivals, selectionScope: NamespaceOnly}]
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: settings, namespace: rivals}
spec:
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: settings}]
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourceOverride
metadata: {name: unfit, namespace: rivals}
spec:
  placement: {name: rivals.settings}
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: settings}]
  policy:
    overrideRules:
    - clusterSelector: {}
      jsonPatchOverrides: [{op: remove, path: /data/none}]
`

// testRivals has a cluster-scoped placement take an object that one of its namespace has placed, and give it back, without the object
// being recreated. Neither the names of the two nor an override of the namespace keep it from that.
func testRivals(t *testing.T, s *suite) {
	const name = "rivals"
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete rp settings -n rivals --ignore-not-found; kubectl delete crp rivals.settings --ignore-not-found;"+
			"kubectl delete ns rivals --ignore-not-found --wait=false")
	})
	s.explain(t, "crp,crs,crb", "rp,resourcesnapshots,rb,events -n rivals", "works -A")
	s.hub().mustCreate(t, rivals)
	members, objects := s.environment.Members(), []object{{kindNamespace, "", name}, {kindConfigMap, name, "settings"}}
	before := s.awaitUIDs(t, members, objects)
	available := func() {
		t.Helper()
		s.mustRun(t, fmt.Sprintf("kubectl wait crp/rivals.settings --for=condition=ClusterResourcePlacementAvailable --timeout=%s", patience))
	}
	owned := func(by string) {
		t.Helper()
		s.eventually(t, func() error {
			var errs []error
			for _, member := range members {
				live, err := s.clusters[member].get(t.Context(), kindConfigMap, name, "settings")
				if err == nil && (len(live.GetOwnerReferences()) != 1 || live.GetOwnerReferences()[0].Name != by) {
					err = fmt.Errorf("on %s it is owned by %v, not by %s", member, live.GetOwnerReferences(), by)
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		})
		s.sameUIDs(t, before, members, objects)
	}
	available()
	owned("rivals.settings-work")
	for _, work := range []string{"rivals.settings-work", "rivals.settings-work-cluster"} {
		if works := s.names(t, "member1", "appliedworks"); !slices.Contains(works, work) {
			t.Errorf("AppliedWorks are %v, without %s", works, work)
		}
	}

	s.hub().mustPatch(t, kindPlacement, "", "rivals.settings",
		`{"spec":{"resourceSelectors":[{"group":"","version":"v1","kind":"Namespace","name":"rivals"}]}}`)
	owned("rivals.settings-work-cluster")
	available()
	const says = "The object is placed by ClusterResourcePlacement rivals.settings already"
	s.eventually(t, func() error {
		told, err := s.run(t.Context(), hub.HubName, "kubectl get rp settings -n rivals -o jsonpath='{.status.placementStatuses[*].failedPlacements[*].condition.message}'")
		if err == nil && strings.Count(told, says) != len(members) {
			err = fmt.Errorf("the other placement says %q", told)
		}
		return err
	})
	if told := s.mustRun(t, "kubectl get crp rivals.settings -o json"); !strings.Contains(told, "One that does not fit is left out") {
		t.Errorf("nothing is said of the override: %s", told)
	}
	s.eventually(t, func() error {
		told, err := s.run(t.Context(), hub.HubName, "kubectl describe resourceoverride unfit -n rivals")
		if err == nil && !strings.Contains(told, "OverrideLeftOut") {
			err = fmt.Errorf("the override has no Event: %s", told)
		}
		return err
	})

	s.hub().mustPatch(t, kindPlacement, "", "rivals.settings",
		`{"spec":{"resourceSelectors":[{"group":"","version":"v1","kind":"Namespace","name":"rivals","selectionScope":"NamespaceOnly"}]}}`)
	owned("rivals.settings-work")
	s.mustRun(t, fmt.Sprintf("kubectl wait rp/settings -n rivals --for=condition=ResourcePlacementAvailable --timeout=%s", patience))
	s.sameUIDs(t, before, members, objects)
}
