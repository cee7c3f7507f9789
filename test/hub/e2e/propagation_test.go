// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/test/hub"
)

var kindRole = schema.GroupVersionKind{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "Role"}

// testPropagationFlags starts the server again with the flags that keep things from being placed, and without them. What is placed already
// stays, what is new leaves out what is skipped, and gets it once the flags are gone.
func testPropagationFlags(t *testing.T, s *suite) {
	const placed, added, vault = "propagation", "propagation-added", "propagation-vault"
	flags := s.options.ServerFlags
	restart := func(more ...string) {
		t.Helper()
		s.options.ServerFlags = slices.Concat(flags, more)
		s.up(t)
	}
	t.Cleanup(func() {
		s.options.ServerFlags = flags
		s.up(t)
		s.mustRunInCleanup(t, "kubectl delete crp propagation propagation-added --ignore-not-found --timeout=1m; "+
			"kubectl delete ns propagation propagation-added propagation-vault --ignore-not-found --wait=false")
	})
	s.explain(t, "crp/propagation", "crp/propagation-added")
	// members returns an error unless all members, or none, have an object.
	members := func(want bool, kind schema.GroupVersionKind, namespace, name string) error {
		var errs []error
		for _, member := range s.environment.Members() {
			_, err := s.clusters[member].get(t.Context(), kind, namespace, name)
			if err != nil && !isGone(err) {
				errs = append(errs, err)
			} else if got := err == nil; got != want {
				errs = append(errs, fmt.Errorf("on %s: %s %s/%s is there: %t", member, kind.Kind, namespace, name, got))
			}
		}
		return errors.Join(errs...)
	}
	fill := func(namespace string) {
		t.Helper()
		s.mustRun(t, fmt.Sprintf("kubectl create ns %s && kubectl create cm settings -n %[1]s --from-literal=key=value1 && "+
			"kubectl create secret generic token -n %[1]s --from-literal=key=value1", namespace))
	}
	set := func(namespace, value string) {
		t.Helper()
		s.hub().mustPatch(t, kindConfigMap, namespace, "settings", fmt.Sprintf(`{"data":{"key":%q}}`, value))
	}
	// invalid waits until a placement says why no version is made.
	invalid := func(placement, why string) {
		t.Helper()
		s.eventually(t, func() error {
			obj, err := s.hub().get(t.Context(), kindPlacement, "", placement)
			if err != nil {
				return err
			}
			said, err := findCondition(obj, "ClusterResourcePlacementScheduled")
			if err == nil && !strings.Contains(said.Message, why) {
				err = fmt.Errorf("the placement says %q", said.Message)
			}
			return errors.Join(err, condition(obj, "ClusterResourcePlacementScheduled", "False", "InvalidResourceSelectors"))
		})
	}
	fill(placed)
	s.hub().mustCreate(t, `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: propagation}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: propagation}]
`)
	s.eventually(t, func() error {
		return errors.Join(s.values(t.Context(), placed, "settings", onAll("value1")), members(true, kindSecret, placed, "token"))
	})

	restart("--skipped-propagating-apis=v1/Secret; apps", "--skipped-propagating-namespaces="+vault)
	set(placed, "value2")
	invalid(placed, "Secret propagation/token is placed, and not allowed to propagate on this hub any more")
	s.refused(t, hub.HubName, `kubectl create ns propagation-vault && kubectl create -n propagation-vault -f - <<EOF
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: app}
spec:
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: settings}]
EOF`, "namespace propagation-vault is not placed on this hub, and neither is anything in it")
	fill(added)
	s.mustRun(t, "kubectl create cm settings -n propagation-vault --from-literal=key=value1 && kubectl label ns propagation-added propagation-vault propagation=added")
	s.hub().mustCreate(t, `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: propagation-added}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, labelSelector: {matchLabels: {propagation: added}}}]
`)
	// The labels of a skipped namespace make the selector wrong.
	invalid(added, "namespace propagation-vault is not allowed to propagate")
	s.mustRun(t, "kubectl label ns propagation-vault propagation-")
	s.eventually(t, func() error { return s.values(t.Context(), added, "settings", onAll("value1")) })
	skipped := func(kept string) {
		t.Helper()
		if err := errors.Join(members(false, kindSecret, added, "token"), s.values(t.Context(), placed, "settings", onAll(kept))); err != nil {
			t.Error(err)
		}
	}
	skipped("value1")
	if err := members(true, kindSecret, placed, "token"); err != nil {
		t.Errorf("a flag took something off clusters: %v", err)
	}
	// Whoever deletes it on the hub wants it gone.
	s.mustRun(t, "kubectl delete secret token -n propagation")
	s.eventually(t, func() error {
		return errors.Join(s.values(t.Context(), placed, "settings", onAll("value2")), members(false, kindSecret, placed, "token"))
	})

	restart("--allowed-propagating-apis=v1/Namespace,ConfigMap", "--skipped-propagating-namespaces="+vault)
	s.mustRun(t, "kubectl create role reader -n propagation-added --verb=get --resource=configmaps")
	set(added, "value2")
	s.eventually(t, func() error { return s.values(t.Context(), added, "settings", onAll("value2")) })
	skipped("value2")
	if err := members(false, kindRole, added, "reader"); err != nil {
		t.Errorf("what is not allowed is placed: %v", err)
	}

	restart()
	s.mustRun(t, "kubectl label ns propagation-vault propagation=added")
	s.eventually(t, func() error {
		return errors.Join(members(true, kindSecret, added, "token"), members(true, kindRole, added, "reader"), s.values(t.Context(), vault, "settings", onAll("value1")))
	})
}
