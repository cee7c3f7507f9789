// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/stagegate/stagegate/test/hub"
)

var kindMemberCluster = schema.GroupVersionKind{Group: "cluster.kubernetes-fleet.io", Version: "v1beta1", Kind: "MemberCluster"}

// testMemberLeaves holds that a member which leaves keeps what was placed on it and loses what tied it to the fleet, and that the
// fleet forgets it.
func testMemberLeaves(t *testing.T, s *suite) {
	const member = "member3"
	t.Cleanup(func() {
		// What belonged to no placement for a while counts as there before, and stays.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if _, err := s.run(ctx, member, "kubectl delete ns member-leaves --ignore-not-found --wait=false"); err != nil {
			t.Error(err)
		}
	})
	r := s.newRollout(t, "member-leaves", stagingThenCanary)
	r.start(t, "member-leaves", 0, "Run")
	r.succeeds(t, "member-leaves", "value1")

	s.mustRun(t, "kubectl delete membercluster "+member)
	s.eventuallyGone(t, t.Context(), kindNamespace, "fleet-member-"+member)
	// The member's garbage collector lets go of what they own, once it has seen that there is the kind.
	s.eventually(t, func() error {
		if left := s.names(t, member, "appliedworks"); len(left) > 0 {
			return fmt.Errorf("AppliedWorks left on %s: %v", member, left)
		}
		return nil
	})
	if err := r.values(t.Context(), r.name, "settings", onAll("value1")); err != nil {
		t.Errorf("what was placed does not stay: %v", err)
	}

	// It comes back, and the next run takes it up again.
	s.up(t)
	r.awaitBinding(t, member)
	r.change(t, "value2", 1)
	r.start(t, "member-is-back", 1, "Run")
	r.succeeds(t, "member-is-back", "value2")
}

// awaitBinding waits until a member is picked.
func (r rollout) awaitBinding(t *testing.T, member string) {
	t.Helper()
	r.eventually(t, func() error {
		obj, err := r.hub().get(t.Context(), kindPlacement, "", r.name)
		if err != nil {
			return err
		}
		var status struct {
			PlacementStatuses []struct {
				ClusterName string `json:"clusterName"`
			} `json:"placementStatuses"`
		}
		if err := decode(obj.Object["status"], &status); err != nil {
			return err
		}
		for _, c := range status.PlacementStatuses {
			if c.ClusterName == member {
				return nil
			}
		}
		return fmt.Errorf("%s is not picked", member)
	})
}

