// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// operate has a user ask something of a run by a patch of its subresource.
func (r rollout) operate(t *testing.T, user, run, operation, spec string) {
	t.Helper()
	script := fmt.Sprintf("kubectl patch csur %s --subresource=%s --type=merge -p '{\"spec\":%s}'", run, operation, spec)
	if _, err := r.run(t.Context(), user, script); err != nil {
		t.Fatalf("%s: %v", script, err)
	}
}

// twoVersions is a rollout whose first version is on all members, and whose second one waits on each of them for its gate.
func (s *suite) twoVersions(t *testing.T, name, stages string) rollout {
	t.Helper()
	r := s.newRollout(t, name, stages)
	r.start(t, name+"-first", 0, "Run")
	r.succeeds(t, name+"-first", "value1")
	r.change(t, "value2", 1)
	s.hub().mustCreate(t, fmt.Sprintf(gate, name))
	r.awaitSnapshot(t, 2)
	return r
}

// history is what happened to a run, as far as it is told by people.
func (r rollout) history(t *testing.T, run string) []string {
	t.Helper()
	var entries []struct {
		Operation, User, Message, Stage string
		Clusters                        []string
	}
	if err := json.Unmarshal([]byte(r.mustRun(t, "kubectl get csur "+run+" -o jsonpath='{.status.history}'")), &entries); err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, e := range entries {
		if e.Operation != "" {
			told = append(told, strings.Join(slices.DeleteFunc([]string{e.User, e.Operation, e.Stage, strings.Join(e.Clusters, ","), e.Message},
				func(s string) bool { return s == "" }), " "))
		}
	}
	return told
}

// testRollBack rolls a run back in the middle of a stage, with a cluster in flight, as somebody who may do nothing else; then by hand
// after a stop, after which the stopped run cannot be resumed.
func testRollBack(t *testing.T, s *suite) {
	r := s.twoVersions(t, "rollback", stagingThenCanary)
	s.grantWith(t, "oncall", "stagegate-operator", "clusterstagedupdateruns")
	r.start(t, "bad", 2, "Run")
	r.release(t, "member2")
	r.awaitRun(t, "bad", all(clusterIs("member2", "Succeeded"), clusterIs("member3", "Started")))
	r.operate(t, "oncall", "bad", "rollback", `{"reason":"INC-7"}`)
	bad := r.awaitRun(t, "bad", has("Succeeded", "False", "UpdateRunRolledBack"))
	var link struct {
		RolledBackBy struct{ Name, UID string } `json:"rolledBackBy"`
	}
	r.eventually(t, func() error {
		var err error
		if bad, err = r.readRun(t.Context(), "bad"); err != nil {
			return err
		}
		if err := decode(bad.object.Object["status"], &link); err != nil || link.RolledBackBy.UID != "" {
			return err
		}
		return fmt.Errorf("the run has no link to the one that rolls it back: %v", bad.object.Object["status"])
	})
	back := r.succeeds(t, link.RolledBackBy.Name, "value1")
	var order []string
	for _, stage := range back.StagesStatus {
		for _, c := range stage.Clusters {
			order = append(order, c.ClusterName)
		}
	}
	if diff := cmp.Diff([]string{"member3", "member2"}, order); diff != "" {
		t.Errorf("clusters go back in the order (-want +got):\n%s", diff)
	}
	got := r.mustRun(t, "kubectl get csur "+link.RolledBackBy.Name+" -o jsonpath='{.spec.rollbackOf} {.status.createdBy.username} {.status.resourceSnapshotIndexUsed}'")
	if want := "bad oncall 0"; got != want {
		t.Errorf("the rollback is of, by and to %q, want %q", got, want)
	}
	if diff := cmp.Diff([]string{"oncall Rollback INC-7"}, r.history(t, "bad")); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}

	r.start(t, "again", 2, "Run")
	r.release(t, "member2")
	r.awaitRun(t, "again", clusterIs("member3", "Started"))
	r.operate(t, "oncall", "again", "stop", `{"reason":"INC-8"}`)
	r.start(t, "by-hand", 0, "Run")
	r.awaitRun(t, "by-hand", has("Progressing", "False", "UpdateRunWaiting"))
	if out := r.mustRun(t, "kubectl get csur by-hand -o wide"); !strings.Contains(out, "run again") {
		t.Errorf("nothing says which run comes first:\n%s", out)
	}
	r.release(t, "member3")
	r.succeeds(t, "by-hand", "value1")
	const refusal = "has moved cluster member2 since this run was stopped; create a new run instead of resuming this one"
	r.refused(t, "oncall", `kubectl patch csur again --subresource=resume --type=merge -p '{"spec":{"reason":"INC-8 is over"}}'`, refusal)
	r.mustRun(t, `kubectl patch csur again --type=merge -p '{"spec":{"state":"Run"}}'`)
	again := r.awaitRun(t, "again", has("Succeeded", "False", "UpdateRunFailed"))
	said, err := findCondition(again.object, "Succeeded")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(said.Message, "ClusterStagedUpdateRun by-hand "+refusal) {
		t.Errorf("the resumed run says %q", said.Message)
	}
}

