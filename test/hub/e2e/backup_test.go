// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// testRestoredBackup restores a backup over a running fleet by the commands of the document: a run that was under way goes on, one that is
// not wanted any more is stopped before it can, what was placed since the backup stays, and a member that has seen a later state than the
// restored one refuses it until somebody says which one is wanted.
func testRestoredBackup(t *testing.T, s *suite) {
	const everywhere = "/var/lib/stagegate"
	data := filepath.Join(s.options.Dir, "data", serverProcess)
	if err := s.environment.BuildEtcdTools(t.Context()); err != nil {
		t.Fatal(err)
	}
	here := []string{everywhere, data, "backup.db", filepath.Join(t.TempDir(), "backup.db")}

	// The last of what is cleaned up. What a Work has taken over that was created anew stays when its placement goes.
	const late = "restored-late"
	t.Cleanup(func() {
		for _, member := range s.environment.Members() {
			ctx, cancel := context.WithTimeout(contextAfter(t), patience)
			script := "kubectl delete ns restored-done restored-under-way restored-unwanted " + late + " --ignore-not-found"
			if _, err := s.run(ctx, member, script); err != nil {
				t.Error(err)
			}
			cancel()
		}
	})
	done := s.newRollout(t, "restored-done", stagingThenCanary)
	done.start(t, "restored-done", 0, "Run")
	done.succeeds(t, "restored-done", "value1")
	underWay := s.newRollout(t, "restored-under-way", stagingThenCanary, gate)
	underWay.start(t, "restored-under-way", 0, "Run")
	underWay.release(t, "member2")
	underWay.awaitRun(t, "restored-under-way", clusterIs("member3", "Started"))
	underWay.awaitGate(t, "member3")
	unwanted := s.newRollout(t, "restored-unwanted", stagingThenCanary, gate)
	unwanted.start(t, "restored-unwanted", 0, "Run")
	unwanted.awaitGate(t, "member2")
	s.mustRun(t, s.documented(t, "docs/backup.md", "etcdctl --endpoints=unix:///var/lib/stagegate/client.sock snapshot", here...))

	// What has happened since the backup.
	done.change(t, "value2", 1)
	done.start(t, "restored-done-later", 1, "Run")
	done.succeeds(t, "restored-done-later", "value2")
	underWay.release(t, "member3")
	underWay.release(t, "member1")
	underWay.succeeds(t, "restored-under-way", "value1")
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete crp "+late+" --ignore-not-found --timeout=50s; kubectl delete ns "+late+" --ignore-not-found --wait=false")
	})
	placement := fmt.Sprintf(`apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: %[1]s}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: %[1]s}]
`, late)
	s.hub().mustCreate(t, fmt.Sprintf(`apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: %[1]s}
data: {key: value1}
---
`, late)+placement)
	s.eventually(t, func() error { return s.values(t.Context(), late, "settings", onAll("value1")) })
	var objects []object
	for _, name := range []string{late, done.name, underWay.name} {
		objects = append(objects, object{kindNamespace, "", name}, object{kindConfigMap, name, "settings"})
	}
	members := s.environment.Members()
	before := s.awaitUIDs(t, members, objects)
	stays := func() {
		t.Helper()
		s.sameUIDs(t, before, members, objects)
		for _, name := range []string{late, underWay.name} {
			if err := s.values(t.Context(), name, "settings", onAll("value1")); err != nil {
				t.Fatal(err)
			}
		}
	}
	revision := s.revision(t)

	s.kill(t, serverProcess)
	s.mustRun(t, s.documented(t, "docs/backup.md", "mv /var/lib/stagegate/etcd", here...)+s.documented(t, "docs/backup.md", "etcdutl snapshot restore", here...))
	flags := s.options.ServerFlags
	t.Cleanup(func() { s.options.ServerFlags = flags })
	s.options.ServerFlags = append(slices.Clone(flags), "--controllers=*,-updaterun,-rollingupdate")
	s.up(t)
	if now := s.revision(t); len(now) < len(revision) || len(now) == len(revision) && now <= revision {
		t.Errorf("the store is at resourceVersion %s, and clients have seen %s", now, revision)
	}
	unwanted.operate(t, "hub", "restored-unwanted", "stop", `{"reason":"older than the restore"}`)
	if run, err := underWay.readRun(t.Context(), "restored-under-way"); err != nil || clusterIs("member3", "Started")(run) != nil {
		t.Errorf("the run is not as it was at the backup: %v, %v", err, clusterIs("member3", "Started")(run))
	}
	stays()
	s.options.ServerFlags = flags
	s.up(t)

	underWay.succeeds(t, "restored-under-way", "value1")
	for _, o := range []object{{kindPlacement, "", late}, {kindRun, "", "restored-done-later"}} {
		if _, err := s.hub().get(t.Context(), o.kind, "", o.name); !isGone(err) {
			t.Errorf("%s %s was made after the backup, and is there: %v", o.kind.Kind, o.name, err)
		}
	}
	// The stop waits for the cluster that is under way.
	unwanted.release(t, "member2")
	unwanted.awaitRun(t, "restored-unwanted", all(has("Progressing", "False", "UpdateRunStopped"), clusterIs("member3", "")))

	// The members have version 1 of what the store knows as version 0, and keep it until somebody wants the restored one.
	s.eventually(t, func() error {
		for _, member := range members {
			out := s.mustRun(t, "kubectl get work "+done.name+"-work -n fleet-member-"+member+" -o json")
			if !strings.Contains(out, "the member cluster has generation") {
				return fmt.Errorf("%s does not refuse the restored Work:\n%s", member, out)
			}
		}
		return nil
	})
	if err := done.values(t.Context(), done.name, "settings", onAll("value2")); err != nil {
		t.Error(err)
	}
	for _, member := range members {
		annotate := s.documented(t, "docs/known-issues.md",
			"kubectl annotate appliedworks.placement.kubernetes-fleet.io NAME kubernetes-fleet.io/work-generation-", "NAME", done.name+"-work")
		if _, err := s.run(t.Context(), member, annotate); err != nil {
			t.Fatal(err)
		}
	}
	s.eventually(t, func() error { return done.values(t.Context(), done.name, "settings", onAll("value1")) })
	// The hub has the later object still, so there is a version of it again.
	done.awaitSnapshot(t, 1)
	done.start(t, "restored-done-again", 1, "Run")
	done.succeeds(t, "restored-done-again", "value2")

	// What was placed since the backup is taken up again by whoever applies its placement.
	s.hub().mustCreate(t, placement)
	s.mustRun(t, fmt.Sprintf("kubectl wait crp/%s --for=condition=ClusterResourcePlacementAvailable --timeout=%s", late, patience))
	stays()
}

// revision is the resourceVersion that the server's store is at.
func (s *suite) revision(t *testing.T) string {
	t.Helper()
	list, err := s.hub().of(kindRun, "").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list.GetResourceVersion()
}