// testStoreLost takes the server's store away. With the new one, which knows nothing of what was placed, the controllers refuse to touch
// the hub and its members until somebody says that they are theirs; and then nothing is taken off a member either.
func testStoreLost(t *testing.T, s *suite) {
	const name, dropped = "store-lost", "store-lost-dropped"
	// The hub is a member too: its garbage collector must find nothing that the lost store owned.
	s.joinHub(t)
	s.hub().mustCreate(t, `apiVersion: v1
kind: Namespace
metadata: {name: store-lost}
---
apiVersion: v1
kind: Namespace
metadata: {name: store-lost-dropped}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: store-lost-dropped}
data: {key: value1}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: store-lost}
data: {key: value1}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: store-lost}
spec:
  resourceSelectors:
  - {group: "", version: v1, kind: Namespace, name: store-lost}
  - {group: "", version: v1, kind: Namespace, name: store-lost-dropped}
`)
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete ns "+name+" "+dropped+" --ignore-not-found --wait=false")
		for _, member := range s.environment.Members() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
			if _, err := s.run(ctx, member, "kubectl delete appliedworks --all; kubectl delete ns "+name+" "+dropped+" --ignore-not-found --wait=false"); err != nil {
				t.Error(err)
			}
			cancel()
		}
	})
	s.eventually(t, func() error {
		return errors.Join(s.values(t.Context(), name, "settings", onAll("value1")), s.values(t.Context(), dropped, "settings", onAll("value1")))
	})
	everywhere := append(s.environment.Members(), hub.HubName)
	objects := []object{{kindNamespace, "", name}, {kindConfigMap, name, "settings"}, {kindNamespace, "", dropped}, {kindConfigMap, dropped, "settings"}}
	before, stay := s.awaitUIDs(t, everywhere, objects), s.awaitUIDs(t, everywhere, objects[:2])
	onHub := s.awaitUIDs(t, []string{hub.HubName}, objects)
	staysPlaced := func() {
		t.Helper()
		s.sameUIDs(t, before, everywhere, objects)
		for _, member := range s.environment.Members() {
			if _, err := s.hub().get(t.Context(), kindNamespace, "", "fleet-member-"+member); err != nil {
				t.Errorf("the member's namespace: %v", err)
			}
			if works := s.names(t, member, "appliedworks"); !slices.Contains(works, name+"-work") {
				t.Errorf("AppliedWorks on %s are %v", member, works)
			}
		}
	}

	s.kill(t, serverProcess)
	if err := os.RemoveAll(filepath.Join(s.options.Dir, "data", serverProcess)); err != nil {
		t.Fatal(err)
	}
	// Nothing joins, so the environment must not wait for it.
	flags := s.options.ServerFlags
	s.options.ServerFlags = append(slices.Clone(flags), "--controllers=*,-membership")
	t.Cleanup(func() { s.options.ServerFlags = flags })
	s.up(t)
	s.awaitLog(t, "kubectl -n fleet-system delete configmap stagegate-store")
	staysPlaced()

	// The hub and the members are told that they belong to the new store.
	s.mustRun(t, s.documented(t, "docs/backup.md", "kubectl -n fleet-system delete configmap stagegate-store"))
	for _, member := range s.environment.Members() {
		script := s.documented(t, "docs/backup.md", "kubectl annotate crd appliedworks.placement.kubernetes-fleet.io kubernetes-fleet.io/store-id-")
		if _, err := s.run(t.Context(), member, script); err != nil {
			t.Fatal(err)
		}
	}
	s.options.ServerFlags = flags
	s.up(t)
	for _, member := range s.environment.Members() {
		s.eventually(t, func() error {
			obj, err := s.hub().get(t.Context(), kindMemberCluster, "", member)
			if err != nil {
				return err
			}
			return condition(obj, "Joined", "True", "")
		})
	}
	staysPlaced()

	// The placement is applied again, and selects less. What it had before stays, and is named, until somebody lets go of it.
	s.hub().mustCreate(t, `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: store-lost}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: store-lost}]
`)
	t.Cleanup(func() { s.mustRunInCleanup(t, "kubectl delete crp "+name+" --ignore-not-found --timeout=1m") })
	s.eventually(t, func() error {
		placement, err := s.hub().get(t.Context(), kindPlacement, "", name)
		if err != nil {
			return err
		}
		if err := condition(placement, "ClusterResourcePlacementAvailable", "True", ""); err != nil {
			return err
		}
		said := s.mustRun(t, s.documented(t, "docs/backup.md", "kubectl get crp web -o jsonpath=", "web", name))
		for _, member := range s.environment.Members() {
			if !regexp.MustCompile(`(?m)^` + member + `: .*ConfigMap ` + dropped + `/settings`).MatchString(said) {
				return fmt.Errorf("of %s nothing names what is kept:\n%s", member, said)
			}
		}
		return nil
	})
	staysPlaced()

	// Somebody lets go of it, for the version that was shown.
	if said := s.mustRun(t, s.documented(t, "docs/backup.md", "kubectl get crp web -o yaml", "web", name)); !strings.Contains(said, "type: ObjectsKept") {
		t.Errorf("the placement has no condition ObjectsKept:\n%s", said)
	}
	snapshot := s.mustRun(t, "kubectl get clusterresourcesnapshots -l kubernetes-fleet.io/parent-CRP="+name+",kubernetes-fleet.io/is-latest-snapshot=true -o jsonpath='{.items[0].metadata.name}'")
	s.mustRun(t, s.documented(t, "docs/backup.md", "kubectl patch crp web --subresource=prune", "crp web", "crp "+name, "web-4-snapshot", snapshot))
	s.eventually(t, func() error {
		for _, member := range s.environment.Members() {
			if _, err := s.clusters[member].get(t.Context(), kindNamespace, "", dropped); !isGone(err) {
				return fmt.Errorf("namespace %s is still on %s: %v", dropped, member, err)
			}
		}
		return nil
	})
	s.sameUIDs(t, stay, everywhere, objects[:2])
	// On the hub it is the source.
	s.sameUIDs(t, onHub, []string{hub.HubName}, objects)
}

// awaitLog waits until the server says something that it has not said before the test.
func (s *suite) awaitLog(t *testing.T, text string) {
	t.Helper()
	awaitText(t, s.environment.Log(serverProcess), text)
}

// awaitText waits until a log has a text. A log has no events to wait for.
func awaitText(t *testing.T, path, text string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), permissionInterval, patience, true, func(context.Context) (bool, error) {
		data, err := os.ReadFile(path)
		return strings.Contains(string(data), text), err
	})
	if err != nil {
		t.Fatalf("%s never says %q: %v\n%s", path, text, err, tail(path))
	}
}
