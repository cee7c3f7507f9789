// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// testRollingUpdateAndDrift places by RollingUpdate in both scopes: members follow each change of the hub, and get back what
// was changed or deleted on them. Deleting the placements cleans up the members.
func testRollingUpdateAndDrift(t *testing.T, s *suite) {
	const name = "rolling"
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete rp rolling -n rolling --ignore-not-found; kubectl delete crp rolling --ignore-not-found;"+
			"kubectl delete ns rolling --ignore-not-found --wait=false")
	})
	s.explain(t, "crp,crs,crb", "rp,resourcesnapshots,rb -n rolling", "works -A -l kubernetes-fleet.io/parent-CRP=rolling")
	s.hub().mustCreate(t, `apiVersion: v1
kind: Namespace
metadata: {name: rolling}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: rolling}
data: {key: value1}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: rolling}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: rolling, selectionScope: NamespaceOnly}]
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: rolling, namespace: rolling}
spec:
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: settings}]
`)
	eventually := func(t *testing.T, want map[string]string) {
		t.Helper()
		s.eventually(t, func() error { return s.values(t.Context(), name, "settings", want) })
	}
	eventually(t, onAll("value1"))
	s.mustRun(t, fmt.Sprintf("kubectl wait rp/rolling -n rolling --for=condition=ResourcePlacementAvailable --timeout=%s", patience))

	t.Run("Change", func(t *testing.T) {
		s.hub().mustPatch(t, kindConfigMap, name, "settings", `{"data":{"key":"value2"}}`)
		s.hub().mustPatch(t, kindNamespace, "", name, `{"metadata":{"labels":{"changed":"true"}}}`)
		eventually(t, onAll("value2"))
		s.eventually(t, func() error {
			var errs []error
			for _, member := range s.environment.Members() {
				obj, err := s.clusters[member].get(t.Context(), kindNamespace, "", name)
				if err == nil && obj.GetLabels()["changed"] != "true" {
					err = fmt.Errorf("on %s the namespace has no new label", member)
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		})
	})
	t.Run("DriftIsUndone", func(t *testing.T) {
		s.clusters["member2"].mustPatch(t, kindConfigMap, name, "settings", `{"data":{"key":"drifted"}}`)
		eventually(t, onAll("value2"))
	})
	t.Run("DeletedIsRecreated", func(t *testing.T) {
		if err := s.clusters["member3"].of(kindConfigMap, name).Delete(t.Context(), "settings", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, onAll("value2"))
	})
	t.Run("DeletingThePlacementCleansUp", func(t *testing.T) {
		s.mustRun(t, "kubectl delete rp rolling -n rolling")
		eventually(t, onAll(""))
		s.mustRun(t, "kubectl delete crp rolling")
		s.eventually(t, func() error {
			for _, member := range s.environment.Members() {
				if _, err := s.clusters[member].get(t.Context(), kindNamespace, "", name); !isGone(err) {
					return fmt.Errorf("on %s the namespace is still there: %w", member, err)
				}
			}
			return nil
		})
		if _, err := s.hub().get(t.Context(), kindConfigMap, name, "settings"); err != nil {
			t.Errorf("the original on the hub: %v", err)
		}
	})
}
