// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const allAtOnce = `
  - name: all
    labelSelector: {}
    maxConcurrency: 100%
`

// testMemberHangs pauses a member's API server, which then takes connections and answers none: the other clusters go on, its own says since
// when, and all is well once it answers again. The member is looked at each second here, so that the test does not take a minute.
func testMemberHangs(t *testing.T, s *suite) {
	s.hub().mustPatch(t, kindMemberCluster, "", "member3", `{"spec":{"heartbeatPeriodSeconds":1}}`)
	t.Cleanup(func() {
		s.mustRunInCleanup(t, `kubectl patch membercluster member3 --type=merge -p '{"spec":{"heartbeatPeriodSeconds":null}}'`)
	})
	memberHangs(t, s, "member-hangs", func() {})
}

// testMemberHangsForMinutes has a member hang until requests to it have taken all the time that they may, a minute, and the connections
// that were there are given up.
func testMemberHangsForMinutes(t *testing.T, s *suite) {
	nightly(t)
	log := s.environment.Log(serverProcess)
	before, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	memberHangs(t, s, "member-hangs-long", func() {
		err := wait.PollUntilContextTimeout(t.Context(), time.Second, 5*patience, true, func(context.Context) (bool, error) {
			text, err := os.ReadFile(log)
			return bytes.Contains(text[min(len(text), len(before)):], []byte("Member does not answer; trying again until it does")), err
		})
		if err != nil {
			t.Fatalf("nothing says that the member does not answer: %v", err)
		}
	})
}

// memberHangs has a run meet a member that hangs for as long as meanwhile takes, and until everything that is to say so does.
func memberHangs(t *testing.T, s *suite, name string, meanwhile func()) {
	r := s.newRollout(t, name, allAtOnce)
	r.start(t, name+"-1", 0, "Run")
	r.succeeds(t, name+"-1", "value1")
	r.change(t, "value2", 1)
	s.explain(t, "memberclusters", "works -A -l kubernetes-fleet.io/parent-CRP="+name)
	signal := func(signal syscall.Signal) error { return s.environment.Signal("member3-apiserver", signal) }
	t.Cleanup(func() { _ = signal(syscall.SIGCONT) })
	since := time.Now().Truncate(time.Second)
	if err := signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r.start(t, name+"-2", 1, "Run")
	r.awaitRun(t, name+"-2", all(clusterIs("member1", "Succeeded"), clusterIs("member2", "Succeeded"), clusterIs("member3", "Started")))
	t.Logf("the other clusters have the version after %s", time.Since(since))
	meanwhile()
	s.eventually(t, func() error {
		if out := s.mustRun(t, "kubectl get csur "+name+"-2 -o wide"); !strings.Contains(out, "cluster member3: The member cannot be reached: ") {
			return fmt.Errorf("the run waits for something else:\n%s", out)
		}
		member, err := s.hub().get(t.Context(), kindMemberCluster, "", "member3")
		if err != nil {
			return err
		}
		healthy, err := findCondition(member, "Healthy")
		if err != nil {
			return err
		}
		if healthy.Status != "False" || healthy.Reason != "Unreachable" || healthy.LastTransitionTime.Time.Before(since) {
			return fmt.Errorf("Healthy of the member is %v", healthy)
		}
		return nil
	})
	t.Logf("its own says so after %s", time.Since(since))
	// What comes now goes to the others as well.
	r.change(t, "value3", 2)
	s.mustRun(t, "kubectl delete csur "+name+"-2")
	r.start(t, name+"-3", 2, "Run")
	r.awaitRun(t, name+"-3", all(clusterIs("member1", "Succeeded"), clusterIs("member2", "Succeeded"), clusterIs("member3", "Started")))
	answers := time.Now()
	if err := signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.succeeds(t, name+"-3", "value3")
	t.Logf("the run is over %s after the member answers again", time.Since(answers))
	s.mustRun(t, fmt.Sprintf("kubectl wait membercluster/member3 --for=condition=Healthy --timeout=%s", patience))
}

// testHubAway kills the hub's API server for so long that the server does not lead any more. Members keep what they have, and it goes on by
// itself with the run that was under way.
func testHubAway(t *testing.T, s *suite) {
	r := s.newRollout(t, "hub-away", stagingThenCanary, gate)
	r.start(t, "hub-away", 0, "Run")
	r.release(t, "member2")
	r.awaitRun(t, "hub-away", clusterIs("member3", "Started"))
	r.awaitGate(t, "member3")
	objects := []object{{kindNamespace, "", r.name}, {kindConfigMap, r.name, "settings"}, {kindService, r.name, "gate"}}
	before := s.awaitUIDs(t, []string{"member2", "member3"}, objects)
	log := s.environment.Log(serverProcess)
	said, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	process, err := os.ReadFile(pidFile(s))
	if err != nil {
		t.Fatal(err)
	}
	s.kill(t, "hub-apiserver")
	err = wait.PollUntilContextTimeout(t.Context(), permissionInterval, patience, true, func(context.Context) (bool, error) {
		text, err := os.ReadFile(log)
		return bytes.Contains(text[min(len(text), len(said)):], []byte(`"Not leading"`)), err
	})
	if err != nil {
		t.Fatalf("the server leads without a hub: %v\n%s", err, tail(log))
	}
	r.release(t, "member3")
	s.sameUIDs(t, before, []string{"member2", "member3"}, objects)
	s.up(t)
	r.awaitRun(t, "hub-away", clusterIs("member1", "Started"))
	r.release(t, "member1")
	holdsOrder(t, r.succeeds(t, "hub-away", "value1"))
	s.sameUIDs(t, before, []string{"member2", "member3"}, objects)
	if after, err := os.ReadFile(pidFile(s)); err != nil || !bytes.Equal(after, process) {
		t.Errorf("the server was started again: %v", err)
	}
}

func pidFile(s *suite) string { return s.options.Dir + "/pids/" + serverProcess }

// testLateDefinitions installs a CustomResourceDefinition of KubeFleet on a hub that has the APIServices, with a version that the server lacks: the
// APIServices win, a restart of the server says so, and nothing is lost when it is deleted. It takes half a minute.
func testLateDefinitions(t *testing.T, s *suite) {
	const definition = "clusterresourceplacements.placement.kubernetes-fleet.io"
	r := s.newRollout(t, "late-definitions", stagingThenCanary)
	r.start(t, "late-definitions", 0, "Run")
	r.succeeds(t, "late-definitions", "value1")
	before := s.mustRun(t, "kubectl get crp -o name")
	t.Cleanup(func() { s.mustRunInCleanup(t, "kubectl delete crd "+definition+" --ignore-not-found") })
	s.mustRun(t, `kubectl create -f - << EOF
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: `+definition+`
  annotations: {api-approved.kubernetes.io: unapproved}
