// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const waitingStage = `
  - name: staging
    labelSelector: {matchLabels: {environment: staging}}
    afterStageTasks: [{type: TimedWait, waitTime: 8s}]
  - name: canary
    labelSelector: {matchLabels: {environment: canary}}
    sortingLabelKey: order
`

// testServerKilledWhileWaiting kills the server during a timed wait, which neither starts again nor ends early.
func testServerKilledWhileWaiting(t *testing.T, s *suite) {
	// slack is for times in whole seconds and, with the wait, for what the server does between its first answer and its look at the run: it
	// waits for the lease of the one that was killed, and fills its caches.
	const wait, slack = 8 * time.Second, 4 * time.Second
	r := s.newRollout(t, "killed-waiting", waitingStage)
	r.start(t, "killed-waiting", 0, "Run")
	waiting := r.awaitRun(t, "killed-waiting", has("Progressing", "False", "UpdateRunWaiting"))
	began := transition(t, waiting.StagesStatus[0].Clusters[0].Conditions, "Succeeded")
	s.kill(t, serverProcess)
	// It returns when the server answers /readyz, which takes longer than the wait on a loaded machine.
	s.up(t)
	back := time.Now()
	run := r.succeeds(t, "killed-waiting", "value1")

	staging := run.StagesStatus[0]
	if since := transition(t, staging.Clusters[0].Conditions, "Succeeded"); !since.Equal(began) {
		t.Errorf("the wait counts from %s, and from %s since the restart", began, since)
	}
	waited := transition(t, staging.AfterStageTaskStatus[0].Conditions, "WaitTimeElapsed").Sub(began)
	away := back.Sub(began)
	t.Logf("the server was back %s after the begin of the wait of %s, which took %s", away.Round(time.Second), wait, waited)
	if latest := max(2*wait, away+wait+slack); waited < wait || waited >= latest {
		t.Errorf("the wait of %s took %s over the restart, want less than %s: the server was back after %s", wait, waited, latest, away)
	}
	holdsOrder(t, run)
}

// testServerKilledWithinStage kills the server while a cluster is in flight and another one of the stage is to come.
func testServerKilledWithinStage(t *testing.T, s *suite) {
	r := s.newRollout(t, "killed-within", stagingThenCanary, gate)
	r.start(t, "killed-within", 0, "Run")
	r.release(t, "member2")
	r.awaitRun(t, "killed-within", clusterIs("member3", "Started"))
	r.awaitGate(t, "member3")
	s.kill(t, serverProcess)
	// It becomes available while nobody looks.
	r.release(t, "member3")
	s.up(t)
	r.awaitRun(t, "killed-within", all(clusterIs("member3", "Succeeded"), clusterIs("member1", "Started")))
	s.kill(t, serverProcess)
	s.up(t)
	r.release(t, "member1")
	holdsOrder(t, r.succeeds(t, "killed-within", "value1"))
}

// testHubKilled kills the hub's API server in the middle of a run.
func testHubKilled(t *testing.T, s *suite) {
	r := s.newRollout(t, "hub-killed", stagingThenCanary, gate)
	r.start(t, "hub-killed", 0, "Run")
	r.release(t, "member2")
	r.awaitRun(t, "hub-killed", clusterIs("member3", "Started"))
	r.awaitGate(t, "member3")
	s.kill(t, "hub-apiserver")
	r.release(t, "member3")
	s.up(t)
	r.awaitRun(t, "hub-killed", clusterIs("member1", "Started"))
	r.release(t, "member1")
	holdsOrder(t, r.succeeds(t, "hub-killed", "value1"))
}

// testMemberDown kills a member's API server before its turn: the run starts it, waits, and goes on when it is back.
func testMemberDown(t *testing.T, s *suite) {
	r := s.newRollout(t, "member-down", stagingThenCanary, gate)
	r.start(t, "member-down", 0, "Run")
	r.awaitRun(t, "member-down", clusterIs("member2", "Started"))
	s.kill(t, "member3-apiserver")
	r.release(t, "member2")
	r.awaitRun(t, "member-down", all(
		has("Progressing", "True", "UpdateRunProgressing"), clusterIs("member3", "Started"), clusterIs("member1", ""),
	))
	s.eventually(t, func() error {
		if out := s.mustRun(t, "kubectl get csur member-down -o wide"); !strings.Contains(out, "cluster member3: The member cannot be reached: ") {
			return fmt.Errorf("the run waits for something else:\n%s", out)
		}
		if out := s.mustRun(t, "kubectl get membercluster member3 -o wide"); !strings.Contains(out, "Unreachable") {
			return fmt.Errorf("the member is in use:\n%s", out)
		}
		return nil
	})
	s.up(t)
	r.release(t, "member3")
	r.awaitRun(t, "member-down", clusterIs("member1", "Started"))
	r.release(t, "member1")
	holdsOrder(t, r.succeeds(t, "member-down", "value1"))
}

// holdsOrder holds that the clusters were updated one after the other, each once.
func holdsOrder(t *testing.T, run runStatus) {
	t.Helper()
	var order []string
	var previous time.Time
	for _, stage := range run.StagesStatus {
		for _, cluster := range stage.Clusters {
			order = append(order, cluster.ClusterName)
			if started := transition(t, cluster.Conditions, "Started"); started.Before(previous) {
				t.Errorf("%s was started at %s, before the one before it was done at %s", cluster.ClusterName, started, previous)
			}
			previous = transition(t, cluster.Conditions, "Succeeded")
		}
	}
	if got, want := fmt.Sprint(order), "[member2 member3 member1]"; got != want {
		t.Errorf("the order is %s, want %s", got, want)
	}
}

func transition(t *testing.T, conditions []metav1.Condition, conditionType string) time.Time {
	t.Helper()
	for _, c := range conditions {
		if c.Type == conditionType && c.Status == metav1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	t.Fatalf("no condition %s that is True among %v", conditionType, conditions)
	return time.Time{}
}

// testFailurePolicy has one of three clusters never become available.
func testFailurePolicy(t *testing.T, s *suite) {
	r := s.newRollout(t, "failures", `
  - name: all
    labelSelector: {}
    maxConcurrency: 100%
    failurePolicy: {clusterTimeout: 8s, maxFailures: 34%}
`, gate)
	r.start(t, "failures", 0, "Run")
	r.release(t, "member1")
	r.release(t, "member2")
	r.awaitRun(t, "failures", clusterIs("member3", "Started"))
	const trouble = "Service failures/gate: "
	s.eventually(t, func() error {
		if out := s.mustRun(t, "kubectl get csur failures -o wide"); !strings.Contains(out, "cluster member3: "+trouble) {
			return fmt.Errorf("nothing says what the run waits for:\n%s", out)
		}
		return nil
	})
	r.awaitRun(t, "failures", has("Succeeded", "True", "UpdateRunSucceededWithFailures"))
	said := s.mustRun(t, `kubectl get csur failures -o jsonpath='{.status.stagesStatus[0].clusters[2].conditions[?(@.type=="Succeeded")].message}'`)
	if want := "Cluster update failed: not available within 8s: " + trouble; !strings.HasPrefix(said, want) {
		t.Errorf("member3 says %q, want %q", said, want)
	}
}