// testPause has a failure pause a run, which goes on once somebody has retried or skipped what failed.
func testPause(t *testing.T, s *suite) {
	r := s.twoVersions(t, "pause", `
  - name: all
    labelSelector: {}
    maxConcurrency: 1
    failurePolicy: {clusterTimeout: 4s, onFailure: Pause}
`)
	s.grantWith(t, "oncall", "stagegate-operator", "clusterstagedupdateruns")
	r.start(t, "pause", 2, "Run")
	paused := has("Progressing", "False", "UpdateRunPaused")
	r.awaitRun(t, "pause", all(paused, clusterIs("member1", "Started"), clusterIs("member2", "")))
	if out := r.mustRun(t, "kubectl get csur pause -o wide"); !strings.Contains(out, "paused: 1 cluster failed: member1") {
		t.Errorf("nothing says what the run waits for:\n%s", out)
	}
	r.release(t, "member1")
	r.operate(t, "oncall", "pause", "retry", `{"reason":"quota raised"}`)
	r.awaitRun(t, "pause", clusterIs("member1", "Succeeded"))
	r.awaitRun(t, "pause", all(paused, clusterIs("member2", "Started"), clusterIs("member3", "")))
	r.operate(t, "oncall", "pause", "skip", `{"reason":"to be replaced","clusters":["member2","member3"]}`)
	r.awaitRun(t, "pause", has("Succeeded", "True", "UpdateRunSucceededWithFailures"))
	if err := r.values(t.Context(), "pause", "settings", map[string]string{"member1": "value2", "member2": "value2", "member3": "value1"}); err != nil {
		t.Error(err)
	}
	want := []string{"oncall Retry quota raised", "oncall Skip member2,member3 to be replaced"}
	if diff := cmp.Diff(want, r.history(t, "pause")); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	r.eventually(t, func() error {
		described := r.mustRun(t, "kubectl describe csur pause")
		for _, line := range []string{"RetryRequested", `oncall asked to retry all failed clusters: "quota raised"`, "Paused", "SkipRequested"} {
			if !strings.Contains(described, line) {
				return fmt.Errorf("kubectl describe says nothing of %q:\n%s", line, described)
			}
		}
		return nil
	})
	const refused = "has ended"
	if _, err := r.run(t.Context(), "oncall", `kubectl patch csur pause --subresource=retry --type=merge -p '{"spec":{"reason":"late"}}'`); err == nil || !strings.Contains(err.Error(), refused) {
		t.Errorf("a run that is over is retried: %v", err)
	}
}

// testRollsItselfBack has a failure roll a run back.
func testRollsItselfBack(t *testing.T, s *suite) {
	r := s.twoVersions(t, "self", `
  - name: all
    labelSelector: {}
    maxConcurrency: 2
    failurePolicy: {clusterTimeout: 4s, onFailure: Rollback}
`)
	r.start(t, "self", 2, "Run")
	r.release(t, "member1")
	r.awaitRun(t, "self", has("Succeeded", "False", "UpdateRunFailed"))
	name := ""
	r.eventually(t, func() error {
		if name = r.mustRun(t, "kubectl get csur self -o jsonpath='{.status.rolledBackBy.name}'"); name == "" {
			return fmt.Errorf("nothing rolls the run back")
		}
		return nil
	})
	r.succeeds(t, name, "value1")
}