spec:
  group: placement.kubernetes-fleet.io
  scope: Cluster
  names: {plural: clusterresourceplacements, singular: clusterresourceplacement, kind: ClusterResourcePlacement, shortNames: [crp]}
  versions:
  - name: v1beta1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
  - name: v1alpha1
    served: true
    storage: false
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
EOF
kubectl wait crd/`+definition+` --for=condition=Established --timeout=1m`)
	// The hub serves what this server does not, and kubectl prefers what this server does.
	s.mustRun(t, "kubectl wait apiservice/v1alpha1.placement.kubernetes-fleet.io --for=create --timeout=1m")
	s.mustRun(t, "kubectl wait apiservice/v1alpha1.placement.kubernetes-fleet.io --for=condition=Available --timeout=1m")
	served := func(when string) {
		t.Helper()
		s.mustRun(t, "kubectl api-resources --cached=false > /dev/null")
		if after := s.mustRun(t, "kubectl get crp -o name"); after != before {
			t.Errorf("%s there are\n%sand there were\n%s", when, after, before)
		}
		if out := s.mustRun(t, "kubectl get apiservice v1beta1.placement.kubernetes-fleet.io -o jsonpath='{.spec.service.name}'"); out != serverProcess {
			t.Errorf("%s the hub passes the version on to %q", when, out)
		}
	}
	served("with the definition")
	s.kill(t, serverProcess)
	s.up(t)
	s.awaitLog(t, "CustomResourceDefinitions have no effect")
	served("after a restart with it")
	r.change(t, "value2", 1)
	r.start(t, "late-definitions-2", 1, "Run")
	r.succeeds(t, "late-definitions-2", "value2")
	s.mustRun(t, "kubectl delete crd "+definition+" --timeout=1m")
	served("without it")
	if err := r.values(t.Context(), r.name, "settings", onAll("value2")); err != nil {
		t.Error(err)
	}
}
